package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadFileAs: a file is read with the rights of the identity alone, whatever leads to it.
func TestReadFileAs(t *testing.T) {
	alone(t, surroundings{Caps: dockerCaps, Groups: []int{0, 6}}, func(t *testing.T) {
		id := &Identity{Name: "app", UID: 10000, GID: 10000, Groups: []int{44, 2000}}
		root := openDir(t)
		home := filepath.Join(root, "home")
		must(t, os.Mkdir(home, 0o700))
		must(t, os.Chown(home, id.UID, id.GID))
		file := func(name string, uid, gid int, mode os.FileMode) string {
			path := filepath.Join(root, name)
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, []byte("text"), 0o600))
			must(t, os.Chown(path, uid, gid))
			must(t, os.Chmod(path, mode))
			return path
		}
		link := func(to string) string {
			path := filepath.Join(home, "to"+strings.ReplaceAll(to, "/", "_"))
			must(t, os.Symlink(to, path))
			return path
		}
		// A file that all may read, in a directory that only root may enter, and that pintle has open.
		hidden := file("secret/all", 0, 0, 0o644)
		must(t, os.Chmod(filepath.Join(root, "secret"), 0o700))
		open, err := os.Open(hidden)
		must(t, err)
		defer open.Close()
		must(t, unix.Dup2(int(open.Fd()), 200))
		defer unix.Close(200)
		must(t, unix.Mkfifo(filepath.Join(home, "fifo"), 0o666))
		own := file("home/own", 10000, 10000, 0o600)
		must(t, os.Symlink("toto", filepath.Join(home, "toto")))
		const denied = "permission denied"
		const proc = "its path leads through /proc"
		for _, c := range []struct{ path, says string }{
			{own, ""},
			{home + "/../home//./own", ""},
			{link(own), ""},
			{link("own"), ""},
			{link("../home/./own"), ""},
			{link(home) + "/own", ""},
			{file("group", 0, 10000, 0o640), ""},
			{file("supplementary", 0, 2000, 0o640), ""},
			{link(root + "/supplementary"), ""},
			{file("all", 0, 0, 0o644), ""},
			{file("roots", 0, 0, 0o600), denied},
			{file("root's group", 0, 0, 0o640), denied},
			{file("pintle's group", 0, 6, 0o640), denied}, // which the identity has not
			{file("not me", 10000, 2000, 0o044), denied},
			{link("/etc/shadow"), denied},
			{link(root + "/roots"), denied},
			{hidden, denied},
			{link("../secret/all"), denied},
			{"/proc/self/fd/200", proc},
			{link("/proc/self/fd/200"), proc},
			{link("/dev/fd/200"), proc},
			{link("/proc/self/cwd") + "/x", proc},
			{link("/proc/self/environ"), proc},
			{link("/proc/self/maps"), proc}, // which all may read, but shows pintle's memory to pintle
			{link("/proc"), proc},
			{home + "/fifo", "it is not a regular file"},
			{link("fifo"), "it is not a regular file"},
			{link("/dev/zero"), "it is not a regular file"},
			{home, "it is a directory"},
			{home + "/", "it is a directory"},
			{own + "/", "not a directory"},
			{home + "/none", "no such file or directory"},
			{link("none") + "/x", "no such file or directory"},
			{link("toto"), "too many levels of symbolic links"}, // which leads to itself
			{"home/own", "the path is not absolute"},
			{"", "the path is not absolute"},
			{own + "\x00", "invalid argument"},
		} {
			data, err := ReadFileAs(id, c.path, 4)
			switch want := "cannot read " + c.path + " as user app (uid 10000): " + c.says; {
			case c.says == "" && (err != nil || string(data) != "text"):
				t.Errorf("%s: %q, %v", c.path, data, err)
			case c.says != "" && (err == nil || err.Error() != want || data != nil):
				t.Errorf("%s: %q, %v; want %s", c.path, data, err, c.says)
			}
		}
		if _, err := ReadFileAs(id, own, 3); err == nil || !strings.HasSuffix(err.Error(), ": it is longer than 3 bytes") {
			t.Errorf("a long one: %v", err)
		}
		// Nothing of that stays with pintle.
		for _, self := range []*Identity{nil, {Name: "root", UID: 0, GID: 33}} {
			if data, err := ReadFileAs(self, root+"/roots", 4); err != nil || string(data) != "text" {
				t.Errorf("pintle itself: %q, %v", data, err)
			}
		}
		for path, says := range map[string]string{
			home + "/fifo": "it is not a regular file", home: "it is a directory", root + "/none": "no such file or directory", own + "x": "no such file or directory",
		} {
			if _, err := ReadFileAs(nil, path, 4); err == nil || err.Error() != "cannot read "+path+": "+says {
				t.Errorf("pintle itself: %v", err)
			}
		}
		if _, err := ReadFileAs(nil, own, 3); err == nil || !strings.HasSuffix(err.Error(), ": it is longer than 3 bytes") {
			t.Errorf("a long one: %v", err)
		}
	})
}

// TestReadFileAsLeavesNoThread: no thread of pintle is left with another's rights.
func TestReadFileAsLeavesNoThread(t *testing.T) {
	alone(t, surroundings{Caps: dockerCaps}, func(t *testing.T) {
		for range 20 {
			if _, err := ReadFileAs(&victim, "/etc/passwd", 1<<20); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "every thread pintle's own again", func() bool {
			tasks, err := filepath.Glob("/proc/self/task/*/status")
			must(t, err)
			for _, task := range tasks {
				if status, err := os.ReadFile(task); err == nil && strings.Contains(string(status), "\t10001") {
					return false
				}
			}
			return len(tasks) > 0
		})
	})
}

// TestReadFileAsCannot: a pintle that can't be somebody else reads nothing for him.
func TestReadFileAsCannot(t *testing.T) {
	alone(t, surroundings{UID: 10000, GID: 10000}, func(t *testing.T) {
		want := "cannot read /etc/passwd as user victim (uid 10001): pintle runs as uid 10000, and only root can switch users"
		if data, err := ReadFileAs(&victim, "/etc/passwd", 1<<20); err == nil || err.Error() != want || data != nil {
			t.Error(err)
		}
		if data, err := ReadFileAs(&hostile, "/etc/passwd", 1<<20); err != nil || len(data) == 0 {
			t.Errorf("itself: %v", err)
		}
	})
}

// BenchmarkReadFileAs reads a small file with another user's rights.
func BenchmarkReadFileAs(b *testing.B) {
	needRoot(b)
	for b.Loop() {
		if _, err := ReadFileAs(&victim, "/etc/passwd", 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
