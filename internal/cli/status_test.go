package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// some is a container as people meet it. In a synctest bubble it is always the same.
func some() *fake {
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	main := at("main", unit.Up, 1)
	main.Kind, main.Since, main.Because = unit.Main, ago(26*time.Hour), "it was started with the container"
	web := at("dashboard", unit.Disabled, 0)
	web.Since, web.Because = ago(26*time.Hour), "WEB is not set"
	a := at("gateway@a", unit.Backoff, 6)
	a.Kind, a.Since, a.Because, a.Failures = unit.Instance, ago(2*time.Second), "it exited with code 1", 6
	b := at("gateway@b", unit.Up, 2)
	b.Kind, b.Since, b.Because, b.ReadyBy = unit.Instance, ago(125*time.Second), "evil \x1b[2J\twords", "tcp 127.0.0.1:1"
	b.Labels = map[string]string{"tier": "chat", "env": "x"}
	c := at("gateway@c", unit.Failed, 1)
	c.Kind, c.Since, c.Reason = unit.Instance, ago(40*time.Minute), unit.ExitRule
	f := newFake(web, a, b, c, main)
	f.info.Started = ago(26 * time.Hour)
	return f
}

// terminal makes standard output one.
func terminal(width int, environ ...string) func(context.Context, *Options) context.Context {
	return func(ctx context.Context, o *Options) context.Context {
		o.StdoutIsTerminal, o.Width, o.Environ = true, width, environ
		return ctx
	}
}

// TestStatusText keeps the promises about what the table shows: every format,
// no control sequence from outside, '-' for what may not be seen, colour on the
// state word alone and only on a terminal that wants it.
func TestStatusText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		restricted := some()
		for _, s := range restricted.units {
			*s = engine.Status{Name: s.Name, Kind: s.Kind, State: s.State, Desired: s.Desired, Since: s.Since, Restricted: true}
		}
		full := some()
		full.info.Conditions = []engine.Condition{{Code: engine.StateInMemory, Text: "cannot write /state: no space left on device"}}
		stopping := some()
		stopping.info.Stopping = true
		var b strings.Builder
		show := func(title string, f *fake, change func(context.Context, *Options) context.Context, args ...string) {
			got := pintleWith(t, f, change, args...)
			fmt.Fprintf(&b, "# %s: pintle %s (%d)\n%s%s\n", title, strings.Join(args, " "), got.code, strings.ReplaceAll(got.stdout, "\x1b", "␛"), got.stderr)
		}
		show("all", some(), nil, "status")
		show("more", some(), nil, "status", "-o", "wide")
		show("names", some(), nil, "status", "-o", "name", "gateway@*")
		show("json", some(), nil, "status", "-o", "json", "gateway@b")
		show("yaml", some(), nil, "status", "-o", "yaml", "gateway@b")
		show("nothing in json", some(), nil, "status", "-o", "json", "x*")
		show("a stranger", restricted, nil, "status")
		show("a full disk", full, nil, "status")
		show("on the way down", stopping, nil, "status")
		show("a terminal", some(), terminal(0), "status", "gateway@*")
		show("a narrow terminal", some(), terminal(50, "NO_COLOR=1"), "status", "gateway@*")
		show("a narrow terminal with colour", some(), terminal(14), "status", "gateway@*")
		show("a dumb terminal", some(), terminal(0, "TERM=dumb"), "status", "gateway@*")
		show("no match", some(), nil, "status", "x*", "-l", "a=b")
		golden(t, "status.golden", b.String())
	})
}

// TestStatusCode keeps the promises about exit codes of status: exact names are
// judged, patterns and labels list.
func TestStatusCode(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{
		"status":                           0,
		"status gateway@b":                 0,
		"status gateway@b main":            0,
		"status gateway@a":                 3,
		"status dashboard":                 3,
		"status gateway@b gateway@c":       3,
		"status nosuch":                    4,
		"status nosuch gateway@c":          4,
		"status --watch nosuch":            4,
		"status gateway@*":                 0,
		"status x*":                        0,
		"status -l tier=chat":              0,
		"status gateway@c -l tier=chat":    0,
		"status -l tier":                   2,
		"status -l =x":                     2,
		"status gateway@[":                 2,
		"status ../x":                      2,
		"status -o xml":                    2,
		"status gateway@b -o name -o json": 0,
	} {
		if got := pintle(t, some(), strings.Fields(args)...); got.code != want {
			t.Errorf("pintle %s: got %+v, want %d", args, got, want)
		}
	}
}

// TestStatusJSON: the JSON is an array of the engine's own statuses, also for one.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	var all []engine.Status
	got := pintle(t, some(), "status", "-o", "json", "-l", "env=x")
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || len(all) != 1 || all[0].Name != "gateway@b" {
		t.Errorf("got %+v: %v", got, err)
	}
}

// watchFor runs status --watch for three seconds, with a start, a removal and a change nobody sees in between.
func watchFor(t *testing.T, change func(context.Context, *Options) context.Context, args ...string) result {
	f := some()
	f.live["gateway@c"] = readyAfter(1200 * time.Millisecond)
	f.script(func() {
		time.Sleep(500 * time.Millisecond)
		_, _ = f.Start(context.Background(), "gateway@c")
		time.Sleep(time.Second)
		f.set("main", func(*engine.Status) {})
		_, _ = f.Remove(context.Background(), "gateway@a")
	})
	got := pintleWith(t, f, func(ctx context.Context, o *Options) context.Context {
		if change != nil {
			ctx = change(ctx, o)
		}
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second-time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}, args...)
	f.scripts.Wait()
	return got
}

// TestStatusWatch keeps the promise that --watch shows each change once, and ends well when it is interrupted.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		for _, args := range []string{"status --watch gateway@*", "status --watch -o json gateway@*", "status --watch -o name"} {
			got := watchFor(t, nil, strings.Fields(args)...)
			fmt.Fprintf(&b, "# pintle %s (%d)\n%s%s\n", args, got.code, got.stdout, got.stderr)
		}
		got := watchFor(t, terminal(80, "NO_COLOR=1"), "status", "--watch", "gateway@*")
		fmt.Fprintf(&b, "# on a terminal (%d)\n%s%s\n", got.code, strings.ReplaceAll(got.stdout, "\x1b", "␛"), got.stderr)
		golden(t, "watch.golden", b.String())
	})
}

// TestWatchEnds: the end of the supervisor is an error of its own kind, and the end of the reader ends the watch.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := some()
		f.script(func() { time.Sleep(time.Second); close(f.gone) })
		if got := pintle(t, f, "status", "--watch"); got.code != exitUnavailable {
			t.Errorf("got %+v", got)
		}
		got := pintleWith(t, some(), func(ctx context.Context, o *Options) context.Context {
			o.Stdout = brokenPipe{}
			return ctx
		}, "status", "--watch")
		if want := (result{1, "", "pintle: cannot write to standard output: broken pipe\n"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
