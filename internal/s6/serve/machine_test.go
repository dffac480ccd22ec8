package serve

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"pintle/internal/s6/wire"
)

// A world is what is around a machine: it carries its deeds out, and holds it to what is true of every supervisor.
type world struct {
	t       interface{ Fatalf(string, ...any) }
	m       *machine
	version wire.Version
	files   wire.Service
	now     time.Time
	// fails is set while nothing can be started.
	fails bool
	// run and finish are the pids of what there is, and pid is the latest.
	run, finish, pid int
	written          wire.Status
	events           string
	died, buried     int
	left             bool
	// earliest is when it may be started again by itself.
	earliest time.Time
	tape     []string
}

// newWorld makes one in which a supervisor has begun.
func newWorld(t interface{ Fatalf(string, ...any) }, v wire.Version, files wire.Service) *world {
	w := &world{t: t, version: v, files: files, now: time.Unix(1_700_000_000, 0)}
	w.earliest = w.now
	m, deeds := begin(v, files, w.now)
	w.m = m
	w.do(deeds)
	return w
}

// do carries deeds out as service.do does.
func (w *world) do(deeds []deed) {
	for len(deeds) > 0 {
		d := deeds[0]
		deeds = append(deeds[1:], w.carryOut(d)...)
	}
	w.check()
}

func (w *world) carryOut(d deed) []deed {
	m := w.m
	if w.left {
		w.t.Fatalf("%v after the supervisor's end: %v", d, w.tape)
	}
	switch d.kind {
	case startRun:
		if w.run+w.finish != 0 || m.state != down {
			w.t.Fatalf("a run is to begin beside pid %d, state %d: %v", w.run+w.finish, m.state, w.tape)
		}
		w.tape = append(w.tape, "run")
		if w.fails {
			return m.notStarted(true, w.now)
		}
		w.pid++
		w.run = w.pid
		return m.started(w.pid, w.now)
	case startFinish:
		w.tape = append(w.tape, "finish")
		if w.run+w.finish != 0 {
			w.t.Fatalf("finish is to begin beside pid %d: %v", w.run+w.finish, w.tape)
		}
		if w.fails {
			return m.notStarted(true, w.now)
		}
		w.pid++
		w.finish = w.pid
		return m.started(w.pid, w.now)
	case sendSignal:
		w.tape = append(w.tape, unix.SignalName(d.signal)+map[bool]string{true: " to all"}[d.group])
		if w.run+w.finish == 0 {
			w.t.Fatalf("%v is sent to nobody: %v", d.signal, w.tape)
		}
	case writeStatus:
		w.written = m.status
	case tellEvents:
		w.tape = append(w.tape, "tell "+d.events)
		w.events += d.events
	case buryRun:
		w.buried++
	case keepDown:
		w.tape, w.files.Down = append(w.tape, "keep down"), true
	case forgetDown:
		w.tape, w.files.Down = append(w.tape, "forget down"), false
	case muteRun:
		w.tape = append(w.tape, "mute")
	case leave:
		w.tape, w.left = append(w.tape, "leave"), true
	}
	return nil
}

// legal are the events of a supervisor's whole life, or of its beginning.
var legal = regexp.MustCompile(`^s(uU?dO?D)*((u|uU|uU?d)?|x)$`)

// check is what holds whenever nothing is being done.
func (w *world) check() {
	m := w.m
	wrong := func(what string) { w.t.Fatalf("%s: state %d, %+v; %s; %v", what, m.state, m.status, w.events, w.tape) }
	if !legal.MatchString(w.events) {
		wrong("events in an order that s6 has not")
	}
	if is := map[byte]state{'s': down, 'D': down, 'u': up, 'U': up, 'd': finishing, 'x': gone}[w.events[len(w.events)-1]]; m.state != is {
		wrong("its state is not what was told")
	}
	if (w.run != 0) != (m.state == up) || (w.finish != 0) != (m.state == finishing) {
		wrong(fmt.Sprintf("its state does not go with the processes %d and %d", w.run, w.finish))
	}
	if m.state != gone && (m.status.PID != w.run+w.finish || m.status.Finishing != (m.state == finishing)) {
		wrong("its status does not go with its state")
	}
	if m.state == down && !m.status.ReadyFlag {
		wrong("what is down is not ready to be started")
	}
	if m.status.Paused && m.state != up && !(w.version.AtLeast(2, 13, 2) && w.died == 0 && w.pid == 0) {
		wrong("what is not up is stopped")
	}
	if w.written != m.status {
		wrong(fmt.Sprintf("its status was not written: %+v", w.written))
	}
	if w.died != w.buried {
		wrong(fmt.Sprintf("of %d runs that ended %d were buried", w.died, w.buried))
	}
	if w.left != (m.state == gone) {
		wrong("its supervisor has not ended with it, or before")
	}
	if m.state == down && m.due.IsZero() == (m.status.WantUp && m.files.Startable() == nil) {
		wrong("it is wanted up and nothing is due, or is not and something is")
	}
	if m.state == up && !m.due.IsZero() && !m.dying {
		wrong("it is to be killed, and nobody has told it to stop")
	}
}

func (w *world) command(b byte) { w.do(w.m.command(b, w.files, w.now)) }

// ring has what is due happen.
func (w *world) ring() {
	w.now = later(w.now, w.m.due)
	if w.m.state == down && w.now.Before(w.earliest) {
		w.t.Fatalf("it is started %v too early: %v", w.earliest.Sub(w.now), w.tape)
	}
	w.do(w.m.ring(w.now))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (w *world) ready() {
	if !w.m.status.ReadyFlag {
		w.earliest = w.now.Add(time.Second)
	}
	w.do(w.m.ready(w.now))
}

// die is the run's end.
func (w *world) die(how unix.WaitStatus) {
	if !w.m.status.ReadyFlag {
		w.earliest = w.now.Add(time.Second)
	}
	w.run = 0
	w.died++
	w.do(w.m.died(how, w.files, w.now))
}

// endFinish is finish's.
func (w *world) endFinish(code int) {
	w.finish = 0
	w.do(w.m.finished(code, w.now))
}

// TestAnyLife: whatever happens to a service in whatever order, there is one process of it at most, every run that ends is
// buried once, what was told is in s6's order, the status is written and true, what is wanted up is due to be started, not
// earlier than s6 would, and after the supervisor's end there is nothing more.
func TestAnyLife(t *testing.T) {
	t.Parallel()
	versions := []wire.Version{wire.Default, {2, 11, 0, 0}, {2, 12, 0, 0}, {2, 13, 1, 0}, {2, 13, 2, 0}, {2, 15, 1, 0}}
	filesOf := rapid.Custom(func(t *rapid.T) wire.Service {
		milliseconds := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 300 * time.Millisecond, 5 * time.Second})
		return wire.Service{
			Run: true, Finish: rapid.Bool().Draw(t, "finish"), Down: rapid.Bool().Draw(t, "down"), NotificationFD: 3, LockFD: -1,
			TimeoutKill: milliseconds.Draw(t, "timeout-kill"), TimeoutFinish: milliseconds.Draw(t, "timeout-finish"),
			DownSignal: rapid.SampledFrom([]unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGKILL}).Draw(t, "down-signal"), ReloadSignal: unix.SIGHUP, MaxDeaths: 100,
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom(versions).Draw(t, "version")
		w := newWorld(t, v, filesOf.Draw(t, "files"))
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			},
			"command": func(t *rapid.T) {
				w.command(rapid.SampledFrom([]byte(wire.Commands(v)+"uuuoodkZ")).Draw(t, "byte"))
			},
			"files": func(t *rapid.T) { w.files = filesOf.Draw(t, "files") },
			"fails": func(t *rapid.T) { w.fails = rapid.IntRange(0, 3).Draw(t, "fails") == 0 },
			"due": func(t *rapid.T) {
				if w.m.due.IsZero() {
					t.Skip("nothing is due")
				}
				w.ring()
			},
			"ready": func(t *rapid.T) {
				if w.run == 0 {
					t.Skip("nobody is there to be ready")
				}
				w.ready()
			},
			"die": func(t *rapid.T) {
				if w.run == 0 {
					t.Skip("nobody is there to die")
				}
				w.die(unix.WaitStatus(rapid.SampledFrom([]int{0, 1 << 8, 9, 15}).Draw(t, "how")))
			},
			"finish ends": func(t *rapid.T) {
				if w.finish == 0 {
					t.Skip("there is no finish")
				}
				w.endFinish(rapid.SampledFrom([]int{0, 1, 125}).Draw(t, "code"))
			},
			"prune": func(t *rapid.T) {
				if w.left || rapid.IntRange(0, 5).Draw(t, "seldom") > 0 {
					t.Skip("not now")
				}
				w.do(w.m.end(rapid.Bool().Draw(t, "kill"), w.now))
			},
		})
	})
}

// TestLives: what a supervisor does in lives that matter, by its release.
func TestLives(t *testing.T) {
	t.Parallel()
	plain := wire.Service{Run: true, NotificationFD: -1, LockFD: -1, TimeoutFinish: 5 * time.Second, DownSignal: unix.SIGTERM, ReloadSignal: unix.SIGHUP}
	with := func(change func(*wire.Service)) wire.Service {
		files := plain
		change(&files)
		return files
	}
	finish := with(func(s *wire.Service) { s.Finish = true })
	for _, life := range []struct {
		name    string
		version wire.Version
		files   wire.Service
		steps   string
		want    string
	}{
		{"a crash", wire.Default, plain, "ring die wait", "tell s; run; tell u; tell d; tell D; 1s"},
		{"a crash, told in one piece", wire.Version{2, 12}, plain, "ring die wait", "tell s; run; tell u; tell dD; 1s"},
		{"a crash after half a second of readiness", wire.Default, plain, "ring ready .5 die wait", "tell s; run; tell u; tell U; tell d; tell D; 500ms"},
		{"a crash after two seconds of readiness", wire.Default, plain, "ring ready .5 .5 .5 .5 die wait", "tell s; run; tell u; tell U; tell d; tell D; -1s"},
		{"a crash with finish", wire.Default, finish, "ring die end wait", "tell s; run; tell u; finish; tell d; tell D; 1s"},
		{"finish says for ever", wire.Default, finish, "ring die end125 wait", "tell s; run; tell u; finish; tell d; tell OD; never"},
		{"finish takes too long", wire.Default, finish, "ring die wait ring wait ring", "tell s; run; tell u; finish; tell d; 5s; SIGKILL; SIGCONT; 5s; SIGKILL; SIGCONT"},
		{"down, and it does not end", wire.Default, with(func(s *wire.Service) { s.TimeoutKill = 300 * time.Millisecond }), "ring d wait ring wait die wait",
			"tell s; run; tell u; SIGTERM; SIGCONT; 300ms; SIGKILL; SIGCONT; 5s; tell d; tell D; never"},
		{"down, and its group does not end", wire.Version{2, 15}, with(func(s *wire.Service) { s.TimeoutKill, s.KillGroup = time.Second, true }), "ring d wait ring",
			"tell s; run; tell u; SIGTERM; SIGCONT; 1s; SIGKILL to all; SIGCONT to all"},
		{"a restart has no timeout", wire.Default, with(func(s *wire.Service) { s.TimeoutKill = time.Second }), "ring r wait", "tell s; run; tell u; SIGTERM; never"},
		{"up at once", wire.Default, plain, "ring die u", "tell s; run; tell u; tell d; tell D; run; tell u"},
		{"once", wire.Default, with(func(s *wire.Service) { s.Down = true }), "o die wait", "tell s; run; tell u; tell d; tell D; never"},
		{"run cannot be executed", wire.Default, plain, "fails ring wait", "tell s; run; 10s"},
		{"run cannot be executed, later", wire.Version{2, 12}, plain, "fails ring wait", "tell s; run; 1m0s"},
		{"finish cannot be executed", wire.Default, finish, "ring fails die wait", "tell s; run; tell u; finish; tell d; tell D; 1s"},
		{"for the next life", wire.Default, plain, "ring D die U", "tell s; run; tell u; keep down; SIGTERM; SIGCONT; tell d; tell D; forget down; run; tell u"},
		{"the supervisor ends with the run", wire.Default, finish, "ring x die end", "tell s; run; tell u; mute; finish; tell d; tell D; tell x; leave"},
		{"the supervisor of what is down", wire.Default, plain, "O x", "tell s; tell x; leave"},
		{"its directory has gone", wire.Default, finish, "ring prune die end", "tell s; run; tell u; SIGTERM; SIGCONT; finish; tell d; tell D; tell x; leave"},
		{"a release that does not know the letter", wire.Version{2, 11, 1}, plain, "ring D U Q l P", "tell s; run; tell u"},
		{"reloading", wire.Version{2, 15, 1}, plain, "ring l P C K", "tell s; run; tell u; SIGHUP; SIGSTOP to all; SIGCONT to all; SIGKILL to all"},
		{"two descriptors of one number", wire.Default, with(func(s *wire.Service) { s.LockFD, s.NotificationFD = 3, 3 }), "wait", "tell s; never"},
	} {
		t.Run(life.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, life.version, life.files)
			for step := range strings.FieldsSeq(life.steps) {
				switch step {
				case "ring":
					w.ring()
				case "ready":
					w.ready()
				case "die":
					w.die(0)
				case "end":
					w.endFinish(0)
				case "end125":
					w.endFinish(125)
				case "prune":
					w.do(w.m.end(true, w.now))
				case "fails":
					w.fails = true
				case ".5":
					w.now = w.now.Add(500 * time.Millisecond)
				case "wait":
					if w.m.due.IsZero() {
						w.tape = append(w.tape, "never")
					} else {
						w.tape = append(w.tape, w.m.due.Sub(w.now).String())
					}
				default:
					w.command(step[0])
				}
			}
			if want := strings.Split(life.want, "; "); !slices.Equal(w.tape, want) {
				t.Errorf("got  %s\nwant %s", strings.Join(w.tape, "; "), life.want)
			}
		})
	}
}
