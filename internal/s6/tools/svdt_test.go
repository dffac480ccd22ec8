package tools

import (
	"strconv"
	"testing"
)

// TestSvdt: s6-svdt lists the deaths that the real one lists, of real services and of tallies of all kinds.
func TestSvdt(t *testing.T) {
	t.Parallel()
	tally := func(records ...string) map[string]string {
		all := ""
		for _, r := range records {
			all += r
		}
		return map[string]string{"s/supervise/death_tally": all}
	}
	some := tally(record(500, 0, 0), record(400, 255, 0), record(300, 137, 9), record(10, 1, 0))
	var every []string
	for signal := range 256 {
		every = append(every, record(1000-signal, signal, signal))
	}
	var many []string
	for i := range 5000 {
		many = append(many, record(6000-i, i%256, 0))
	}
	of := func(options ...string) []string { return append(options, "s") }
	trials := []trial{
		{name: "some", args: of(), files: some},
		{name: "in numbers", args: of("-s"), files: some},
		{name: "in names after all", args: of("-s", "-S"), files: some},
		{name: "newest", args: of("-n", "2"), files: some},
		{name: "newest in numbers", args: of("-sn1"), files: some},
		{name: "none", args: of("-n", "0"), files: some},
		{name: "none of nothing", args: of("-n", "0")},
		{name: "more than there are", args: of("-n", "5"), files: some},
		{name: "far more", args: of("-n", "4294967295"), files: some},
		{name: "too many", args: of("-n", "4294967296"), files: some},
		{name: "no number", args: of("-n", "x"), files: some},
		{name: "negative number", args: of("-n", "-1"), files: some},
		{name: "every signal", args: of(), files: tally(every...)},
		{name: "every signal in numbers", args: of("-s"), files: tally(every...)},
		{name: "more than is kept", args: of(), files: tally(many...)},
		{name: "empty", args: of(), files: tally(), tree: true},
		{name: "broken", args: of(), files: map[string]string{"s/supervise/death_tally": "0123456789abcde"}, tree: true},
		{name: "no tally", args: of(), files: map[string]string{"s/supervise/": ""}, tree: true},
		{name: "no supervise", args: of(), files: map[string]string{"s/": ""}, tree: true},
		{name: "no service", args: of(), tree: true},
		{name: "tally is a directory", args: of(), files: map[string]string{"s/supervise/death_tally/": ""}, tree: true},
		{name: "supervise is a file", args: of(), files: map[string]string{"s/supervise": ""}, tree: true},
		{name: "not to be read", args: of(), files: some, before: "chmod 0 s/supervise/death_tally", as: nobodyElse},
		{name: "not to be made", args: of(), files: map[string]string{"s/supervise/": ""}, as: nobodyElse},
		{name: "broken and not to be emptied", args: of(), files: map[string]string{"s/supervise/death_tally": "1"}, as: nobodyElse},
		{name: "link to another tally", args: of(), files: tally(record(1, 1, 0)), before: "mv s/supervise/death_tally t; ln -s ../../t s/supervise/death_tally"},
		{name: "link to somebody's file", args: of(), files: map[string]string{"s/supervise/": "", "t": "dear to him"}, links: map[string]string{"s/supervise/death_tally": "../../t"}, tree: true,
			differs: &difference{why: "who owns the directory could have a file of root's emptied", code: 111,
				stderr: "s6-svdt: fatal: unable to read death tally for service s: Too many levels of symbolic links\n",
				tree: []string{
					". drwxr-xr-x", "s drwxr-xr-x", "s/supervise drwxr-xr-x", "s/supervise/death_tally Lrwxrwxrwx", `t -rw-r--r-- 11 "dear to him"`,
				}}},
		{name: "other name of somebody's file", args: of(), files: map[string]string{"s/supervise/": "", "t": "dear to him"}, before: "ln t s/supervise/death_tally", tree: true,
			differs: &difference{why: "who owns the directory could have a file of root's emptied", code: 111,
				stderr: "s6-svdt: fatal: unable to read death tally for service s: not what a supervisor has made\n",
				tree: []string{
					". drwxr-xr-x", "s drwxr-xr-x", "s/supervise drwxr-xr-x", `s/supervise/death_tally -rw-r--r-- 11 "dear to him"`, `t -rw-r--r-- 11 "dear to him"`,
				}}},
		{name: "nothing can be written", args: of(), files: some, under: `exec "$@" >/dev/full`},
		{name: "several", args: []string{"s", "t"}, files: some},
		{name: "nothing"},
		{name: "unknown option", args: of("-x")},
		{name: "double dash", args: of("--"), files: some},
	}
	for _, number := range []string{"1", "3", "4", "4095", "4096", "4097"} {
		trials = append(trials, trial{name: "newest " + number + " of many", args: of("-n", number), files: tally(many...)})
	}
	compare(t, "s6-svdt", trials)
	var scenes []scene
	dir := plant(t)
	for i, place := range places {
		if place == "plain" || place == "/" {
			continue
		}
		scenes = append(scenes, scene{name: "at " + strconv.Itoa(i), args: []string{place}})
	}
	play(t, "s6-svdt", dir, scenes)
}

// TestSvdtClear: s6-svdt-clear leaves the directory as the real one does.
func TestSvdtClear(t *testing.T) {
	t.Parallel()
	some := map[string]string{"s/supervise/death_tally": record(1, 1, 0)}
	empty := map[string]string{"s/supervise/": ""}
	compare(t, "s6-svdt-clear", []trial{
		{name: "some", args: []string{"s"}, files: some, tree: true},
		{name: "empty", args: []string{"s"}, files: map[string]string{"s/supervise/death_tally": ""}, tree: true},
		{name: "no tally", args: []string{"s"}, files: empty, tree: true},
		{name: "umask", args: []string{"s"}, files: empty, tree: true, under: `umask 077; "$@"`},
		{name: "no umask", args: []string{"s"}, files: empty, tree: true, under: `umask 0; "$@"`},
		{name: "other mode before", args: []string{"s"}, files: some, before: "chmod 600 s/supervise/death_tally", tree: true},
		{name: "left by one that died", args: []string{"s"}, files: map[string]string{"s/supervise/death_tally": "1", "s/supervise/death_tally.new": "2"}, tree: true},
		{name: "tally is a directory", args: []string{"s"}, files: map[string]string{"s/supervise/death_tally/x": ""}, tree: true},
		{name: "interim is a directory", args: []string{"s"}, files: map[string]string{"s/supervise/death_tally.new/": ""}, tree: true},
		{name: "tally is a link", args: []string{"s"}, files: map[string]string{"s/supervise/": "", "t": "1"}, links: map[string]string{"s/supervise/death_tally": "../../t"}, tree: true},
		{name: "no supervise", args: []string{"s"}, files: map[string]string{"s/": ""}, tree: true},
		{name: "supervise is a file", args: []string{"s"}, files: map[string]string{"s/supervise": ""}, tree: true},
		{name: "no service", args: []string{"s"}, tree: true},
		{name: "service is a file", args: []string{"s"}, files: map[string]string{"s": ""}, tree: true},
		{name: "no right to", args: []string{"s"}, files: some, tree: true, as: nobodyElse},
		{name: "no right to with a right to the file", args: []string{"s"}, files: some, before: "chmod 666 s/supervise/death_tally", tree: true, as: nobodyElse},
		{name: "several", args: []string{"s", "t"}, files: some, tree: true},
		{name: "nothing"},
		{name: "no options", args: []string{"-x", "s"}, files: some, tree: true},
		{name: "empty name", args: []string{""}},
		{name: "and then asked", args: []string{"s"}, files: some, under: `"$@"; s6-svdt s`},
	})
}
