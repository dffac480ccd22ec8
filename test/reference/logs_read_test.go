package reference_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pintle/test/dockertest"
)

// talkers are units that say what they are told.
const talkers = `
main: {command: [sleep, infinity]}
log: {readers: [games, "group:adm"]}
services:
  a: {command: [talk, a], backoff: {initial: 10ms, max: 10ms}}
  b: {command: [talk, b]}
templates:
  t:
    command: [talk, "%i"]
    user: hermes
    instances: {managers: [hermes], max: 10}
`

// Who may read what a unit wrote: root, the managers of its template, and log.readers, who may nothing else. Everybody
// else is refused with 77, by the rule that says so.
func TestWhoMayReadLogs(t *testing.T) {
	t.Parallel()
	c := boot(t, lifeOptions(logsImage(t, map[string]string{"talkers": talkers}), "talkers"))
	succeeds(t, pintle(c, "hermes", "create", "t@x"))
	utter(t, c, "a", "from a")
	utter(t, c, "t@x", "from x")
	const (
		root, stranger, reader = "0", "12345", "games"
		adm                    = "12345:4" // the stranger, as a member of group adm
		readers                = "root and log.readers (games, group:adm) may"
	)
	for _, try := range []struct {
		user, args string
		code       int
		says       string
		not        string
	}{
		{root, "logs a", 0, "from a", ""},
		{root, "logs t@x", 0, "from x", ""},
		{root, "logs *", 0, "from x", ""},
		{root, "logs main", 1, "docker logs", ""},
		{root, "logs nosuch", 4, "nosuch", ""},
		{"hermes", "logs t@x", 0, "from x", ""},
		{"hermes", "logs a", 77, "uid 10000 may not: only " + readers, "from a"},
		{"hermes", "logs a t@x", 77, "uid 10000 may not: only " + readers, "from"},
		{"hermes", "logs *", 0, "from x", "from a"}, // a pattern is for what he may read
		{"hermes", "logs -f a", 77, "uid 10000 may not", "from a"},
		{reader, "logs a", 0, "from a", ""},
		{reader, "logs t@x", 0, "from x", ""},
		{reader, "logs *", 0, "from a", ""},
		{reader, "restart t@x", 77, "", ""},
		{reader, "restart a", 77, "", ""},
		{adm, "logs a", 0, "from a", ""},
		{adm, "stop a", 77, "", ""},
		{stranger, "logs a", 77, "uid 12345 may not: only " + readers, "from a"},
		{stranger, "logs t@x", 77, "uid 12345 is not among the managers of template t (hermes), nor among log.readers (games, group:adm)", "from x"},
		{stranger, "logs *", 77, "uid 12345", "from"},
		{stranger, "status a", 0, "a", "from a"},
	} {
		r := pintle(c, try.user, strings.Fields(try.args)...)
		text := r.Stdout + r.Stderr
		if r.Code != try.code || !strings.Contains(text, try.says) || try.not != "" && strings.Contains(text, try.not) {
			t.Errorf("%s as %s: want %d with %q and not %q: %s", try.args, try.user, try.code, try.says, try.not, r)
		}
	}
	if s := status(t, c, "a"); s.Run != 1 {
		t.Errorf("somebody has restarted a: %+v", s)
	}
}

// Lines of several units are one stream in the order of their time; -o json says of each line what it is, text begins it
// with its unit, and raw is what the units wrote, byte for byte, on the stream that they wrote it to.
func TestLogsOfSeveralUnitsAreOneStream(t *testing.T) {
	t.Parallel()
	c := boot(t, lifeOptions(logsImage(t, map[string]string{"talkers": talkers}), "talkers"))
	began := time.Now().Add(-soon)
	var want []string
	for i := range 4 {
		utter(t, c, "a", fmt.Sprint("line ", 2*i))
		utter(t, c, "b", fmt.Sprint("line ", 2*i+1))
		want = append(want, fmt.Sprint("a line ", 2*i), fmt.Sprint("b line ", 2*i+1))
	}
	lines := readLogs(t, c, "a", "b")
	if got := wrote(lines); got != strings.Join(want, "\n") {
		t.Errorf("they are not in order:\n%s", got)
	}
	seqs := map[string]uint64{}
	for _, l := range lines {
		before, any := seqs[string(l.Unit)]
		if l.Run != 1 || l.Stream != "stdout" || any && l.Seq != before+1 || l.Time.Before(began) || l.Time.After(time.Now()) || l.Partial || l.Cursor == "" {
			t.Errorf("this is a line: %+v", l)
		}
		seqs[string(l.Unit)] = l.Seq
	}
	if got, want := succeeds(t, pintle(c, "0", "logs", "--tail", "1", "a", "b")), "a | line 6\nb | line 7\n"; got != want {
		t.Errorf("as text the last ones are %q, want %q", got, want)
	}

	// A run of its own, to its end: what it wrote last has no newline.
	tell(t, c, "a", "exit 3")
	tell(t, c, "a", `bytes \000\377\033[31m\r\n`)
	tell(t, c, "a", "err oops")
	tell(t, c, "a", "half no newline")
	tell(t, c, "a", "exit 4")
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "0", "logs", "-o", "raw", "a")
		const out = "line 0\nline 2\nline 4\nline 6\n\x00\xff\x1b[31m\r\nno newline"
		return r.Stdout == out && r.Stderr == "oops\n", fmt.Sprintf("%q, %q", r.Stdout, r.Stderr)
	}, "raw is what it wrote")
	// Where another run begins, text says so.
	utter(t, c, "a", "again")
	text := succeeds(t, pintle(c, "0", "logs", "a"))
	lifeInOrder(t, text, "line 6\n", "-- a: run 2 --\n", "\x00\xff\x1b[31m\r\n", "no newline\n", "-- a: run 3 --\n", "again\n")
}

// logs -f shows what comes, across the restarts of a unit, and units of a pattern that come to be later from their first
// line on.
func TestLogsFollowWhatComes(t *testing.T) {
	t.Parallel()
	c := boot(t, lifeOptions(logsImage(t, map[string]string{"talkers": talkers}), "talkers"))
	utter(t, c, "a", "before")
	one := c.Tty(dockertest.Options{}, "0", "sh", "-c", "pintle logs -f a | cat")
	all := c.Tty(dockertest.Options{}, "hermes", "sh", "-c", "pintle logs -f 't@*' | cat")
	one.Expect("before\r\n", soon)
	all.Expect(`no unit matches "t@*" yet`, soon)
	utter(t, c, "a", "now")
	one.Expect("now\r\n", soon)
	tell(t, c, "a", "exit 0")
	utter(t, c, "a", "in another run")
	if got := one.Expect("in another run\r\n", soon); !strings.Contains(got, "-- a: run 2 --\r\n") {
		t.Errorf("where another run begins it does not say so: %q", got)
	}
	for _, name := range []string{"x", "y"} {
		succeeds(t, pintle(c, "hermes", "create", "t@"+name))
		utter(t, c, "t@"+name, "one", "two")
		if got := all.Expect("t@"+name+" | two\r\n", soon); !strings.Contains(got, "t@"+name+" | one\r\n") {
			t.Errorf("of %s it shows %q", name, got)
		}
	}
	// One that was removed and comes again is followed again.
	succeeds(t, pintle(c, "hermes", "remove", "t@x"))
	succeeds(t, pintle(c, "hermes", "create", "t@x"))
	utter(t, c, "t@x", "back")
	all.Expect("t@x | back\r\n", soon)
	succeeds(t, pintle(c, "hermes", "remove", "t@x"))
	utter(t, c, "t@y", "still here")
	all.Expect("t@y | still here\r\n", soon)
	if got := one.Output() + all.Output(); strings.Count(got, "in another run") != 1 || strings.Count(got, "t@y | two") != 1 {
		t.Errorf("lines are there twice:\n%s", got)
	}
}

// Lines are found by their number from the end, by their time, by their run, and by where another reading ended, also
// where the unit was started anew since then.
func TestLogsAreFound(t *testing.T) {
	t.Parallel()
	c := boot(t, lifeOptions(logsImage(t, map[string]string{"talkers": talkers}), "talkers"))
	const runs, each = 3, 3
	for run := 1; run <= runs; run++ {
		for i := range each {
			utter(t, c, "a", fmt.Sprintf("%d.%d", run, i))
			utter(t, c, "b", fmt.Sprintf("beside %d.%d", run, i))
		}
		if run < runs {
			tell(t, c, "a", "exit 0")
		}
	}
	lines := slices.DeleteFunc(readLogs(t, c, "a"), func(l logLine) bool { return l.Stream == "pintle" })
	if len(lines) != runs*each {
		t.Fatalf("there are %d lines: %+v", len(lines), lines)
	}
	at := func(i int) string { return lines[i].Time.Format(time.RFC3339Nano) }
	for _, ask := range []struct {
		args string
		want string
	}{
		{"a", "1.0 1.1 1.2 2.0 2.1 2.2 3.0 3.1 3.2"},
		{"--tail 2 a", "3.1 3.2"},
		{"--tail 0 a", ""},
		{"--run 1 a", "1.0 1.1 1.2"},
		{"--run 2 a", "2.0 2.1 2.2"},
		{"--run 0 a", "3.0 3.1 3.2"},
		{"--run -1 a", "2.0 2.1 2.2"},
		{"--run -2 --tail 1 a", "1.2"},
		{"--since " + at(4) + " a", "2.1 2.2 3.0 3.1 3.2"},
		{"--until " + at(4) + " a", "1.0 1.1 1.2 2.0 2.1"},
		{"--since " + at(2) + " --until " + at(6) + " a", "1.2 2.0 2.1 2.2 3.0"},
		{"--since " + at(2) + " --run -1 a", "2.0 2.1 2.2"},
		{"--since 1h a", "1.0 1.1 1.2 2.0 2.1 2.2 3.0 3.1 3.2"},
		{"--until 1h a", ""},
		{"--cursor " + lines[3].Cursor + " a", "2.1 2.2 3.0 3.1 3.2"},
		{"--cursor " + lines[3].Cursor + " --run 0 a", "3.0 3.1 3.2"},
		{"--cursor " + lines[8].Cursor + " a", ""},
	} {
		var got []string
		for _, l := range readLogs(t, c, strings.Fields(ask.args)...) {
			if l.Stream != "pintle" {
				got = append(got, l.Text)
			}
		}
		if strings.Join(got, " ") != ask.want {
			t.Errorf("logs %s has %q, want %q", ask.args, got, ask.want)
		}
	}

	// One cursor of two units goes on with both, whatever has become of them since.
	r := pintle(c, "0", "logs", "--tail", "1", "--show-cursor", "a", "b")
	_, cursor, ok := strings.Cut(strings.TrimSpace(succeeds(t, r)+r.Stderr), "-- cursor: ")
	if !ok {
		t.Fatalf("there is no cursor: %s", r)
	}
	tell(t, c, "a", "exit 0")
	utter(t, c, "b", "later")
	utter(t, c, "a", "later, too")
	succeeds(t, pintle(c, "0", "restart", "b"))
	utter(t, c, "b", "at last")
	if got, want := wrote(readLogs(t, c, "--cursor", cursor, "a", "b")), "b later\na later, too\nb at last"; got != want {
		t.Errorf("after the cursor there is %q, want %q", got, want)
	}
	if r := pintle(c, "0", "logs", "--run", "99", "a"); r.Code != 4 || r.Stdout != "" || r.Stderr != "pintle: cannot show run 99 of a: nothing of it is kept\n" {
		t.Errorf("a run that never was: %s", r)
	}
	if r := pintle(c, "0", "logs", "--cursor", cursor[:len(cursor)-2], "a"); r.Code != 2 {
		t.Errorf("a cursor that was cut off: %s", r)
	}
}
