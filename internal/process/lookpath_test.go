package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLookPath finds what a shell would find, for the user who is to execute it, and says a shell's code where there is nothing.
func TestLookPath(t *testing.T) {
	needRoot(t) // it makes other users' files
	t.Parallel()
	dir := openDir(t)
	file := func(name string, mode os.FileMode, uid, gid int) {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, nil, 0o600))
		must(t, os.Chmod(path, mode))
		must(t, os.Chown(path, uid, gid))
	}
	file("bin/all", 0o755, 0, 0)
	file("bin/mine", 0o700, 10000, 0)
	file("bin/notMine", 0o077, 10000, 0) // the owner's bits count for the owner, although others may
	file("bin/group", 0o750, 0, 10000)
	file("bin/extra", 0o710, 0, 44)
	file("bin/notGroup", 0o705, 0, 10000)
	file("bin/roots", 0o700, 0, 0)
	file("bin/nobodys", 0o644, 0, 0)
	file("other/nobodys", 0o755, 0, 0)
	file("other/late", 0o755, 0, 0)
	must(t, os.MkdirAll(filepath.Join(dir, "bin/late"), 0o755)) // a directory of that name is passed over
	must(t, os.MkdirAll(filepath.Join(dir, "bin/folder"), 0o755))
	must(t, os.Symlink("all", filepath.Join(dir, "bin/link")))
	must(t, os.Symlink("none", filepath.Join(dir, "bin/dangling")))
	must(t, os.Symlink("loop", filepath.Join(dir, "bin/loop")))

	user := &Identity{Name: "app", UID: 10000, GID: 10000, Groups: []int{44}}
	root := &Identity{Name: "root"}
	path := strings.Join([]string{"relative", "", ".", dir + "/none", dir + "/bin/all", dir + "/bin", dir + "/other"}, ":")
	for _, c := range []struct {
		word string
		id   *Identity
		want string // below dir; "" for none
		code int
		says string
	}{
		{word: "all", want: "bin/all"},
		{word: "link", want: "bin/link"},
		{word: "mine", want: "bin/mine"},
		{word: "mine", id: root, want: "bin/mine"},
		{word: "group", want: "bin/group"},
		{word: "extra", want: "bin/extra"},
		{word: "roots", id: root, want: "bin/roots"},
		{word: "nobodys", want: "other/nobodys"},
		{word: "late", want: "other/late"},
		{word: "nobodys", id: root, want: "other/nobodys"},
		{word: "./bin/all", want: "bin/all"},
		{word: "bin/all", want: "bin/all"},
		{word: "bin/../bin/all", want: "bin/all"},
		{word: dir + "/bin/all", want: "bin/all"},
		{word: "roots", code: 126, says: "bin/roots: its mode 0700 does not let app execute it"},
		{word: "notMine", code: 126, says: "its mode 0077 does not let app"},
		{word: "notGroup", code: 126, says: "its mode 0705 does not let app"},
		{word: "folder", code: 126, says: "it is a directory"},
		{word: "dangling", code: 127, says: "there is no such program in PATH"},
		{word: "none", code: 127, says: "cannot execute none: there is no such program in PATH (relative:"},
		{word: "", code: 127, says: "the command is empty"},
		{word: "bin/nobodys", id: root, code: 126, says: "does not let root"},
		{word: "bin", code: 127, says: "no such program"},
		{word: "./bin", code: 126, says: "it is a directory"},
		{word: "bin/none", code: 127, says: "there is no such file"},
		{word: "bin/dangling", code: 127, says: "there is no such file"},
		{word: "bin/all/x", code: 127, says: "there is no such file"},
		{word: "/dev/null", code: 126, says: "it is not a regular file"},
	} {
		id := c.id
		if id == nil {
			id = user
		}
		got, err := LookPath(c.word, path, dir, id)
		if c.want != "" {
			if err != nil || got != filepath.Join(dir, c.want) {
				t.Errorf("%q for %s is %s, %v", c.word, id.Name, got, err)
			}
			continue
		}
		if e, ok := err.(*ExecError); !ok || e.Code != c.code || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%q for %s is %q, %v", c.word, id.Name, got, err)
		}
	}
	if _, err := LookPath("all", "", dir, user); err == nil {
		t.Error("something was found in no PATH")
	}
}
