package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/s6/wire"
)

// patience is how long a scene waits for what has to come.
const patience = 20 * time.Second

// svscan is the supervisor of scan directories that pintle is compared with.
const svscan = "/usr/bin/s6-svscan"

// A side is a scan directory that is supervised by s6's programs or by pintle, and what was seen of it.
type side struct {
	cast cast
	// links is the directory of pintle's tools.
	links string
	dir   string
	cmd   *exec.Cmd
	out   *os.File
	over  chan struct{} // closed once the tree has ended
	meet  func()        // waits until the other sides are as far
	// notes are the steps of the scene with what came of them.
	notes []string
	ears  map[string]*ear
	turns map[string]int
	// vain are the steps that waited for what did not come.
	vain []string
}

// An ear hears what happens to one service.
type ear struct {
	listener *wire.Listener
	done     chan struct{} // closed once nobody reads it
	mu       sync.Mutex
	heard    []byte
	at       []time.Time
	// used is how many bytes the scene has waited for, the rest told at its end.
	used int
}

// stage makes a side with its files: path → content. A path that ends with "*" is a shell script, one that ends with "=" is
// executable as it is, with "/" a directory, and with "|" a FIFO. It listens to all services before there is a tree.
func stage(c cast, links string, files map[string]string, deaf bool) (_ *side, err error) {
	s := &side{cast: c, links: links, ears: map[string]*ear{}, turns: map[string]int{}, over: make(chan struct{}), meet: func() {}}
	if s.dir, err = os.MkdirTemp(parent(), "pintle-scan-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, err
	}
	for path, text := range files {
		if err := s.write(path, text); err != nil {
			return nil, err
		}
	}
	for path := range files {
		for dir := filepath.Dir(path); dir != "." && !deaf; dir = filepath.Dir(dir) {
			base := filepath.Base(dir)
			if s.ears[dir] == nil && (!strings.Contains(dir, "/") || base == "log" && strings.Count(dir, "/") == 1) {
				if err := s.listen(dir); err != nil {
					return nil, err
				}
			}
		}
	}
	return s, s.begin()
}

// parent is where scan directories are made: as root in a directory that nobody else may write, since where others may, as in
// /tmp, pintle follows no symlinks.
func parent() string {
	if os.Geteuid() == 0 {
		return "/run"
	}
	return ""
}

func (s *side) write(path, text string) error {
	mode := fs.FileMode(0o644)
	if bare, script := strings.CutSuffix(path, "*"); script {
		path, text, mode = bare, "#!/bin/sh\n"+text+"\n", 0o755
	} else if bare, executable := strings.CutSuffix(path, "="); executable {
		path, mode = bare, 0o755
	}
	full := filepath.Join(s.dir, path)
	if strings.HasSuffix(path, "/") {
		return os.MkdirAll(full, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if fifo, ok := strings.CutSuffix(full, "|"); ok {
		return unix.Mkfifo(fifo, 0o600)
	}
	if err := os.WriteFile(full+".", []byte(text), mode); err != nil {
		return err
	}
	return os.Rename(full+".", full)
}

// begin starts the tree: s6-svscan, or this program, which plays one.
func (s *side) begin() (err error) {
	command := svscan
	if s.cast.tree == "pintle" {
		if command, err = os.Executable(); err != nil {
			return err
		}
	}
	if s.out, err = os.CreateTemp("", "pintle-scan-out-"); err != nil {
		return err
	}
	s.cmd = exec.Command(command)
	path := "/usr/bin:/bin"
	if s.cast.tools == "pintle" { // scripts get them, too
		path = s.links + ":" + path
	}
	s.cmd.Env = []string{"PATH=" + path}
	if s.cast.tree == "s6" {
		s.cmd.Args = append(s.cmd.Args, s.dir)
	} else {
		s.cmd.Env = append(s.cmd.Env, treeVariable+"="+s.dir)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait() // its code is noted
		close(s.over)
	}()
	if !wait(func() bool { d, err := wire.Open(s.dir); return err == nil && d.ControlScan("") == nil }) {
		return errors.New("the tree did not begin")
	}
	return nil
}

// wait waits for a condition.
func wait(holds func() bool) bool {
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func (s *side) listen(service string) error {
	d, err := wire.Open(filepath.Join(s.dir, service))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.MakeEvents(os.Getegid()); err != nil {
		return err
	}
	events, err := d.Events()
	if err != nil {
		return err
	}
	defer events.Close()
	l, err := events.Listen(time.Now())
	if err != nil {
		return err
	}
	e := &ear{listener: l, done: make(chan struct{})}
	s.ears[service] = e
	go func() {
		defer close(e.done)
		var buf [64]byte
		for {
			n, err := l.Read(buf[:])
			if err != nil {
				return
			}
			e.mu.Lock()
			for _, b := range buf[:n] {
				e.heard, e.at = append(e.heard, b), append(e.at, time.Now())
			}
			e.mu.Unlock()
		}
	}()
	return nil
}

// leave has the tree end where it has not yet, and removes what it left.
func (s *side) leave() {
	if s.cmd != nil && s.cmd.Process != nil {
		for _, b := range []string{"t", "q"} {
			if d, err := wire.Open(s.dir); err == nil {
				_ = d.ControlScan(b) // it has perhaps ended
				_ = d.Close()
			}
			select {
			case <-s.over:
			case <-time.After(3 * time.Second):
				_ = filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
					if err == nil && e.Name() == "supervise" {
						s.end(filepath.Dir(path))
					}
					return nil
				})
			}
		}
		_ = s.cmd.Process.Kill()
		<-s.over
	}
	for _, e := range s.ears {
		_ = e.listener.Close()
	}
	_ = s.out.Close()
	_ = os.Remove(s.out.Name())
	_ = os.RemoveAll(s.dir)
}

// end has a supervisor end together with its service.
func (s *side) end(path string) {
	d, err := wire.Open(path)
	if err != nil {
		return
	}
	defer d.Close()
	_ = d.Control("xcdk") // it has perhaps no supervisor
}

// play carries out the lines of a scene, and notes what comes of them.
func (s *side) play(script string) {
	for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		line = strings.TrimSpace(line)
		if who, rest, ok := strings.Cut(line, ": "); ok && (who == "s6" || who == "pintle") {
			if who == s.cast.tree {
				s.step(rest) // what only one tree does is not compared
			}
			continue
		}
		got, came := s.step(line)
		if !came {
			s.vain = append(s.vain, line)
		}
		if got != "" {
			s.note(line, got)
		}
	}
	s.close()
}

// chance are pids, labels and times.
var chance = regexp.MustCompile(`(pid |pgid |@4)[0-9a-f]+|\d+ seconds`)

// note keeps what came of a line; the second of two equal lines is "line #2".
func (s *side) note(line, got string) {
	if f := strings.Fields(line); len(f[len(f)-1]) > 100 { // a name that is too long to be read
		line = strings.Join(f[:len(f)-1], " ")
	}
	s.turns[line]++
	if n := s.turns[line]; n > 1 {
		line += " #" + strconv.Itoa(n)
	}
	s.notes = append(s.notes, line+" → "+chance.ReplaceAllString(strings.ReplaceAll(got, s.dir, "@"), "N"))
}

// close ends the tree, and notes its exit code and what was not heard yet.
func (s *side) close() {
	select {
	case <-s.over:
	default:
		_, _ = s.tool("s6-svscanctl -t @")
	}
	select {
	case <-s.over:
		s.note("the tree's exit code", strconv.Itoa(s.cmd.ProcessState.ExitCode()))
	case <-time.After(patience):
		s.note("the tree's exit code", "it does not end")
	}
	names := make([]string, 0, len(s.ears))
	for name := range s.ears {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e := s.ears[name]
		_ = e.listener.SetReadDeadline(time.Now())
		<-e.done
		_ = e.listener.SetReadDeadline(time.Time{})
		pending, err := e.listener.Pending()
		if err != nil {
			s.note("the rest of "+name, err.Error())
		}
		rest := string(e.heard[e.used:]) + string(pending)
		s.note("the rest of "+name, strconv.Quote(rest))
	}
}

// step carries one line out, and says what came of it, nothing where that is of no interest, and whether what it waited for came.
func (s *side) step(line string) (got string, came bool) {
	f := strings.Fields(line)
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	path := filepath.Join(s.dir, strings.TrimSuffix(strings.TrimSuffix(arg(1), "*"), "="))
	fail := func(err error) (string, bool) {
		if err != nil {
			return err.Error(), false
		}
		return "", true
	}
	switch f[0] {
	case "meet":
		s.meet()
		return "", true
	case "hear":
		return s.hear(arg(1), arg(2))
	case "pause":
		return s.pause(arg(1)), true
	case "listen":
		return fail(s.listen(arg(1)))
	case "flags":
		return s.flags(arg(1), arg(2))
	case "stat":
		out, code := s.tool("s6-svstat -o up,wantedup,normallyup,ready,paused,exitcode,signal,signum @" + arg(1))
		return fmt.Sprintf("%d %q", code, out), true
	case "show":
		return s.show(path), true
	case "gone": // its supervisor, which has told so before
		came = wait(func() bool { got, code := s.tool("s6-svok @" + arg(1)); return code == 1 && got == "" })
		return fmt.Sprint(came), came
	case "await": // a file with so many lines
		n, _ := strconv.Atoi(arg(2))
		came = wait(func() bool { data, _ := os.ReadFile(path); return strings.Count(string(data), "\n") >= n })
		return s.show(path), came
	case "list":
		return s.list(path), true
	case "tally":
		return s.tally(path), true
	case "write":
		return fail(s.write(arg(1), unquote(line)))
	case "rm":
		return fail(os.RemoveAll(path))
	case "mv":
		return fail(os.Rename(path, filepath.Join(s.dir, arg(2))))
	case "ln":
		return fail(os.Symlink(arg(1), filepath.Join(s.dir, arg(2))))
	case "chmod":
		mode, _ := strconv.ParseUint(arg(2), 8, 32)
		return fail(unix.Chmod(path, uint32(mode)))
	case "chown":
		id, _ := strconv.Atoi(arg(2))
		return fail(os.Lchown(path, id, id))
	case "fifo":
		return fail(unix.Mkfifo(path, 0o600))
	case "feed": // whoever reads the FIFO, once he does
		return fail(s.feed(path))
	case "deaths": // a tally of so many
		n, _ := strconv.Atoi(arg(2))
		return fail(s.write(arg(1)+"/supervise/death_tally", string(wire.EncodeDeaths(make([]wire.Death, n)))))
	case "kill":
		return fail(s.kill(arg(1), arg(2)))
	case "ended":
		select {
		case <-s.over:
			return strconv.Itoa(s.cmd.ProcessState.ExitCode()), true
		case <-time.After(patience):
			return "no", false
		}
	}
	out, code := s.tool(line)
	return fmt.Sprintf("%d %q", code, out), true
}

// unquote is what is quoted in a line.
func unquote(line string) string {
	_, quoted, _ := strings.Cut(line, " \"")
	text, err := strconv.Unquote(`"` + quoted)
	if err != nil {
		return "the scene is wrong: " + line
	}
	return text
}

// tool runs one of the cast's tools, where there is one of that name; "@" is the scan directory.
func (s *side) tool(line string) (string, int) {
	args := strings.Fields(line)
	for i, a := range args {
		if strings.HasPrefix(a, "@") {
			args[i] = filepath.Join(s.dir, a[1:])
		} else if path := filepath.Join(s.links, a); s.cast.tools == "pintle" && strings.HasPrefix(a, "s6-") {
			if _, err := os.Lstat(path); err == nil {
				args[i] = path
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = patience // for what it leaves behind
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// hear waits for events that were not waited for yet.
func (s *side) hear(service, want string) (string, bool) {
	e := s.ears[service]
	if e == nil {
		return "nobody listens", false
	}
	var got string
	wait(func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		got = string(e.heard[e.used:])
		return len(got) >= len(want) || !strings.HasPrefix(want, got)
	})
	got = got[:min(len(got), len(want))]
	e.used += len(got)
	if got != want {
		return "heard " + strconv.Quote(got), false
	}
	return "heard", true
}

// pause says how much time was between the last two events that were waited for, in classes as wide as a busy machine needs.
func (s *side) pause(service string) string {
	e := s.ears[service]
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.used < 2 {
		return "no two events"
	}
	switch d := e.at[e.used-1].Sub(e.at[e.used-2]); {
	case d < 600*time.Millisecond:
		return "at once"
	case d < 950*time.Millisecond:
		return "less than a second"
	case d < 2*time.Second:
		return "a second"
	default:
		return "longer"
	}
}

// flags waits until the status has these flags, and says what else it has.
func (s *side) flags(service, want string) (got string, came bool) {
	came = wait(func() bool {
		data, err := os.ReadFile(filepath.Join(s.dir, service, "supervise/status"))
		if err != nil || len(data) != wire.Default.StatusSize() {
			got = fmt.Sprint(err, len(data))
			return false
		}
		st, _ := wire.DecodeStatus(wire.Default, data)
		got = fmt.Sprintf("flags %d, wait status %d, a pid: %v, a ready stamp: %v", data[34], st.Wait, st.PID != 0, st.ReadyStamp != wire.Stamp{})
		return strconv.Itoa(int(data[34])) == want
	})
	return got, came
}

func (s *side) show(path string) string {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		return err.Error()
	}
	return strconv.Quote(string(data))
}

// list is what is in a directory with types, modes, owners and, where times and pids don't make it, size.
func (s *side) list(path string) string {
	var list []string
	_ = filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(s.dir, path)
		if err != nil || strings.HasPrefix(e.Name(), "ftrig1:") {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			list = append(list, name+" "+err.Error())
			return nil
		}
		line := fmt.Sprintf("%s %o %d:%d", name, st.Mode, st.Uid, st.Gid)
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			line += fmt.Sprint(" ", st.Size)
		}
		list = append(list, line)
		return nil
	})
	return strings.Join(list, "; ")
}

func (s *side) tally(path string) string {
	data, err := os.ReadFile(path + "/supervise/death_tally")
	deaths, ok := wire.DecodeDeaths(data)
	text := fmt.Sprintf("%v %v %d:", err, ok, len(deaths))
	for _, d := range deaths[max(0, len(deaths)-3):] {
		text += fmt.Sprintf(" %d/%d", d.Code, d.Signal)
	}
	return text
}

func (s *side) feed(path string) (err error) {
	wait(func() bool {
		var fd int
		if fd, err = unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
			return false
		}
		_, err = unix.Write(fd, []byte("\n"))
		_ = unix.Close(fd)
		return true
	})
	return err
}

// kill sends a signal to the run by itself.
func (s *side) kill(service, name string) error {
	d, err := wire.Open(filepath.Join(s.dir, service))
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := d.Status(wire.Default)
	if err != nil {
		return err
	}
	if st.PID == 0 {
		return errors.New("no process")
	}
	sig, _ := wire.ScanSignal(name)
	return unix.Kill(st.PID, sig)
}
