//go:build !race

package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/s6/wire"
)

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
	case "clock": // whether a second has passed since the last one
		last := s.clock
		s.clock = time.Now()
		if last.IsZero() {
			return "", true
		}
		return fmt.Sprint(s.clock.Sub(last) >= time.Second), true
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

// pause says how much time was between the latest D or s, when what is down is ready to be started, and the u after it, by
// the supervisor's own clock, in classes as wide as a busy machine needs. It waits for what a supervisor writes before it tells.
func (s *side) pause(service string) string {
	data, err := os.ReadFile(filepath.Join(s.dir, service, "supervise/status"))
	if err != nil {
		return err.Error()
	}
	st, err := wire.DecodeStatus(wire.Default, data)
	if err != nil {
		return err.Error()
	}
	switch d := st.Stamp.Time().Sub(st.ReadyStamp.Time()); {
	case d < 750*time.Millisecond:
		return "less than a second"
	case d < 5*time.Second:
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
