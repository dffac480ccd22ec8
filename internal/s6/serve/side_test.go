//go:build !race

package serve

import (
	"errors"
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
	clock time.Time
	// vain are the steps that waited for what did not come.
	vain []string
}

// An ear hears what happens to one service.
type ear struct {
	listener *wire.Listener
	done     chan struct{} // closed once nobody reads it
	mu       sync.Mutex
	heard    []byte
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
			e.heard = append(e.heard, buf[:n]...)
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
