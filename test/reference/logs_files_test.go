package reference_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pintle/test/dockertest"
)

// keepers are units whose lines are kept in files, of hermes in a directory of his own and of a disk of their own.
const keepers = `
main: {command: [sleep, infinity]}
services:
  deep:
    command: [talk, deep]
    user: hermes
    backoff: {initial: 10ms, max: 10ms}
    log: {directory: /opt/data/logs/deep, memory: 4KiB, mode: 0604, rotate: {size: 50KB, keep: 40, compress: gzip}}
  small:
    command: [talk, small]
    user: hermes
    log: {directory: /small/app, rotate: {size: 40KB, keep: 2}}
prepare:
  directories:
    - {path: /opt/data, owner: hermes}
`

// keep boots a container with the keepers. Its disk at /small is of 128 KiB and hermes'.
func keep(t *testing.T) *dockertest.Container {
	t.Helper()
	return boot(t, lifeOptions(logsImage(t, map[string]string{"keepers": keepers}), "keepers",
		"--tmpfs", "/small:size=128k,uid=10000,gid=10000,mode=0755"))
}

// holds waits until a shell's command, run as hermes, prints a text.
func holds(t *testing.T, c *dockertest.Container, script, want string) {
	t.Helper()
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("hermes", "sh", "-c", script)
		return strings.TrimSpace(r.Stdout) == want, r.String()
	}, fmt.Sprintf("%q prints %q", script, want))
}

// conditions waits until the status has a condition with this text, or with "" none at all.
func conditions(t *testing.T, c *dockertest.Container, text string) {
	t.Helper()
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "0", "status")
		if text == "" {
			return !strings.Contains(r.Stdout, "condition: "), r.Stdout
		}
		return strings.Contains(r.Stdout, "condition: ") && strings.Contains(r.Stdout, text), r.Stdout
	}, fmt.Sprintf("the condition is %q", text))
}

// What is kept in files can be read with ordinary tools, as docs/logs.md says: all lines are there once and in order,
// compressed or not; the files are the unit's user's, with the mode that was asked for, and no larger than they may be. Who
// renames the current file, or removes the directory, finds a new one.
func TestLogFilesAreForOrdinaryTools(t *testing.T) {
	t.Parallel()
	c := keep(t)
	const lines = 5000
	tell(t, c, "deep", fmt.Sprint("flood deep ", lines))
	holds(t, c, "cd logs/deep && zcat -f *.log* current | grep -c ' out deep '", fmt.Sprint(lines))
	holds(t, c, "cd logs/deep && ls -A | grep -vc '\\.gz$'", "1") // all that was set aside is compressed
	text := succeeds(t, c.Exec("hermes", "sh", "-c", "cd logs/deep && gzip -t *.gz && zcat -f *.log.gz current | grep -v 'Z run '"))
	if err := flooded(text, "deep", 1, lines); err != nil {
		t.Error(err)
	}
	if got := succeeds(t, c.Exec("hermes", "sh", "-c", "cd logs/deep && zgrep -h 'deep 00000007 ' *.log*")); strings.Count(got, "\n") != 1 {
		t.Errorf("zgrep finds %q", got)
	}
	files := strings.Fields(succeeds(t, c.Exec("hermes", "sh", "-c", "cd logs/deep && stat -c %u:%g.%a.%F * | tr ' ' - | sort -u")))
	if len(files) != 1 || files[0] != "10000:10000.604.regular-file" {
		t.Errorf("the files are %q", files)
	}
	if got := strings.TrimSpace(succeeds(t, c.Exec("hermes", "stat", "-c", "%u:%g.%a", "logs/deep"))); got != "10000:10000.705" { // who may read may enter
		t.Errorf("the directory is %s", got)
	}
	if got := succeeds(t, c.Exec("hermes", "sh", "-c", `cd logs/deep && for f in *.gz current; do zcat -f "$f" | wc -c; done | awk '$1 > 50000'`)); got != "" {
		t.Errorf("there are files of %s bytes", got)
	}

	// Somebody else's rotation. Up to a second later lines may go where the others went.
	more := 0
	another := func(what string) {
		t.Helper()
		dockertest.Eventually(t, soon, func() (bool, string) {
			more++
			utter(t, c, "deep", fmt.Sprintf("more %08d .", more))
			r := c.Exec("hermes", "test", "-e", "logs/deep/current")
			return r.Code == 0, r.String()
		}, what)
	}
	succeeds(t, c.Exec("hermes", "mv", "logs/deep/current", "/tmp/moved"))
	another("there is a new file")
	text = succeeds(t, c.Exec("hermes", "cat", "/tmp/moved", "logs/deep/current"))
	if err := flooded(text, "more", 1, more); err != nil {
		t.Errorf("%v:\n%s", err, text[strings.Index(text, "more"):])
	}
	marker := regexp.MustCompile(fmt.Sprintf(`^\S+Z run 1, line %d since \S+Z\n\S+Z out more %08d \.\n$`, lines+more, more))
	if text = succeeds(t, c.Exec("hermes", "cat", "logs/deep/current")); !marker.MatchString(text) {
		t.Errorf("the new file is %q", text)
	}
	succeeds(t, c.Exec("hermes", "rm", "-r", "logs/deep"))
	another("there is a new directory")
	conditions(t, c, "")
}

// A full disk holds up nobody for long: what is written stays in memory, a condition says so, and when there is room again
// it is in the file, without anybody's help. So it is with a directory whose place is taken.
func TestLogFilesOfAFullDisk(t *testing.T) {
	t.Parallel()
	c := keep(t)
	utter(t, c, "small", "while there is room")
	holds(t, c, "grep -c 'while there is room' /small/app/current", "1")
	c.Exec("hermes", "sh", "-c", "cat /dev/zero >/small/fill")
	// More than the rest of the file's last page has room for.
	tell(t, c, "small", "flood small 300")
	utter(t, c, "small", "while it is full")
	conditions(t, c, "small")
	if s := succeeds(t, pintle(c, "0", "status")); !strings.Contains(s, "/small/app/current: ") || !strings.Contains(s, "no space left on device") {
		t.Errorf("the status says %s", s)
	}
	succeeds(t, c.Exec("hermes", "rm", "/small/fill"))
	conditions(t, c, "")
	holds(t, c, "grep -c ' out while it is full$' /small/app/current", "1")
	text := succeeds(t, c.Exec("hermes", "sh", "-c", "cd /small/app && cat *"))
	if err := flooded(text, "small", 1, 300); err != nil {
		t.Error(err)
	}
	if strings.Contains(text, "missing") {
		t.Errorf("lines are missing:\n%s", text)
	}

	// A file in the directory's place, for a while.
	succeeds(t, c.Exec("hermes", "sh", "-c", "rm -r /small/app && touch /small/app"))
	tell(t, c, "small", "out one without a place")
	conditions(t, c, "small is kept in memory only")
	utter(t, c, "small", "another without a place")
	succeeds(t, c.Exec("hermes", "rm", "/small/app"))
	conditions(t, c, "")
	holds(t, c, "grep -c ' out another without a place$' /small/app/current", "1")
	if s := status(t, c, "small"); s.Run != 1 {
		t.Errorf("it was started anew: %+v", s)
	}
}

// What has left memory is read from the files, also compressed ones, and as if it had never left: in order, once, by its
// run and number; and so it is after the container has been started anew, and in another container on the volume. A
// cursor goes on across that.
func TestLogsOutliveMemoryAndContainer(t *testing.T) {
	t.Parallel()
	image := logsImage(t, map[string]string{"keepers": keepers})
	volume := prepareVolume(t, "chown 10000:10000 /opt/data")
	options := lifeOptions(image, "keepers", "-v", volume+":/opt/data", "--tmpfs", "/small:size=128k,uid=10000,mode=0755")
	c := boot(t, options)
	const lines = 3000
	tell(t, c, "deep", fmt.Sprint("flood first ", lines))
	tell(t, c, "deep", "exit 0")
	utter(t, c, "deep", "of the second run")
	check := func(c *dockertest.Container, what string, more ...string) []logLine {
		t.Helper()
		all := readLogs(t, c, "deep")
		text := wrote(all)
		if err := flooded(text, "first", 1, lines); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		rest := text[strings.LastIndex(text, " first ")+1:]
		_, rest, _ = strings.Cut(rest, "\n")
		if want := strings.Join(more, "\n"); rest != want {
			t.Errorf("%s: behind that there is %q, want %q", what, rest, want)
		}
		for i, l := range all {
			if i > 0 && l.Seq <= all[i-1].Seq {
				t.Fatalf("%s: the numbers do not grow: %+v, then %+v", what, all[i-1], l)
			}
		}
		return all
	}
	all := check(c, "in its first life", "deep of the second run")
	if len(all) <= lines {
		t.Fatalf("there are only %d lines", len(all))
	}
	middle := all[lines/2].Cursor
	after := func(c *dockertest.Container, what string, want ...string) {
		t.Helper()
		text := wrote(readLogs(t, c, "--cursor", middle, "deep"))
		if err := flooded(text, "first", lines/2+2, lines); err != nil {
			t.Errorf("%s, after the cursor: %v", what, err)
		}
		if !strings.HasSuffix(text, strings.Join(want, "\n")) {
			t.Errorf("%s, after the cursor there is %q at the end", what, text[max(0, len(text)-300):])
		}
	}
	after(c, "in its first life", "deep of the second run")
	if got := wrote(readLogs(t, c, "--run", "-1", "--tail", "2000", "deep")); flooded(got, "first", lines-1999, lines) != nil {
		t.Errorf("of the run before, the last 2000 are others")
	}

	c.Restart()
	answers(t, c)
	utter(t, c, "deep", "in another life")
	again := check(c, "in its second life", "deep of the second run", "deep in another life")
	for i, l := range all { // with the time, the run and the number that it had
		if i >= len(again) || again[i] != l {
			t.Fatalf("line %d was %+v, and is not so in the second life", i, l)
		}
	}
	after(c, "in its second life", "deep of the second run", "deep in another life")
	for run, want := range map[string]string{"0": "deep in another life", "-1": "deep of the second run"} {
		if got := wrote(readLogs(t, c, "--run", run, "deep")); got != want {
			t.Errorf("run %s has %q, want %q", run, got, want)
		}
	}
	if err := flooded(wrote(readLogs(t, c, "--run", "-2", "deep")), "first", 1, lines); err != nil {
		t.Errorf("run -2: %v", err)
	}
	c.Stop()

	c = boot(t, options)
	utter(t, c, "deep", "elsewhere")
	check(c, "in another container", "deep of the second run", "deep in another life", "deep elsewhere")
	after(c, "in another container", "deep of the second run", "deep in another life", "deep elsewhere")
	follow := c.Tty(dockertest.Options{}, "0", "sh", "-c", "pintle logs -f --cursor "+middle+" deep | cat")
	text := follow.Expect("elsewhere\r\n", soon)
	if err := flooded(text, "first", lines/2+2, lines); err != nil {
		t.Errorf("followed from the cursor on: %v", err)
	}
	utter(t, c, "deep", "and on")
	follow.Expect("and on\r\n", soon)
}
