package supervisor

import (
	"context"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/logs"
	"pintle/internal/unit"
)

// TestOutputIsInFiles: what a unit writes, and what pintle says of it, is in the unit's files, its user's, by the rule that
// holds when the lines come; and stays there when the unit is removed.
func TestOutputIsInFiles(t *testing.T) {
	alone(t, func(t *testing.T) {
		to := func(dir string) func(*unit.Template) {
			return func(t *unit.Template) {
				t.Spec.Command = []string{"sh", "-c", "echo out of %i; echo wrong >&2; while read line <" + t.Spec.WorkingDir + "/go; do echo $line; done"}
				t.Spec.Log = &unit.Log{Directory: dir + "/%i", Size: 4000, Keep: 2}
			}
		}
		d := &redeclared{}
		w := newWorld(t, Options{Load: d.load})
		gateways := func(dir string) []unit.Template {
			return []unit.Template{template(func(t *unit.Template) { t.Spec.WorkingDir, t.Always = w.dir, []string{"coder"} }, to(dir))}
		}
		if err := syscall.Mkfifo(w.dir+"/go", 0o600); err != nil {
			t.Fatal(err)
		}
		d.Templates = gateways(w.dir + "/a")
		w.reload()
		w.must(w.Start(context.Background(), "gateway@coder"))
		w.untilState("gateway@coder", unit.Up)
		w.holds("/a/coder/current", "out out of coder", "err wrong")

		d.Templates = gateways(w.dir + "/b")
		if got := w.reload()["edit gateway@coder"]; got != "holds from now on; its run goes on" {
			t.Errorf("the reload says %q", got)
		}
		if err := os.WriteFile(w.dir+"/go", []byte("more\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.holds("/b/coder/current", "out more")
		d.Templates = nil
		w.reload()
		w.holds("/a/coder/current", "out out of coder")
		w.holds("/b/coder/current", "out more")
	})
}

// TestOutputIsAsDeclared: all that a declaration says of a unit's output holds for its lines; and where it says nothing, nothing does.
func TestOutputIsAsDeclared(t *testing.T) {
	t.Parallel()
	s := &Supervisor{}
	if got := s.output(&unit.Spec{}); !reflect.DeepEqual(got, logs.Output{}) {
		t.Errorf("of nothing it makes %+v", got)
	}
	got := s.output(&unit.Spec{Log: &unit.Log{Memory: 1 << 20, Console: unit.ConsoleJSON, ConsoleWait: true}})
	if want := (logs.Output{RingBytes: 1 << 20, Console: unit.ConsoleJSON, Wait: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("without files it is %+v, want %+v", got, want)
	}
	got = s.output(&unit.Spec{Log: &unit.Log{
		Directory: "/l", Mode: 0o600, Size: 1, Age: 2, Keep: 3, Total: 4, Compress: true, Memory: 5, Console: unit.ConsoleRaw, Drop: true,
	}})
	if got.File == nil || got.File.As == nil {
		t.Fatalf("with files it is %+v", got)
	}
	got.File.As = nil
	if diff := cmp.Diff(logs.Output{RingBytes: 5, Console: unit.ConsoleRaw, Drop: true, File: &logs.File{
		Directory: "/l", Mode: 0o600, Size: 1, Age: 2, Keep: 3, Total: 4, Compress: true, UID: os.Geteuid(),
	}}, got); diff != "" {
		t.Errorf("with files, want -, got +:\n%s", diff)
	}
}

// holds waits until a file has these lines, each after its time.
func (w *world) holds(file string, lines ...string) {
	w.t.Helper()
	var data []byte
	eventually(w.t, file+" has "+strings.Join(lines, ", "), func() bool {
		data, _ = os.ReadFile(w.dir + file)
		for _, line := range lines {
			if !strings.Contains(string(data), "Z "+line+"\n") {
				return false
			}
		}
		return true
	})
}
