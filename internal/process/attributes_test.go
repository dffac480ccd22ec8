package process

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/unit"
)

// self is what /proc shows of a child: the lines of status and limits by their names, and stat's fields.
type self struct {
	lines map[string]string
	stat  []string // field n of proc_pid_stat(5) is stat[n-3]
	oom   string
}

// looks starts a child that shows what it begins with.
func (w *world) looks(c Command) self {
	w.t.Helper()
	c.Path = "/bin/cat"
	c.Args = []string{"cat", "/proc/self/status", "/proc/self/limits", "/proc/self/stat", "/proc/self/oom_score_adj"}
	l := w.start(c)
	s := self{lines: map[string]string{}}
	for line := range l.said {
		switch name, value, found := strings.Cut(line, ":"); {
		case found:
			s.lines[name] = strings.Join(strings.Fields(value), " ")
		case strings.HasPrefix(line, "Max "):
			s.lines[strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:])[:2], ":")
		case strings.Contains(line, "(cat)"):
			s.stat = strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
		default:
			s.oom = line
		}
	}
	if e := l.ends(); !e.Success() {
		w.t.Errorf("%+v: the child that looks %v", c.Attributes, e)
	}
	return s
}

const (
	niceField     = 19 - 3
	terminalField = 7 - 3
)

// whoever are pintle's own user, and another one where pintle can switch.
func whoever() map[string]*Identity {
	all := map[string]*Identity{"self": nil}
	if CanSwitch() == nil {
		all["user"] = &victim
	}
	return all
}

func ptr[T any](v T) *T { return &v }

// TestAttributes: a child has each attribute that it was given, whoever it is.
func TestAttributes(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		for who, id := range whoever() {
			s := w.looks(Command{Identity: id, Attributes: unit.Attributes{
				Umask: ptr[uint32](0o27), Nice: 5, OOMScoreAdj: ptr(321), NoNewPrivileges: true,
				Limits: map[string]unit.Limit{"nofile": {Soft: 77, Hard: 88}},
			}})
			for name, want := range map[string]string{"Umask": "0027", "NoNewPrivs": "1", "Max open files": "77:88"} {
				if s.lines[name] != want {
					t.Errorf("%s: %s is %q, want %q", who, name, s.lines[name], want)
				}
			}
			if s.stat[niceField] != "5" || s.oom != "321" {
				t.Errorf("%s: nice is %s, oom_score_adj %s", who, s.stat[niceField], s.oom)
			}
			if s := w.looks(Command{Identity: id, Attributes: unit.Attributes{Umask: ptr[uint32](0)}}); s.lines["Umask"] != "0000" || s.lines["NoNewPrivs"] != "0" {
				t.Errorf("%s: with a umask of 0 it has %q", who, s.lines["Umask"])
			}
			if s := w.looks(Command{Identity: id, Attributes: unit.Attributes{Nice: 100}}); s.stat[niceField] != "19" {
				t.Errorf("%s: nice to the end is %s", who, s.stat[niceField])
			}
		}
	})
}

// TestLimits: every limit arrives, also those that nothing could run with for long.
func TestLimits(t *testing.T) {
	alone(t, surroundings{}, func(t *testing.T) {
		w := newWorld(t)
		const mega = 1 << 20
		for name, c := range map[string]struct {
			line  string
			limit unit.Limit
		}{
			"as":         {"Max address space", unit.Limit{Soft: 16 * mega, Hard: 17 * mega}}, // a hundredth of what Go's runtime has
			"core":       {"Max core file size", unit.Limit{}},
			"cpu":        {"Max cpu time", unit.Limit{Soft: 5, Hard: 6}},
			"data":       {"Max data size", unit.Limit{Soft: 2 * mega, Hard: 2 * mega}},
			"fsize":      {"Max file size", unit.Limit{}},
			"locks":      {"Max file locks", unit.Limit{Soft: 1, Hard: 2}},
			"memlock":    {"Max locked memory", unit.Limit{Soft: 4096, Hard: 8192}},
			"msgqueue":   {"Max msgqueue size", unit.Limit{Soft: 1, Hard: 2}},
			"nice":       {"Max nice priority", unit.Limit{Soft: 0, Hard: 0}},
			"nofile":     {"Max open files", unit.Limit{Soft: 4, Hard: 5}},
			"nproc":      {"Max processes", unit.Limit{Soft: 5000, Hard: 6000}},
			"rss":        {"Max resident set", unit.Limit{Soft: mega, Hard: unit.Unlimited}},
			"rtprio":     {"Max realtime priority", unit.Limit{}},
			"rttime":     {"Max realtime timeout", unit.Limit{Soft: 1000, Hard: unit.Unlimited}},
			"sigpending": {"Max pending signals", unit.Limit{Soft: 1, Hard: 1}},
			"stack":      {"Max stack size", unit.Limit{Soft: mega, Hard: unit.Unlimited}},
		} {
			for who, id := range whoever() {
				s := w.looks(Command{Identity: id, Attributes: unit.Attributes{Limits: map[string]unit.Limit{name: c.limit}}})
				want := limitNumber(c.limit.Soft) + ":" + limitNumber(c.limit.Hard)
				if got := s.lines[c.line]; got != want {
					t.Errorf("%s as %s: %s is %q, want %q", name, who, c.line, got, want)
				}
			}
		}
		if len(limitNumbers) != 16 { // RLIM_NLIMITS
			t.Errorf("there are %d limits", len(limitNumbers))
		}
	})
}

// TestNoMoreProcesses: the limit of processes counts all that are the user's, and the step is one of them.
func TestNoMoreProcesses(t *testing.T) {
	alone(t, surroundings{PID1: true, Caps: dockerCaps}, func(t *testing.T) {
		w := newWorld(t)
		for range 2 {
			w.start(victim.does("say ready sleep")).hears("ready")
		}
		for range 20 {
			c := Command{Path: "/bin/true", Args: []string{"true"}, Identity: &victim}
			c.Attributes.Limits = map[string]unit.Limit{"nproc": {Soft: 1, Hard: 1}}
			_, err := w.try(c)
			var failure *ExecError
			want := "cannot execute /bin/true: the limit of processes is reached (pids of the container's cgroup, or RLIMIT_NPROC)"
			if !errors.As(err, &failure) || failure.Code != 126 || failure.Error() != want {
				t.Fatalf("%v", err)
			}
		}
	})
}

// capabilityLines are those of status that tell of capabilities.
var capabilityLines = []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}

func (s self) capabilities() (list []capabilitySet) {
	for _, name := range capabilityLines {
		n, _ := strconv.ParseUint(s.lines[name], 16, 64)
		list = append(list, capabilitySet(n))
	}
	return list
}

// TestCapabilities: at most those that a unit is bounded to, and of them those that are ambient, whoever it is.
func TestCapabilities(t *testing.T) {
	alone(t, surroundings{Caps: dockerCaps}, func(t *testing.T) {
		w := newWorld(t)
		set := func(numbers ...int) (s capabilitySet) {
			for _, n := range numbers {
				s |= 1 << n
			}
			return s
		}
		docker := set(dockerCaps...)
		bind, kill := set(unix.CAP_NET_BIND_SERVICE), set(unix.CAP_KILL)
		for _, c := range []struct {
			attributes  unit.Attributes
			bounding    capabilitySet
			ambient     capabilitySet
			inheritable capabilitySet
		}{
			{attributes: unit.Attributes{}, bounding: docker},
			{attributes: unit.Attributes{NoNewPrivileges: true}, bounding: docker},
			{attributes: unit.Attributes{Capabilities: []string{}}},
			{attributes: unit.Attributes{Capabilities: []string{"NET_BIND_SERVICE", "cap_kill"}}, bounding: bind | kill},
			{attributes: unit.Attributes{Capabilities: []string{"KILL", "SYS_ADMIN"}}, bounding: kill}, // at most: which pintle has not
			{attributes: unit.Attributes{AmbientCapabilities: []string{"NET_BIND_SERVICE"}}, bounding: docker, ambient: bind, inheritable: bind},
			{
				attributes: unit.Attributes{
					Capabilities: []string{"NET_BIND_SERVICE", "KILL"}, AmbientCapabilities: []string{"NET_BIND_SERVICE"}, NoNewPrivileges: true,
				},
				bounding: bind | kill, ambient: bind, inheritable: bind,
			},
		} {
			for who, id := range whoever() {
				has := c.ambient
				if id == nil {
					has = c.bounding // root's
				}
				want := []capabilitySet{c.inheritable, has, has, c.bounding, c.ambient}
				if got := w.looks(Command{Identity: id, Attributes: c.attributes}).capabilities(); !slices.Equal(got, want) {
					t.Errorf("%+v as %s: %v are %x, want %x", c.attributes, who, capabilityLines, got, want)
				}
			}
		}
	})
}

// TestAnAmbientCapabilityIsOfUse: another user's program does with it what else is root's.
func TestAnAmbientCapabilityIsOfUse(t *testing.T) {
	alone(t, surroundings{Caps: dockerCaps}, func(t *testing.T) {
		w := newWorld(t)
		file := logFile(t)
		must(t, file.Chmod(0o600))
		for _, ambient := range [][]string{nil, {"DAC_OVERRIDE"}} {
			c := Command{Path: "/bin/cat", Args: []string{"cat", file.Name()}, Identity: &victim, Files: [3]*os.File{nil, nil, file}}
			c.Attributes.AmbientCapabilities = ambient
			if e := w.start(c).ends(); e.Success() != (ambient != nil) {
				t.Errorf("with %v it %v", ambient, e)
			}
		}
	})
}

// TestInheritableCapabilities: what pintle was started with as inheritable does not lead around a unit's bounds.
func TestInheritableCapabilities(t *testing.T) {
	inherit := []int{unix.CAP_KILL, unix.CAP_CHOWN}
	alone(t, surroundings{Caps: dockerCaps, Inherit: inherit}, func(t *testing.T) {
		got := newWorld(t).looks(Command{Attributes: unit.Attributes{Capabilities: []string{"CHOWN"}}}).capabilities()
		const chown = 1 << unix.CAP_CHOWN
		if want := []capabilitySet{chown, chown, chown, chown, 0}; !slices.Equal(got, want) {
			t.Errorf("%v are %x, want %x", capabilityLines, got, want)
		}
	})
}

// TestRefusals: what the kernel or the container does not allow is a sentence that names the key, and nothing runs.
func TestRefusals(t *testing.T) {
	limit := func(name string, soft, hard uint64) unit.Attributes {
		return unit.Attributes{Limits: map[string]unit.Limit{name: {Soft: soft, Hard: hard}}}
	}
	type refusal struct {
		attributes unit.Attributes
		says       string
	}
	both := []refusal{
		{limit("nofile", 1<<31, 1<<31), "cannot set the limit nofile to 2147483648: the kernel allows at most "},
		{limit("nofiles", 1, 1), `cannot set the limit "nofiles": there is none of that name (getrlimit(2))`},
		{limit("core", 2, 1), "cannot set the limit core to 2:1: the soft limit is above the hard one"},
		{unit.Attributes{Nice: -5}, "cannot set nice to -5: only CAP_SYS_NICE makes it less than pintle's own, which is 0: permission denied"},
		{unit.Attributes{OOMScoreAdj: ptr(-1000)}, "cannot set oom_score_adj to -1000: only CAP_SYS_RESOURCE makes it less than pintle's own: permission denied"},
		{unit.Attributes{OOMScoreAdj: ptr(1001)}, "cannot set oom_score_adj to 1001: invalid argument"},
		{unit.Attributes{Capabilities: []string{"NO_SUCH"}}, `cannot use the capability "NO_SUCH": there is none of that name (capabilities(7))`},
		{unit.Attributes{AmbientCapabilities: []string{""}}, `cannot use the capability "": there is none`},
		{unit.Attributes{AmbientCapabilities: []string{"SYS_ADMIN"}}, "cannot give the ambient capability SYS_ADMIN: pintle does not have it"},
		{unit.Attributes{Capabilities: []string{"KILL"}, AmbientCapabilities: []string{"CHOWN"}}, "cannot give the ambient capability CHOWN: it is not among the unit's capabilities"},
	}
	for name, c := range map[string]struct {
		surroundings
		more []refusal
	}{
		"docker's root": {surroundings{Caps: dockerCaps}, nil},
		"a user": {surroundings{UID: 10000, GID: 10000}, []refusal{
			{unit.Attributes{AmbientCapabilities: []string{"CHOWN"}}, "cannot give the ambient capability CHOWN: pintle does not have it"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, c.surroundings, func(t *testing.T) {
				w := newWorld(t)
				must(t, unix.Prlimit(0, unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: 4096}, nil))
				all := append(slices.Clone(both), c.more...)
				all = append(all, refusal{
					limit("core", 0, unit.Unlimited),
					"cannot set the limit core to 0:unlimited: only CAP_SYS_RESOURCE makes it more than pintle's own hard limit, which is 4096: operation not permitted",
				})
				for _, r := range all {
					for who, id := range whoever() {
						l, err := w.try(Command{Path: "/bin/true", Args: []string{"true"}, Identity: id, Attributes: r.attributes})
						var failure *ExecError
						if !errors.As(err, &failure) || failure.Code != 126 || !strings.HasPrefix(failure.Error(), r.says) || strings.Contains(failure.Error(), "\n") {
							t.Errorf("%s: %v; want %s", who, err, r.says)
						}
						if l.Run != nil || l.happened() != "" || !childless() {
							t.Errorf("%s: %s: something ran: %s", who, r.says, l.happened())
						}
					}
				}
			})
		})
	}
}

// TestAUsersAttributes: a pintle that is not root gives what it may.
func TestAUsersAttributes(t *testing.T) {
	alone(t, surroundings{UID: 10000, GID: 10000}, func(t *testing.T) {
		w := newWorld(t)
		s := w.looks(Command{Attributes: unit.Attributes{
			Umask: ptr[uint32](0o77), Nice: 3, OOMScoreAdj: ptr(500), NoNewPrivileges: true, Limits: map[string]unit.Limit{"core": {}},
		}})
		if s.lines["Umask"] != "0077" || s.stat[niceField] != "3" || s.oom != "500" || s.lines["NoNewPrivs"] != "1" ||
			s.lines["Max core file size"] != "0:0" || s.lines["Uid"] != "10000 10000 10000 10000" {
			t.Errorf("%+v", s)
		}
		// It can't make its bounding set smaller, but nothing in that can be had.
		for _, few := range [][]string{{}, {"KILL"}} {
			s := w.looks(Command{Attributes: unit.Attributes{Capabilities: few}})
			if s.lines["NoNewPrivs"] != "1" || s.lines["CapPrm"] != "0000000000000000" || s.lines["CapInh"] != "0000000000000000" {
				t.Errorf("with %q: %+v", few, s)
			}
		}
	})
}

// TestTheStepCostsNothingUnused: without a terminal, a change of user or attributes there is none.
func TestTheStepCostsNothingUnused(t *testing.T) {
	self := Self(account.Database{})
	for i, c := range []struct {
		Command
		need bool
	}{
		{Command{}, false},
		{Command{Identity: &self, Dir: "/", More: map[int]*os.File{3: os.Stdin}}, false},
		{Command{Terminal: true}, true},
		{Command{Identity: &Identity{UID: self.UID + 1}}, true},
		{Command{Attributes: unit.Attributes{Umask: new(uint32)}}, true},
		{Command{Attributes: unit.Attributes{Capabilities: []string{}}}, true},
	} {
		if c.needsStep() != c.need {
			t.Errorf("%d: %v", i, c.needsStep())
		}
	}
}
