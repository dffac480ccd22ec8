package process

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
)

// accounts are the files that the tests of identities find in /etc.
var accounts = map[string]string{
	"/etc/passwd": `root:x:0:0:root:/root:/bin/sh
web:x:33:33:web:/var/web:/bin/sh
app:x:10000:10000::/opt/app:
broken:x:abc:1::/:
huge:x:4294967296:4294967296::/:
minus:x:-1:-1::/:
`,
	"/etc/group": `root:x:0:
disk:x:6:root
web:x:33:
video:x:44:app,web
audio:x:29:root,app
zero:x:0:app
app:x:10000:app
`,
}

// TestResolve: who a user's processes are, from the files and from what the container was given (--group-add 44 and 2000).
func TestResolve(t *testing.T) {
	s := surroundings{Files: accounts, Groups: []int{0, 6, 29, 2000}}
	alone(t, s, func(t *testing.T) {
		for spec, want := range map[string]Identity{
			"app":        {Name: "app", UID: 10000, GID: 10000, Groups: []int{29, 44, 2000}, Home: "/opt/app"}, // 29: app's own; 6: root's
			"10000":      {Name: "app", UID: 10000, GID: 10000, Groups: []int{29, 44, 2000}, Home: "/opt/app"},
			"0010000":    {Name: "app", UID: 10000, GID: 10000, Groups: []int{29, 44, 2000}, Home: "/opt/app"},
			"app:web":    {Name: "app", UID: 10000, GID: 33, Groups: []int{29, 44, 2000, 10000}, Home: "/opt/app"},
			"app:0":      {Name: "app", UID: 10000, GID: 0, Groups: []int{29, 44, 2000, 10000}, Home: "/opt/app"},
			"33:video":   {Name: "web", UID: 33, GID: 44, Groups: []int{2000}, Home: "/var/web"},
			"web":        {Name: "web", UID: 33, GID: 33, Groups: []int{44, 2000}, Home: "/var/web"},
			"12345":      {Name: "12345", UID: 12345, GID: 12345, Groups: []int{2000}, Home: "/"},
			"12345:2000": {Name: "12345", UID: 12345, GID: 2000, Groups: []int{}, Home: "/"},
			"root":       {Name: "root", UID: 0, GID: 0, Groups: []int{6, 29, 2000}, Home: "/root"},
			"0:44":       {Name: "root", UID: 0, GID: 44, Groups: []int{6, 29, 2000}, Home: "/root"},
			"3000000000": {Name: "3000000000", UID: 3000000000, GID: 3000000000, Groups: []int{2000}, Home: "/"},
		} {
			got, err := Resolve(account.Database{}, spec)
			if len(got.Groups) == 0 && len(want.Groups) == 0 {
				got.Groups, want.Groups = nil, nil
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%q is %+v, %v; want %+v", spec, got, err, want)
			}
		}
		for spec, want := range map[string]string{
			"nobody":     `cannot use user "nobody": there is no such user in /etc/passwd`,
			"":           `cannot use user "": there is no such user in /etc/passwd`,
			"app:none":   `cannot use user "app:none": there is no group "none" in /etc/group`,
			"app:":       `cannot use user "app:": there is no group "" in /etc/group`,
			"broken":     `cannot use user "broken": there is no such user in /etc/passwd`,
			"huge":       `cannot use user "huge": there is no such user in /etc/passwd`, // is not root, whose uid its lower half is
			"minus":      `cannot use user "minus": there is no such user in /etc/passwd`,
			"-1":         `cannot use user "-1": there is no such user in /etc/passwd`,
			"4294967295": `cannot use user "4294967295": there is no such user in /etc/passwd`, // "no change" for setuid(2)
			"4294967296": `cannot use user "4294967296": there is no such user in /etc/passwd`,
		} {
			if got, err := Resolve(account.Database{}, spec); err == nil || err.Error() != want {
				t.Errorf("%q is %+v, %v", spec, got, err)
			}
		}
		if self := Self(account.Database{}); self.Name != "root" || self.Home != "/root" || self.GID != 0 || !slices.Equal(self.Groups, []int{0, 6, 29, 2000}) {
			t.Errorf("pintle itself is %+v", self)
		}
	})
}

// TestASwitch: a run has the ids of its identity, all of them and no others.
func TestASwitch(t *testing.T) {
	s := surroundings{PID1: true, Files: accounts, Groups: []int{0, 6, 29, 2000}, Caps: dockerCaps}
	alone(t, s, func(t *testing.T) {
		w := newWorld(t)
		for spec, want := range map[string]found{
			"app":        {UID: 10000, GID: 10000, Groups: []int{29, 44, 2000}},
			"12345":      {UID: 12345, GID: 12345, Groups: []int{2000}},
			"12345:2000": {UID: 12345, GID: 2000},
			"root":       {UID: 0, GID: 0, Groups: []int{0, 6, 29, 2000}}, // as pintle itself: nothing to switch
			"root:web":   {UID: 0, GID: 33, Groups: []int{6, 29, 2000}},
		} {
			id, err := Resolve(account.Database{}, spec)
			must(t, err)
			c := id.does("report")
			l := w.start(c)
			got := l.report()
			slices.Sort(got.Groups)
			if got.UID != want.UID || got.GID != want.GID || !slices.Equal(got.Groups, want.Groups) {
				t.Errorf("%s runs as %d:%d with %v", spec, got.UID, got.GID, got.Groups)
			}
			l.ends()
		}
		l := w.start(Command{Path: "/bin/cat", Args: []string{"cat", "/proc/self/status"}, Identity: &victim})
		for line := range l.said {
			if f := strings.Fields(line); f[0] == "CapEff:" || f[0] == "CapPrm:" || f[0] == "CapAmb:" || f[0] == "CapInh:" {
				if strings.Trim(f[1], "0") != "" {
					t.Error(line)
				}
			} else if f[0] == "Uid:" && line != "Uid:\t10001\t10001\t10001\t10001" || f[0] == "Gid:" && line != "Gid:\t10001\t10001\t10001\t10001" {
				t.Error(line)
			}
		}
		l.ends()
	})
}

// TestNoSwitch: where pintle can't become anybody it says why, and what it can run as itself it runs.
func TestNoSwitch(t *testing.T) {
	for name, c := range map[string]struct {
		surroundings
		says string
	}{
		"no capabilities": {surroundings{Files: accounts, NoCaps: true, Groups: []int{2000}}, "cannot run as user victim (uid 10001): this container has no CAP_SETUID and CAP_SETGID"},
		"one of two":      {surroundings{Files: accounts, Caps: []int{unix.CAP_SETUID}, Groups: []int{2000}}, "cannot run as user victim (uid 10001): this container has no CAP_SETUID and CAP_SETGID"},
		"a user":          {surroundings{Files: accounts, UID: 10000, GID: 10000, Groups: []int{2000}}, "cannot run as user victim (uid 10001): pintle runs as uid 10000, and only root can switch users"},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, c.surroundings, func(t *testing.T) {
				w := newWorld(t)
				if _, err := w.try(victim.does("exit 0")); err == nil || !strings.HasPrefix(err.Error(), c.says) {
					t.Errorf("%v", err)
				} else if e, ok := err.(*ExecError); !ok || e.Code != 126 {
					t.Errorf("%#v", err)
				}
				me, err := Resolve(account.Database{}, Self(account.Database{}).Name) // whose groups in the files are not those that pintle has
				must(t, err)
				l := w.start(me.does("report"))
				if f := l.report(); f.UID != os.Getuid() || f.GID != os.Getgid() || !slices.Equal(f.Groups, []int{2000}) {
					t.Errorf("%+v", f)
				}
				l.ends()
			})
		})
	}
}

// TestLend: a pipe becomes the property of who works with it; a regular file does not.
func TestLend(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r, w, err := Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	f := logFile(t)
	Lend(&victim, w, f)
	Lend(nil, w)
	for file, want := range map[*os.File]uint32{w: 10001, f: 0} {
		var st unix.Stat_t
		must(t, unix.Fstat(int(file.Fd()), &st))
		if st.Uid != want {
			t.Errorf("%s belongs to %d", file.Name(), st.Uid)
		}
	}
}
