package cli

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const coder = unit.Name("gateway@coder")

// at is a unit in a state, after run runs.
func at(name unit.Name, state unit.State, run uint64) engine.Status {
	s := engine.Status{Name: name, State: state, Run: run, Since: time.Now(), Reason: unit.NeverStarted}
	switch state {
	case unit.Up, unit.Starting, unit.Stopping:
		s.PID = 1000 + int(run)
		s.Intent.Up = true
	case unit.Waiting, unit.Backoff, unit.Failed, unit.Done:
		s.Intent.Up = true
	}
	if s.Intent.Up {
		s.Intent.Generation = 1
	}
	if run > 0 && s.PID == 0 {
		s.Last = &engine.RunEnd{Run: run, Exit: unit.Exit{Code: 1}}
	}
	return s
}

// TestVerbs keeps the promise that a verb which says it was done was done, in
// one line, and that what was not done is said with the reason (B65, B68, U67, U68).
func TestVerbs(t *testing.T) {
	t.Parallel()
	up := at(coder, unit.Up, 3)
	slow := at(coder, unit.Down, 0)
	slow.ReadyBy = "tcp 127.0.0.1:9119"
	failedBefore := at(coder, unit.Failed, 3)
	failedBefore.Because = "old news"
	refusedBefore := at(coder, unit.Failed, 3)
	refusedBefore.Reason = unit.DependencyFailed
	another := at(coder, unit.Waiting, 0)
	another.Holder = engine.Holder{Container: "alpha", Fence: 7}
	oneshot := at("migrate", unit.Done, 2)
	oneshot.Kind = unit.Oneshot
	tests := []struct {
		name   string
		before engine.Status
		script func(f *fake)
		args   string
		want   result
	}{
		{"start of a stopped one", at(coder, unit.Down, 0), nil, "start gateway@coder",
			result{0, "gateway@coder is up after 0 s (pid 1001, run 1)\n", ""}},
		{"start of one that is up", up, nil, "start gateway@coder",
			result{0, "gateway@coder is already up (pid 1003, run 3)\n", ""}},
		{"start waits for readiness and not for settling", slow, func(f *fake) { f.live[coder] = readyAfter(3 * time.Second) },
			"start gateway@coder", result{0, "gateway@coder is up after 3.0 s (pid 1001, run 1)\n", ""}},
		{"start of one that dies at once", at(coder, unit.Down, 2), func(f *fake) {
			f.live[coder] = func(f *fake, n unit.Name, run uint64) {
				f.wrote(n, run-1, "of the run before")
				f.wrote(n, run, "bad \x1b[31mkey\x1b[0m")
				diesAfter(150*time.Millisecond, 78, unit.Failed, "exit_codes calls 78 a failure")(f, n, run)
			}
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it died after 0.1 s: exited with code 78; it is now failed (exit_codes calls 78 a failure)\n  | bad key\n"}},
		{"the reason that names the end does not say it twice", at(coder, unit.Down, 0), func(f *fake) {
			f.live[coder] = diesAfter(150*time.Millisecond, 78, unit.Failed, "it exited with code 78 after 0.1 s, and exit_codes says what follows")
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it died after 0.1 s, and is now failed: it exited with code 78 after 0.1 s, and exit_codes says what follows\n"}},
		{"what it left behind is ended before it is told what became of it", at(coder, unit.Down, 0), func(f *fake) {
			f.live[coder] = func(f *fake, n unit.Name, run uint64) {
				diesAfter(150*time.Millisecond, 78, unit.Stopping, "what it left behind is being ended")(f, n, run)
				time.Sleep(3 * time.Second)
				f.set(n, func(s *engine.Status) { s.State, s.Because = unit.Failed, "exit_codes says so" })
			}
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it died after 0.1 s: exited with code 78; it is now failed (exit_codes says so)\n"}},
		{"start of one that will be tried again", at(coder, unit.Down, 0), func(f *fake) {
			f.live[coder] = diesAfter(500*time.Millisecond, 1, unit.Backoff, "it crashed")
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it died after 0.5 s: exited with code 1; it is now backoff (it crashed)\n"}},
		{"start of one that ends well when it should stay", at(coder, unit.Down, 0), func(f *fake) {
			f.live[coder] = diesAfter(10*time.Millisecond, 0, unit.Done, "the restart policy says so")
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it died after 10 ms: exited with code 0; it is now done (the restart policy says so)\n"}},
		{"start without settling", at(coder, unit.Down, 0), func(f *fake) {
			f.live[coder] = diesAfter(10*time.Millisecond, 78, unit.Failed, "")
		}, "start gateway@coder --settle 0", result{0, "gateway@coder is up after 0 s (pid 1001, run 1)\n", ""}},
		{"the failure of before is not mistaken for the effect", failedBefore, func(f *fake) { f.lazy = true },
			"start gateway@coder", result{0, "gateway@coder is up after 10 ms (pid 1004, run 4)\n", ""}},
		{"start of a disabled one", at(coder, unit.Disabled, 0), func(f *fake) {
			f.refuse["start"] = engine.Errorf(engine.Conflict, "cannot start gateway@coder: it is disabled: X is not set")
		}, "start gateway@coder", result{1, "", "pintle: cannot start gateway@coder: it is disabled: X is not set\n"}},
		{"start of one that never gets ready", slow, func(f *fake) { f.live[coder] = func(*fake, unit.Name, uint64) {} },
			"start gateway@coder --timeout 5s", result{1, "",
				"pintle: cannot start gateway@coder: after 5.0 s it is still starting (it was asked for); the wish stays recorded\n"}},
		{"somebody stops it meanwhile", slow, func(f *fake) {
			f.live[coder] = func(f *fake, n unit.Name, _ uint64) {
				time.Sleep(time.Second)
				_, _ = f.Stop(context.Background(), n)
			}
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it was asked to be down meanwhile, by uid 10000 (pintle, pid 55)\n"}},
		{"a run that cannot be executed", at(coder, unit.Down, 0), func(f *fake) {
			f.live[coder] = func(f *fake, n unit.Name, run uint64) {
				f.end(n, run, unit.Backoff, engine.RunEnd{Started: time.Now(), Exit: unit.Exit{Code: 127}, Error: "nosuch: not found"}, "it cannot be executed")
			}
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it could not be executed: nosuch: not found; it is now backoff\n"}},
		{"the supervisor ends meanwhile", slow, func(f *fake) {
			f.live[coder] = func(f *fake, _ unit.Name, _ uint64) { time.Sleep(time.Second); close(f.gone) }
		}, "start gateway@coder", result{69, "",
			"pintle: cannot start gateway@coder: cannot watch any longer: the supervisor has ended\n"}},
		{"start of one that waits for another says so after a while, and goes on", at(coder, unit.Failed, 3), func(f *fake) {
			f.holds[coder] = "waiting for db to be ready, which is down: nobody has started it"
			f.script(func() {
				time.Sleep(3 * time.Second)
				f.set(coder, func(s *engine.Status) { s.Because = "waiting for cache to be started" })
				time.Sleep(time.Second)
				f.set(coder, f.begin)
			})
		}, "start gateway@coder", result{0, "gateway@coder is up after 4.0 s (pid 1004, run 4)\n",
			"pintle: gateway@coder is waiting (waiting for db to be ready, which is down: nobody has started it)\n" +
				"pintle: gateway@coder is waiting (waiting for cache to be started)\n"}},
		{"one that waits shortly is not talked about", at(coder, unit.Down, 0), func(f *fake) {
			f.holds[coder] = "waiting for db to be ready"
			f.script(func() { time.Sleep(time.Second); f.set(coder, f.begin) })
		}, "start gateway@coder", result{0, "gateway@coder is up after 1.0 s (pid 1001, run 1)\n", ""}},
		{"the run that follows a wait can die", at(coder, unit.Down, 2), func(f *fake) {
			f.holds[coder] = "waiting for db to be ready"
			f.live[coder] = diesAfter(10*time.Millisecond, 1, unit.Backoff, "it crashed")
			f.script(func() { time.Sleep(time.Second); f.set(coder, f.begin) })
		}, "start gateway@coder", result{1, "",
			"pintle: cannot start gateway@coder: it died after 10 ms: exited with code 1; it is now backoff (it crashed)\n"}},
		{"what it waits for does not come in time", at(coder, unit.Down, 0), func(f *fake) { f.holds[coder] = "waiting for db to be ready" },
			"start gateway@coder --timeout 1s", result{1, "",
				"pintle: cannot start gateway@coder: after 1.0 s it is still waiting (waiting for db to be ready); the wish stays recorded\n"}},
		{"what it waits for will not come", at(coder, unit.Down, 0), func(f *fake) {
			f.holds[coder] = "waiting for db to be ready"
			f.script(func() {
				time.Sleep(time.Second)
				f.set(coder, func(s *engine.Status) {
					s.State, s.Reason, s.Because = unit.Failed, unit.DependencyFailed, "db has failed"
				})
			})
		}, "start gateway@coder", result{1, "", "pintle: cannot start gateway@coder: it is failed (db has failed)\n"}},
		{"it is refused at once", refusedBefore, func(f *fake) {
			time.Sleep(time.Second)
			f.refused[coder] = "db has failed again"
		}, "start gateway@coder", result{1, "", "pintle: cannot start gateway@coder: it is failed (db has failed again)\n"}},
		{"the refusal of before is not mistaken for the effect", refusedBefore, func(f *fake) { f.lazy = true },
			"start gateway@coder", result{0, "gateway@coder is up after 10 ms (pid 1004, run 4)\n", ""}},
		{"a oneshot has done its work", oneshot, func(f *fake) { f.live["migrate"] = works(3*time.Second, 0, unit.Done) },
			"start migrate", result{0, "migrate is done after 3.0 s (run 3)\n", ""}},
		{"a oneshot fails", oneshot, func(f *fake) { f.live["migrate"] = works(3*time.Second, 1, unit.Failed) },
			"start migrate", result{1, "", "pintle: cannot start migrate: it died after 3.0 s: exited with code 1; it is now failed (restart is never)\n"}},
		{"the work of before is not mistaken for the work that was asked for", oneshot, func(f *fake) {
			f.lazy = true
			f.live["migrate"] = works(time.Second, 0, unit.Done)
		}, "restart migrate", result{0, "migrate is done after 1.0 s (run 3)\n", ""}},

		{"no wait", slow, nil, "start --no-wait gateway@coder", result{0, "gateway@coder is asked to be up\n", ""}},

		{"restart of one that is up", up, func(f *fake) { f.stopTime[coder] = 2 * time.Second },
			"restart gateway@coder", result{0, "gateway@coder is up after 2.0 s (pid 1004, run 4)\n", ""}},
		{"restart of one that must be killed", up, func(f *fake) { f.stopTime[coder] = 20 * time.Second },
			"restart gateway@coder", result{0, "gateway@coder is up after 20 s (pid 1004, run 4); its last run had to be killed\n", ""}},
		{"restart of a stopped one ends up", at(coder, unit.Down, 3), nil,
			"restart gateway@coder", result{0, "gateway@coder is up after 0 s (pid 1004, run 4)\n", ""}},
		{"the run of before is not mistaken for the restarted one", up, func(f *fake) { f.lazy = true; f.stopTime[coder] = 3 * time.Second },
			"restart gateway@coder", result{0, "gateway@coder is up after 3.0 s (pid 1004, run 4)\n", ""}},
		{"restart of one that has to wait", up, func(f *fake) {
			f.stopTime[coder] = time.Second
			f.holds[coder] = "waiting for db to be ready"
			f.script(func() { time.Sleep(4 * time.Second); f.set(coder, f.begin) })
		}, "restart gateway@coder", result{0, "gateway@coder is up after 4.0 s (pid 1004, run 4)\n",
			"pintle: gateway@coder is waiting (waiting for db to be ready)\n"}},
		{"restart of one that waits", at(coder, unit.Waiting, 3), func(f *fake) {
			f.script(func() { time.Sleep(time.Second); f.set(coder, f.begin) })
		}, "restart gateway@coder", result{0, "gateway@coder is up after 1.0 s (pid 1004, run 4)\n", ""}},
		{"stop of one that waits", at(coder, unit.Waiting, 3), nil, "stop gateway@coder", result{0, "gateway@coder is down after 0 s\n", ""}},
		{"start of one that another container has", at(coder, unit.Down, 0), func(f *fake) {
			f.holds[coder] = "waiting until it is sure that no other container runs it"
			f.script(func() {
				time.Sleep(time.Second)
				f.set(coder, func(s *engine.Status) { s.Holder = engine.Holder{Container: "al\x1b[2Jpha", Fence: 7} })
				time.Sleep(3 * time.Second) // it could have been dead
				f.set(coder, func(s *engine.Status) { s.Holder.Alive = true })
			})
		}, "start gateway@coder", result{0, "gateway@coder is to be up; container alpha has it\n",
			"pintle: gateway@coder is waiting (waiting until it is sure that no other container runs it)\n"}},
		{"restart of one that another container has", another, func(f *fake) { f.set(coder, func(s *engine.Status) { s.Holder.Alive = true }) },
			"restart gateway@coder", result{0, "gateway@coder is to be restarted; container alpha has it\n", ""}},
		{"stop of one that another container has", another, nil, "stop gateway@coder", result{0,
			"gateway@coder is asked to be down; container alpha, which has it, ends it within some seconds\n", ""}},
		{"restart of one that dies at once", up, func(f *fake) { f.live[coder] = diesAfter(0, 3, unit.Backoff, "it crashed") },
			"restart gateway@coder", result{1, "",
				"pintle: cannot restart gateway@coder: it died after 0 s: exited with code 3; it is now backoff (it crashed)\n"}},

		{"stop", up, func(f *fake) { f.stopTime[coder] = 300 * time.Millisecond },
			"stop gateway@coder", result{0, "gateway@coder is down after 0.3 s\n", ""}},
		{"stop of one that must be killed", up, func(f *fake) { f.stopTime[coder] = 10 * time.Second },
			"stop gateway@coder", result{0, "gateway@coder is down after 10 s; it had to be killed, it did not end within its grace period\n", ""}},
		{"stop of a stopped one", at(coder, unit.Down, 3), nil, "stop gateway@coder", result{0, "gateway@coder is already down\n", ""}},
		{"stop between two runs", at(coder, unit.Backoff, 3), nil, "stop gateway@coder", result{0, "gateway@coder is down after 0 s\n", ""}},
		{"stop that takes too long", up, func(f *fake) {
			f.stopTime[coder] = time.Minute
			f.units[coder].Remaining = []string{"1003 agent", "1009 ev\x1bil"}
		}, "stop gateway@coder --timeout 2s", result{1, "",
			"pintle: cannot stop gateway@coder: after 2.0 s it is still stopping (it was asked to end); still there: 1003 agent, 1009 evl; the wish stays recorded\n"}},

		{"remove", up, func(f *fake) { f.stopTime[coder] = time.Second }, "remove gateway@coder", result{0, "gateway@coder is removed\n", ""}},
		{"remove of a stopped one, by its alias", at(coder, unit.Down, 3), nil, "unregister gateway@coder", result{0, "gateway@coder is removed\n", ""}},

		{"create", at("main", unit.Up, 1), nil, "create gateway@coder",
			result{0, "gateway@coder is created; gateway@coder is up after 0 s (pid 1001, run 1)\n", ""}},
		{"create where there is no unit at all", engine.Status{}, nil, "register gateway@coder",
			result{0, "gateway@coder is created; gateway@coder is up after 0 s (pid 1001, run 1)\n", ""}},
		{"create of one that is up", up, nil, "create gateway@coder",
			result{0, "gateway@coder exists already, and is up (pid 1003, run 3)\n", ""}},
		{"create of one that is down", at(coder, unit.Down, 3), nil, "create gateway@coder",
			result{0, "gateway@coder exists already; gateway@coder is up after 0 s (pid 1004, run 4)\n", ""}},
		{"create down", at("main", unit.Up, 1), nil, "create gateway@coder --down",
			result{0, "gateway@coder is created, and is asked to be down\n", ""}},
		{"create of one that dies at once", at("main", unit.Up, 1), func(f *fake) { f.live[coder] = diesAfter(0, 78, unit.Failed, "") },
			"create gateway@coder", result{1, "gateway@coder is created\n",
				"pintle: cannot start gateway@coder: it died after 0 s: exited with code 78; it is now failed (its last run ended by itself)\n"}},

		{"signal", up, nil, "signal hup gateway@coder", result{0, "gateway@coder was sent SIGHUP (pid 1003, run 3)\n", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				if tt.before.Name != "" {
					f = newFake(tt.before)
				}
				if tt.script != nil {
					tt.script(f)
				}
				got := pintle(t, f, strings.Fields(tt.args)...)
				f.scripts.Wait()
				if got != tt.want {
					t.Errorf("pintle %s:\n got %d\n%s%s\nwant %d\n%s%s", tt.args, got.code, got.stdout, got.stderr, tt.want.code, tt.want.stdout, tt.want.stderr)
				}
			})
		})
	}
}

// works is the life of a oneshot.
func works(d time.Duration, code int, state unit.State) func(*fake, unit.Name, uint64) {
	return func(f *fake, name unit.Name, run uint64) {
		began := time.Now()
		time.Sleep(d)
		f.end(name, run, state, engine.RunEnd{Started: began, Exit: unit.Exit{Code: code}}, "restart is never")
	}
}

// TestFirstEndCounts keeps the promise that a start whose run died is a failure
// also when the next run is up before anybody has looked: an engine may leave
// out the statuses in between, and here it does or does not.
func TestFirstEndCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(at(coder, unit.Down, 0))
		f.live[coder] = func(f *fake, n unit.Name, run uint64) {
			if run == 1 {
				f.end(n, run, unit.Backoff, engine.RunEnd{Started: time.Now(), Exit: unit.Exit{Code: 9}}, "it crashed")
				f.set(n, f.begin)
				return
			}
			f.up(n, run)
		}
		got := pintle(t, f, "start", string(coder))
		if got.code != exitFailed || !strings.Contains(got.stderr, "it died after 0 s: exited with code 9; ") {
			t.Errorf("got %+v", got)
		}
	})
}

// TestManyUnits keeps the promises that several units are asked side by side,
// that one failure does not keep the others from it (B71), and which code is the sum.
func TestManyUnits(t *testing.T) {
	t.Parallel()
	begin := func() *fake {
		return newFake(at("gateway@a", unit.Up, 1), at("gateway@b", unit.Up, 1), at("other", unit.Up, 1))
	}
	t.Run("side by side", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f := begin()
			f.stopTime["gateway@a"], f.stopTime["gateway@b"] = 4*time.Second, 2*time.Second
			began := time.Now()
			got := pintle(t, f, "stop", "gateway@*")
			if took := time.Since(began); took != 4*time.Second {
				t.Errorf("it took %s", took)
			}
			want := result{0, "gateway@b is down after 2.0 s\ngateway@a is down after 4.0 s\n", ""}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if s := f.units["other"]; s.State != unit.Up {
				t.Errorf("other is %s", s.State)
			}
		})
	})
	t.Run("one fails", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			got := pintle(t, begin(), "stop", "nosuch", "gateway@a")
			want := result{4, "gateway@a is down after 0 s\n", "pintle: cannot stop nosuch: there is no such unit\n"}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
	t.Run("two fail differently", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f := begin()
			f.stopTime["gateway@a"] = time.Hour
			got := pintle(t, f, "stop", "nosuch", "gateway@a")
			f.scripts.Wait()
			if got.code != exitFailed {
				t.Errorf("got %+v", got)
			}
		})
	})
	t.Run("a pattern that matches nothing", func(t *testing.T) {
		t.Parallel()
		got := pintle(t, begin(), "stop", "nosuch@*")
		want := result{4, "", "pintle: cannot stop \"nosuch@*\": no unit matches\n"}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("by label", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f := begin()
			f.units["other"].Labels = map[string]string{"tier": "web"}
			got := pintle(t, f, "stop", "-l", "tier=web")
			if want := (result{0, "other is down after 0 s\n", ""}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
}

// TestInterrupted keeps the promise that the end of ctx ends a wait at once, as a failure that says what goes on.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(at(coder, unit.Up, 1))
		f.stopTime[coder] = 20 * time.Second
		got := pintleWith(t, f, func(ctx context.Context, _ *Options) context.Context {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			t.Cleanup(cancel)
			return ctx
		}, "stop", "gateway@coder")
		want := result{1, "", "pintle: cannot wait for gateway@coder: interrupted while it is stopping (it was asked to end); the wish stays recorded\n"}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		f.scripts.Wait()
	})
}

// TestSignalIsSent: the engine gets the signal that was named.
func TestSignalIsSent(t *testing.T) {
	t.Parallel()
	f := newFake(at(coder, unit.Up, 1))
	pintle(t, f, "signal", "10", "gateway@coder")
	if len(f.signals) != 1 || f.signals[0] != "gateway@coder SIGUSR1" {
		t.Errorf("sent %q", f.signals)
	}
}
