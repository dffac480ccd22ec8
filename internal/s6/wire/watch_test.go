package wire

import (
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"
)

// Whatever a service says, s6-svwait ends when our Watch does, and with as many failures.
func TestWatchAsReal(t *testing.T) {
	t.Parallel()
	needReal(t)
	dir := service(t, "exit 0", "")
	d := openDir(t, dir)
	seat, err := d.Supervise()
	must(t, err)
	defer seat.Close()
	events, err := d.Events()
	must(t, err)
	defer events.Close()
	random := rand.New(rand.NewPCG(6, 11))
	goals := map[string]Goal{"-u": {true, false}, "-U": {true, true}, "-d": {false, false}, "-D": {false, true}}
	statuses := []Status{{ReadyFlag: true}, {PID: 42}, {PID: 42, ReadyFlag: true}, {PID: 42, Finishing: true}}
	early := 0
	for option, goal := range goals {
		for range 15 {
			s := statuses[random.IntN(len(statuses))]
			s.Stamp = StampOf(time.Now())
			must(t, d.SetStatus(Default, s))
			// It always ends, as the supervisor does.
			said := make([]byte, random.IntN(6), 7)
			for i := range said {
				said[i] = "dDuUOs"[random.IntN(6)]
			}
			said = append(said, 'x')
			w := NewWatch(goal, random.IntN(2) == 0, s)
			for _, event := range said {
				if w.Done() {
					early++
					break
				}
				w.Hear(0, event)
			}
			if !w.Done() {
				t.Errorf("%s from %+v with %s: never done", option, s, said)
			}
			read := whenRead(t, dir)
			cmd := exec.Command("s6-svwait", option, "-t", "60000", dir)
			must(t, cmd.Start())
			read()
			_, err := events.Notify(string(said))
			must(t, err)
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != w.Failed {
				t.Errorf("%s from %+v with %s: s6-svwait ends with %d, we say %d", option, s, said, code, w.Failed)
			}
		}
	}
	if early == 0 || early == 60 {
		t.Errorf("%d of 60 reached their goal", early)
	}
}

// All is every one, some is one, and of none all are there.
func TestWatchMany(t *testing.T) {
	t.Parallel()
	up, down := Status{PID: 42}, Status{ReadyFlag: true}
	for _, tt := range []struct {
		some bool
		of   []Status
		want bool
	}{
		{false, nil, true}, {true, nil, false},
		{false, []Status{up, up}, true}, {false, []Status{up, down}, false},
		{true, []Status{down, up}, true}, {true, []Status{down, down}, false},
	} {
		if got := NewWatch(Goal{Up: true}, tt.some, tt.of...).Done(); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	w := NewWatch(Goal{}, false, up, up)
	w.Hear(0, 'd')
	if w.Done() {
		t.Error("one is up")
	}
	w.Hear(1, 'd')
	w.Again(Goal{Up: true, Ready: true})
	for _, event := range []byte("DuU") {
		if w.Done() {
			t.Error("nobody is up again")
		}
		w.Hear(0, event)
		w.Hear(1, event)
	}
	if !w.Done() || w.Failed != 0 {
		t.Errorf("%+v", w)
	}
}
