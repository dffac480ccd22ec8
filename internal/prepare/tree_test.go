package prepare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// All below belongs to the owner then, symlinks themselves among it; modes stay, and so does a
// group that the owner has chosen.
func TestTreeIsRepaired(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("outside", "", 0)
	h.write("vol/a/b/c", "", 0)
	h.write("vol/a/d", "", stranger)
	h.write("vol/a/own", "", hermit)
	must(t, os.Chown(h.vol+"/a/own", hermit, 100))
	must(t, os.Chmod(h.vol+"/a/b/c", 0o4600))
	must(t, os.Symlink(h.dir+"/outside", h.vol+"/a/link"))
	must(t, os.Symlink(h.dir, h.vol+"/a/up"))
	must(t, unix.Mkfifo(h.vol+"/a/fifo", 0o600))
	must(t, os.Chown(h.vol, 0, 0))
	h.run(tree(h.vol))
	h.is("vol", "10000:10000 0755")
	h.is("vol/a", "10000:10000 0755")
	h.is("vol/a/b/c", "10000:10000 0600") // the kernel takes setuid off what is given away
	h.is("vol/a/d", "10000:10000 0644")
	h.is("vol/a/own", "10000:100 0644")
	h.is("vol/a/link", "10000:10000 0777")
	h.is("vol/a/up", "10000:10000 0777")
	h.is("vol/a/fifo", "10000:10000 0600")
	h.is("outside", "0:0 0644")
	h.is("", "0:0 0755")
}

// A declared group holds for everything.
func TestTreeWithAGroup(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("vol/own", "", hermit)
	plan := tree(h.vol)
	plan.Directories[0].Owner = "hermit:users"
	h.run(plan)
	h.is("vol/own", "10000:100 0644")
}

// A file that has another name may be somebody's elsewhere: it is not given away, unless it was
// the tree's old owner's.
func TestHardLinksStayTheirs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("host", "secret", 0)
	h.write("theirs", "", stranger)
	h.write("old", "", hermit)
	h.mkdir("vol/a", hermit)
	for _, name := range []string{"host", "theirs", "old"} {
		must(t, os.Link(h.dir+"/"+name, h.vol+"/a/"+name))
	}
	h.write("passwd", "hermit:x:1000:1000::/:/bin/sh\n", 0)
	h.run(tree(h.vol), "cannot prepare DIR/vol: 2 entries keep their owners, such as DIR/vol/a/…")
	h.is("host", "0:0 0644")
	h.is("theirs", "4242:4242 0644")
	h.is("old", "1000:1000 0644")
	h.is("vol/a", "1000:1000 0755")
}

// A device is nobody's to give.
func TestDevicesStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := unix.Mknod(h.vol+"/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 200))); err != nil {
		t.Skip("skipped: no device nodes here: ", err)
	}
	h.run(tree(h.vol), "cannot prepare DIR/vol: 1 entry keeps its owner, such as DIR/vol/disk: device nodes are nobody's to give")
	h.is("vol/disk", "0:0 0600")
}

// A mount below is another's, also one of the same file system.
func TestMountsAreNotEntered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("host/file", "", 0)
	h.write("single", "", 0)
	h.mkdir("vol/bind", 0)
	h.write("vol/single", "", hermit)
	h.mkdir("vol/tmpfs", 0)
	h.mkdir("vol/beside", 0)
	for _, m := range [][3]string{{"host", "vol/bind"}, {"single", "vol/single"}} {
		if err := unix.Mount(h.dir+"/"+m[0], h.dir+"/"+m[1], "", unix.MS_BIND, ""); err != nil {
			t.Skip("skipped: cannot mount here: ", err)
		}
		t.Cleanup(func() { must(t, unix.Unmount(h.dir+"/"+m[1], unix.MNT_DETACH)) })
	}
	must(t, unix.Mount("none", h.vol+"/tmpfs", "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(h.vol+"/tmpfs", unix.MNT_DETACH)) })
	h.write("vol/tmpfs/file", "", 0)
	h.run(tree(h.vol))
	h.is("host", "0:0 0755")
	h.is("host/file", "0:0 0644")
	h.is("single", "0:0 0644")
	h.is("vol/tmpfs/file", "0:0 0644")
	h.is("vol/beside", "10000:10000 0755")
}

// A repair is bounded by time, by how much it changes and by depth; it says so, and the
// next one comes further.
func TestRepairIsBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range 30 {
		h.write(fmt.Sprintf("vol/f%d", i), "", 0)
	}
	h.opts.Entries = 20
	h.run(tree(h.vol), "cannot prepare DIR/vol: more than 20 entries belong to others; 20 entries below it were given to uid 10000, and the next start of the container goes on")
	h.run(tree(h.vol))
	for i := range 30 {
		h.is(fmt.Sprintf("vol/f%d", i), "10000:10000 0644")
	}

	for i := range 30 {
		h.write(fmt.Sprintf("late/f%d", i), "", 0)
	}
	clock := time.Unix(0, 0)
	h.opts.Now = func() time.Time { clock = clock.Add(time.Second); return clock } // a disk that takes a second for each
	h.opts.Time = 10 * time.Second
	h.run(tree(h.dir+"/late"), "cannot prepare DIR/late: it took longer than 10s; 10 entries below it were given to uid 10000, and the next start of the container goes on")

	h.opts.Now, h.opts.Time, h.opts.Entries = time.Now, 0, 0
	deep := strings.Repeat("/d", maxDepth+1)
	must(t, os.MkdirAll(h.vol+deep+"/d/d", 0o755))
	h.run(tree(h.vol), "cannot prepare DIR/vol: what is more than 200 directories deep is not looked at, such as below DIR/vol"+deep)
	h.is("vol"+deep, "10000:10000 0755")
	h.is("vol"+deep+"/d", "0:0 0755")
}

// What fits is not touched: not its change time either.
func TestWhatFitsIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("vol/a/file", "", hermit)
	h.mkdir("vol/a", hermit)
	plan := tree(h.vol)
	plan.Directories[0].Mode = new(uint32(0o755))
	changed := func() (times []unix.Timespec) {
		must(t, filepath.WalkDir(h.vol, func(path string, _ os.DirEntry, err error) error {
			var st unix.Stat_t
			must(t, unix.Lstat(path, &st))
			times = append(times, st.Ctim)
			return err
		}))
		return times
	}
	before := changed()
	h.run(plan)
	for i, now := range changed() {
		if now != before[i] {
			t.Errorf("entry %d was touched", i)
		}
	}
}
