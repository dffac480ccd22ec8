package peers

import (
	"fmt"
	"os"
	"os/exec"
	"time"
)

// inits are the programs that a container may begin with, as words before the command.
func inits(w *workshop) (list []supervisor) {
	words := func(name string, programs []string, version func(*workshop) string, prefix ...string) supervisor {
		return supervisor{name: name, programs: programs, version: version,
			declare: func(w *workshop, _, _ string, _ plan) []string {
				if len(prefix) == 0 {
					return nil
				}
				return append([]string{w.program(prefix[0])}, prefix[1:]...)
			}}
	}
	debian := func(name string) func(*workshop) string {
		return func(w *workshop) string { return debianVersion(w, name) }
	}
	return w.here(
		words("nothing", nil, nil),
		words("Go program", []string{"forkexec"}, goLoop.version, "forkexec", "1"),
		words("pintle", []string{"pintle"}, pintle.version, "pintle", "init", "--"),
		words("tini", []string{"tini"}, debian("tini"), "tini", "-s", "--"),
		words("dumb-init", []string{"dumb-init"}, debian("dumb-init"), "dumb-init", "--"),
		words("catatonit", []string{"catatonit"}, debian("catatonit"), "catatonit", "--"),
	)
}

// execution: what an init costs a container that has nothing but its main program.
func execution(w *workshop) answer {
	a := answer{
		id: "exec", title: "Process start to main's exec",
		measured: "From just before the fork of the init to the first instruction of the program that it was given; and from there to the init's own end, the program being true.",
	}
	dir := w.TempDir()
	f := w.newFIFO(dir)
	w.Cleanup(func() { f.file.Close() })
	started, ended := map[string][]float64{}, map[string][]float64{}
	peers := inits(w)
	run := func(words []string, command ...string) time.Duration {
		command = append(words, command...)
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "PINTLE_RUNTIME_DIR=" + dir + "/run"}
		began := now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			w.Fatalf("cannot run %v: %v\n%s", command, err, out)
		}
		return began
	}
	for range w.pick(101, 41, 2) {
		for _, p := range peers {
			words := p.declare(w, "", "", plan{})
			began := run(words, w.program("service"), f.path, "0", "x")
			started[p.name] = append(started[p.name], ms(f.next("started", 1)[0].at-began))
			began = run(words, "/usr/bin/true")
			ended[p.name] = append(ended[p.name], ms(now()-began))
		}
	}
	for _, p := range peers {
		a.figures = append(a.figures, figure{peer: p.name, what: "main is executed", unit: "ms", samples: started[p.name]})
	}
	for _, p := range peers {
		a.figures = append(a.figures, figure{peer: p.name, what: "true has ended, and its init", unit: "ms", samples: ended[p.name]})
	}
	a.goals = []goal{{what: "main is executed: at most 3 × the Go program", got: middle(started["pintle"]) / middle(started["Go program"]), atMost: 3}}
	a.notes = append([]string{"None of them is PID 1 here, since a namespace would cost more than what is measured."}, w.absent("tini", "dumb-init", "catatonit")...)
	return a
}

// middle is the median.
func middle(samples []float64) float64 { return figure{samples: samples}.median() }

// late is the 99th percentile.
func late(samples []float64) float64 { return figure{samples: samples}.quantile(0.99) }

// cpuOf is the CPU time in seconds of processes that live, by the scheduler's own count.
func cpuOf(pids []int) (seconds float64) {
	for task := range tasksOf(pids) {
		b, err := os.ReadFile(task + "/schedstat")
		var ran int64
		if err == nil {
			if _, err := fmt.Sscan(string(b), &ran); err == nil {
				seconds += float64(ran) / 1e9
			}
		}
	}
	return seconds
}
