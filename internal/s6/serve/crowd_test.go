package serve

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// resident is how much memory the tree's process has, in MiB, and how many descriptors.
func (tr *tree) resident(t *testing.T) (mebibytes, descriptors int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", tr.cmd.Process.Pid))
	must(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	must(t, err)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", tr.cmd.Process.Pid))
	must(t, err)
	return pages * os.Getpagesize() >> 20, len(open)
}

// TestU4AFloodOfCommandsTakesNoMemory: who writes to his service's FIFO as fast as he can waits for pintle, and neither takes
// its memory nor keeps other services from being controlled.
func TestU4AFloodOfCommandsTakesNoMemory(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{"his": {"run*": "exec sleep 1000"}, "other": {"run*": "exec sleep 1000"}})
	tr := grow(t, dir)
	before, _ := tr.resident(t)
	flood := exec.Command("sh", "-c", `exec yes cZcZcZcZcZcZcZcZcZcZcZcZcZcZcZcZ >"$1"`, "sh", dir+"/his/supervise/control")
	must(t, flood.Start())
	scans := exec.Command("sh", "-c", `exec yes a >"$1"`, "sh", dir+"/.s6-svscan/control")
	must(t, scans.Start())
	for range 3 {
		if out, code := tr.tool(t, "s6-svc", "-wr", "-T", "20000", "-k", "@other"); code != 0 {
			t.Errorf("code %d, %s", code, out)
		}
	}
	must(t, flood.Process.Signal(unix.SIGKILL))
	must(t, scans.Process.Signal(unix.SIGKILL))
	_, _ = flood.Process.Wait()
	_, _ = scans.Process.Wait()
	if after, _ := tr.resident(t); after > before+30 {
		t.Errorf("it had %d MiB of memory, and now has %d", before, after)
	}
}

// TestU4TenThousandDirectories: more services than there may be are not supervised, which is said once; those that there are
// go on, and what is bad is not said again at each scan.
func TestU4TenThousandDirectories(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{"web": {"run*": "exec sleep 1000"}})
	tr := grow(t, dir)
	up := func() bool { out, _ := tr.tool(t, "s6-svstat", "-o", "up", "@web"); return out == "true\n" }
	tr.until(t, "web is up", up)
	for i := range 10000 {
		if i%4 == 0 {
			must(t, os.Mkdir(fmt.Sprintf("%s/bad\nname %d", dir, i), 0o755))
			continue
		}
		name := fmt.Sprintf("%s/s%d", dir, i)
		must(t, os.Mkdir(name, 0o755))
		must(t, os.WriteFile(name+"/run", []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755))
		must(t, os.WriteFile(name+"/down", nil, 0o644))
	}
	tr.until(t, "it is said", func() bool { return strings.Contains(tr.said(t), "more services than 1000") })
	for range 5 {
		if out, code := tr.tool(t, "s6-svscanctl", "-a", "@"); code != 0 {
			t.Errorf("code %d, %s", code, out)
		}
	}
	if out, code := tr.tool(t, "s6-svc", "-wr", "-T", "20000", "-r", "@web"); code != 0 {
		t.Errorf("code %d, %s", code, out)
	}
	mebibytes, descriptors := tr.resident(t)
	if mebibytes > 100 || descriptors > 10000 {
		t.Errorf("it has %d MiB of memory and %d descriptors", mebibytes, descriptors)
	}
	if n := strings.Count(tr.said(t), "more services than"); n != 1 {
		t.Errorf("that was said %d times", n)
	}
	if n := strings.Count(tr.said(t), "\n"); n > 200 {
		t.Errorf("it said %d lines", n)
	}
}

// TestU4ServicesLeavePintleItsDescriptors: however few descriptors pintle may have, a user's services do not take the last one.
func TestU4ServicesLeavePintleItsDescriptors(t *testing.T) {
	t.Parallel()
	for limit, want := range map[uint64]int{0: 0, 256: 7, 1024: 28, 4096: 170, 20000: 1000, 1 << 20: 1000, ^uint64(0): 1000} {
		if got := most(limit); got != want {
			t.Errorf("of %d descriptors: %d services, want %d", limit, got, want)
		}
	}
}

// TestWhatIsGoneIsForgotten: services that come and go under ever new names leave nothing behind in pintle.
func TestWhatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{".next": {"run*": "echo begun; exec sleep 1000"}})
	tr := grow(t, dir)
	_, before := tr.resident(t)
	last := dir + "/.next"
	for i := range 5 {
		name := fmt.Sprintf("n%d", i)
		must(t, os.Rename(last, dir+"/"+name))
		tr.until(t, name+" is up", func() bool { out, _ := tr.tool(t, "s6-svstat", "-o", "up", "@"+name); return out == "true\n" })
		must(t, os.Rename(dir+"/"+name, dir+"/.next"))
		last = dir + "/.next"
		tr.until(t, name+" has ended", func() bool { _, code := tr.tool(t, "s6-svok", "@.next"); return code == 1 })
	}
	tr.until(t, "its descriptors are closed", func() bool { _, now := tr.resident(t); return now <= before+2 })
}

// goroutines is how many the tree's process has.
func (tr *tree) goroutines(t *testing.T) (n int) {
	t.Helper()
	before := strings.Count(tr.said(t), " goroutines\n")
	must(t, tr.cmd.Process.Signal(unix.SIGUSR2))
	tr.until(t, "it tells how many goroutines it has", func() bool { return strings.Count(tr.said(t), " goroutines\n") > before })
	lines := strings.Split(strings.TrimSpace(tr.said(t)), "\n")
	for _, line := range lines {
		_, _ = fmt.Sscanf(line, "%d goroutines", &n) // the last one counts
	}
	return n
}

// TestTwoHundredComeAndGo: services that have come and gone, those of another user too, with their loggers and pipes, leave no
// descriptor and no goroutine behind.
func TestTwoHundredComeAndGo(t *testing.T) {
	t.Parallel()
	services := map[string]map[string]string{}
	for i := range 200 {
		services[fmt.Sprintf(".s%d", i)] = map[string]string{
			"run*": "echo >&5; exec sleep 1000", "notification-fd": "5", "lock-fd": "6", "finish*": "", "log/run*": "exec cat",
		}
	}
	dir := plant(t, services)
	if os.Geteuid() == 0 {
		for i := range 100 {
			give(t, fmt.Sprintf("%s/.s%d", dir, i))
		}
	}
	tr := grow(t, dir)
	_, descriptors := tr.resident(t)
	goroutines := tr.goroutines(t)
	move := func(from, to string) {
		for i := range 200 {
			must(t, os.Rename(fmt.Sprintf("%s/%ss%d", dir, from, i), fmt.Sprintf("%s/%ss%d", dir, to, i)))
		}
		if out, code := tr.tool(t, "s6-svscanctl", "-an", "@"); code != 0 {
			t.Errorf("code %d, %s", code, out)
		}
	}
	move(".", "")
	for i := range 200 {
		tr.until(t, "it is ready", func() bool {
			out, _ := tr.tool(t, "s6-svstat", "-o", "up,ready", fmt.Sprintf("@s%d", i))
			return out == "true true\n"
		})
	}
	move("", ".")
	tr.until(t, "its descriptors are closed", func() bool { _, now := tr.resident(t); return now <= descriptors+4 })
	tr.until(t, "its goroutines have ended", func() bool { return tr.goroutines(t) <= goroutines+3 })
}
