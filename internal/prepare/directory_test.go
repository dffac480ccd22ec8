package prepare

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// A directory is made with its owner and mode whatever the umask is, and what was
// missing on the way belongs to whoever owns the place. Not parallel: the umask is the process's.
func TestDirectoriesAreMade(t *testing.T) {
	h := newHouse(t)
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	plan := directories(h.dir+"/new/a", h.vol+"/logs/gateways", h.vol+"/shared")
	plan.Directories[2].Mode = new(uint32(0o2775))
	plan.Directories[2].Owner = "hermit:users"
	h.run(plan)
	h.is("new", "0:0 0755")
	h.is("new/a", "10000:10000 0755")
	h.is("vol/logs", "10000:10000 0755")
	h.is("vol/logs/gateways", "10000:10000 0755")
	h.is("vol/shared", "10000:100 2775")
	h.run(plan) // once more changes nothing
	h.is("vol/shared", "10000:100 2775")
}

// What is there gets its owner, and a mode only where one is declared.
func TestDirectoriesThatAreThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mkdir("vol/roots", 0)
	h.mkdir("vol/private", stranger)
	must(t, os.Chmod(h.vol+"/private", 0o700))
	h.mkdir("vol/mode", hermit)
	plan := directories(h.vol+"/roots", h.vol+"/private", h.vol+"/mode")
	plan.Directories[2].Mode = new(uint32(0o750))
	h.run(plan)
	h.is("vol/roots", "10000:10000 0755")
	h.is("vol/private", "10000:10000 0700")
	h.is("vol/mode", "10000:10000 0750")
}

// In root's own places a symlink is root's word; where others may write it is refused,
// in one sentence, and is still there.
func TestSymlinksAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mkdir("elsewhere", 0)
	must(t, os.Symlink("vol", h.dir+"/alias"))
	must(t, os.Symlink(h.dir+"/elsewhere", h.vol+"/link"))
	must(t, os.Symlink(h.dir+"/nothing", h.vol+"/dangling"))
	h.write("vol/file", "", hermit)
	h.run(directories(h.dir+"/alias/cron", h.vol+"/link", h.vol+"/link/below", h.vol+"/dangling", h.vol+"/file"),
		"cannot prepare DIR/vol/link and DIR/vol/link/below: DIR/vol/link is a symlink that others may have put there: DIR/vol belongs to uid 10000, not to root",
		"cannot prepare DIR/vol/dangling: DIR/vol/dangling is a symlink…",
		"cannot prepare DIR/vol/file: DIR/vol/file is a file that others may have put there…",
	)
	h.is("vol/cron", "10000:10000 0755")
	h.is("elsewhere", "0:0 0755")
	if _, err := os.Lstat(h.dir + "/nothing"); err == nil {
		t.Error("the dangling symlink was followed")
	}
}

// on_error decides what a failure means; else what the configuration has wrong is fatal, and what the volume has is not.
func TestOnError(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	must(t, os.Symlink("/", h.vol+"/link"))
	plan := directories(h.vol+"/link", h.vol+"/link", h.vol+"/a", h.vol+"/b")
	plan.Directories[0].OnError = unit.ErrorFail
	plan.Directories[2].Owner = "nobody-at-all"
	plan.Directories[3].Owner, plan.Directories[3].OnError = "nobody-at-all", unit.ErrorWarn
	h.run(plan,
		"!cannot prepare DIR/vol/link: DIR/vol/link is a symlink…",
		"cannot prepare DIR/vol/link: DIR/vol/link is a symlink…",
		`!cannot prepare DIR/vol/a: its owner is not known: cannot find user "nobody-at-all": there is none in DIR/passwd`,
		"cannot prepare DIR/vol/b: its owner is not known: …")
}

// Things with one cause share a sentence.
func TestOneCauseOneSentence(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	must(t, os.Remove(h.dir+"/passwd"))
	h.run(directories(h.vol+"/a", h.vol+"/b", h.vol+"/c"), "!cannot prepare DIR/vol/a, DIR/vol/b and DIR/vol/c: its owner is not known: …")
}

// Pintle's state directory stays pintle's: as part of a tree, and also when the owner of
// the volume has given it the name of something that is to be his.
func TestTheStateDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	state := func(at string) {
		h.mkdir(at+"/intents", 0)
		h.write(at+"/intents/main.json", "{}", 0)
		must(t, os.Chmod(h.dir+"/"+at, 0o700))
	}
	stays := func(at string) {
		t.Helper()
		h.is(at, "0:0 0700")
		h.is(at+"/intents", "0:0 0755")
		h.is(at+"/intents/main.json", "0:0 0644")
	}
	h.opts.StateDirectory, h.opts.StateMark = h.vol+"/.state", "intents"
	state("vol/.state")
	state("vol/deep/renamed")
	state("vol/cron") // it was .state once
	h.write("vol/deep/file", "", 0)
	h.run(tree(h.vol))
	stays("vol/.state")
	stays("vol/deep/renamed")
	stays("vol/cron")
	h.is("vol/deep/file", "10000:10000 0644")
	h.run(tree(h.vol+"/cron"), "cannot prepare DIR/vol/cron: it is pintle's own state directory, under whatever name")
	stays("vol/cron")
}
