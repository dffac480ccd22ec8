package supervisor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/relay"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// benchmark makes a supervisor, with a kernel if it is to execute anything.
func benchmark(b *testing.B, k *process.Kernel, services []unit.Spec) *Supervisor {
	kept, _ := store.Open(store.Options{})
	book := logs.NewBook(logs.Options{})
	s := New(Options{Services: services, Kernel: NewKernel(k), Store: kept, Logs: book, Log: slogTo(&lines{})})
	b.Cleanup(func() {
		s.Close()
		_ = kept.Close(context.Background())
		_ = book.Close(context.Background())
	})
	return s
}

func thousand() []unit.Spec {
	var services []unit.Spec
	for i := range 1000 {
		services = append(services, unfit(unit.Name(fmt.Sprintf("unit%d", i))))
	}
	return services
}

// BenchmarkSnapshot1000 is the longest turn that a reader can ask of the loop: a list of 1,000 units, each with a past.
func BenchmarkSnapshot1000(b *testing.B) {
	s := benchmark(b, nil, thousand())
	s.Boot()
	for {
		list, err := s.List(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if !containsState(list, unit.Down, unit.Starting) {
			break
		}
	}
	s.Halt()
	for b.Loop() {
		if list, err := s.List(b.Context()); len(list) != 1000 || err != nil {
			b.Fatal(err)
		}
	}
}

func containsState(list []engine.Status, states ...unit.State) bool {
	for _, u := range list {
		for _, s := range states {
			if u.State == s {
				return true
			}
		}
	}
	return false
}

// BenchmarkPublish10 is what one change costs the loop while ten read.
func BenchmarkPublish10(b *testing.B) {
	s := benchmark(b, nil, thousand()[:1])
	for range 10 {
		s.relay.Join(relay.NewReader(nil))
	}
	u := s.units["unit0"]
	b.ReportAllocs()
	for b.Loop() {
		s.publish(u)
	}
}

// BenchmarkHalt1000 is the longest turn that there is: the wish that 1,000 units stop, ten readers being told of each.
func BenchmarkHalt1000(b *testing.B) {
	services := thousand()
	for b.Loop() {
		b.StopTimer()
		s := benchmark(b, nil, services)
		for range 10 {
			s.relay.Join(relay.NewReader(nil))
		}
		b.StartTimer()
		s.Halt()
		<-s.Idle()
	}
}

// BenchmarkStartStop is one life of a unit: started, up, stopped, nothing left.
func BenchmarkStartStop(b *testing.B) {
	k, err := process.New(process.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	s := benchmark(b, k, []unit.Spec{sleeper("web", func(s *unit.Spec) { s.Command = []string{"/bin/sleep", "1000"} })})
	changes := make(chan engine.Status, 64)
	go func() {
		for status := range s.Watch(b.Context()) {
			changes <- status
		}
	}()
	until := func(state unit.State) {
		for {
			select {
			case status := <-changes:
				if status.State == state {
					return
				}
			case <-time.After(10 * time.Second):
				b.Fatalf("it is not %s", state)
			}
		}
	}
	until(unit.Down)
	for b.Loop() {
		if _, err := s.Start(b.Context(), "web"); err != nil {
			b.Fatal(err)
		}
		until(unit.Up)
		if _, err := s.Stop(b.Context(), "web"); err != nil {
			b.Fatal(err)
		}
		until(unit.Down)
	}
}
