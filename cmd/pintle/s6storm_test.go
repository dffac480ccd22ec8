package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stormVariable has TestStormOfCommands have its full size.
const stormVariable = "PINTLE_S6_TEST_STORM"

// TestStormOfCommands: of many instances each is created, started, stopped and removed by a process of its own, all at
// once, as an unprivileged user in a tree of root's and without any tool of s6's on PATH; first one verb after the other,
// then each instance as fast as it goes. In the end there is no s6-supervise, no directory, no lock and no zombie.
func TestStormOfCommands(t *testing.T) {
	many := 12
	if os.Getenv(stormVariable) == "full" {
		many = 200
	}
	w := newTree(t, 10000)
	name := func(i int) string { return fmt.Sprintf("gateway@n%d", i) }
	all := func(what string, do func(i int)) {
		t.Helper()
		at := time.Now()
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
		t.Logf("figure: %s %d at once: %v", what, many, time.Since(at).Round(time.Millisecond))
	}
	const soon = "--timeout=4m"
	verbs := [][]string{{"create", "--down"}, {"start", soon}, {"stop", soon}, {"remove", soon}}
	for _, verb := range verbs {
		all(verb[0], func(i int) { w.done(append(verb, name(i))...) })
		if verb[0] == "start" {
			if n := strings.Count(w.done("list"), " up "); n < many {
				t.Errorf("%d are up", n)
			}
		}
	}
	w.clean("one verb after the other")
	all("create, start, stop and remove", func(i int) {
		for _, verb := range verbs {
			w.done(append(verb, name(i))...)
		}
	})
	w.clean("all as fast as it goes")
}

// TestStrangers: who may not write the scan directory sees the states, and is refused all else by name, soon and without
// any effect; and root, where the directory is another's, has that one's rights.
func TestStrangers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes several users")
	}
	w := newTree(t, 10000)
	must(t, os.Chown(w.dir+"/pintle.yaml", 0, 0)) // which all of them believe
	w.done("create", "gateway@a")
	for _, words := range [][]string{
		{"create", "gateway@b"}, {"start", "gateway@a"}, {"stop", "gateway@a"}, {"restart", "gateway@a"}, {"remove", "gateway@a"}, {"signal", "TERM", "gateway@a"},
	} {
		code, out := w.call(10001, words...)
		if code != 77 || !strings.HasPrefix(out, "pintle: cannot ") {
			t.Errorf("%v: exit %d: %s", words, code, out)
		}
	}
	if code, out := w.call(10001, "status", "gateway@a"); code != 0 || !strings.Contains(out, "up") {
		t.Errorf("status: exit %d: %s", code, out)
	}
	if code, out := w.call(10001, "wait", "gateway@a"); code != 0 {
		t.Errorf("wait: exit %d: %s", code, out)
	}
	for _, name := range []string{"../x", "gateway@../x", "gateway@" + strings.Repeat("x", 300)} {
		if code, out := w.call(w.uid, "remove", name); code != 2 && code != 1 || len(out) > 400 {
			t.Errorf("%.20s: exit %d: %s", name, code, out)
		}
	}
	// What the owner has put in root's way is his own affair.
	must(t, os.Mkdir(w.dir+"/roots", 0o700))
	must(t, os.RemoveAll(w.scan+"/.pintle"))
	must(t, os.Symlink(w.dir+"/roots", w.scan+"/.pintle"))
	must(t, os.Lchown(w.scan+"/.pintle", 10000, 10000))
	if code, out := w.call(0, "create", "gateway@b"); code == 0 {
		t.Errorf("root created by way of a link: %s", out)
	}
	if entries, _ := os.ReadDir(w.dir + "/roots"); len(entries) > 0 {
		t.Errorf("root wrote by way of a link: %v", entries)
	}
	must(t, os.Remove(w.scan+"/.pintle"))
	if code, out := w.call(0, "create", "gateway@b"); code != 0 {
		t.Errorf("root: exit %d: %s", code, out)
	}
	info, err := os.Stat(w.scan + "/gateway@b/run")
	must(t, err)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 10000 {
		t.Errorf("what root makes there is uid %d's", uid)
	}
	if _, err := os.Stat(w.scan + "/gateway@b/log"); err == nil {
		t.Error("it has a logger, and no directory for what it would write")
	}
	for _, name := range []string{"gateway@a", "gateway@b"} {
		if code, out := w.call(0, "remove", name); code != 0 {
			t.Errorf("root: exit %d: %s", code, out)
		}
	}
	w.clean("what root removed")
}
