package supervisor

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestSecretsAreMasked: what an environment variable holds that is called secret is in no line of any unit, wherever the
// variable is from: the container's environment, a file or the declaration; from a run's first line on.
func TestSecretsAreMasked(t *testing.T) {
	alone(t, func(t *testing.T) {
		own, err := os.MkdirTemp("", "pintle-test-") // which nobody else can write
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(own) })
		put(t, own+"/env", "FILE_TOKEN=from-a-file\n")
		printer := func(name unit.Name, change ...func(*unit.Spec)) unit.Spec {
			return sleeper(name, append(change, func(s *unit.Spec) {
				s.Command = []string{"sh", "-c", "env; echo written from-here, from-a-file, of-the-container and overridden >&2; exec sleep 1000"}
			})...)
		}
		w := newWorld(t, Options{
			Environ: []string{"PATH=" + os.Getenv("PATH"), "BOX_TOKEN=of-the-container", "OWN_TOKEN=overridden", "EMPTY_TOKEN=", "PLAIN=seen-by-all"},
			Secret:  func(name string) bool { return strings.HasSuffix(name, "_TOKEN") },
			Services: []unit.Spec{
				printer("web", func(s *unit.Spec) {
					s.EnvFiles, s.Environment = []unit.EnvFile{{Path: own + "/env"}}, map[string]string{"OWN_TOKEN": "from-here"}
				}),
			},
		})
		w.untilLine("web", "written ***, ***, *** and ***")
		for _, want := range []string{"BOX_TOKEN=***", "OWN_TOKEN=***", "FILE_TOKEN=***", "EMPTY_TOKEN=", "PLAIN=seen-by-all"} {
			w.untilLine("web", want)
		}
		for _, value := range []string{"from-", "of-the-container", "overridden"} {
			if w.hasLine("web", value) {
				t.Errorf("a line has the secret %s", value)
			}
		}
	})
}

// hasLine tells whether a unit has written a text by now.
func (w *world) hasLine(name unit.Name, text string) bool {
	w.t.Helper()
	for line, err := range w.Logs(context.Background(), engine.LogRequest{Name: name, Tail: -1}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if strings.Contains(line.Text, text) {
			return true
		}
	}
	return false
}

// TestReloadChangesWhatIsSecret: it holds for runs that there are, and for what starts with it from its first line on; and
// what was secret once stays so.
func TestReloadChangesWhatIsSecret(t *testing.T) {
	alone(t, func(t *testing.T) {
		// It writes what it is told, and then its variable.
		echo := func(dir string, name unit.Name, value string) unit.Spec {
			return sleeper(name, func(s *unit.Spec) {
				s.Environment = map[string]string{"KEY": value}
				s.Command = []string{"sh", "-c", "echo first $KEY; while read line; do echo $line $KEY; done <" + dir + "/" + string(name)}
			})
		}
		dir, _ := stage(t)
		to := map[string]*os.File{}
		for _, name := range []string{"old", "new"} {
			if err := syscall.Mkfifo(dir+"/"+name, 0o666); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(dir+"/"+name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			to[name] = f
		}
		tell := func(name, line string) {
			if _, err := to[name].WriteString(line + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		d := &redeclared{}
		w := newWorld(t, Options{
			Services: []unit.Spec{echo(dir, "old", "the-old-one")}, Load: d.load,
			Environ: []string{"PATH=" + os.Getenv("PATH"), "KEY=of-the-container"},
		})
		w.untilLine("old", "first the-old-one")

		d.Services, d.Free = []unit.Spec{echo(dir, "old", "the-old-one"), echo(dir, "new", "the-new-one")}, []string{"log.secrets"}
		d.Secret = func(name string) bool { return name == "KEY" }
		if got := w.reload(); got["edit "] != "holds from now on" {
			t.Errorf("the reload says %q", got)
		}
		w.untilLine("new", "first ***")
		eventually(t, "what a run has is secret", func() bool {
			tell("old", "and of-the-container")
			return w.hasLine("old", "and *** ***")
		})

		d.Secret = func(string) bool { return false }
		w.reload()
		tell("new", "still the-old-one")
		w.untilLine("new", "still *** ***")
	})
}
