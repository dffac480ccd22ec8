package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestEnvFiles: files are laid over the container's environment in their order,
// and what the unit declares itself over them; one that need not be there need not.
func TestEnvFiles(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		own, err := os.MkdirTemp("", "pintle-test-") // which nobody else can write
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(own) })
		put(t, own+"/one", "A=one\nB=one\nC=one\nPINTLE_UNIT=one\n")
		put(t, own+"/two", "B=two\nC=two\n")
		put(t, dir+"/theirs", "A=theirs\n")
		if err := os.Chmod(dir+"/theirs", 0o666); err != nil {
			t.Fatal(err)
		}
		files := []unit.EnvFile{{Path: own + "/one"}, {Path: own + "/none", Optional: true}, {Path: own + "/two"}}
		w := newWorld(t, Options{
			Environ: []string{"PATH=" + os.Getenv("PATH"), "A=zero", "Z=zero"}, RunDirectory: runs,
			Services: []unit.Spec{
				player("web", dir, "env %s/env sleep", func(s *unit.Spec) { s.EnvFiles, s.Environment = files, map[string]string{"C": "own"} }),
				sleeper("missing", func(s *unit.Spec) { s.EnvFiles = []unit.EnvFile{{Path: own + "/none"}} }),
				sleeper("loading", func(s *unit.Spec) { s.EnvFiles = []unit.EnvFile{{Path: dir + "/theirs"}} }),
			},
		})
		w.dir = dir
		got := strings.Split(w.untilFile("env"), "\n")
		for _, want := range []string{"A=one", "B=two", "C=own", "Z=zero", "PINTLE_UNIT=web"} {
			if !slices.Contains(got, want) {
				t.Errorf("%s is not in %q", want, got)
			}
		}
		s := w.untilState("missing", unit.Backoff)
		if s.Reason != unit.CannotExecute || !strings.HasPrefix(s.Because, "cannot use env_file: ") || !strings.Contains(s.Because, own+"/none") {
			t.Errorf("without its file it is %s because %s", s.State, s.Because)
		}
		// It is read for each run anew.
		put(t, own+"/none", "A=none\n")
		w.untilState("missing", unit.Up)
		// Who could write it could have pintle's own user load his code.
		if s := w.untilState("loading", unit.Backoff); !strings.Contains(s.Because, "cannot trust "+dir+"/theirs") {
			t.Errorf("with somebody else's file it is %s because %s", s.State, s.Because)
		}
	})
}

// TestEnvFileThroughALink: a user who can write where a unit's file is can't have
// pintle read for him, through a link, what he may not read himself.
func TestEnvFileThroughALink(t *testing.T) {
	alone(t, func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can read what others can't")
		}
		const secret = "hunter2-hunter2"
		dir, runs := stage(t)
		put(t, dir+"/roots", "TOKEN="+secret+"\n")
		put(t, dir+"/broken", secret+"\n")
		for file, mode := range map[string]os.FileMode{"roots": 0o600, "broken": 0o644} {
			if err := os.Chmod(filepath.Join(dir, file), mode); err != nil {
				t.Fatal(err)
			}
		}
		home := filepath.Join(dir, "home")
		if err := os.Mkdir(home, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir+"/roots", home+"/env"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{home, home + "/env"} {
			if err := os.Lchown(path, 12345, 12345); err != nil {
				t.Fatal(err)
			}
		}
		reads := func(name unit.Name, file string) unit.Spec {
			return sleeper(name, func(s *unit.Spec) { s.User, s.EnvFiles = "12345", []unit.EnvFile{{Path: file}} })
		}
		w := newStagedWorld(t, dir, runs, reads("link", home+"/env"), reads("broken", dir+"/broken"))
		for _, name := range []unit.Name{"link", "broken"} {
			s := w.untilState(name, unit.Backoff)
			if s.Reason != unit.CannotExecute || !strings.HasPrefix(s.Because, "cannot use env_file") || s.PID != 0 || strings.Contains(s.Because, secret) {
				t.Errorf("%s is %s because %s", name, s.State, s.Because)
			}
		}
		if strings.Contains(w.log.String(), secret) {
			t.Error("pintle told the secret")
		}
	})
}

// TestWhatARunIsTold: the PINTLE_ variables, and those of sd_notify where they mean something; nothing of an outer pintle's.
func TestWhatARunIsTold(t *testing.T) {
	alone(t, func(t *testing.T) {
		dir, runs := stage(t)
		talks := func(s *unit.Spec) { s.Watchdog, s.Stop.Grace = 2*time.Hour, 1500*time.Millisecond }
		w := newWorld(t, Options{
			RunDirectory: runs, Services: []unit.Spec{player("mute", dir, "env %s/mute sleep")},
			Environ: []string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=/outer", "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "PINTLE_INSTANCE=outer", "PINTLE_TEMPLATE=outer", "PINTLE_STOP_FILE=/outer"},
			Templates: []unit.Template{template(func(u *unit.Template) {
				u.Always, u.Initial, u.Spec = []string{"a"}, unit.InitialUp, player("", dir, "env %s/talks sleep", talks)
			})},
		})
		w.dir = dir
		told := func(file string) map[string]string {
			all := map[string]string{}
			for line := range strings.SplitSeq(w.untilFile(file), "\n") {
				key, value, _ := strings.Cut(line, "=")
				all[key] = value
			}
			return all
		}
		got := told("talks")
		for key, want := range map[string]string{
			"PINTLE_UNIT": "gateway@a", "PINTLE_TEMPLATE": "gateway", "PINTLE_INSTANCE": "a", "PINTLE_RUN": "1",
			"PINTLE_STOP_GRACE": "1.5", "PINTLE_STOP_FILE": runs + "/gateway@a.1.stop", "WATCHDOG_USEC": "7200000000",
		} {
			if got[key] != want {
				t.Errorf("%s is %q, want %q", key, got[key], want)
			}
		}
		if !strings.HasPrefix(got["NOTIFY_SOCKET"], runs+"/") {
			t.Errorf("NOTIFY_SOCKET is %q", got["NOTIFY_SOCKET"])
		}
		got = told("mute")
		for _, key := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "PINTLE_INSTANCE", "PINTLE_TEMPLATE"} {
			if value, set := got[key]; set {
				t.Errorf("%s is %q", key, value)
			}
		}
		if got["PINTLE_STOP_FILE"] != runs+"/mute.1.stop" {
			t.Errorf("PINTLE_STOP_FILE is %q", got["PINTLE_STOP_FILE"])
		}
	})
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGiveUpWithin: failures count as far as they are within the time; a unit that is given up says how often it failed.
func TestGiveUpWithin(t *testing.T) {
	const pause = 40 * time.Second
	rule := func(within time.Duration) func(*unit.Spec) {
		return func(s *unit.Spec) {
			s.Backoff, s.GiveUp = unit.BackoffRule{Initial: pause, Max: pause, Factor: 1}, unit.GiveUp{After: 4, Within: within}
		}
	}
	inBubble(t, Options{Kernel: &fakeKernel{}, Services: []unit.Spec{unfit("far", rule(time.Minute)), unfit("near", rule(10*time.Minute))}}, func(t *testing.T, s *Supervisor) {
		time.Sleep(time.Hour + pause/2)
		synctest.Wait()
		near := get(t, s, "near")
		if near.State != unit.Failed || near.Reason != unit.GaveUp || near.Run != 4 || !strings.HasPrefix(near.Because, "it failed 4 times within 10 min, at last: it ") {
			t.Errorf("%+v", near)
		}
		if far := get(t, s, "far"); far.State != unit.Backoff || far.Run < 80 {
			t.Errorf("%+v", far)
		}
		info, err := s.Info(t.Context())
		if err != nil || len(info.Conditions) != 2 || info.Conditions[0].Code != engine.UnitFailing || info.Conditions[1].Code != engine.UnitFailed {
			t.Errorf("the conditions are %q (%v)", info.Conditions, err)
		}
	})
}
