package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// logsFor runs a command line until it ends, or is interrupted after 20 s.
func logsFor(t *testing.T, f *fake, change func(context.Context, *Options) context.Context, args ...string) result {
	t.Helper()
	got := pintleWith(t, f, func(ctx context.Context, o *Options) context.Context {
		if change != nil {
			ctx = change(ctx, o)
		}
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		t.Cleanup(cancel)
		return ctx
	}, args...)
	f.scripts.Wait()
	if f.books.streams != 0 {
		t.Errorf("%d streams are still open", f.books.streams)
	}
	return got
}

// written is a container whose units a and b have written turn by turn, two runs each: r1.0 of a, r1.1 of b, and so on,
// a millisecond apart.
func written() *fake {
	f := some()
	for i := range 8 {
		f.wrote([]unit.Name{"gateway@a", "gateway@b"}[i%2], uint64(1+i/4), fmt.Sprintf("\x1b[1mr%d.%d", 1+i/4, i))
		time.Sleep(time.Millisecond)
	}
	return f
}

// TestLogs keeps the promises about whose line is shown how and in which order.
func TestLogs(t *testing.T) {
	t.Parallel()
	quiet := terminal(0, "NO_COLOR=1")
	of := func(parts ...string) string { return strings.Join(parts, "\n") + "\n" }
	for _, tt := range []struct {
		name, args string
		change     func(context.Context, *Options) context.Context
		want       result
	}{
		{"one unit is bare", "gateway@a", nil, result{0, of("\x1b[1mr1.0", "\x1b[1mr1.2", "-- gateway@a: run 2 --", "\x1b[1mr2.4", "\x1b[1mr2.6"), ""}},
		{"a terminal is kept safe", "gateway@a --tail 1", quiet, result{0, "r2.6\n", ""}},
		{"several are merged by time", "gateway@b gateway@a", quiet, result{0, of("gateway@a | r1.0", "gateway@b | r1.1", "gateway@a | r1.2",
			"gateway@b | r1.3", "-- gateway@a: run 2 --", "gateway@a | r2.4", "-- gateway@b: run 2 --", "gateway@b | r2.5", "gateway@a | r2.6", "gateway@b | r2.7"), ""}},
		{"a pattern leaves out main, whose output is not pintle's", "* -n1", quiet, result{0, of("gateway@a | r2.6", "gateway@b | r2.7"), ""}},
		{"a pattern of one unit is bare", "*@b -n1", quiet, result{0, "r2.7\n", ""}},
		{"a label", "-l tier=chat -n1", quiet, result{0, "r2.7\n", ""}},
		{"names have colours", "gateway@a gateway@b dashboard -n1", terminal(0), result{0,
			of("\x1b[31mgateway@a |\x1b[0m r2.6", "\x1b[32mgateway@b |\x1b[0m r2.7"), ""}},
		{"a boundary is dim", "gateway@a -n3", terminal(0), result{0, of("r1.2", "\x1b[2m-- gateway@a: run 2 --\x1b[0m", "r2.4", "r2.6"), ""}},
		{"times", "gateway@a gateway@b -n1 -t", quiet, result{0,
			of("2000-01-01T00:00:00.006000Z gateway@a | r2.6", "2000-01-01T00:00:00.007000Z gateway@b | r2.7"), ""}},
		{"tail counts for each", "--tail 1 gateway@a gateway@b", quiet, result{0, of("gateway@a | r2.6", "gateway@b | r2.7"), ""}},
		{"tail of nothing", "--tail 0 gateway@a gateway@b", nil, result{0, "", ""}},
		{"json", "-n1 gateway@a -o json", nil, result{0,
			`{"unit":"gateway@a","run":2,"seq":4,"time":"2000-01-01T00:00:00.006Z","stream":"stdout","text":"\u001b[1mr2.6","cursor":"c1-CWdhdGV3YXlAYQQ"}` + "\n", ""}},
		{"the newest run", "--run 0 gateway@a", quiet, result{0, of("r2.4", "r2.6"), ""}},
		{"the run before it", "--run -1 gateway@a gateway@b", quiet,
			result{0, of("gateway@a | r1.0", "gateway@b | r1.1", "gateway@a | r1.2", "gateway@b | r1.3"), ""}},
		{"a run by number", "gateway@a --run 2 -n1", quiet, result{0, "r2.6\n", ""}},
		{"a run that never was", "gateway@a --run 9", quiet, result{4, "", "pintle: cannot show run 9 of gateway@a: nothing of it is kept\n"}},
		{"nothing of a run at that time", "gateway@a --run 2 --until 1970-01-01T00:00:00Z", quiet, result{0, "", ""}},
		{"since", "gateway@a --since 2000-01-01T00:00:00.004Z", quiet, result{0, of("r2.4", "r2.6"), ""}},
		{"until", "gateway@a --until 2000-01-01T00:00:00.002Z", quiet, result{0, of("r1.0", "r1.2"), ""}},
		{"since and until, and tail of them", "gateway@a --since 2000-01-01T00:00:00Z --until 2000-01-01T00:00:00.004Z --tail 1", quiet, result{0, "r2.4\n", ""}},
		{"how long ago", "gateway@a --since 1h --tail 1", quiet, result{0, "r2.6\n", ""}},
		{"follow what is over", "gateway@a -f -n1 --until 1ms", quiet, result{0, "r2.6\n", ""}},
		{"a cursor", "gateway@a --cursor " + cursor{"gateway@a": 2}.String(), quiet, result{0, of("r2.4", "r2.6"), ""}},
		{"a cursor of one unit, tail for another", "gateway@a gateway@b -n1 --cursor " + cursor{"gateway@a": 2}.String(), quiet,
			result{0, of("gateway@a | r2.4", "gateway@a | r2.6", "gateway@b | r2.7"), ""}},
		{"two cursors", "gateway@a gateway@b --cursor " + cursor{"gateway@a": 3}.String() + " --cursor " + cursor{"gateway@b": 4}.String(), quiet,
			result{0, "gateway@a | r2.6\n", ""}},
		{"the cursor at the end", "gateway@a gateway@b -n1 --show-cursor", quiet, result{0, of("gateway@a | r2.6", "gateway@b | r2.7"),
			"-- cursor: " + cursor{"gateway@a": 4, "gateway@b": 4}.String() + "\n"}},
		{"a cursor keeps what was not asked for", "gateway@b -n1 --show-cursor --cursor " + cursor{"gateway@a": 2}.String(), quiet, result{0, "r2.7\n",
			"-- cursor: " + cursor{"gateway@a": 2, "gateway@b": 4}.String() + "\n"}},
		{"the cursor of now", "gateway@b -n0 --show-cursor", quiet, result{0, "", "-- cursor: " + cursor{"gateway@b": 4}.String() + "\n"}},
		{"no such unit", "nosuch", nil, result{4, "", "pintle: cannot show the logs of nosuch: there is no such unit\n"}},
		{"no such unit among others", "gateway@a nosuch", nil, result{4, "", "pintle: cannot show the logs of nosuch: there is no such unit\n"}},
		{"no such unit to follow", "-f --show-cursor gateway@a nosuch", nil, result{4, "", "pintle: cannot show the logs of nosuch: there is no such unit\n"}},
		{"nothing matches", "x*", nil, result{4, "", "pintle: cannot show the logs of \"x*\": no unit matches\n"}},
		{"main", "main", nil, result{1, "", "pintle: cannot read the log of main: its output goes to the container's own, see docker logs\n"}},
		{"main, followed", "-f main gateway@a", nil, result{1, "", "pintle: cannot read the log of main: its output goes to the container's own, see docker logs\n"}},
		{"nothing but main matches", "mai*", nil, result{1, "", "pintle: cannot read the log of main: its output goes to the container's own, see docker logs\n"}},
		{"raw has no times", "gateway@a -o raw -t", nil, result{2, "", "pintle: cannot show the logs: nothing is added to -o raw, so --timestamps does not go with it\n"}},
		{"no time between", "gateway@a --since 1h --until 2h", nil, result{2, "", "pintle: cannot show the logs: --until is before --since\n"}},
		{"no time", "gateway@a --since tomorrow", nil, result{2, "", `pintle: cannot understand the command line: invalid argument "tomorrow" for "--since" flag: ` +
			`it is how long ago (10m, 2h30m, 3d) or a time (09:30, "2026-11-23 09:30:00", today, yesterday, RFC 3339); see 'pintle logs --help'` + "\n"}},
		{"no run", "gateway@a --run last", nil, result{2, "", `pintle: cannot understand the command line: invalid argument "last" for "--run" flag: ` +
			`it is the number of a run, or 0, -1, …, counted from the newest; see 'pintle logs --help'` + "\n"}},
		{"no cursor", "gateway@a --cursor x", nil, result{2, "", `pintle: cannot understand the command line: invalid argument "x" for "--cursor" flag: ` +
			`it is no cursor, as --show-cursor and -o json show them; see 'pintle logs --help'` + "\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := written()
				if got := logsFor(t, f, tt.change, append([]string{"logs"}, strings.Fields(tt.args)...)...); got != tt.want {
					t.Errorf("got %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}

// TestLogsRaw: raw is what the units wrote, byte for byte, where they wrote it.
func TestLogsRaw(t *testing.T) {
	t.Parallel()
	f := some()
	for i, l := range []engine.Line{
		{Stream: engine.Stdout, Text: "\xff\x1b[1m\x00"}, {Stream: engine.Stderr, Text: "oh"}, {Stream: "pintle", Text: "it exited with code 1"},
		{Stream: engine.Stdout, Text: "half a ", Partial: true}, {Stream: engine.Stdout, Text: "line"}, {Stream: engine.Stderr, Text: "name: ", Partial: true},
	} {
		l.Unit, l.Run, l.Time = "gateway@a", uint64(1+i/3), time.Unix(int64(i), 0)
		f.wroteLine(l)
	}
	if got, want := pintleWith(t, f, terminal(0), "logs", "gateway@a", "-o", "raw"), (result{0, "\xff\x1b[1m\x00\nhalf a line\n", "oh\nname: "}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestLogsJSON: each line's cursor is that line's, and what is added takes nothing away.
func TestLogsJSON(t *testing.T) {
	t.Parallel()
	f := written()
	for l := range strings.Lines(pintle(t, f, "logs", "gateway@a", "gateway@b", "-o", "json").stdout) {
		var line struct {
			engine.Line
			Cursor string
		}
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
		if c, err := parseCursor(line.Cursor); err != nil || !maps.Equal(c, cursor{line.Unit: line.Seq}) {
			t.Errorf("%s: %v, %v", l, c, err)
		}
	}
}

// TestFollow keeps the promise that what comes is shown once and in order, of units that come later from their first
// line, and that following ends when there is nothing to follow, and says so when pintle ends.
func TestFollow(t *testing.T) {
	t.Parallel()
	gone := func(f *fake, name unit.Name) { f.set(name, func(s *engine.Status) { s.Gone = true }) }
	appear := func(f *fake, name unit.Name, labels map[string]string) {
		f.mu.Lock()
		f.units[name] = &engine.Status{Name: name, Kind: unit.Instance, State: unit.Up, Labels: labels}
		f.mu.Unlock()
		f.set(name, func(s *engine.Status) { s.Run++ })
	}
	of := func(parts ...string) string { return strings.Join(parts, "\n") + "\n" }
	const ends = "pintle: cannot watch any longer: the supervisor has ended\n"
	for _, tt := range []struct {
		name, args string
		script     func(f *fake)
		want       result
	}{
		{"one", "-n1 gateway@a", func(f *fake) { f.wrote("gateway@a", 2, "later") }, result{0, of("r2.6", "later"), ""}},
		{"a run begins", "-n1 gateway@a", func(f *fake) { f.wrote("gateway@a", 3, "later") }, result{0, of("r2.6", "-- gateway@a: run 3 --", "later"), ""}},
		{"several", "-n1 gateway@a gateway@b gateway@c", func(f *fake) {
			f.wrote("gateway@c", 1, "first")
			time.Sleep(time.Second)
			f.wrote("gateway@a", 2, "later")
		}, result{0, of("gateway@a | r2.6", "gateway@b | r2.7", "gateway@c | first", "gateway@a | later"), ""}},
		{"nothing old", "-n0 gateway@a gateway@c", func(f *fake) {
			f.wrote("gateway@a", 2, "later")
			time.Sleep(time.Second)
			f.wrote("gateway@c", 1, "first")
		}, result{0, of("gateway@a | later", "gateway@c | first"), ""}},
		{"the cursor, interrupted", "-n1 --show-cursor gateway@a", func(f *fake) { f.wrote("gateway@a", 2, "later") },
			result{0, of("r2.6", "later"), "-- cursor: " + cursor{"gateway@a": 5}.String() + "\n"}},
		{"the newest run, until it is over", "--run 0 gateway@a --show-cursor", func(f *fake) {
			f.wrote("gateway@a", 2, "later")
			f.wrote("gateway@a", 3, "another")
		}, result{0, of("r2.4", "r2.6", "later"), "-- cursor: " + cursor{"gateway@a": 5}.String() + "\n"}},
		{"a pattern: units that come later, from their first line", "-n1 gateway@*", func(f *fake) {
			f.wrote("gateway@a", 2, "later")
			time.Sleep(time.Second)
			f.wrote("gateway@new", 1, "one")
			f.wrote("gateway@new", 1, "two")
			appear(f, "gateway@new", nil)
			appear(f, "worker@new", nil)
			f.wrote("worker@new", 1, "not this one")
			time.Sleep(time.Second)
			f.wrote("gateway@new", 1, "three")
		}, result{0, of("gateway@a | r2.6", "gateway@b | r2.7", "gateway@a | later", "gateway@new | one", "gateway@new | two", "gateway@new | three"), ""}},
		{"a pattern that nothing matches yet", "x@*", func(f *fake) {
			appear(f, "x@1", nil)
			f.wrote("x@1", 1, "one")
		}, result{0, "x@1 | one\n", "pintle: no unit matches \"x@*\" yet\n"}},
		{"a label", "-l tier=chat -n0", func(f *fake) {
			appear(f, "x@1", map[string]string{"tier": "chat"})
			f.wrote("x@1", 1, "one")
			time.Sleep(time.Second)
			f.wrote("gateway@b", 2, "two")
		}, result{0, of("x@1       | one", "gateway@b | two"), ""}},
		{"a unit that is removed and comes again", "-n1 gateway@*", func(f *fake) {
			f.wrote("gateway@a", 2, "the last")
			gone(f, "gateway@a")
			appear(f, "gateway@a", nil)
			time.Sleep(time.Second)
			f.wrote("gateway@a", 1, "the first")
			time.Sleep(time.Second)
			f.wrote("gateway@b", 2, "still here")
		}, result{0, of("gateway@a | r2.6", "gateway@b | r2.7", "gateway@a | the last", "-- gateway@a: run 1 --", "gateway@a | the first", "gateway@b | still here"), ""}},
		{"named units, until all are removed", "-n1 gateway@a gateway@b", func(f *fake) {
			gone(f, "gateway@a")
			time.Sleep(time.Second)
			appear(f, "gateway@a", nil)
			time.Sleep(time.Second)
			f.wrote("gateway@a", 2, "again")
			time.Sleep(time.Second)
			f.wrote("gateway@b", 2, "the last")
			gone(f, "gateway@b")
			gone(f, "gateway@a")
			time.Sleep(time.Second)
			appear(f, "gateway@a", nil)
			f.wrote("gateway@a", 2, "too late")
		}, result{0, of("gateway@a | r2.6", "gateway@b | r2.7", "gateway@a | again", "gateway@b | the last"), ""}},
		{"until a time that is to come", "-n1 gateway@a --until 2000-01-01T00:00:03Z", func(f *fake) {
			f.wrote("gateway@a", 2, "in time")
			time.Sleep(5 * time.Second)
			f.wrote("gateway@a", 2, "too late")
		}, result{0, of("r2.6", "in time"), ""}},
		{"pintle ends", "-n1 gateway@a --show-cursor", func(f *fake) {
			f.wrote("gateway@a", 2, "the last")
			time.Sleep(time.Second)
			close(f.gone)
		}, result{69, of("r2.6", "the last"), "-- cursor: " + cursor{"gateway@a": 5}.String() + "\n" + ends}},
		{"pintle ends, and nothing was there to follow", "x@*", func(f *fake) { close(f.gone) }, result{69, "", "pintle: no unit matches \"x@*\" yet\n" + ends}},
		{"a unit that is removed and comes again before it is looked for", "-n1 gateway@*", func(f *fake) {
			f.mu.Lock()
			f.books.missed = "gateway@x"
			f.mu.Unlock()
			appear(f, "gateway@x", nil)
			f.wrote("gateway@x", 1, "one")
		}, result{0, of("gateway@a | r2.6", "gateway@b | r2.7", "gateway@x | one"), ""}},
		{"what comes later may not be read", "-n1 gateway@*", func(f *fake) {
			f.mu.Lock()
			f.books.denied["gateway@x"] = true
			f.mu.Unlock()
			appear(f, "gateway@x", nil)
			f.set("gateway@x", func(s *engine.Status) { s.Restricted = true })
			f.wrote("gateway@x", 1, "secret")
			time.Sleep(time.Second)
			f.wrote("gateway@a", 2, "later")
		}, result{0, of("gateway@a | r2.6", "gateway@b | r2.7", "gateway@a | later"), ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := written()
				f.script(func() { time.Sleep(time.Second); tt.script(f) })
				got := logsFor(t, f, terminal(0, "NO_COLOR=1"), append([]string{"logs", "-f"}, strings.Fields(tt.args)...)...)
				// Which of the two is heard of first is chance.
				got.stderr = strings.ReplaceAll(got.stderr, "cannot go on: pintle ends", "cannot watch any longer: the supervisor has ended")
				if got != tt.want {
					t.Errorf("got %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}

// seam is a standard output that does something when it is written to first.
type seam struct {
	strings.Builder
	once func()
}

func (s *seam) Write(p []byte) (int, error) {
	s.once()
	return s.Builder.Write(p)
}

// TestFollowSeam keeps the promise that between what is kept and what comes no line is missed or shown twice, and that a
// run which was meant by 0 stays that one.
func TestFollowSeam(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-n1 gateway@a":                       "r2.6\nbetween\n-- gateway@a: run 3 --\nanother\nlater\n",
		"--run 0 gateway@a":                   "r2.4\nr2.6\nbetween\n",
		"-n1 gateway@a gateway@b":             "gateway@a | r2.6\ngateway@b | r2.7\ngateway@a | between\n-- gateway@a: run 3 --\ngateway@a | another\ngateway@a | later\n",
		"-n1 -o raw gateway@a gateway@c -t=0": "\x1b[1mr2.6\nbetween\nanother\nlater\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			f := written()
			out := &seam{}
			out.once = sync.OnceFunc(func() {
				f.wrote("gateway@a", 2, "between")
				f.wrote("gateway@a", 3, "another")
				f.script(func() { time.Sleep(time.Second); f.wrote("gateway@a", 3, "later") })
			})
			logsFor(t, f, func(ctx context.Context, o *Options) context.Context {
				o.Stdout, o.StdoutIsTerminal, o.Environ = out, true, []string{"NO_COLOR=1"}
				return ctx
			}, append([]string{"logs", "-f"}, strings.Fields(args)...)...)
			if out.String() != want {
				t.Errorf("%s: got\n%s\nwant\n%s", args, out.String(), want)
			}
		})
	}
}

// TestLogsOfTheForbidden: a pattern shows what one may read, and fails where that is nothing; a name fails.
func TestLogsOfTheForbidden(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]result{
		"gateway@* -n1":           {0, "r2.7\n", ""},
		"gateway@* gateway@a -n1": {77, "", "pintle: cannot read the logs of gateway@a: uid 5 may not\n"},
		"*@a":                     {77, "", "pintle: cannot read the logs of gateway@a: uid 5 may not\n"},
		"-f *@a":                  {77, "", "pintle: cannot read the logs of gateway@a: uid 5 may not\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := written()
			for _, name := range []unit.Name{"gateway@a", "gateway@c"} {
				f.units[name].Restricted, f.books.denied[name] = true, true
			}
			got := logsFor(t, f, terminal(0, "NO_COLOR=1"), append([]string{"logs"}, strings.Fields(args)...)...)
			got.stdout = strings.TrimPrefix(got.stdout, "gateway@b | ")
			got.stderr = strings.ReplaceAll(got.stderr, "gateway@c", "gateway@a")
			if got != want {
				t.Errorf("%s: got %+v, want %+v", args, got, want)
			}
		})
	}
}

// TestFollowMany: a thousand units are followed by few streams, those that come one by one later too, and every line of
// all of them is shown once.
func TestFollowMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		add := func(i int) unit.Name {
			name := unit.Name(fmt.Sprintf("gateway@%04d", i))
			f.mu.Lock()
			f.units[name] = &engine.Status{Name: name, Kind: unit.Instance, State: unit.Up}
			f.mu.Unlock()
			f.set(name, func(s *engine.Status) { s.Run++ })
			return name
		}
		want := map[string]bool{}
		write := func(i, n int) {
			name := unit.Name(fmt.Sprintf("gateway@%04d", i))
			f.wrote(name, 1, fmt.Sprintf("line %d", n))
			want[fmt.Sprintf("%s | line %d", name, n)] = true
		}
		for i := range 1000 {
			add(i)
			write(i, 0)
		}
		f.script(func() {
			for i := 1000; i < 1100; i++ {
				time.Sleep(time.Second / 20)
				add(i)
				for n := range 5 {
					write(i, n)
					write(1000+(i*7)%(i-999), 100+i*10+n)
				}
				write(i-1000, i)
			}
		})
		got := logsFor(t, f, nil, "logs", "-f", "gateway@*")
		seen := map[string]int{}
		for line := range strings.Lines(got.stdout) {
			seen[strings.TrimSuffix(line, "\n")]++
		}
		for line := range want {
			if seen[line] != 1 {
				t.Errorf("%q was shown %d times", line, seen[line])
			}
		}
		if len(seen) != len(want) || got.code != 0 || got.stderr != "" {
			t.Errorf("%d lines of %d, exit code %d, %s", len(seen), len(want), got.code, got.stderr)
		}
		if f.books.most > 12 {
			t.Errorf("there were %d streams", f.books.most)
		}
	})
}

// TestCursorGoesOn keeps the promise of cursors: who reads piece by piece, each time on from the last cursor, reads every
// line of every unit once and in order, whatever was written between, also of units that were removed and came again.
func TestCursorGoesOn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		names := []unit.Name{"gateway@a", "gateway@b", "gateway@c"}
		f := some()
		var got, want []string
		at := ""
		for n := range rapid.IntRange(1, 12).Draw(rt, "pieces") {
			for i := range rapid.IntRange(0, 5).Draw(rt, "lines") {
				name := rapid.SampledFrom(names).Draw(rt, "name")
				f.wrote(name, uint64(n), fmt.Sprintf("%d.%d", n, i))
				want = append(want, fmt.Sprintf("%s %d.%d", name, n, i))
			}
			args := []string{"logs", "gateway@*", "--show-cursor", "-o", "json"}
			if at != "" {
				args = append(args, "--cursor", at)
			}
			r := pintle(t, f, args...)
			for text := range strings.Lines(r.stdout) {
				var l engine.Line
				if err := json.Unmarshal([]byte(text), &l); err != nil {
					rt.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %s", l.Unit, l.Text))
			}
			var ok bool
			if at, ok = strings.CutPrefix(strings.TrimSpace(r.stderr), "-- cursor: "); !ok || r.code != 0 {
				rt.Fatalf("%+v", r)
			}
			if rapid.Bool().Draw(rt, "removed") {
				f.mu.Lock()
				f.books.end(rapid.SampledFrom(names).Draw(rt, "name"))
				f.mu.Unlock()
			}
		}
		for _, name := range names { // lines of the same moment are in the order of names
			mine := func(line string) bool { return !strings.HasPrefix(line, string(name)) }
			if g, w := slices.DeleteFunc(slices.Clone(got), mine), slices.DeleteFunc(slices.Clone(want), mine); !slices.Equal(g, w) {
				rt.Fatalf("got %v\nwant %v", g, w)
			}
		}
	})
}
