package peers

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// questions are those of the benchmark, in the order of its table.
var questions = []struct {
	id  string
	ask func(w *workshop) answer
}{
	{"docker-run", dockerRun},
	{"exec", execution},
	{"docker-stop", dockerStop},
	{"many", many},
	{"memory", memory},
	{"idle", idle},
	{"crash", crash},
	{"crowd", crowd},
	{"create", create},
	{"scale", scale},
	{"size", footprint},
}

// TestPeers measures pintle beside its peers. Without PINTLE_PEERS it only proves that each figure can be had.
func TestPeers(t *testing.T) {
	sizes := map[string]size{"": smoke, "quick": quick, "full": full}
	s, known := sizes[os.Getenv("PINTLE_PEERS")]
	if !known {
		t.Fatalf("PINTLE_PEERS is %q, which is neither quick nor full nor empty", os.Getenv("PINTLE_PEERS"))
	}
	if testing.Short() {
		t.Skip("peers are not measured in short mode")
	}
	w := newWorkshop(t, s)
	only := strings.FieldsFunc(os.Getenv("PINTLE_PEERS_ONLY"), func(r rune) bool { return r == ',' })
	var answers []answer
	for _, q := range questions {
		if len(only) > 0 && !slices.Contains(only, q.id) {
			continue
		}
		t.Run(q.id, func(t *testing.T) {
			room := *w // the same tools, but what fails is this question
			room.TB = t
			a := q.ask(&room)
			tell(t, a)
			answers = append(answers, a)
		})
	}
	if s != smoke {
		w.must(writeReport(w, answers))
	}
}

// tell prints an answer, and holds it to having one.
func tell(t *testing.T, a answer) {
	t.Helper()
	t.Logf("%s: %s", a.id, a.title)
	for _, f := range a.figures {
		if len(f.samples) == 0 {
			t.Errorf("%s, %s: there is no figure", f.peer, f.what)
			continue
		}
		t.Logf("  %-16s %-32s %10.3f  (%.3f–%.3f, %d) %s", f.peer, f.what, f.median(), f.least(), f.most(), len(f.samples), f.unit)
	}
	for _, g := range a.goals {
		t.Logf("  goal %s: %.3f, %s", g.what, g.got, map[bool]string{true: "reached", false: "MISSED"}[g.reached()])
	}
	for _, n := range a.notes {
		t.Logf("  note %s", n)
	}
	if len(a.figures) == 0 {
		t.Errorf("%s: there are no figures", a.id)
	}
}

// command is one in this directory.
func (w *workshop) command(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }
