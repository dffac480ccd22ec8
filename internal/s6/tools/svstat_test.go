package tools

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// places are where a service directory can be looked for, good and bad.
var places = []string{
	"steady", "ready", "unready", "finishing", "stuck", "crashed", "killed", "down", "fails", "stubborn", "willful", "paused",
	"contrary", "logged", "logged/log", "link", "steady/", "./steady", "steady/../ready",
	"none", "plain", "file", "bare", "odd", "old", "missing", "with space", "", ".", "/", strings.Repeat("x", 300),
}

// TestSvok: s6-svok knows which service directories have a supervisor, and says nothing else.
func TestSvok(t *testing.T) {
	t.Parallel()
	scenes := []scene{
		{name: "nothing"},
		{name: "several", args: []string{"none", "steady"}},
		{name: "no options", args: []string{"-u", "steady"}},
		{name: "only a double dash", args: []string{"--", "steady"}},
		{name: "as somebody else", args: []string{"steady"}, as: nobodyElse},
		{name: "nothing there, as somebody else", args: []string{"none"}, as: nobodyElse},
		{name: "another release", args: []string{"steady"}, env: []string{"PINTLE_S6_VERSION=2.15.1.0"}},
		{name: "supervise is not to be searched, but readable to us", args: []string{"bare"}, before: "chmod 0 bare/supervise"},
		{name: "lock that is a directory", args: []string{"odd"}, before: "mkdir -p odd/supervise/lock"},
	}
	for _, place := range places {
		scenes = append(scenes, scene{name: "at " + place, args: []string{place}})
	}
	play(t, "s6-svok", plant(t), scenes)
}

// TestSvstat: s6-svstat says of services in all states, and of what is none, what the real one says, be it in fields or in a sentence.
func TestSvstat(t *testing.T) {
	t.Parallel()
	dir := plant(t)
	all := "up,wantedup,normallyup,ready,paused,pid,exitcode,signal,signum,updownsince,readysince,updownfor,readyfor"
	scenes := []scene{
		{name: "nothing"},
		{name: "no directory", args: []string{"-u"}},
		{name: "several", args: []string{"ready", "steady"}},
		{name: "as somebody else", args: []string{"steady"}, as: nobodyElse},
		{name: "open to others", args: []string{"steady"}, as: nobodyElse, before: "chmod 755 steady/supervise"},
		{name: "open to others, fields", args: []string{"-o", all, "steady"}, as: nobodyElse},
		{name: "nothing there, as somebody else", args: []string{"none"}, as: nobodyElse},
		{name: "unknown option", args: []string{"-x", "steady"}},
		{name: "pgid is of later releases", args: []string{"-g", "steady"}},
		{name: "pgid as a field is, too", args: []string{"-o", "pgid", "steady"}},
		{name: "long option", args: []string{"--up", "steady"}},
		{name: "double dash", args: []string{"-u", "--", "steady"}},
		{name: "options after it", args: []string{"steady", "-u"}},
		{name: "no list", args: []string{"-o"}},
		{name: "empty list", args: []string{"-o", "", "steady"}},
		{name: "comma", args: []string{"-o", ",", "steady"}},
		{name: "comma first", args: []string{"-o", ",up", "steady"}},
		{name: "comma last", args: []string{"-o", "up,", "steady"}},
		{name: "two commas", args: []string{"-o", "up,,ready", "steady"}},
		{name: "unknown field", args: []string{"-o", "up,size", "steady"}},
		{name: "field with more", args: []string{"-o", "upper", "steady"}},
		{name: "case", args: []string{"-o", "UP", "steady"}},
		{name: "attached list", args: []string{"-oup,pid", "steady"}},
		{name: "lists and letters", args: []string{"-u", "-o", "signum,readyfor", "-wN", "-o", "paused", "ready"}},
		{name: "numbers and fields", args: []string{"-n", "-o", "signal,signum", "killed"}},
		{name: "sixteen", args: []string{"-uwNrpestuwNrpest", "killed"}},
		{name: "sixteen labels", args: []string{"-o", strings.Repeat("updownsince,", 16), "killed"}},
		{name: "seventeen", args: []string{"-uwNrpestuwNrpestu", "killed"}},
		{name: "seventeen in a list", args: []string{"-o", strings.Repeat("up,", 17), "killed"}},
		{name: "sixteen and an unknown one", args: []string{"-o", strings.Repeat("up,", 16) + "x", "killed"}},
		{name: "nothing can be written", args: []string{"steady"}, under: `exec "$@" >/dev/full`},
		{name: "finishes", args: []string{"-o", all, "stuck"}},
		{name: "status is gone", args: []string{"down"}, before: "[ -e down/supervise/gone ] || mv down/supervise/status down/supervise/gone"},
		{name: "status is short", args: []string{"down"}, before: "head -c 34 down/supervise/gone >down/supervise/status"},
		{name: "status is long", args: []string{"down"}, before: "cat down/supervise/gone - <down/run >down/supervise/status"},
		{name: "status is empty", args: []string{"down"}, before: ": >down/supervise/status"},
		{name: "status is a directory", args: []string{"down"}, before: "rm -rf down/supervise/status; mkdir down/supervise/status"},
		{name: "down is a link to nowhere", args: []string{"contrary"}, before: "ln -sf nowhere contrary/down"},
		{name: "down is a loop", args: []string{"contrary"}, before: "ln -sf down contrary/down"},
	}
	for _, place := range places {
		scenes = append(scenes,
			scene{name: "at " + place, args: []string{place}},
			scene{name: "in numbers at " + place, args: []string{"-n", place}},
			scene{name: "fields of " + place, args: []string{"-o", all, place}},
			scene{name: "letters of " + place, args: []string{"-uwNrpest", place}})
	}
	for _, field := range strings.Split(all, ",") {
		for n := 1; n <= len(field); n++ {
			scenes = append(scenes, scene{name: field[:n] + " of " + strconv.Itoa(n), args: []string{"-o", field[:n], "killed"}})
		}
	}
	play(t, "s6-svstat", dir, append(scenes, statuses(t, dir)...))
}

// statuses are what no service shows us at will: each byte of flags with each way to end, in the place of down's status.
func statuses(t *testing.T, dir string) (scenes []scene) {
	t.Helper()
	at := func(ago int) string { return record(ago, 0, 0)[:12] }
	for flags := range 16 {
		for _, ended := range []string{"\x03\x00", "\x00\x0b", "\x00\x06", "\x00\x89", "\x00\x40", "\x7f\x13"} {
			for _, pid := range []string{"\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x30\x39"} {
				status := at(100) + at(90) + pid + ended + string([]byte{byte(flags)})
				name := "status" + strconv.Itoa(len(scenes))
				if err := os.WriteFile(dir+"/../"+name, []byte(status), 0o644); err != nil {
					t.Fatal(err)
				}
				put := "rm -rf down/supervise/status; cp ../" + name + " down/supervise/status"
				scenes = append(scenes,
					scene{name: name, args: []string{"down"}, before: put},
					scene{name: name + " in fields", args: []string{"-o", "up,wantedup,ready,paused,pid,exitcode,signal,signum", "down"}})
			}
		}
	}
	return scenes
}
