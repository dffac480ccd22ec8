package tools

import (
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// maxGroups is the kernel's NGROUPS_MAX.
const maxGroups = 65536

// setUIDGID is s6-envuidgid followed by s6-applyuidgid -Uz, or with numbers the latter alone. The real one
// executes them; here they are steps, but each complains under its own name.
func setUIDGID(c *call) int {
	if len(c.args) < 2 {
		return c.wrongUsage()
	}
	account, program := c.args[0], c.args[1:]
	if account == "" {
		return c.execute(program)
	}
	if uid, gid, numeric := cut(account, ":"); numeric {
		return c.as("s6-applyuidgid", append([]string{"-u", uid, "-g", gid, "-G", "", "--"}, program...))
	}
	// Without "--", as in the real one: an account that begins with "-" is an option.
	return c.as("s6-envuidgid", append([]string{account, applyStep, "-Uz", "--"}, program...))
}

// applyStep stands for s6-applyuidgid as the program to come, as in the real s6-setuidgid's messages.
const applyStep = "/usr/bin/s6-applyuidgid"

// as carries on as another tool.
func (c *call) as(name string, args []string) int {
	for i := range c.tools {
		if t := &c.tools[i]; t.name == name {
			next := *c
			next.name, next.usage, next.options, next.args = name, t.usage, t.options, args
			next.steps = true
			return t.run(&next)
		}
	}
	return c.fatal(exitNone, "there is no tool "+name)
}

// who is what s6-envuidgid finds out.
type who struct {
	uid, gid uint32
	list     []uint32
}

// The variables that s6-envuidgid sets, as a set.
const (
	wantUID = 1 << iota
	wantGID
	wantList
	wantAccount = wantUID | wantGID | wantList
)

func envUIDGID(c *call) int {
	var (
		id      who
		want    = wantAccount
		insist  = true
		numeric = false
	)
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'u':
			want = wantUID
		case 'g':
			want = wantGID
		case 'B':
			want = wantUID | wantGID
		case 'n':
			want &= wantUID | wantGID
			numeric = true
		case 'i':
			insist = true
		case 'D':
			if id, ok = defaults(o.arg); !ok {
				return c.wrongUsage()
			}
			insist = false
		default:
			return c.wrongUsage()
		}
	}
	args := o.rest()
	if len(args) < 2 {
		return c.wrongUsage()
	}
	user, group := args[0], ""
	switch want {
	case wantGID:
		user, group = "", args[0]
	case wantUID | wantGID:
		user, group, _ = cut(args[0], ":")
	}
	if group != "" {
		if gid, ok := groupID(group, numeric); ok {
			id.gid = gid
		} else if insist {
			return c.fatal(exitRefused, "unknown group: "+group)
		}
	}
	if user != "" || want == wantAccount || want == wantUID {
		found, err := userID(user, numeric, want == wantAccount)
		switch {
		case err == nil:
			id.uid = found.uid
			if want == wantAccount {
				id = found
			}
		case !errors.Is(err, errNoAccount):
			return c.unable(exitSystem, err, "get supplementary groups for "+user)
		case insist:
			return c.fatal(exitRefused, "unknown user: "+user)
		}
	}
	c.export(want, id)
	if c.steps && args[1] == applyStep {
		return c.as("s6-applyuidgid", args[2:])
	}
	return c.execute(args[1:])
}

// export hands on what was wanted.
func (c *call) export(want int, id who) {
	if want&wantUID != 0 {
		c.set("UID", decimal(id.uid))
	}
	if want&wantGID != 0 {
		c.set("GID", decimal(id.gid))
	}
	if want&wantList != 0 {
		list := ""
		for i, gid := range id.list {
			if i > 0 {
				list += ","
			}
			list += decimal(gid)
		}
		c.set("GIDLIST", list)
	}
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// defaults reads "uid:gid:gidlist", each part of which may be missing.
func defaults(s string) (id who, ok bool) {
	for _, part := range []*uint32{&id.uid, &id.gid} {
		value, n := leadingNumber(s, math.MaxUint32)
		if n == 0 && !hasPrefix(s, ":") && (s != "" || part == &id.uid) {
			return who{}, false
		}
		*part = uint32(value)
		if s = s[n:]; s == "" {
			return id, true
		}
		if s[0] != ':' {
			return who{}, false
		}
		if s = s[1:]; s == "" {
			return id, true
		}
	}
	var n int
	id.list, n = numbers(s, maxGroups)
	return id, n > 0
}

var errNoAccount = errors.New("no such account")

// userID finds an account in passwd(5); with groups, those that name it as a member, too. Where there is none it
// may be a number.
func userID(name string, numeric, groups bool) (who, error) {
	var id who
	found := false
	eachLine("/etc/passwd", 7, func(field []string) bool {
		if field[0] != name {
			return true
		}
		uid, okUID := uint32Of(field[2])
		gid, okGID := uint32Of(field[3])
		found = okUID && okGID
		id.uid, id.gid = uid, gid
		return !found
	})
	if !found {
		if uid, ok := uint32Of(name); numeric && ok {
			return who{uid: uid}, nil
		}
		return who{}, errNoAccount
	}
	if groups {
		eachLine("/etc/group", 4, func(field []string) bool {
			if gid, ok := uint32Of(field[2]); ok && slices.Contains(split(field[3], ","), name) {
				id.list = append(id.list, gid)
			}
			return len(id.list) < maxGroups
		})
	}
	return id, nil
}

// groupID finds a group in group(5).
func groupID(name string, numeric bool) (gid uint32, found bool) {
	eachLine("/etc/group", 4, func(field []string) bool {
		if field[0] == name {
			gid, found = uint32Of(field[2])
		}
		return !found
	})
	if !found && numeric {
		return uint32Of(name)
	}
	return gid, found
}

// eachLine goes through a file of accounts until visit has enough. A file that cannot be read has no accounts, as
// getpwnam(3) has it.
func eachLine(path string, fields int, visit func(field []string) bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	for _, line := range split(string(text), "\n") {
		field := split(line, ":")
		if len(field) >= fields && line[0] != '#' && !visit(field) {
			return
		}
	}
}

func applyUIDGID(c *call) int {
	var (
		id        who
		setGroups = false
		unexport  = false
	)
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'z':
			unexport = true
		case 'u':
			id.uid, ok = uint32Of(o.arg)
		case 'g':
			id.gid, ok = uint32Of(o.arg)
		case 'G':
			var n int
			id.list, n = numbers(o.arg, maxGroups)
			setGroups, ok = true, n > 0 || o.arg == ""
		case 'U':
			var problem string
			if id, problem = c.fromEnvironment(); problem != "" {
				return c.fatal(exitUsage, problem)
			}
			setGroups = true
		default:
			ok = false
		}
		if !ok {
			return c.wrongUsage()
		}
	}
	program := o.rest()
	if len(program) == 0 {
		return c.wrongUsage()
	}
	if doing, err := become(id, setGroups); err != nil {
		return c.unable(exitSystem, err, doing)
	}
	if unexport {
		for _, key := range []string{"UID", "GID", "GIDLIST"} {
			c.unset(key)
		}
	}
	return c.execute(program)
}

// fromEnvironment is what s6-envuidgid left.
func (c *call) fromEnvironment() (id who, problem string) {
	for _, v := range []struct {
		key   string
		value *uint32
	}{{"UID", &id.uid}, {"GID", &id.gid}} {
		text, ok := c.get(v.key)
		if !ok {
			return id, v.key + " not set"
		}
		if *v.value, ok = uint32Of(text); !ok {
			return id, "invalid $" + v.key
		}
	}
	text, ok := c.get("GIDLIST")
	if !ok {
		return id, "GIDLIST not set"
	}
	var n int
	if id.list, n = numbers(text, maxGroups+1); n == 0 && text != "" {
		return id, "invalid $GIDLIST"
	}
	return id, ""
}

// become takes on an identity, in the order in which the rights for the next step are still there, in all threads,
// and then looks whether it did: who goes on with rights that should be gone is a hole. Zero leaves a uid or gid as it is.
func become(id who, setGroups bool) (doing string, err error) {
	if setGroups {
		first := id.gid
		if first == 0 {
			first = uint32(os.Getegid())
		}
		list := []int{int(first)}
		skipped := false
		for _, gid := range id.list {
			if gid == first && !skipped {
				skipped = true
				continue
			}
			list = append(list, int(gid))
		}
		if err := syscall.Setgroups(list); err != nil {
			return "set supplementary group list", err
		}
		if now, err := os.Getgroups(); err != nil || !sameGroups(now, list) {
			return "set supplementary group list", errors.Join(err, syscall.EPERM)
		}
	}
	if id.gid != 0 {
		if err := syscall.Setgid(int(id.gid)); err != nil {
			return "setgid", err
		}
		if os.Getgid() != int(id.gid) || os.Getegid() != int(id.gid) {
			return "setgid", syscall.EPERM
		}
	}
	if id.uid != 0 {
		was := os.Geteuid()
		if err := syscall.Setuid(int(id.uid)); err != nil {
			return "setuid", err
		}
		ids, uid := userIDs(), id.uid
		all := was != 0 || ids[0] == uid && ids[2] == uid // root's setuid(2) changes all three
		if ids[1] != uid || !all {
			return "setuid", syscall.EPERM
		}
	}
	return "", nil
}

func sameGroups(a, b []int) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
