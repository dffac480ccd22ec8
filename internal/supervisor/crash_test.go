package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestCrash: a unit that is killed is back under a new pid in under a second, and nobody's wish has changed.
func TestCrash(t *testing.T) {
	alone(t, func(t *testing.T) {
		w := newWorld(t, Options{Services: []unit.Spec{sleeper("web", func(s *unit.Spec) { s.StableAfter = 200 * time.Millisecond })}})
		first := w.untilState("web", unit.Up)
		ending := w.watchFor("web", func(s engine.Status) bool { return s.State == unit.Stopping })
		back := w.watchFor("web", func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 })
		killed := time.Now()
		if err := unix.Kill(first.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s := <-ending
		if s.PID != 0 || s.Reason != unit.Crashed {
			t.Errorf("in between it is %+v", s)
		}
		if !strings.HasPrefix(s.Because, "it was killed by SIGKILL after ") || !strings.HasPrefix(s.Because, "it "+howItEnded(s.Last)) {
			t.Errorf("because %s", s.Because)
		}
		if l := s.Last; l.Asked || l.Killed || l.Error != "" || l.PID != first.PID || l.Run != 1 || l.Started.IsZero() || l.Ended.Before(l.Started) {
			t.Errorf("the end of run 1: %+v", l)
		}
		s = <-back
		if s.PID == first.PID || s.Since.Sub(killed) > time.Second || s.Failures != 1 || s.Intent != first.Intent || !s.Next.IsZero() {
			t.Errorf("after %v it is %+v", s.Since.Sub(killed), s)
		}
		if s.Because != "started again after run 1 "+howItEnded(s.Last) {
			t.Errorf("because %s", s.Because)
		}
		w.until("web", "stable", func(s engine.Status) bool { return s.State == unit.Up && s.Failures == 0 })
		if !strings.Contains(w.log.String(), "web: run 1 was killed by SIGKILL after") {
			t.Errorf("pintle said:\n%s", w.log)
		}
	})
}

// TestExitRules: exit_codes and the restart policy decide, and the status says which of them did.
func TestExitRules(t *testing.T) {
	alone(t, func(t *testing.T) {
		rules := unit.ExitRules{{Code: 75}: unit.VerdictRestart, {Code: 78}: unit.VerdictFail, {Signal: unit.SIGTERM}: unit.VerdictDone}
		cases := []struct {
			script  string
			restart unit.RestartPolicy
			state   unit.State
			because string
		}{
			{"exit 78", unit.RestartAlways, unit.Failed, "it exited with code 78 after X, and exit_codes says what follows"},
			{"exit 75", unit.RestartNever, unit.Backoff, "it exited with code 75 after X, and exit_codes says what follows"},
			{"kill -TERM $$", unit.RestartAlways, unit.Done, "it was killed by SIGTERM after X, and exit_codes says what follows"},
			{"exit 0", unit.RestartOnFailure, unit.Done, "it exited with code 0 after X, and restart is on-failure"},
			{"exit 3", unit.RestartNever, unit.Failed, "it exited with code 3 after X, and restart is never"},
			{"exit 0", unit.RestartAlways, unit.Backoff, "it exited with code 0 after X"},
		}
		var services []unit.Spec
		for i, c := range cases {
			name := unit.Name(fmt.Sprintf("unit%d", i))
			services = append(services, service(name, c.script, func(s *unit.Spec) { s.Restart, s.ExitRules = c.restart, rules }))
		}
		w := newWorld(t, Options{Services: services})
		for i, c := range cases {
			s := w.untilState(services[i].Name, c.state)
			want := strings.Replace(c.because, "X", unit.Span(s.Last.Ended.Sub(s.Last.Started)), 1)
			if s.Because != want || s.Desired != "up" || s.Last.Asked {
				t.Errorf("%s, %s: %s because %s", c.script, c.restart, s.State, s.Because)
			}
		}
		// Who starts one that was given up has seen to it.
		s := w.must(w.Start(context.Background(), "unit0"))
		if s.State != unit.Starting || s.Failures != 0 || s.Run != 2 {
			t.Errorf("started after its failure it is %+v", s)
		}
	})
}

// TestCannotExecute: what can't be executed has ended like anything else, with a
// shell's code and a sentence, which its log has too.
func TestCannotExecute(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		vanished := filepath.Join(dir, "vanished")
		cases := map[unit.Name]struct {
			change func(*unit.Spec)
			code   int
			error  string
		}{
			"nosuch":   {func(s *unit.Spec) { s.Command[0] = "/no/such" }, 127, "cannot execute /no/such: there is no such file"},
			"nopath":   {func(s *unit.Spec) { s.Command[0] = "nosuchprogram" }, 127, "cannot execute nosuchprogram: there is no such program in PATH (" + os.Getenv("PATH") + ")"},
			"nox":      {func(s *unit.Spec) { s.Command[0] = file }, 126, "cannot execute " + file + ": its mode 0644 does not let root execute it"},
			"nouser":   {func(s *unit.Spec) { s.User = "nobody-of-this-name" }, 126, `cannot use user "nobody-of-this-name": there is no such user in /etc/passwd`},
			"nodir":    {func(s *unit.Spec) { s.WorkingDir = vanished }, 126, "cannot execute /bin/sh: its working directory is not usable: stat " + vanished + ": no such file or directory"},
			"nofolder": {func(s *unit.Spec) { s.WorkingDir = file }, 126, "cannot execute /bin/sh: its working directory " + file + " is not a directory"},
		}
		if os.Geteuid() != 0 {
			delete(cases, "nouser") // then it is not looked up
			delete(cases, "nox")
		}
		var services []unit.Spec
		for name, c := range cases {
			services = append(services, sleeper(name, c.change))
		}
		w := newWorld(t, Options{Services: services})
		for name, c := range cases {
			s := w.untilState(name, unit.Backoff)
			l := s.Last
			if s.Reason != unit.CannotExecute || s.Because != c.error || l.Error != c.error || l.Exit != (unit.Exit{Code: c.code}) || l.PID != 0 || l.Ended != l.Started || l.Asked || s.PID != 0 {
				t.Errorf("%s: %s, %+v\nwant %s", name, s.Because, l, c.error)
			}
			w.untilLine(name, c.error)
		}
		// It is mended while it waits, and the next run finds it.
		if err := os.Mkdir(vanished, 0o755); err != nil {
			t.Fatal(err)
		}
		s := w.untilState("nodir", unit.Up)
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", s.PID)); err != nil || cwd != vanished {
			t.Errorf("it runs in %s (%v)", cwd, err)
		}
	})
}

// TestBackoff: the runs of a unit that can't live begin 250 ms, 500 ms … 30 s after one another.
func TestBackoff(t *testing.T) {
	inBubble(t, Options{Services: []unit.Spec{unfit("web")}}, func(t *testing.T, s *Supervisor) {
		for failures, want := range []time.Duration{250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000} {
			synctest.Wait()
			now := get(t, s, "web")
			failures += 2 // the first was answered at once
			if now.Failures != failures || int(now.Run) != failures || now.State != unit.Backoff {
				t.Fatalf("%+v", now)
			}
			want *= time.Millisecond
			if delay := now.Next.Sub(now.Since); delay > min(mostOf(want), unit.DefaultBackoff.Max) || delay < leastOf(want) {
				t.Errorf("it waits %s after %d failures", delay, failures)
			}
			time.Sleep(time.Until(now.Next))
		}
		// A person who starts it does not wait, and begins the count afresh.
		synctest.Wait()
		before := get(t, s, "web")
		if now, err := s.Start(t.Context(), "web"); err != nil || now.Run != before.Run+1 || now.Failures != 0 {
			t.Errorf("%v, %+v", err, now)
		}
		synctest.Wait()
		if now := get(t, s, "web"); now.Failures != 2 || time.Until(now.Next) > mostOf(unit.DefaultBackoff.Initial) {
			t.Errorf("%+v", now)
		}
		if _, err := s.Stop(t.Context(), "web"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if now := get(t, s, "web"); now.State != unit.Down || now.Run != before.Run+2 || now.Failures != 0 || !now.Next.IsZero() {
			t.Errorf("a minute after the stop: %+v", now)
		}
	})
}

// mostOf and leastOf are a delay with all of its jitter.
func mostOf(delay time.Duration) time.Duration {
	return time.Duration(float64(delay) * (1 + unit.DefaultBackoff.Jitter))
}

func leastOf(delay time.Duration) time.Duration {
	return time.Duration(float64(delay) * (1 - unit.DefaultBackoff.Jitter))
}

// TestAllExitAtOnce: when 200 services end in the same moment, every end is seen and every one comes back.
func TestAllExitAtOnce(t *testing.T) {
	alone(t, func(t *testing.T) {
		const n = 200
		var services []unit.Spec
		for i := range n {
			services = append(services, service(unit.Name(fmt.Sprintf("unit%d", i)), "", func(s *unit.Spec) {
				s.Command = []string{"sleep", "1000"}
			}))
		}
		w := newWorld(t, Options{Services: services, Governor: unit.Governor{Least: -1}})
		first := w.untilAll(n, func(s engine.Status) bool { return s.State == unit.Up && s.Run == 1 })
		for _, s := range first {
			if err := unix.Kill(s.PID, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		for name, s := range w.untilAll(n, func(s engine.Status) bool { return s.State == unit.Up && s.Run == 2 }) {
			if s.Last.PID != first[name].PID || s.Last.Exit.Signal != unit.SIGKILL || s.PID == first[name].PID || s.Failures != 1 {
				t.Errorf("%+v, %+v", s, s.Last)
			}
		}
	})
}

// untilAll waits until n units are as judge wants them, all of them since they last changed.
func (w *world) untilAll(n int, judge func(engine.Status) bool) map[unit.Name]engine.Status {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	good := map[unit.Name]engine.Status{}
	for s, err := range w.Watch(ctx) {
		if err != nil {
			w.t.Fatal(err)
		}
		delete(good, s.Name)
		if judge(s) {
			good[s.Name] = s
		}
		if len(good) == n {
			return good
		}
	}
	w.t.Fatalf("only %d of %d", len(good), n)
	return nil
}
