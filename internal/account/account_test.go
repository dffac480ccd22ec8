package account

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func database(t *testing.T, passwd, group string) Database {
	t.Helper()
	d := Database{Passwd: filepath.Join(t.TempDir(), "passwd"), Group: filepath.Join(t.TempDir(), "group")}
	for path, text := range map[string]string{d.Passwd: passwd, d.Group: group} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// TestLookups: names by the files, numbers as they are, and broken lines no accounts.
func TestLookups(t *testing.T) {
	t.Parallel()
	d := database(t,
		"root:x:0:0:root:/root:/bin/sh\nagent:x:10000:10001::/opt/data:/bin/bash\n123:x:5:5::/:\nbroken:x:no:0::/:\nshort:x:1\nagent:x:0:0::/:\n",
		"root:x:0:\ncrew:x:20000:agent,other\nbad:x:minus:agent\nvideo:x:44:agent\nagents:x:7:agents-too\n")
	if u, err := d.User("agent"); err != nil || u != (User{"agent", 10000, 10001, "/opt/data"}) {
		t.Errorf("User(agent) = %+v, %v", u, err)
	}
	if u, err := d.User("10000"); err != nil || u.Name != "agent" {
		t.Errorf("User(10000) = %+v, %v", u, err)
	}
	if uid, err := d.UID("123"); err != nil || uid != 123 { // a number is an id, whatever a user is called
		t.Errorf("UID(123) = %d, %v", uid, err)
	}
	for _, name := range []string{"nobody", "broken", "short", "", "-1", "4294967295", "agent:x"} {
		if u, err := d.User(name); !errors.Is(err, ErrNone) {
			t.Errorf("User(%q) = %+v, %v", name, u, err)
		}
	}
	if gid, err := d.GID("crew"); err != nil || gid != 20000 {
		t.Errorf("GID(crew) = %d, %v", gid, err)
	}
	if gid, err := d.GID("bad"); !errors.Is(err, ErrNone) {
		t.Errorf("GID(bad) = %d, %v", gid, err)
	}
	if got := d.GroupsOf("agent"); !slices.Equal(got, []int{20000, 44}) {
		t.Errorf("GroupsOf(agent) = %v", got)
	}
}

// TestUSERIsNotBelieved: who is in no file is nobody, whatever the environment says.
func TestUSERIsNotBelieved(t *testing.T) {
	t.Setenv("USER", "agent")
	t.Setenv("HOME", "/")
	d := database(t, "", "")
	if u, err := d.User("agent"); !errors.Is(err, ErrNone) {
		t.Errorf("User(agent) = %+v, %v", u, err)
	}
}

// TestLongLine: a group with very many members hides none that comes after it.
func TestLongLine(t *testing.T) {
	t.Parallel()
	d := database(t, "", "big:x:6:"+strings.Repeat("member,", 50000)+"\nafter:x:7:\n")
	if gid, err := d.GID("after"); err != nil || gid != 7 {
		t.Errorf("GID(after) = %d, %v", gid, err)
	}
}

// What is declared comes before the files, whose lines of the same names then count for nothing else.
func TestDeclared(t *testing.T) {
	t.Parallel()
	d := database(t, "app:x:10000:10000::/old:\nother:x:7:7::/:\n", "app:x:10000:other\nwheel:x:10:app\nnew:x:5:\n")
	d.Declared = []Declared{
		{User: User{Name: "app", UID: 1000, GID: 100, Home: "/data"}, OwnGroup: true, Joins: []int{998}},
		{User: User{Name: "new", UID: 7, GID: 8}},
	}
	for name, want := range map[string]User{"app": d.Declared[0].User, "1000": d.Declared[0].User, "7": d.Declared[1].User, "other": {"other", 7, 7, "/"}} {
		if got, err := d.User(name); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", name, got, err, want)
		}
	}
	if u, err := d.User("10000"); !errors.Is(err, ErrNone) {
		t.Errorf("the uid of before is %+v, %v", u, err)
	}
	for name, want := range map[string]int{"app": 100, "new": 5, "wheel": 10} {
		if got, err := d.GID(name); err != nil || got != want {
			t.Errorf("the group %s is %d, %v; want %d", name, got, err, want)
		}
	}
	for name, want := range map[string][]int{"app": {10, 998}, "other": {100}, "new": nil} {
		if got := d.GroupsOf(name); !slices.Equal(got, want) {
			t.Errorf("%s is in %v, want %v", name, got, want)
		}
	}
}
