package process

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// usage is what a leader that was just reaped has used. The caller holds the Kernel's
// mutex: all that is read here is in memory.
func (r *Run) usage(u *unix.Rusage, e unit.Exit) unit.Usage {
	used := unit.Usage{
		User: time.Duration(u.Utime.Nano()), System: time.Duration(u.Stime.Nano()),
		MaxRSS: int64(u.Maxrss) << 10, // the kernel counts it in KiB
	}
	if r.cgroup != "" {
		used.Peak = r.cgroup.number("memory.peak")
		used.OutOfMemory = r.cgroup.oomKills() > 0
	}
	if !used.OutOfMemory && e.Signal == unit.SIGKILL {
		used.OutOfMemory = r.k.oom.happened()
	}
	return used
}

// oomWatch knows whether the kernel has killed a process of the container for lack of
// memory since it was asked last. Whose process that was it doesn't know: it is asked
// when a leader was killed, and that was then most likely it. The Kernel's mutex guards it.
type oomWatch struct {
	place cgroup // pintle's own; empty where there is none to be seen
	seen  int64
}

// begin watches the first of the places where pintle's own cgroup is, if there are any.
func (w *oomWatch) begin(places []place) {
	if len(places) > 0 {
		w.place = cgroup(places[0].dir)
		w.seen = w.place.oomKills()
	}
}

func (w *oomWatch) happened() bool {
	if w.place == "" {
		return false
	}
	kills := w.place.oomKills()
	more := kills > w.seen
	w.seen = kills
	return more
}

// oomKills is how many processes in the cgroup, and in those within it, were killed for lack of memory.
func (g cgroup) oomKills() int64 {
	events, _ := os.ReadFile(g.file("memory.events")) // it is not there where memory is not accounted for
	for line := range strings.Lines(string(events)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return parseCount(n)
		}
	}
	return 0
}

// number is the content of a file that has one.
func (g cgroup) number(file string) int64 {
	text, _ := os.ReadFile(g.file(file))
	return parseCount(string(text))
}

func parseCount(text string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n
}
