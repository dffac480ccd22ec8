package serve

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// up waits until a service is up.
func (tr *tree) up(t *testing.T, name string) {
	t.Helper()
	tr.until(t, name+" is up", func() bool { out, _ := tr.tool(t, "s6-svstat", "-o", "up", "@"+name); return out == "true\n" })
}

// answers restarts a service, and fails where that takes longer than nobody's service may make it take.
func (tr *tree) answers(t *testing.T, name string) {
	t.Helper()
	begun := time.Now()
	if out, code := tr.tool(t, "s6-svc", "-wr", "-T", "20000", "-k", "@"+name); code != 0 {
		t.Errorf("%s does not answer: code %d, %s", name, code, out)
	}
	t.Logf("%s answered after %v", name, time.Since(begun))
}

// TestU5TheLockIsHis: the lock of a service is opened with its owner's rights. A file of root's that he has moved to where the
// lock is is not emptied, nor is he given it to write.
func TestU5TheLockIsHis(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const secret = "secret of root"
	dir := plant(t, map[string]map[string]string{"his": {
		"run*": "echo his own >&5; exec sleep 1000", "lock-fd": "5\n", "supervise/service-lock": secret, "timeout-finish": "0",
	}})
	give(t, dir+"/his")
	lock := dir + "/his/supervise/service-lock"
	must(t, os.Chown(lock, 0, 0))
	must(t, os.Chmod(lock, 0o600))
	tr := grow(t, dir)
	tr.until(t, "it is said that it can't be had", func() bool {
		return strings.Contains(tr.said(t), "cannot start it: cannot open "+lock)
	})
	if text, err := os.ReadFile(lock); err != nil || string(text) != secret {
		t.Errorf("it is %q, %v", text, err)
	}
	must(t, os.Remove(lock))
	if out, code := tr.tool(t, "s6-svc", "-u", "@his"); code != 0 {
		t.Errorf("s6-svc: code %d, %s", code, out)
	}
	tr.up(t, "his")
	var st unix.Stat_t
	must(t, unix.Lstat(lock, &st))
	if st.Uid != stranger {
		t.Errorf("the lock is of uid %d", st.Uid)
	}
}

// TestU4WhatARunLeftGoesOnSaying: who goes on writing to the pipe by which his run says that it is ready, after its end, keeps
// nobody from anything.
func TestU4WhatARunLeftGoesOnSaying(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{
		"his":   {"run*": "cat /dev/zero >&3 & cat /dev/zero >&3 & cat /dev/zero >&3 & sleep 0.2", "notification-fd": "3"},
		"other": {"run*": "exec sleep 1000"},
	})
	tr := grow(t, dir)
	for range 3 {
		tr.answers(t, "other")
	}
}

// TestU4ALeaseOnHisRun: who has his run be executed slowly, here by a lease on it (fcntl(2)), waits for it alone.
func TestU4ALeaseOnHisRun(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"his": {"run*": "exec sleep 1000"}, "other": {"run*": "exec sleep 1000"}})
	give(t, dir+"/his")
	tr := grow(t, dir)
	tr.up(t, "his")
	tr.up(t, "other")
	run, err := os.OpenFile(dir+"/his/run", os.O_RDWR, 0)
	must(t, err)
	defer run.Close()
	tr.until(t, "there is a lease", func() bool { _, err := unix.FcntlInt(run.Fd(), unix.F_SETLEASE, unix.F_WRLCK); return err == nil })
	if out, code := tr.tool(t, "s6-svc", "-k", "@his"); code != 0 {
		t.Errorf("s6-svc: code %d, %s", code, out)
	}
	tr.until(t, "it is being executed", func() bool {
		kind, err := unix.FcntlInt(run.Fd(), unix.F_GETLEASE, 0)
		return err == nil && kind != unix.F_WRLCK // it is being broken
	})
	tr.answers(t, "other")
}

// TestU4AScanDirectoryFullOfNames: more names than anybody's services have are not even listed: those that there are go on, and
// when it has been tidied up, new ones are taken up again.
func TestU4AScanDirectoryFullOfNames(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{"web": {"run*": "exec sleep 1000"}, ".new": {"run*": "exec sleep 1000"}})
	tr := grow(t, dir)
	tr.up(t, "web")
	for i := range 1<<16 + 1 {
		must(t, os.Symlink("nowhere", fmt.Sprintf("%s/.n%d", dir, i)))
	}
	must(t, os.Rename(dir+"/.new", dir+"/new"))
	if out, code := tr.tool(t, "s6-svscanctl", "-an", "@"); code != 0 {
		t.Errorf("code %d, %s", code, out)
	}
	tr.until(t, "it is said", func() bool { return strings.Contains(tr.said(t), "there are more than 65536 names in it") })
	tr.answers(t, "web")
	for i := range 1<<16 + 1 {
		must(t, os.Remove(fmt.Sprintf("%s/.n%d", dir, i)))
	}
	tr.up(t, "new")
}

// TestAClosedDirectory: a service directory that only its owner may enter is like any other.
func TestAClosedDirectory(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"his": {"run*": "exec sleep 1000"}})
	give(t, dir+"/his")
	must(t, os.Chmod(dir+"/his", 0o700))
	tr := grow(t, dir)
	tr.up(t, "his")
	if out, code := tr.tool(t, "s6-svc", "-wd", "-T", "20000", "-D", "@his"); code != 0 {
		t.Errorf("s6-svc: code %d, %s", code, out)
	}
}

// TestU4AFullEventDirectory: who fills the event directory of his service, with listeners who do not read what they are told
// or with whatever he likes, has nobody else wait for it.
func TestU4AFullEventDirectory(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := plant(t, map[string]map[string]string{"his": {"run*": "exec sleep 1000", "event/a": ""}, "other": {"run*": "exec sleep 1000"}})
	give(t, dir+"/his")
	for i := range 10000 {
		must(t, os.WriteFile(fmt.Sprintf("%s/his/event/junk%d", dir, i), nil, 0o666))
	}
	for i := range 10000 {
		name := fmt.Sprintf("%s/his/event/ftrig1:@%024d:%06d", dir, i, i)
		must(t, unix.Mkfifo(name, 0o622))
		if i%4 > 0 { // a reader of it, who does not read, or whose FIFO is full
			f, err := os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
			must(t, err)
			defer f.Close()
			if i%4 > 1 {
				_, _ = f.Write(make([]byte, 1<<16))
			}
		}
	}
	tr := grow(t, dir)
	tr.up(t, "his")
	flood := exec.Command("sh", "-c", `exec yes kuTpckduO >"$1"`, "sh", dir+"/his/supervise/control")
	must(t, flood.Start())
	for range 3 {
		tr.answers(t, "other")
	}
	must(t, flood.Process.Kill())
	_, _ = flood.Process.Wait()
}
