package prepare

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/unit"
)

func users(list ...unit.PreparedUser) unit.Prepare { return unit.Prepare{Users: list} }

// resolves checks what a user is by the result's accounts.
func resolves(t *testing.T, accounts account.Database, name string, want account.User, groups ...int) {
	t.Helper()
	if got, err := accounts.User(name); err != nil || got != want {
		t.Errorf("%s is %+v, %v; want %+v", name, got, err, want)
	}
	if got := accounts.GroupsOf(want.Name); !slices.Equal(got, groups) {
		t.Errorf("%s is in the groups %v, want %v", name, got, groups)
	}
}

// The files get the declared ids, and every other byte of them stays.
func TestUsersGetTheirIDs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("passwd", "root:x:0:0:root:/root:/bin/sh\n#hermit\n\nhermit:x:10000:10000:A, B:/old:/bin/bash\nhermits:x:1:1::/:", 0)
	must(t, os.Chmod(h.dir+"/passwd", 0o604))
	must(t, os.Chown(h.dir+"/passwd", 0, 0))
	h.write("group", "root:x:0:\nusers:x:100:hermit\nhermit:x:10000:bob,hermit\n", 0)
	plan := users(unit.PreparedUser{Name: "hermit", UID: 99, GID: 100, Home: "/opt/data"}, unit.PreparedUser{Name: "new", UID: 77})
	r := h.run(plan)
	if got, want := h.read("passwd"), "root:x:0:0:root:/root:/bin/sh\n#hermit\n\nhermit:x:99:100:A, B:/opt/data:/bin/bash\nhermits:x:1:1::/:\nnew:*:77:77::/:/bin/sh\n"; got != want {
		t.Errorf("passwd is %q, want %q", got, want)
	}
	if got, want := h.read("group"), "root:x:0:\nusers:x:100:hermit\nhermit:x:100:bob,hermit\nnew:*:77:\n"; got != want {
		t.Errorf("group is %q, want %q", got, want)
	}
	h.is("passwd", "0:0 0604")
	resolves(t, r.Accounts, "hermit", account.User{Name: "hermit", UID: 99, GID: 100, Home: "/opt/data"}, 100, 100)
	resolves(t, r.Accounts, "99", account.User{Name: "hermit", UID: 99, GID: 100, Home: "/opt/data"}, 100, 100)
	if gid, err := r.Accounts.GID("hermit"); gid != 100 || err != nil {
		t.Errorf("the group is %d, %v", gid, err)
	}
	entries, err := os.ReadDir(h.dir)
	must(t, err)
	if len(entries) != 3 { // passwd, group, vol
		t.Errorf("something is left: %v", entries)
	}
	before, err := os.Stat(h.dir + "/passwd")
	must(t, err)
	h.run(plan)
	if after, err := os.Stat(h.dir + "/passwd"); err != nil || !os.SameFile(before, after) {
		t.Error("a file was replaced that fitted already")
	}
}

// What isn't declared stays, also in what is only known in memory.
func TestUsersKeepWhatIsNotDeclared(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	passwd, group := h.read("passwd"), h.read("group")
	r := h.run(users(unit.PreparedUser{Name: "hermit"}))
	resolves(t, r.Accounts, "hermit", account.User{Name: "hermit", UID: hermit, GID: hermit, Home: "/opt/data"})
	h.run(users(unit.PreparedUser{Name: "nobody-yet"}), "!cannot prepare user nobody-yet: there is no such user, and no uid to make it with")
	if h.read("passwd") != passwd || h.read("group") != group {
		t.Error("the files have changed")
	}
}

// Where the files can't be changed, the ids hold for what pintle starts, and it says for whom they do not.
func TestUsersOnAReadOnlyRoot(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mkdir("etc", 0)
	h.write("etc/passwd", h.read("passwd"), 0)
	h.write("etc/group", h.read("group"), 0)
	if err := unix.Mount(h.dir+"/etc", h.dir+"/etc", "", unix.MS_BIND, ""); err != nil {
		t.Skip("skipped: cannot mount here: ", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(h.dir+"/etc", unix.MNT_DETACH)) })
	must(t, unix.Mount("", h.dir+"/etc", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	h.opts.Accounts = account.Database{Passwd: h.dir + "/etc/passwd", Group: h.dir + "/etc/group"}
	plan := users(unit.PreparedUser{Name: "hermit", UID: 1000, GID: 1001}, unit.PreparedUser{Name: "new", UID: 77})
	plan.Directories = directories(h.vol + "/a").Directories
	r := h.run(plan,
		"cannot prepare user hermit: its uid 1000 and gid 1001 hold for what pintle starts, and not for others (docker exec -u): "+
			"cannot change DIR/etc/passwd: read-only file system; cannot change DIR/etc/group: read-only file system",
		"cannot prepare user new: its uid 77 and gid 77 hold for what pintle starts…")
	resolves(t, r.Accounts, "hermit", account.User{Name: "hermit", UID: 1000, GID: 1001, Home: "/opt/data"})
	resolves(t, r.Accounts, "1000", account.User{Name: "hermit", UID: 1000, GID: 1001, Home: "/opt/data"})
	resolves(t, r.Accounts, "77", account.User{Name: "new", UID: 77, GID: 77, Home: "/"})
	if gid, err := r.Accounts.GID("hermit"); gid != 1001 || err != nil {
		t.Errorf("the group is %d, %v", gid, err)
	}
	if _, err := r.Accounts.User("10000"); !errors.Is(err, account.ErrNone) {
		t.Errorf("the old uid is still somebody's: %v", err)
	}
	h.is("vol/a", "1000:1001 0755")
	// With the ids that it has anyway, a read-only root is as good as any.
	h.run(users(unit.PreparedUser{Name: "hermit", UID: hermit, GID: hermit}))
}

// Sockets and devices lend their groups, in places where only root can have put them;
// root's group is never joined.
func TestGroupsOfNodes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mkdir("run", 0)
	socket := func(name string, gid int, mode os.FileMode) {
		t.Helper()
		l, err := net.Listen("unix", h.dir+"/"+name)
		must(t, err)
		t.Cleanup(func() { _ = l.Close() })
		must(t, os.Chown(h.dir+"/"+name, -1, gid))
		must(t, os.Chmod(h.dir+"/"+name, mode))
	}
	socket("run/docker.sock", 998, 0o660)
	socket("run/root.sock", 0, 0o660)
	socket("run/open.sock", 0, 0o666)
	h.mkdir("run/dri/by-path", 0)
	socket("run/dri/a", 44, 0o660)
	socket("run/dri/b", 44, 0o660)
	must(t, os.Symlink("../a", h.dir+"/run/dri/by-path/a"))
	must(t, os.Symlink("run", h.dir+"/alias"))
	h.write("run/regular", "", 55)
	socket("vol/planted", 77, 0o660)
	must(t, os.Symlink(h.dir+"/run/regular", h.vol+"/link"))
	user := unit.PreparedUser{Name: "hermit", JoinGroupsOf: []string{
		h.dir + "/alias/docker.sock", h.dir + "/run/dri/*", h.dir + "/run/dri/by-path/*", h.dir + "/run/none*", h.dir + "/run/none",
		h.dir + "/run/root.sock", h.dir + "/run/open.sock", h.dir + "/run/regular", h.vol + "/*",
	}}
	refused := []string{
		"cannot prepare user hermit: cannot join the group of DIR/run/root.sock: it is root's (gid 0), which owns too much",
		"cannot prepare user hermit: cannot join the group of DIR/run/regular: it is neither a socket nor a device node",
		"cannot prepare user hermit: cannot join the group of DIR/vol/link: DIR/vol belongs to uid 10000, not to root",
		"cannot prepare user hermit: cannot join the group of DIR/vol/planted: DIR/vol belongs to uid 10000, not to root",
	}
	r := h.run(users(user), refused...)
	resolves(t, r.Accounts, "hermit", account.User{Name: "hermit", UID: hermit, GID: hermit, Home: "/opt/data"}, 998, 44)
	if strings.Contains(h.read("group"), "998") {
		t.Error("a group was written into the file")
	}

	// Who is not root can join nothing, and says what would have to be done.
	h.opts.UID, h.opts.GID, h.opts.Groups = hermit, hermit, []int{44}
	user.JoinGroupsOf = user.JoinGroupsOf[:2]
	r = h.run(users(user), "cannot prepare user hermit: pintle runs as uid 10000, and only root can join it to group 998; start the container with --group-add 998")
	resolves(t, r.Accounts, "hermit", account.User{Name: "hermit", UID: hermit, GID: hermit, Home: "/opt/data"})
}

// As somebody who is not root (docker run --user) nothing can be given away: what is made is
// his own, as all that runs is. The declared ids are right where they are his.
func TestAsAnotherUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	plan := func(uid int) unit.Prepare { return users(unit.PreparedUser{Name: "hermit", UID: uid, GID: uid}) }
	h.opts.UID, h.opts.GID = 12345, 12345
	h.run(plan(hermit)) // as the files have it
	h.run(plan(1000), "cannot prepare user hermit: pintle runs as uid 12345, and only root can give it uid 1000 and gid 1000")
	r := h.run(plan(12345))
	resolves(t, r.Accounts, "12345", account.User{Name: "hermit", UID: 12345, GID: 12345, Home: "/opt/data"})
}

// The whole of it as another user, in a process of its own.
func TestDirectoriesAsAnotherUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("example", "A=1", 0)
	h.mkdir("theirs", 12345)
	h.write("theirs/roots", "", 0)
	out := h.as(12345, h.dir+"/theirs")
	if out != "" {
		t.Errorf("in his own place: %s", out)
	}
	h.is("theirs/a/b", "12345:12345 0755")
	h.is("theirs/.env", "12345:12345 0600")
	h.is("theirs/roots", "0:0 0644")
	if out := h.as(12345, h.vol); out != "cannot prepare "+h.vol+"/a/b: "+h.vol+"/a: permission denied\ncannot prepare "+h.vol+"/.env: permission denied\n" {
		t.Errorf("in another's: %s", out)
	}
}

// as prepares a place as another user, and returns the problems.
func (h *house) as(uid uint32, place string) string {
	h.t.Helper()
	cmd := exec.Command(h.binary())
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), roleVar+"=prepare", "PLACE="+place)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	must(h.t, err)
	return string(out)
}
