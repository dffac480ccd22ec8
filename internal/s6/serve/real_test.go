package serve

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestDebiansToolsDriveATree: a service that pintle supervises is one to s6's own tools: they see its state, wait for it,
// and have it be stopped, started, signalled and ended.
func TestDebiansToolsDriveATree(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{
		"web": {"run*": "echo begun; echo >&3; exec sleep 1000", "notification-fd": "3\n", "finish*": `echo "$@" >> finished`},
		"off": {"run*": "exec sleep 1000", "down": ""},
		"log": {"run*": "echo one; echo two; exec sleep 1000", "log/run*": "exec cat > lines"},
	})
	tr := grow(t, dir)
	for _, step := range []struct {
		tool, args string
		code       int
		says       string
	}{
		{"s6-svwait", "-U -t 20000 @web", 0, ""},
		{"s6-svok", "@web", 0, ""},
		{"s6-svstat", "-o up,wantedup,normallyup,ready @web", 0, "true true true true\n"},
		{"s6-svstat", "-o up,wantedup,normallyup,ready @off", 0, "false false false false\n"},
		{"s6-svc", "-wd -T 20000 -k @web", 0, ""},
		{"s6-svwait", "-U -t 20000 @web", 0, ""},
		{"s6-svstat", "-o exitcode,signal @web", 0, "-1 NA\n"},
		{"s6-svc", "-wD -T 20000 -d @web", 0, ""},
		{"s6-svstat", "-o up,wantedup,normallyup,exitcode,signal @web", 0, "false false true -1 SIGTERM\n"},
		{"s6-svc", "-wU -T 20000 -u @web", 0, ""},
		{"s6-svc", "-wu -T 20000 -u @off", 0, ""},
		{"s6-svstat", "-o up,wantedup,normallyup @off", 0, "true true false\n"},
		{"s6-svscanctl", "-a @", 0, ""},
	} {
		if out, code := tr.tool(t, step.tool, strings.Fields(step.args)...); code != step.code || out != step.says {
			t.Errorf("%s %s: code %d, %q; want %d, %q", step.tool, step.args, code, out, step.code, step.says)
		}
	}
	finished, err := os.ReadFile(dir + "/web/finished")
	if err != nil || string(finished) != "256 9 web\n256 15 web\n" {
		t.Errorf("finish got %q, %v", finished, err)
	}
	tr.until(t, "the logger has the lines", func() bool {
		lines, _ := os.ReadFile(dir + "/log/log/lines")
		return string(lines) == "one\ntwo\n"
	})
}

// TestServicesComeAndGo: a service directory that is renamed into the scan directory is supervised without anybody having
// asked, one that is written there is once it is whole, and what is removed ends, with its logger.
func TestServicesComeAndGo(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{".new": {"run*": "exec sleep 1000", "log/run*": "exec cat"}})
	tr := grow(t, dir)
	up := func(name string) func() bool {
		return func() bool { out, code := tr.tool(t, "s6-svstat", "-u", "@"+name); return code == 0 && out == "true\n" }
	}
	ended := func(name string) func() bool {
		return func() bool { _, code := tr.tool(t, "s6-svok", "@"+name); return code == 1 }
	}
	must(t, os.Rename(dir+"/.new", dir+"/new"))
	tr.until(t, "new is up", up("new"))
	tr.until(t, "its logger is up", up("new/log"))

	must(t, os.Mkdir(dir+"/slow", 0o755))
	for range 3 { // half a script would be an error that is said
		must(t, os.WriteFile(dir+"/slow/run", []byte("#!/bin/s"), 0o755))
		time.Sleep(settle / 2)
	}
	must(t, os.WriteFile(dir+"/slow/run", []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755))
	tr.until(t, "slow is up", up("slow"))
	if said := tr.said(t); strings.Contains(said, "/bin/s:") || strings.Contains(said, "cannot execute") {
		t.Errorf("it was seen half-written:\n%s", said)
	}

	must(t, os.Rename(dir+"/new", dir+"/.old"))
	tr.until(t, "it is not supervised any more", ended(".old"))
	tr.until(t, "nor is its logger", ended(".old/log"))
	must(t, os.RemoveAll(dir+"/.old"))
}

// TestWhatARunLeavesBehind: what a run has left behind is ended before the next one begins, also where it takes no SIGTERM.
func TestWhatARunLeavesBehind(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{
		"web": {"run*": `trap '' TERM
setsid sleep 1000 & echo $! >> left
echo begun >> runs
wait $!`, "finish*": "echo $(kill -0 $(tail -n 1 left) && echo alive) >> finished", "timeout-kill": "100"},
	})
	tr := grow(t, dir)
	runs := func(n int) func() bool {
		return func() bool {
			data, _ := os.ReadFile(dir + "/web/runs")
			return strings.Count(string(data), "begun\n") >= n
		}
	}
	tr.until(t, "the first run", runs(1))
	if out, code := tr.tool(t, "s6-svc", "-k", "@web"); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	tr.until(t, "the second run", runs(2))
	left, err := os.ReadFile(dir + "/web/left")
	must(t, err)
	first, _, _ := strings.Cut(string(left), "\n")
	if _, err := os.Stat("/proc/" + first); err == nil {
		t.Errorf("process %s of the first run is there beside the second", first)
	}
	if finished, err := os.ReadFile(dir + "/web/finished"); err != nil || string(finished) != "alive\n" {
		t.Errorf("finish saw %q, %v: what a run leaves is its to end first", finished, err)
	}
}

// TestLockFD: a run with lock-fd holds its service's lock for as long as it lives, by the kernel's word and s6's.
func TestLockFD(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{"web": {"run*": "echo >&4; exec sleep 1000", "lock-fd": "3\n", "notification-fd": "4\n", "supervise/service-lock": "x"}})
	tr := grow(t, dir)
	try := func() int {
		_, code := tr.tool(t, "s6-setlock", "-n", "@web/supervise/service-lock", "true")
		return code
	}
	if out, code := tr.tool(t, "s6-svwait", "-U", "-t", "20000", "@web"); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	if try() == 0 {
		t.Error("the lock is free while it runs")
	}
	if out, code := tr.tool(t, "s6-svc", "-wD", "-T", "20000", "-d", "@web"); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	tr.until(t, "the lock is free", func() bool { return try() == 0 })
	if data, err := os.ReadFile(dir + "/web/supervise/service-lock"); err != nil || len(data) > 0 {
		t.Errorf("the lock file has %q, %v", data, err)
	}
}
