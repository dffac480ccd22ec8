package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhoWritesARunIsWhoItRunsAs: what a user other than root could have written runs with his rights, whatever it says; what
// several could have written does not run at all. (With s6 all of it runs as root: U4, U5.)
func TestWhoWritesARunIsWhoItRunsAs(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it takes root to give files away")
	}
	const user = 10000
	give := func(t *testing.T, paths ...string) {
		for _, path := range paths {
			must(t, os.Lchown(path, user, user))
		}
	}
	for what, test := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string // what id prints; "" where it does not run
		says   string
	}{
		"all of it is root's":       {func(*testing.T, string) {}, "0 0", ""},
		"the directory is a user's": {func(t *testing.T, dir string) { give(t, dir+"/web") }, "10000 10000", ""},
		"run is a user's":           {func(t *testing.T, dir string) { give(t, dir+"/web/run") }, "10000 10000", ""},
		"finish is a user's": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/web/finish", []byte("#!/bin/sh\n"), 0o755))
			give(t, dir+"/web/finish")
		}, "10000 10000", ""},
		"the scan directory is a user's": {func(t *testing.T, dir string) { give(t, dir) }, "10000 10000", ""},
		"run leads to a user's file": {func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/web/run", dir+"/.run"))
			must(t, os.Symlink(dir+"/.run", dir+"/web/run"))
			give(t, dir+"/.run")
		}, "10000 10000", ""},
		"others may write the directory": {func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/web", 0o777)) }, "", "others than its owner may write it"},
		"a group may write run":          {func(t *testing.T, dir string) { must(t, os.Chmod(dir+"/web/run", 0o775)) }, "", "others than its owner may write it"},
		"several users' scripts": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/web/finish", []byte("#!/bin/sh\n"), 0o755))
			must(t, os.Lchown(dir+"/web/finish", 10001, 10001))
			give(t, dir+"/web/run")
		}, "", "belong to several users"},
		"a user's link to root's directory": {func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/web", dir+"/.web"))
			must(t, os.Symlink(dir+"/.web", dir+"/web"))
			give(t, dir, dir+"/web")
		}, "", "cannot enter"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := plant(t, map[string]map[string]string{
				"web": {"run*": `echo "I am $(id -u) $(id -G)"; exec sleep 1000`}, "other": {"run*": "exec sleep 1000"},
			})
			test.change(t, dir)
			tr := grow(t, dir)
			if test.want == "" {
				tr.until(t, "why it does not run is said", func() bool { return strings.Contains(tr.said(t), test.says) })
				if strings.Contains(tr.said(t), "I am ") {
					t.Errorf("it runs:\n%s", tr.said(t))
				}
				return
			}
			tr.until(t, "it runs", func() bool { return strings.Contains(tr.said(t), "web | I am ") })
			if !strings.Contains(tr.said(t), "web | I am "+test.want+"\n") {
				t.Errorf("want %q:\n%s", test.want, tr.said(t))
			}
			// Who runs it may control it.
			if control, err := os.Stat(filepath.Join(dir, "web/supervise/control")); err != nil {
				t.Error(err)
			} else if mode := control.Mode().Perm(); test.want != "0 0" && mode != 0o660 {
				t.Errorf("its control FIFO has mode %o", mode)
			}
		})
	}
}

// TestAnOwnerControlsHisTree: who owns a scan directory can have it scanned, and his services controlled and asked about, by
// s6's own tools; a stranger can't.
func TestAnOwnerControlsHisTree(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it takes root to give files away")
	}
	dir := plant(t, map[string]map[string]string{"web": {"run*": "exec sleep 1000"}, ".later": {"run*": "exec sleep 1000"}})
	must(t, os.Lchown(dir, 10000, 10000))
	tr := grow(t, dir)
	for _, step := range []struct {
		user, tool, args string
		code             int
	}{
		{"10000", "s6-svwait", "-u -t 20000 @web", 0},
		{"10001", "s6-svc", "-d @web", 111},
		{"10000", "s6-svc", "-wd -T 20000 -d @web", 0},
		{"10001", "s6-svscanctl", "-a @", 111},
		{"10000", "s6-svscanctl", "-an @", 0},
	} {
		args := append([]string{"--reuid=" + step.user, "--regid=" + step.user, "--clear-groups", step.tool}, strings.Fields(step.args)...)
		if out, code := tr.tool(t, "setpriv", args...); code != step.code {
			t.Errorf("%s %s as %s: code %d, want %d: %s", step.tool, step.args, step.user, code, step.code, out)
		}
	}
	must(t, os.Rename(dir+"/.later", dir+"/later"))
	tr.until(t, "what he made is up", func() bool {
		out, code := tr.tool(t, "s6-svstat", "-u", "@later")
		return code == 0 && out == "true\n"
	})
}
