package store

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// livesIn is a life of a container whose run-time directory that is, begun at first by the kernel's ticks.
func livesIn(directory, first string) ownerFile {
	return ownerFile{
		directory: directory, uid: os.Geteuid(), host: "c0ffee", boot: "b007", first: first,
		alone: func(*os.File) bool { return true },
	}
}

// live begins a life; end ends it like SIGKILL.
func live(t *testing.T, o ownerFile) (owner string, dead []string, end func()) {
	t.Helper()
	owner, dead, lock := o.begin()
	if lock < 0 {
		t.Fatal("it has not left its name")
	}
	return owner, dead, func() { kill(t, lock) }
}

// kill does to a life's lock what its end does.
func kill(t *testing.T, lock int) {
	t.Helper()
	must(t, unix.Close(lock))
}

// killed is the run-time directory of a container that was killed, with the name of its owner.
func killed(t *testing.T) (directory, owner string) {
	t.Helper()
	directory = filepath.Join(scratch(t), "run")
	owner, _, end := live(t, livesIn(directory, "100"))
	end()
	return directory, owner
}

// Each life of a container knows the names of those before it, up to a number of them, and no life's name comes twice.
func TestEachLifeKnowsTheOnesBefore(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(scratch(t), "run")
	var names []string // the newest first
	for n := range mostDead + 4 {
		owner, dead, end := live(t, livesIn(directory, string(rune('a'+n))))
		if got, want := strings.Join(dead, " "), strings.Join(names[:min(n, mostDead)], " "); got != want {
			t.Fatalf("life %d knows %s, want %s", n+1, got, want)
		}
		names = append([]string{owner}, names...)
		end()
	}
	entries, err := os.ReadDir(directory)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("left: %v", entries)
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] || !plainWord(name) {
			t.Errorf("the name %q", name)
		}
		seen[name] = true
	}
}

// While the owner lives, another pintle in the same run-time directory neither takes it for dead nor takes its file away.
func TestALivingOwnerIsNotDead(t *testing.T) {
	t.Parallel()
	directory, before := killed(t)
	owner, dead, end := live(t, livesIn(directory, "200"))
	if len(dead) != 1 || dead[0] != before {
		t.Errorf("it knows %q", dead)
	}
	for range 3 {
		if other, dead, lock := livesIn(directory, "300").begin(); dead != nil || lock >= 0 || other == owner {
			t.Fatalf("the other is %s, knows %q and has the lock %d", other, dead, lock)
		}
	}
	end()
	if _, dead, end = live(t, livesIn(directory, "400")); len(dead) != 2 || dead[0] != owner {
		t.Errorf("the next life knows %q, want %s first", dead, owner)
	}
	end()
}

// Where any part of the proof is missing, nobody is taken for dead; and that is no failure.
func TestNobodyIsTakenForDead(t *testing.T) {
	t.Parallel()
	// edit changes the file in its place, so that it is the same file still.
	edit := func(change func(*ownerDocument)) func(*testing.T, string, *ownerFile) {
		return func(t *testing.T, file string, _ *ownerFile) {
			text, err := os.ReadFile(file)
			must(t, err)
			var d ownerDocument
			must(t, json.Unmarshal(text, &d))
			change(&d)
			text, err = json.Marshal(d)
			must(t, err)
			must(t, os.WriteFile(file, text, 0o600))
		}
	}
	write := func(text string) func(*testing.T, string, *ownerFile) {
		return func(t *testing.T, file string, _ *ownerFile) { must(t, os.WriteFile(file, []byte(text), 0o600)) }
	}
	instead := func(put func(old, file string) error) func(*testing.T, string, *ownerFile) {
		return func(t *testing.T, file string, _ *ownerFile) {
			old := filepath.Join(filepath.Dir(filepath.Dir(file)), "old")
			must(t, os.Rename(file, old))
			must(t, put(old, file))
		}
	}
	life := func(change func(*ownerFile)) func(*testing.T, string, *ownerFile) {
		return func(_ *testing.T, _ string, o *ownerFile) { change(o) }
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, file string, next *ownerFile)
		knows  bool // the next life knows the one before all the same
		leaves bool // it leaves its own name
	}{
		"nothing is missing": {edit(func(*ownerDocument) {}), true, true},

		"this is not the first process":    {life(func(o *ownerFile) { o.first = "" }), false, false},
		"the first process is the same":    {life(func(o *ownerFile) { o.first = "100" }), false, true},
		"the owner was not the first":      {edit(func(d *ownerDocument) { d.First = "" }), false, true},
		"the kernel was started since":     {life(func(o *ownerFile) { o.boot = "b008" }), false, true},
		"the kernel's start is not known":  {life(func(o *ownerFile) { o.boot = "" }), false, false},
		"another container":                {life(func(o *ownerFile) { o.host = "cafe" }), false, true},
		"the container's name isn't known": {life(func(o *ownerFile) { o.host = "" }), false, false},
		"a volume":                         {life(func(o *ownerFile) { o.alone = func(*os.File) bool { return false } }), false, false},
		"no run-time directory":            {life(func(o *ownerFile) { o.directory = "" }), false, false},
		"another's run-time directory":     {life(func(o *ownerFile) { o.uid++ }), false, false},
		"a directory that others may write": {func(t *testing.T, file string, _ *ownerFile) {
			must(t, os.Chmod(filepath.Dir(file), 0o777))
		}, false, false},

		"another inode":         {edit(func(d *ownerDocument) { d.File.Inode++ }), false, true},
		"another time of birth": {edit(func(d *ownerDocument) { d.File.Born += "1" }), false, true},
		"another file system":   {edit(func(d *ownerDocument) { d.File.System = "0" }), false, true},
		"a copy": {instead(func(old, file string) error {
			text, err := os.ReadFile(old)
			if err == nil {
				err = os.WriteFile(file, text, 0o600)
			}
			return err
		}), false, true},

		"none":           {instead(func(_, _ string) error { return nil }), false, true},
		"a symlink":      {instead(os.Symlink), false, true},
		"a FIFO":         {instead(func(_, file string) error { return unix.Mkfifo(file, 0o600) }), false, true},
		"a directory":    {instead(func(_, file string) error { return os.Mkdir(file, 0o700) }), false, false},
		"a readable one": {func(t *testing.T, file string, _ *ownerFile) { must(t, os.Chmod(file, 0o644)) }, false, true},
		"too long": {func(t *testing.T, file string, _ *ownerFile) {
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			_, err = f.WriteString(strings.Repeat(" ", maxOwner))
			must(t, err)
			must(t, f.Close())
		}, false, true},
		"empty":                   {write(""), false, true},
		"no JSON":                 {write("{"), false, true},
		"no object":               {write("[]"), false, true},
		"no UTF-8":                {write("\xff\xfe"), false, true},
		"no owner":                {edit(func(d *ownerDocument) { d.Owner = "" }), false, true},
		"an owner that is a path": {edit(func(d *ownerDocument) { d.Dead = []string{"../x"} }), false, true},
		"what a killed one was writing": {func(t *testing.T, file string, _ *ownerFile) {
			must(t, os.WriteFile(filepath.Join(filepath.Dir(file), ownerInterim), []byte(rand.Text()), 0o644))
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory, before := killed(t)
			next := livesIn(directory, "200")
			c.change(t, filepath.Join(directory, ownerName), &next)
			owner, dead, lock := next.begin()
			if lock >= 0 {
				defer kill(t, lock)
			}
			if knows := len(dead) == 1 && dead[0] == before; knows != c.knows || !c.knows && dead != nil {
				t.Errorf("it takes %q for dead", dead)
			}
			if leaves := lock >= 0; leaves != c.leaves || !plainWord(owner) {
				t.Errorf("it is %q and leaves its name: %t", owner, leaves)
			}
			if c.leaves {
				if _, _, other := livesIn(directory, "300").begin(); other >= 0 {
					t.Error("what it left is not locked")
				}
			}
		})
	}
}

// Another user's file is refused, also where it lies in pintle's own directory.
func TestAnothersFileProvesNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	directory, _ := killed(t)
	must(t, os.Chown(filepath.Join(directory, ownerName), hermit, hermit))
	_, dead, end := live(t, livesIn(directory, "200"))
	defer end()
	if dead != nil {
		t.Errorf("it takes %q for dead", dead)
	}
}

// Only a directory in the mount of "/", on a file system that is known to be good, is this container's alone.
func TestWhatIsThisContainers(t *testing.T) {
	t.Parallel()
	var root unix.Statx_t
	must(t, unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_MNT_ID, &root))
	for _, path := range []string{"/", "/usr", "/tmp", "/dev", "/dev/shm", "/proc", "/proc/1", "/sys", "/run"} {
		dir, err := os.Open(path)
		if err != nil {
			continue
		}
		defer dir.Close()
		var here unix.Statx_t
		must(t, unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &here))
		other := here.Mnt_id != root.Mnt_id
		if ofThisContainer(dir) && other || path == "/proc" && !other {
			t.Errorf("%s is in the mount %d, and / is %d", path, here.Mnt_id, root.Mnt_id)
		}
	}
}
