package lifecycle

import (
	"testing"

	"pintle/internal/unit"
)

// BenchmarkNext is one whole life: from Start to Down by a stop, and the same of a unit with all that can be declared.
func BenchmarkNext(b *testing.B) {
	plain := []Event{
		{Kind: Start}, {Kind: Granted}, {Kind: Spawned, Run: 1}, {Kind: Stop}, {Kind: Exited, Run: 1}, {Kind: Empty, Run: 1},
	}
	full := []Event{
		{Kind: Boot}, {Kind: Held, Reason: unit.AwaitsDependency}, {Kind: Granted}, {Kind: Spawned, Run: 1}, {Kind: Ready, Run: 1},
		{Kind: Ping, Run: 1}, {Kind: Ping, Run: 1}, {Kind: Stop}, {Kind: CommandEnded, Run: 1}, {Kind: Extend, Run: 1, After: testGrace},
		{Kind: Exited, Run: 1}, {Kind: Empty, Run: 1},
	}
	for name, c := range map[string]struct {
		spec   *unit.Spec
		events []Event
	}{
		"plain": {service(), plain},
		"full":  {service(withReadiness, withWatchdog, withDump, withStopCommand, withSignals, withGraceMax), full},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var u Unit
			for b.Loop() {
				u = New(c.spec)
				for _, e := range c.events {
					u, _ = Next(c.spec, u, e)
				}
			}
			if u.State != unit.Down {
				b.Fatalf("it is %s", u.State)
			}
			b.ReportMetric(float64(b.N*len(c.events))/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkIgnored is an event of an old run, as a busy container has many.
func BenchmarkIgnored(b *testing.B) {
	b.ReportAllocs()
	spec := service()
	u := walkTo(spec, Event{Kind: Start}, Event{Kind: Granted}, Event{Kind: Spawned, Run: 1})
	for b.Loop() {
		u, _ = Next(spec, u, Event{Kind: Exited})
	}
}

// BenchmarkCrashes is a unit that crashes for ever, with a history of failures to keep.
func BenchmarkCrashes(b *testing.B) {
	b.ReportAllocs()
	spec := service(func(s *unit.Spec) { s.GiveUp = unit.GiveUp{After: 1 << 30, Within: testGrace} })
	u := walkTo(spec, Event{Kind: Start})
	at := noon
	for b.Loop() {
		at = at.Add(testGrace / 10)
		u, _ = Next(spec, u, Event{Kind: Granted, At: at})
		u, _ = Next(spec, u, Event{Kind: SpawnFailed, At: at, Run: u.Run, Exit: unit.Exit{Code: 127}})
		u, _ = Next(spec, u, Event{Kind: Expired, At: at, Run: u.Run, Timer: BackoffTimer, Serial: u.armed[BackoffTimer]})
	}
}

func walkTo(spec *unit.Spec, events ...Event) Unit {
	u := New(spec)
	for _, e := range events {
		u, _ = Next(spec, u, e)
	}
	return u
}
