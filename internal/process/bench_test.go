package process

import (
	"bufio"
	"testing"

	"pintle/internal/unit"
)

// BenchmarkStart is a run's whole life but for its sweep: start, execute, end, reap.
// The benchmarks have one Kernel after the other in one process.
func BenchmarkStart(b *testing.B) {
	for name, id := range map[string]*Identity{"direct": nil, "step": {Name: "nobody", UID: 65534, GID: 65534}} {
		b.Run(name, func(b *testing.B) {
			if id != nil {
				needRoot(b)
			}
			k, err := New(Options{Sets: SetsAttribution})
			must(b, err)
			defer k.Close()
			ended := make(chan unit.Exit, 1)
			for b.Loop() {
				_, err := k.Start(Command{Path: "/bin/true", Args: []string{"true"}, Identity: id}, Hooks{Exited: func(e unit.Exit, _ unit.Usage) { ended <- e }})
				must(b, err)
				if e := <-ended; !e.Success() {
					b.Fatal(e)
				}
			}
		})
	}
}

// BenchmarkLives is 100 runs' whole lives at a time, with their sweeps, as somebody else and as root.
func BenchmarkLives(b *testing.B) {
	needRoot(b)
	for name, id := range map[string]*Identity{"user": {Name: "nobody", UID: 65534, GID: 65534}, "root": nil} {
		for _, sets := range []Sets{SetsCgroup, SetsAttribution} {
			b.Run(name+"/"+string(sets), func(b *testing.B) {
				k, err := New(Options{Sets: sets})
				must(b, err)
				defer k.Close()
				empty := make(chan bool, 100)
				for b.Loop() {
					for i := range 100 {
						ended := make(chan unit.Exit, 1)
						c := Command{Path: "/bin/true", Args: []string{"true"}, Identity: id, Unit: "true", Number: uint64(i)}
						r, err := k.Start(c, Hooks{Exited: func(e unit.Exit, _ unit.Usage) { ended <- e }})
						must(b, err)
						<-ended
						r.Sweep(func() { empty <- true }, nil)
					}
					for range 100 {
						<-empty
					}
				}
			})
		}
	}
}

// BenchmarkScan reads all of /proc.
func BenchmarkScan(b *testing.B) {
	n := 0
	for b.Loop() {
		n = len(scan())
	}
	b.ReportMetric(float64(n), "processes")
}

// BenchmarkCensus is one look at a run of 300 processes, whose marks are read.
func BenchmarkCensus(b *testing.B) {
	k, err := New(Options{Sets: SetsAttribution})
	must(b, err)
	defer k.Close()
	r, out, err := Pipe()
	must(b, err)
	defer r.Close()
	c := as("storm 300 say ready sleep")
	c.Files[1] = out
	run, err := k.Start(c, Hooks{})
	must(b, err)
	out.Close()
	_, err = bufio.NewReader(r).ReadString('\n')
	must(b, err)
	for b.Loop() {
		c := census{k: k, marks: map[process]string{}}
		look := &Run{k: k, pid: run.pid, mark: run.mark}
		c.attribute(c.look([]*Run{look}, true), []*Run{look})
		if len(look.set.members) != 301 {
			b.Fatalf("%d members", len(look.set.members))
		}
	}
	gone := make(chan bool)
	run.Sweep(func() { close(gone) }, nil)
	run.Kill()
	<-gone
}
