package reference_test

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pintle/test/dockertest"
)

// What docs/configuration.md states under "Exactly one", and what docker and a busy machine add to it.
const (
	afterCrash     = 25 * time.Second
	afterStop      = 3 * time.Second
	afterWaking    = 3 * time.Second
	exclusiveSlack = 8 * time.Second
)

// witnessed is a volume that containers share, and the journal of the gateways that run there: who ran when is read there,
// since no container can be asked while it is killed or frozen. See examples/hermes/agent/witness.go.
type witnessed struct {
	t      *testing.T
	volume string

	mu      sync.Mutex
	entries []journalEntry
	strange []string // lines that are none
}

// journalEntry is a line of the journal.
type journalEntry struct {
	at    time.Time
	fence uint64
	host  string
	word  string
}

// witness makes a volume.
func witness(t *testing.T) *witnessed { return &witnessed{t: t, volume: sharedVolume(t)} }

// boot starts a container on the volume; the gateway's intent is the volume's.
func (w *witnessed) boot(host string, flags ...string) *dockertest.Container {
	w.t.Helper()
	return boot(w.t, dockertest.Options{Deadline: 2 * time.Minute, Flags: append([]string{
		"-h", host, "-v", w.volume + ":/opt/data", "-e", "HERMES_GATEWAY_JOURNAL=/opt/data/journal",
	}, flags...)}, "sleep", "infinity")
}

// follow reads the journal as it grows. A container of its own prints it, which nobody ends before the test does.
func (w *witnessed) follow() {
	w.t.Helper()
	c := dockertest.Start(w.t, dockertest.Options{
		Image: dockertest.Debian(w.t), Flags: []string{"-v", w.volume + ":/data:ro"},
	}, "tail", "-n", "+1", "-F", "/data/journal")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := dockertest.Command(ctx, w.t, "logs", "-f", c.Name)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		w.t.Fatalf("cannot follow the journal: %v", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.note(lines.Text())
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed
	})
}

func (w *witnessed) note(line string) {
	var e journalEntry
	var at int64
	var pid int
	_, err := fmt.Sscan(line, &at, &e.fence, &e.host, &pid, &e.word)
	e.at = time.UnixMilli(at)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.strange = append(w.strange, line)
		return
	}
	w.entries = append(w.entries, e)
}

// journal is what stands there now.
func (w *witnessed) journal() []journalEntry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries[:len(w.entries):len(w.entries)]
}

// begins waits for the next run after one with a fence.
func (w *witnessed) begins(after uint64) (e journalEntry) {
	w.t.Helper()
	dockertest.Eventually(w.t, afterCrash+soon, func() (bool, string) {
		for _, e = range w.journal() {
			if e.word == "begin" && e.fence > after {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", e)
	}, fmt.Sprintf("a run begins with a fence above %d", after))
	return e
}

// last is the last sign of life of the run with a fence.
func (w *witnessed) last(fence uint64) (last journalEntry) {
	for _, e := range w.journal() {
		if e.fence == fence {
			last = e
		}
	}
	return last
}

// beats waits for a sign of life of the run with a fence that came after a time.
func (w *witnessed) beats(fence uint64, after time.Time) {
	w.t.Helper()
	dockertest.Eventually(w.t, soon, func() (bool, string) {
		last := w.last(fence)
		return last.at.After(after), fmt.Sprintf("%+v", last)
	}, fmt.Sprintf("the run with fence %d goes on", fence))
}

// wereAlone fails the test unless the runs of the journal came one after the other, each with a higher fence and each
// with the address to itself.
func (w *witnessed) wereAlone() {
	w.t.Helper()
	var last journalEntry
	for _, e := range w.journal() {
		switch {
		case e.word == "refused":
			w.t.Errorf("another run had the address: %+v", e)
		case e.fence < last.fence:
			w.t.Errorf("two runs at once: %+v came after %+v", e, last)
		case e.fence == last.fence && e.host != last.host, e.word == "begin" && e.fence <= last.fence:
			w.t.Errorf("the fence has not grown: %+v came after %+v", e, last)
		}
		last = e
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.strange) > 0 {
		w.t.Errorf("the journal has lines that are none: %q", w.strange)
	}
}

// atOnce runs subtests side by side in their parent's place, for those that wait rather than compute: go test runs no
// more parallel ones than there are processors.
func atOnce(t *testing.T, names []string, test func(t *testing.T, i int)) {
	t.Helper()
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { t.Run(name, func(t *testing.T) { test(t, i) }) })
	}
	all.Wait()
}
