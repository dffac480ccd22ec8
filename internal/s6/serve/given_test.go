package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestU4WhatIsGivenAwayLater: who a service runs as is judged before each start of its run and its finish. What root gives away,
// or lets others write, while it is supervised is not run as root any more.
func TestU4WhatIsGivenAwayLater(t *testing.T) {
	t.Parallel()
	needRoot(t)
	own := func(paths ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, path := range paths {
				must(t, os.Lchown(dir+path, stranger, stranger))
			}
		}
	}
	for what, test := range map[string]struct {
		change func(t *testing.T, dir string)
		run    string // who the next run is; "" where there is none
		says   string // why there is none
	}{
		"nothing":            {func(*testing.T, string) {}, "0 0", ""},
		"the directory":      {own("/web"), "10000 10000", ""},
		"all of it":          {func(t *testing.T, dir string) { give(t, dir+"/web") }, "10000 10000", ""},
		"run":                {own("/web/run"), "10000 10000", ""},
		"finish":             {own("/web/finish"), "10000 10000", ""},
		"the scan directory": {own(""), "10000 10000", ""},
		"what run leads to": {func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/web/run", dir+"/.run"))
			must(t, os.Symlink(dir+"/.run", dir+"/web/run"))
			own("/.run")(t, dir)
		}, "10000 10000", ""},
		"a directory above, moved": {func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/.his", 0o755))
			own("/.his")(t, dir)
			must(t, os.Rename(dir+"/web", dir+"/.his/web"))
		}, "", "belongs to uid 10000"},
		"everybody may write it":    {func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/web", 0o777)) }, "", "others than its owner may write it"},
		"a group may write it":      {func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/web", 0o775)) }, "", "others than its owner may write it"},
		"everybody may write run":   {func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/web/run", 0o757)) }, "", "web/run: others than its owner may write it"},
		"everybody may write above": {func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o777)) }, "", "others than its owner may write "},
		"scripts to several": {func(t *testing.T, dir string) {
			own("/web/run")(t, dir)
			must(t, os.Lchown(dir+"/web/finish", stranger+1, stranger+1))
		}, "", "belong to several users"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := plant(t, map[string]map[string]string{"web": {
				"run*": `echo "run is $(id -u) $(id -G)"; exec sleep 1000`, "finish*": `echo "finish is $(id -u) $(id -G)"`,
			}})
			tr := grow(t, dir)
			tr.until(t, "it runs as root", func() bool { return strings.Contains(tr.said(t), "| run is 0 0\n") })
			test.change(t, dir)
			web := "@web"
			if _, err := os.Stat(dir + "/web"); err != nil {
				web = "@.his/web"
			}
			if out, code := tr.tool(t, "s6-svc", "-k", web); code != 0 {
				t.Errorf("s6-svc: code %d, %s", code, out)
			}
			if test.run == "" {
				tr.until(t, "why it does not run is said", func() bool { return strings.Contains(tr.said(t), test.says) })
				if said := tr.said(t); strings.Count(said, "| run is") != 1 || strings.Contains(said, "finish is") {
					t.Errorf("it runs:\n%s", said)
				}
				return
			}
			for script, n := range map[string]int{"run": 2, "finish": 1} {
				tr.until(t, script+" is there", func() bool { return strings.Count(tr.said(t), "| "+script+" is ") == n })
			}
			if said := tr.said(t); test.run != "0 0" && (strings.Count(said, "run is 10000 10000\n") != 1 || !strings.Contains(said, "finish is 10000 10000\n")) {
				t.Errorf("want both as %s:\n%s", test.run, said)
			}
			tr.up(t, "web") // so its status is written
			if test.run != "0 0" {
				if out, code := tr.tool(t, "setpriv", "--reuid=10000", "--regid=10000", "--clear-groups", "s6-svc", "-wd", "-T", "20000", "-d", dir+"/web"); code != 0 {
					t.Errorf("he can't control it: code %d, %s", code, out)
				}
			}
		})
	}
}

// TestWhatIsTakenBackLater: what was a user's and is given back to root runs as root, and what could not be judged runs as soon as it can.
func TestWhatIsTakenBackLater(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"web": {"run*": `echo "run is $(id -u)"; exec sleep 1000`}})
	give(t, dir+"/web")
	tr := grow(t, dir)
	tr.until(t, "it runs as him", func() bool { return strings.Contains(tr.said(t), "| run is 10000\n") })
	must(t, os.Chmod(dir+"/web", 0o777))
	if out, code := tr.tool(t, "s6-svc", "-k", "@web"); code != 0 {
		t.Errorf("s6-svc: code %d, %s", code, out)
	}
	tr.until(t, "why it does not run is said", func() bool { return strings.Contains(tr.said(t), "others than its owner may write it") })
	must(t, filepath.WalkDir(dir+"/web", func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, 0, 0)
		}
		return err
	}))
	must(t, os.Chmod(dir+"/web", 0o755))
	tr.until(t, "it runs as root", func() bool { return strings.Contains(tr.said(t), "| run is 0\n") })
	tr.up(t, "web")
}

// TestU5AnotherInThePlaceOfHisDirectory: a service runs in its own directory, also when that is gone and another user has made one
// where it was.
func TestU5AnotherInThePlaceOfHisDirectory(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{".all/web": {"run*": "echo his; exec sleep 1000"}})
	give(t, dir+"/.all/web")
	must(t, os.Chmod(dir+"/.all", 0o777|os.ModeSticky))
	must(t, os.Symlink(dir+"/.all/web", dir+"/web"))
	tr := grow(t, dir)
	tr.until(t, "it runs", func() bool { return strings.Contains(tr.said(t), "web | his\n") })
	must(t, os.RemoveAll(dir+"/.all/web"))
	for _, place := range []string{"/.all/web", "/.all/web (deleted)"} {
		must(t, os.Mkdir(dir+place, 0o755))
		must(t, os.WriteFile(dir+place+"/run", []byte("#!/bin/sh\necho not his, as $(id -u)\n"), 0o755))
		must(t, os.Lchown(dir+place, stranger+1, stranger+1))
	}
	pid, _, _ := strings.Cut(strings.SplitAfter(tr.said(t), "started (pid ")[1], ")")
	number, err := strconv.Atoi(pid)
	must(t, err)
	must(t, unix.Kill(number, unix.SIGKILL))
	tr.until(t, "it can't be started", func() bool { return strings.Contains(tr.said(t), "cannot execute") })
	if strings.Contains(tr.said(t), "not his") {
		t.Errorf("it runs another one's:\n%s", tr.said(t))
	}
}

// TestWhoWritesSeveral: of what several users can write nothing is run, as who of them is meant.
func TestWhoWritesSeveral(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for what, theirs := range map[string]map[string]int{
		"a directory in another's scan directory": {"": 10000, "/web": 10001},
		"a script in another's directory":         {"/web": 10000, "/web/run": 10001},
		"a logger in another's directory":         {"/web": 10000, "/web/log": 10001},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := plant(t, map[string]map[string]string{"web": {
				"run*": "echo run of $(id -u); exec sleep 1000", "log/run*": "echo log of $(id -u); exec cat",
			}})
			for path, uid := range theirs {
				must(t, os.Lchown(dir+path, uid, uid))
			}
			tr := grow(t, dir)
			tr.until(t, "that is said", func() bool { return strings.Contains(tr.said(t), "belong to several users") })
			for path, uid := range theirs {
				if name := strings.TrimPrefix(filepath.Base(path), "web"); uid == 10001 && strings.Contains(tr.said(t), fmt.Sprint(name, " of 10001")) {
					t.Errorf("it runs:\n%s", tr.said(t))
				}
			}
		})
	}
}

// TestARootsServiceThatAnotherControls: where root has given supervise/ of its service to a user, he controls it; what pintle does
// in there it does with his rights, and the service runs as root.
func TestARootsServiceThatAnotherControls(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const secret = "secret of root" // as long as one death
	dir := plant(t, map[string]map[string]string{"web": {"run*": "echo run is $(id -u); exec sleep 1000", "supervise/death_tally": secret}})
	must(t, os.Chmod(dir+"/web/supervise/death_tally", 0o600))
	must(t, os.Lchown(dir+"/web/supervise", stranger, stranger))
	must(t, os.MkdirAll(dir+"/web/event", 0o755))
	must(t, os.Lchown(dir+"/web/event", stranger, stranger))
	tr := grow(t, dir)
	tr.until(t, "that its tally is not his is said", func() bool { return strings.Contains(tr.said(t), "cannot") })
	if text, err := os.ReadFile(dir + "/web/supervise/death_tally"); err != nil || string(text) != secret {
		t.Errorf("it is %q, %v", text, err)
	}
	must(t, os.Remove(dir+"/web/supervise/death_tally"))
	tr.until(t, "it runs as root", func() bool { return strings.Contains(tr.said(t), "| run is 0\n") })
	tr.up(t, "web")
	if out, code := tr.tool(t, "setpriv", "--reuid=10000", "--regid=10000", "--clear-groups", "s6-svc", "-wr", "-T", "20000", "-k", dir+"/web"); code != 0 {
		t.Errorf("he can't control it: code %d, %s", code, out)
	}
}
