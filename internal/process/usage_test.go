package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// events writes the memory.events of a cgroup that is a plain directory.
func events(t *testing.T, g cgroup, kills string) {
	t.Helper()
	text := "low 0\nhigh 0\nmax 12\noom 3\noom_kill " + kills + "\noom_group_kill 9\n"
	must(t, os.WriteFile(g.file("memory.events"), []byte(text), 0o600))
}

// A run that the kernel killed for lack of memory is told from one that somebody killed: by its own cgroup, or else by
// the container's, which counts for all.
func TestUsage(t *testing.T) {
	t.Parallel()
	own, container := cgroup(t.TempDir()), cgroup(t.TempDir())
	events(t, container, "5")
	k := &Kernel{oom: oomWatch{place: container, seen: 5}}
	used := &unix.Rusage{Utime: unix.Timeval{Sec: 1, Usec: 5}, Stime: unix.Timeval{Usec: 7}, Maxrss: 4}
	killed, crashed := unit.Exit{Signal: unit.SIGKILL}, unit.Exit{Code: 1}
	ask := func(r *Run, e unit.Exit, want bool) unit.Usage {
		t.Helper()
		u := r.usage(used, e)
		if u.OutOfMemory != want {
			t.Errorf("%v: out of memory is %v", e, u.OutOfMemory)
		}
		return u
	}
	bare := &Run{k: k}
	if u := ask(bare, killed, false); u.User != time.Second+5*time.Microsecond || u.System != 7*time.Microsecond || u.MaxRSS != 4096 || u.Peak != 0 {
		t.Errorf("%+v", u)
	}
	events(t, container, "6")
	ask(bare, crashed, false) // whoever that was, it was not this leader
	ask(bare, killed, true)
	ask(bare, killed, false) // each of them counts once

	r := &Run{k: k}
	r.cgroup = own
	ask(r, killed, false) // it has no memory.events
	events(t, own, "0")
	must(t, os.WriteFile(filepath.Join(string(own), "memory.peak"), []byte("12345\n"), 0o600))
	if u := ask(r, killed, false); u.Peak != 12345 {
		t.Errorf("%+v", u)
	}
	events(t, own, "1")
	ask(r, crashed, true) // a process of it
	ask(&Run{k: &Kernel{}}, killed, false)
}
