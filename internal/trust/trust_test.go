package trust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	hermit  = 10000 // a service's user
	visitor = 12345 // a user that a container is run as
)

// The test binary run again with roleVar set does one thing as another user.
const roleVar = "PINTLE_TRUST_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role, os.Args[1]))
	}
	os.Exit(m.Run())
}

func play(role, path string) int {
	err := func() error {
		switch role {
		case "read":
			_, err := ReadFile(path, os.Geteuid())
			return err
		case "opendir":
			d, err := OpenDir(path, os.Geteuid(), 0o700)
			if err == nil {
				err = os.WriteFile(fmt.Sprintf("/proc/self/fd/%d/probe", d.Fd()), nil, 0o600)
			}
			return err
		}
		return errors.New("no such role")
	}()
	if err != nil {
		fmt.Fprint(os.Stderr, err)
		return 1
	}
	return 0
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can make files of other users")
	}
}

// scratch is a directory that is trusted, with trusted parents and a sticky /tmp
// among them, and that every user can reach.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pintle-trust-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mkdir and write set the mode whatever the umask is.
func mkdir(t *testing.T, path string, mode uint32) {
	t.Helper()
	must(t, os.MkdirAll(path, 0o755))
	must(t, unix.Chmod(path, mode))
}

func write(t *testing.T, path, text string, mode uint32) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, unix.Chmod(path, mode))
}

// want fails the test unless err's text has all parts; no parts mean no error.
func want(t *testing.T, err error, parts ...string) {
	t.Helper()
	if len(parts) == 0 {
		must(t, err)
		return
	}
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("error %q, want %q in it", err, part)
		}
	}
}

// A configuration that somebody else could have written is not read, and the
// error names the component and the rule.
func TestReadFileBelievesOnlyRootAndSelf(t *testing.T) {
	t.Parallel()
	needRoot(t)
	tests := map[string]struct {
		arrange func(dir string)
		path    string // in dir; "f" when empty
		want    []string
	}{
		"ordinary":          {func(d string) { write(t, d+"/f", "x", 0o644) }, "", nil},
		"private":           {func(d string) { write(t, d+"/f", "x", 0o400) }, "", nil},
		"missing":           {func(d string) {}, "", []string{"cannot open DIR/f: no such file or directory"}},
		"missing directory": {func(d string) {}, "a/b/f", []string{"cannot open DIR/a/b/f: DIR/a: no such file or directory"}},
		"writable by all":   {func(d string) { write(t, d+"/f", "x", 0o666) }, "", []string{"cannot trust DIR/f: DIR/f is writable by others (mode 0666)"}},
		"writable by a group": {func(d string) {
			write(t, d+"/f", "x", 0o664)
			must(t, os.Chown(d+"/f", 0, 20))
		}, "", []string{"DIR/f is writable by others (mode 0664)"}},
		"writable by root's group": {func(d string) { write(t, d+"/f", "x", 0o664) }, "", nil},
		"sticky file":              {func(d string) { write(t, d+"/f", "x", 0o666|unix.S_ISVTX) }, "", []string{"DIR/f is writable by others (mode 1666)"}},
		"another's": {func(d string) {
			write(t, d+"/f", "x", 0o644)
			must(t, os.Chown(d+"/f", hermit, 0))
		}, "", []string{"cannot trust DIR/f: DIR/f belongs to uid 10000, not to root"}},
		"in a directory writable by all": {func(d string) {
			mkdir(t, d+"/a/b", 0o755)
			write(t, d+"/a/b/f", "x", 0o644)
			mkdir(t, d+"/a", 0o777)
		}, "a/b/f", []string{"cannot trust DIR/a/b/f: DIR/a is writable by others (mode 0777)"}},
		"in another's directory": {func(d string) {
			mkdir(t, d+"/a/b", 0o755)
			write(t, d+"/a/b/f", "x", 0o644)
			must(t, os.Chown(d+"/a", hermit, 0))
		}, "a/b/f", []string{"DIR/a belongs to uid 10000, not to root"}},
		"beneath a sticky directory": {func(d string) {
			mkdir(t, d+"/tmp", 0o1777)
			mkdir(t, d+"/tmp/a", 0o755)
			write(t, d+"/tmp/a/f", "x", 0o644)
		}, "tmp/a/f", nil},
		"in a sticky directory": {func(d string) {
			mkdir(t, d+"/tmp", 0o1777)
			write(t, d+"/tmp/f", "x", 0o644)
		}, "tmp/f", []string{"DIR/tmp/f is a file that others may have put there: DIR/tmp is writable by others (mode 1777)"}},
		"another's sticky directory": {func(d string) {
			mkdir(t, d+"/tmp", 0o1777)
			mkdir(t, d+"/tmp/a", 0o755)
			write(t, d+"/tmp/a/f", "x", 0o644)
			must(t, os.Lchown(d+"/tmp", hermit, 0))
		}, "tmp/a/f", []string{"DIR/tmp belongs to uid 10000"}},
		"symlink": {func(d string) {
			write(t, d+"/real", "x", 0o644)
			must(t, os.Symlink("real", d+"/f"))
		}, "", nil},
		"absolute symlink to a directory, then up": {func(d string) {
			mkdir(t, d+"/a/b", 0o755)
			write(t, d+"/a/f", "x", 0o644)
			must(t, os.Symlink(d+"/a/b", d+"/l"))
		}, "l/../f", nil},
		"symlink to what others may write": {func(d string) {
			mkdir(t, d+"/a", 0o777)
			write(t, d+"/a/f", "x", 0o644)
			must(t, os.Symlink("a/f", d+"/f"))
		}, "", []string{"cannot trust DIR/f: DIR/a is writable by others"}},
		"symlink in a sticky directory": {func(d string) {
			mkdir(t, d+"/tmp", 0o1777)
			write(t, d+"/f", "x", 0o644)
			must(t, os.Symlink("../f", d+"/tmp/l"))
		}, "tmp/l", []string{"DIR/tmp/l is a symlink that others may have put there"}},
		"symlinks in a circle": {func(d string) {
			must(t, os.Symlink("g", d+"/f"))
			must(t, os.Symlink("f", d+"/g"))
		}, "", []string{"too many levels of symbolic links"}},
		"FIFO":              {func(d string) { must(t, unix.Mkfifo(d+"/f", 0o644)) }, "", []string{"cannot read DIR/f: it is not a regular file"}},
		"device":            {func(d string) { must(t, unix.Mknod(d+"/f", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5)))) }, "", []string{"not a regular file"}},
		"directory":         {func(d string) { mkdir(t, d+"/f", 0o755) }, "", []string{"not a regular file"}},
		"file as a parent":  {func(d string) { write(t, d+"/a", "x", 0o644) }, "a/f", []string{"DIR/a/f: not a directory"}},
		"largest":           {func(d string) { write(t, d+"/f", strings.Repeat("x", MaxFile), 0o644) }, "", nil},
		"too large":         {func(d string) { write(t, d+"/f", strings.Repeat("x", MaxFile+1), 0o644) }, "", []string{"larger than 1048576 bytes"}},
		"a NUL in the name": {func(d string) {}, "a\x00b", []string{"invalid argument"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			tt.arrange(dir)
			if tt.path == "" {
				tt.path = "f"
			}
			data, err := ReadFile(dir+"/"+tt.path, 0)
			for i := range tt.want {
				tt.want[i] = strings.ReplaceAll(tt.want[i], "DIR", dir)
			}
			want(t, err, tt.want...)
			if err == nil && (len(data) == 0 || data[0] != 'x') {
				t.Errorf("read %.10q", data)
			}
			if strings.HasPrefix(name, "missing") && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v is not fs.ErrNotExist", err)
			}
		})
	}
}

// An access list that lets somebody write is seen, also where the group is 0 and
// the group bits would be let pass.
func TestAccessListCounts(t *testing.T) {
	t.Parallel()
	needRoot(t)
	f := scratch(t) + "/f"
	write(t, f, "x", 0o644)
	// acl(5) in the kernel's form: version 2, then tag, permissions and id of the owner, user 10000, group, mask, others.
	list := []byte{2, 0, 0, 0,
		1, 0, 6, 0, 255, 255, 255, 255,
		2, 0, 6, 0, 0x10, 0x27, 0, 0,
		4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 6, 0, 255, 255, 255, 255,
		32, 0, 4, 0, 255, 255, 255, 255}
	if err := unix.Setxattr(f, "system.posix_acl_access", list, 0); err == unix.EOPNOTSUPP {
		t.Skip("skipped: /tmp has no access lists")
	} else {
		must(t, err)
	}
	_, err := ReadFile(f, 0)
	want(t, err, "is writable by others (mode 0664)")
}

func TestReadFileRelativeAndEmpty(t *testing.T) {
	t.Parallel()
	_, err := ReadFile("no/such/file", os.Geteuid())
	if err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
		t.Error(err)
	}
	if _, err := ReadFile("", os.Geteuid()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestReadDir(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	mkdir(t, dir+"/conf.d", 0o755)
	write(t, dir+"/conf.d/b", "", 0o644)
	write(t, dir+"/conf.d/a", "", 0o644)
	names, err := ReadDir(dir+"/conf.d", 0)
	want(t, err)
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Error(names)
	}
	if _, err := ReadDir(dir+"/none", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	_, err = ReadDir(dir+"/conf.d/a", 0)
	want(t, err, "conf.d/a is not a directory")
	// On the way to a file a sticky directory passes; as the place of files it does not.
	must(t, unix.Chmod(dir+"/conf.d", 0o1777))
	_, err = ReadDir(dir+"/conf.d", 0)
	want(t, err, "conf.d is writable by others (mode 1777)")
}

// State is kept nowhere but in a directory of pintle's own, even beneath a
// volume that a service's user owns.
func TestOpenDir(t *testing.T) {
	t.Parallel()
	needRoot(t)
	tests := map[string]struct {
		arrange func(vol string) // vol belongs to the hermit
		want    []string
	}{
		"absent":          {func(v string) {}, nil},
		"present":         {func(v string) { mkdir(t, v+"/s", 0o700) }, nil},
		"readable by all": {func(v string) { mkdir(t, v+"/s", 0o755) }, nil},
		"writable by all": {func(v string) { mkdir(t, v+"/s", 0o777) }, []string{"cannot trust VOL/s: VOL/s is writable by others (mode 0777)"}},
		"sticky":          {func(v string) { mkdir(t, v+"/s", 0o1777) }, []string{"writable by others (mode 1777)"}},
		"the hermit's": {func(v string) {
			mkdir(t, v+"/s", 0o700)
			must(t, os.Chown(v+"/s", hermit, hermit))
		}, []string{"VOL/s belongs to uid 10000, not to root"}},
		"symlink":          {func(v string) { must(t, os.Symlink("/etc", v+"/s")) }, []string{"VOL/s is a symlink that others may have put there: VOL belongs to uid 10000, not to root"}},
		"dangling symlink": {func(v string) { must(t, os.Symlink(v+"/new", v+"/s")) }, []string{"VOL/s is a symlink"}},
		"FIFO":             {func(v string) { must(t, unix.Mkfifo(v+"/s", 0o644)) }, []string{"VOL/s is a file that others may have put there"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vol := scratch(t) + "/vol"
			mkdir(t, vol, 0o755)
			tt.arrange(vol)
			must(t, os.Chown(vol, hermit, hermit))
			before := listing(t, vol)
			d, err := OpenDir(vol+"/s", 0, 0o700)
			for i := range tt.want {
				tt.want[i] = strings.ReplaceAll(tt.want[i], "VOL", vol)
			}
			want(t, err, tt.want...)
			if err != nil {
				if after := listing(t, vol); after != before {
					t.Errorf("refused, but changed %s to %s", before, after)
				}
				return
			}
			defer d.Close()
			info, err := d.Stat()
			must(t, err)
			if name == "absent" && info.Mode().Perm() != 0o700 {
				t.Errorf("made with mode %v", info.Mode())
			}
			sub, err := OpenDirIn(d, "intents", 0, 0o700)
			must(t, err)
			defer sub.Close()
			if _, err := os.Stat(vol + "/s/intents"); err != nil {
				t.Error(err)
			}
		})
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.Walk(dir, func(path string, info fs.FileInfo, err error) error {
		fmt.Fprintln(&b, path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		return err
	}))
	return b.String()
}

// In a place of root's own a symlink to the state directory is root's word, and is followed.
func TestOpenDirFollowsTrustedSymlink(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	must(t, os.Symlink("real", dir+"/s"))
	d, err := OpenDir(dir+"/s", os.Geteuid(), 0o700)
	must(t, err)
	defer d.Close()
	if _, err := os.Stat(dir + "/real"); err != nil {
		t.Error(err)
	}
}

// ".." beneath a directory that others can move leads wherever they moved it.
func TestOpenDirRefusesUpwardsBeneathForeign(t *testing.T) {
	t.Parallel()
	needRoot(t)
	vol := scratch(t) + "/vol"
	mkdir(t, vol+"/a", 0o755)
	must(t, os.Chown(vol, hermit, hermit))
	_, err := OpenDir(vol+"/a/../s", 0, 0o700)
	want(t, err, `".." can lead anywhere`)
}

// OpenDirIn refuses what OpenDir refuses.
func TestOpenDirInRefuses(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	d, err := OpenDir(dir, os.Geteuid(), 0o700)
	must(t, err)
	defer d.Close()
	must(t, os.Symlink("/etc", dir+"/link"))
	_, err = OpenDirIn(d, "link", os.Geteuid(), 0o700)
	want(t, err, "link is a symlink")
	write(t, dir+"/file", "", 0o600)
	_, err = OpenDirIn(d, "file", os.Geteuid(), 0o700)
	want(t, err, "file is not a directory")
}

// Whoever owns the volume may exchange the directory for a symlink or for one of
// his own at any moment: OpenDir returns pintle's own or an error.
func TestOpenDirAgainstExchange(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	vol := dir + "/vol"
	mkdir(t, dir+"/elsewhere", 0o755) // root's, as /etc is
	mkdir(t, vol, 0o755)
	must(t, os.Symlink("../elsewhere", vol+"/link"))
	mkdir(t, vol+"/forged", 0o700)
	must(t, os.Chown(vol+"/forged", hermit, hermit))
	mkdir(t, vol+"/s", 0o700)
	must(t, os.Chown(vol, hermit, hermit))
	own, err := os.Stat(vol + "/s")
	must(t, err)

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			other := vol + []string{"/link", "/forged"}[i%2]
			_ = unix.Renameat2(unix.AT_FDCWD, vol+"/s", unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
			_ = unix.Renameat2(unix.AT_FDCWD, vol+"/s", unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
		}
	}()
	got := 0
	for range 3000 {
		d, err := OpenDir(vol+"/s", 0, 0o700)
		if err != nil {
			want(t, err, "cannot ")
			continue
		}
		got++
		info, err := d.Stat()
		must(t, err)
		if !os.SameFile(info, own) {
			t.Errorf("opened another directory, %v", info)
		}
		must(t, d.Close())
	}
	close(stop)
	<-stopped
	t.Logf("%d of 3000 opened", got)
}

// Everything works as an ordinary user too, with root's files and his own.
func TestAsAnotherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	binary := dir + "/test"
	copyFile(t, binary)
	write(t, dir+"/roots", "x", 0o644)
	mkdir(t, dir+"/home", 0o755)
	write(t, dir+"/home/own", "x", 0o600)
	write(t, dir+"/home/hermits", "x", 0o644)
	must(t, os.Chown(dir+"/home", visitor, visitor))
	must(t, os.Chown(dir+"/home/own", visitor, visitor))
	must(t, os.Chown(dir+"/home/hermits", hermit, hermit))
	mkdir(t, dir+"/tmp", 0o1777)
	for _, tt := range []struct {
		role, path string
		want       string
	}{
		{"read", "/roots", ""},
		{"read", "/home/own", ""},
		{"read", "/home/hermits", "belongs to uid 10000, not to root or uid 12345"},
		{"opendir", "/home/state", ""},
		{"opendir", "/tmp/state", ""},
		{"opendir", "/state", "permission denied"},
		{"opendir", "/tmp", "belongs to uid 0, not to uid 12345"},
	} {
		t.Run(tt.role+tt.path, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(binary, dir+tt.path)
			cmd.Env = append(os.Environ(), roleVar+"="+tt.role)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: visitor, Gid: visitor}}
			out, err := cmd.CombinedOutput()
			if (err == nil) != (tt.want == "") || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v: %s; want %q", err, out, tt.want)
			}
		})
	}
}

// copyFile puts the test binary where other users can execute it.
func copyFile(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	must(t, err)
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(f, from)
	must(t, err)
	must(t, f.Close())
	must(t, os.Chmod(to, 0o755))
}

// Nothing is left open, whatever the outcome. Not parallel: it counts the process's descriptors.
func TestNoDescriptorLeaks(t *testing.T) {
	dir := scratch(t)
	write(t, dir+"/f", "x", 0o644)
	must(t, os.Symlink(dir+"/f", dir+"/l"))
	must(t, os.Symlink(dir+"/loop", dir+"/loop"))
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(names)
	}
	before := count()
	for range 50 {
		for _, path := range []string{"/f", "/l", "/loop", "/none", "/f/x"} {
			_, _ = ReadFile(dir+path, os.Geteuid())
			_, _ = ReadDir(dir+path, os.Geteuid())
			_, _ = ReadFile(dir+path, visitor)
			if d, err := OpenDir(dir+"/s", os.Geteuid(), 0o700); err == nil {
				must(t, d.Close())
			}
			_, _ = OpenDir(dir+path, visitor, 0o700)
		}
	}
	if after := count(); after > before+2 { // the runtime's own poller may have come
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// Reach goes where others' directories lie, follows root's symlinks and nobody else's, and has made what is missing.
func TestReach(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir() // below a sticky /tmp: a stranger's place, as far as symlinks go
	dir, err := filepath.EvalSymlinks(dir)
	must(t, err)
	mkdir(t, dir+"/vol", 0o755)
	must(t, os.Chown(dir+"/vol", hermit, hermit))
	must(t, os.Symlink("/etc", dir+"/vol/link"))
	write(t, dir+"/vol/file", "", 0o644)
	var made []string
	mk := func(parent int, name, path string, last bool) error {
		made = append(made, fmt.Sprint(path, last))
		return unix.Mkdirat(parent, name, 0o700)
	}
	f, err := Reach(dir+"/vol/a/b", 0, mk)
	must(t, err)
	must(t, f.Close())
	if want := []string{dir + "/vol/a" + "false", dir + "/vol/a/b" + "true"}; !slices.Equal(made, want) {
		t.Errorf("made %q, want %q", made, want)
	}
	for path, cause := range map[string]string{
		"/vol/link":   dir + "/vol/link is a symlink that others may have put there",
		"/vol/link/x": dir + "/vol/link is a symlink that others may have put there",
		"/vol/file":   dir + "/vol/file is a file that others may have put there",
		"/vol/a/../x": `its ".." can lead anywhere`,
	} {
		_, err := Reach(dir+path, 0, mk)
		if err == nil || !strings.HasPrefix(err.Error(), cause) {
			t.Errorf("%s: %v, want %s", path, err, cause)
		}
	}
	if len(made) != 2 {
		t.Errorf("made %q", made)
	}
	if _, err := Stat(dir+"/vol/file", 0); err == nil || !strings.Contains(err.Error(), "belongs to uid 10000") && !strings.Contains(err.Error(), "writable by others") {
		t.Errorf("what others may have put there is believed: %v", err)
	}
	if st, err := Stat("/dev/null", 0); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		t.Errorf("/dev/null: %o, %v", st.Mode, err)
	}
}
