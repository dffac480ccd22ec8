package api

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pintle/internal/engine"
)

// sticky is a directory like /tmp.
func sticky(t *testing.T) string {
	t.Helper()
	dir := openTempDir(t)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mkdir(t *testing.T, path string, mode os.FileMode, uid int) string {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
	return path
}

// Which directory the socket goes to, as root and as another user.
func TestListenChoosesADirectory(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const me = 12345
	for _, c := range []struct {
		what string
		uid  int
		make func(t *testing.T, path string) // the first candidate; the second can be used
		want string                          // "first", or what the error of the first says
	}{
		{"a new one", 0, func(*testing.T, string) {}, "first"},
		{"a new one", me, func(*testing.T, string) {}, "first"},
		{"our own", 0, func(t *testing.T, p string) { mkdir(t, p, 0o755, 0) }, "first"},
		{"our own", me, func(t *testing.T, p string) { mkdir(t, p, 0o755, me) }, "first"},
		{"our own and private", me, func(t *testing.T, p string) { mkdir(t, p, 0o700, me) }, "first"},
		{"root's", me, func(t *testing.T, p string) { mkdir(t, p, 0o755, 0) }, "belongs to uid 0"},
		{"somebody's", 0, func(t *testing.T, p string) { mkdir(t, p, 0o755, 10000) }, "belongs to uid 10000"},
		{"open to all", 0, func(t *testing.T, p string) { mkdir(t, p, 0o777, 0) }, "writable by others"},
		{"sticky", 0, func(t *testing.T, p string) { mkdir(t, p, 0o777|os.ModeSticky, 0) }, "writable by others"},
		{"a group's", me, func(t *testing.T, p string) { mkdir(t, p, 0o775, me) }, "writable by others"},
		{"a symlink to our own", 0, func(t *testing.T, p string) { link(t, mkdir(t, p+"-target", 0o755, 0), p, 10000) }, "symlink"},
		{"a symlink to nothing", 0, func(t *testing.T, p string) { link(t, p+"-target", p, 10000) }, "symlink"},
		{"our symlink", me, func(t *testing.T, p string) { link(t, mkdir(t, p+"-target", 0o755, me), p, me) }, "symlink"},
		{"a file", 0, func(t *testing.T, p string) { write(t, p, "") }, "is a file"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			base := sticky(t)
			first, second := filepath.Join(base, "first"), filepath.Join(base, "second")
			c.make(t, first)
			u := user{uid: uint32(c.uid), gid: uint32(c.uid)}

			r, end := as(t, u, "listen", task{Candidates: []string{first, second}})
			want := filepath.Join(second, socketName)
			if c.want == "first" {
				want = filepath.Join(first, socketName)
			}
			if r.Path != want {
				t.Fatalf("it listens at %q (%s), want %s", r.Path, r.Err, want)
			}
			checkMode(t, want, os.ModeSocket|0o666)
			end()
			if _, err := os.Lstat(want); !os.IsNotExist(err) {
				t.Errorf("the socket is left after the end: %v", err)
			}

			// Named by the environment it is the only one, and what is wrong with it is said.
			r, _ = as(t, u, "listen", task{Env: map[string]string{runtimeDirVariable: first}, Candidates: []string{second}})
			if c.want == "first" {
				if r.Path != want {
					t.Errorf("named, it listens at %q: %s", r.Path, r.Err)
				}
			} else if r.Path != "" || !strings.HasPrefix(r.Err, "cannot listen") || !strings.Contains(r.Err, c.want) {
				t.Errorf("named, it listens at %q: %q, want an error with %q", r.Path, r.Err, c.want)
			}
			if _, err := os.Lstat(first + "-target/" + socketName); err == nil {
				t.Error("a symlink was followed")
			}
		})
	}
}

func link(t *testing.T, target, path string, uid int) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
}

func checkMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != want {
		t.Errorf("%s has mode %v, want %v", path, st.Mode(), want)
	}
}

// A new directory lets everybody through, and only its owner write.
func TestListenMakesTheDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 50)) // longer than a socket's address may be
	l, path, err := Listen(ListenOptions{Getenv: none, Candidates: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	checkMode(t, dir, os.ModeDir|0o755)
	checkMode(t, path, os.ModeSocket|0o666)
	checkMode(t, filepath.Join(dir, lockName), 0o600)
	found, err := Find(t.Context(), DialOptions{Getenv: none, Candidates: []string{t.TempDir(), dir}})
	if err != nil || found != path {
		t.Errorf("Find: %s, %v", found, err)
	}
}

// Neither the directory nor the socket depends on the umask.
func TestListenUnderAnyUmask(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, umask := range []int{0, 0o077, 0o027} {
		dir := filepath.Join(openTempDir(t), "run")
		r, _ := as(t, user{}, "listen", task{Candidates: []string{dir}, Umask: umask})
		if r.Err != "" {
			t.Fatal(r.Err)
		}
		checkMode(t, dir, os.ModeDir|0o755)
		checkMode(t, r.Path, os.ModeSocket|0o666)
	}
}

// A socket that nobody serves is replaced; one that somebody serves, never.
func TestStaleSockets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	o := ListenOptions{Getenv: none, Candidates: []string{dir, filepath.Join(t.TempDir(), "other")}}
	path := filepath.Join(dir, socketName)
	occupied := func(what string) {
		t.Helper()
		if l, at, err := Listen(o); err == nil || !strings.Contains(err.Error(), "another pintle runs here") {
			t.Errorf("%s: listens at %s: %v", what, at, err)
			if err == nil {
				l.Close()
			}
		}
	}

	first, _, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	occupied("beside the first")
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the first one's socket: %v", err)
	}
	first.Close()

	strange, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path}) // without the lock
	if err != nil {
		t.Fatal(err)
	}
	strange.SetUnlinkOnClose(false)
	occupied("beside a strange one")
	strange.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("no stale socket to test with: %v", err)
	}
	second, at, err := Listen(o)
	if err != nil || at != path {
		t.Fatalf("over a stale socket: %s, %v", at, err)
	}
	second.Close()

	write(t, path, "not a socket")
	third, at, err := Listen(o)
	if err != nil || at == path {
		t.Fatalf("over a file: %s, %v", at, err)
	}
	third.Close()
	if content, _ := os.ReadFile(path); string(content) != "not a socket" {
		t.Error("the file was replaced")
	}
}

func TestRuntimeDirMustBeAbsolute(t *testing.T) {
	t.Parallel()
	env := func(key string) string { return map[string]string{runtimeDirVariable: "run/pintle"}[key] }
	if _, _, err := Listen(ListenOptions{Getenv: env}); err == nil || !strings.Contains(err.Error(), "no absolute path") {
		t.Errorf("Listen: %v", err)
	}
	if _, err := Dial(t.Context(), DialOptions{Getenv: env}); engine.KindOf(err) != engine.Unavailable || !strings.Contains(err.Error(), "no absolute path") {
		t.Errorf("Dial: %v", err)
	}
}

// A client believes a server of root, of its own user and of PID 1's, and no other.
func TestClientTrust(t *testing.T) {
	t.Parallel()
	needRoot(t)
	if st, err := os.Stat("/proc/1"); err != nil || st.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Skip("skipped: PID 1 does not belong to root here")
	}
	base := sticky(t)
	good, bad := filepath.Join(base, "good"), filepath.Join(base, "bad")
	served, _ := as(t, user{uid: 0}, "serve", task{Candidates: []string{good}})
	faked, _ := as(t, user{uid: 12345, gid: 12345}, "serve", task{Candidates: []string{bad}})
	if served.Err != "" || faked.Err != "" {
		t.Fatal(served.Err, faked.Err)
	}
	// A fake in a directory that can be trusted: its server cannot.
	moved := filepath.Join(base, "moved")
	if r, _ := as(t, user{uid: 12345, gid: 12345}, "serve", task{Candidates: []string{moved}}); r.Err != "" {
		t.Fatal(r.Err)
	}
	if err := os.Chown(moved, 0, 0); err != nil {
		t.Fatal(err)
	}
	// A link to what is good, in a directory that is not.
	mkdir(t, filepath.Join(base, "linked"), 0o755, 12345)
	if err := os.Symlink(served.Path, filepath.Join(base, "linked", socketName)); err != nil {
		t.Fatal(err)
	}
	link(t, good, filepath.Join(base, "link"), 12345)
	mkdir(t, filepath.Join(base, "wide"), 0o777|os.ModeSticky, 0)

	in := func(names ...string) task {
		var paths []string
		for _, name := range names {
			paths = append(paths, filepath.Join(base, name))
		}
		return task{Candidates: paths}
	}
	env := func(key, value string) task { return task{Env: map[string]string{key: value}} }
	for _, c := range []struct {
		what string
		uid  uint32
		do   task
		path string
		says string
	}{
		{"root's, to root", 0, in("good"), served.Path, ""},
		{"root's, to anybody", 10000, in("good"), served.Path, ""},
		{"one's own", 12345, in("bad"), faked.Path, ""},
		{"another's, to root", 0, in("bad"), "", "belongs to uid 12345"},
		{"another's, to a third", 10000, in("bad"), "", "belongs to uid 12345"},
		{"another's is passed by", 10000, in("nosuch", "bad", "moved", "linked", "link", "wide", "good"), served.Path, ""},
		{"another's server in a good directory", 0, in("moved"), "", "runs as uid 12345, which is neither root nor you nor the user of PID 1"},
		{"a link in a bad directory", 0, in("linked"), "", "belongs to uid 12345"},
		{"a link to a good directory", 0, in("link"), "", "symlink"},
		{"a directory for all", 0, in("wide"), "", "others may write it"},
		{"nothing", 0, in("nosuch"), "", "it does not run here"},
		{"named directory of another", 0, env(runtimeDirVariable, bad), "", "belongs to uid 12345"},
		{"named socket of another", 0, env(socketVariable, faked.Path), faked.Path, ""},
		{"named socket that is not there", 0, env(socketVariable, base+"/nosuch"), base + "/nosuch", "cannot connect to " + base + "/nosuch: no such file"},
	} {
		r, _ := as(t, user{uid: c.uid, gid: c.uid}, "dial", c.do)
		if r.Path != c.path || !strings.Contains(r.Err, c.says) || (r.Err != "") != (c.says != "") {
			t.Errorf("%s: %q, %q; want %q, %q", c.what, r.Path, r.Err, c.path, c.says)
		}
		if r.Err != "" && !strings.HasPrefix(r.Err, "cannot reach pintle: ") {
			t.Errorf("%s: %s", c.what, r.Err)
		}
	}
}
