package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pintle/internal/s6/wire"
)

// plan is what a supervisor is to run: n services, each the program service with its number.
type plan struct {
	n     int
	ready bool // each says on a descriptor when it is ready, and the supervisor is told to wait for it
	logs  bool // each has a file of its own that its output goes to, and writes one line
	// at once asks for restarts without a pause where there is something to ask for; else the supervisor's defaults hold.
	atOnce bool
	// more is further configuration of pintle's, for the questions that are about pintle alone.
	more string
}

// options are those of the program service.
func (p plan) options() (o string) {
	if p.ready {
		o += "r"
	}
	if p.logs {
		o += "l"
	}
	return o
}

// supervisor is one peer that keeps services running.
type supervisor struct {
	name     string
	programs []string // which must be there
	version  func(w *workshop) string
	// declare writes the services down below dir and returns the command that runs them.
	declare func(w *workshop, dir, fifo string, p plan) []string
	// ready returns when the supervisor itself held the last service to be ready, once all have said so; nil where it has
	// no such thing.
	ready func(c *cell, p plan) time.Duration
	logs  bool // it can keep a file of each service's output
}

// start runs a plan in a cell of its own.
func (w *workshop) start(s supervisor, p plan) *cell {
	w.Helper()
	dir, err := os.MkdirTemp(w.bin, "cell")
	w.must(err)
	w.must(os.Chmod(dir, 0o755))
	f := w.newFIFO(dir)
	return w.enclose(dir, f, s.declare(w, dir, f.path, p)...)
}

// here are those of the supervisors that are installed.
func (w *workshop) here(all ...supervisor) (list []supervisor) {
	for _, s := range all {
		if w.has(s.name, s.programs...) {
			list = append(list, s)
		}
	}
	return list
}

// bareLoop is the physical limit.
var bareLoop = supervisor{
	name: "bare loop", programs: []string{"bareloop"},
	version: func(*workshop) string { return "vfork, setsid and exec in C" },
	declare: func(w *workshop, _, fifo string, p plan) []string {
		return []string{w.program("bareloop"), "all", itoa(p.n), fifo, w.program("service"), p.options()}
	},
	ready: func(c *cell, _ plan) time.Duration { return c.next("ready", 1)[0].at },
}

// goLoop is the same in Go, without a restart.
var goLoop = supervisor{
	name: "Go loop", programs: []string{"forkexec"},
	version: func(w *workshop) string { return "fork and exec in Go" },
	declare: func(w *workshop, _, fifo string, p plan) []string {
		return []string{w.program("forkexec"), itoa(p.n), w.program("service"), fifo, "%i", p.options()}
	},
}

// s6 is Debian's, with a scan directory that is written before it starts.
var s6 = supervisor{
	name: "s6", programs: []string{"s6-svscan", "s6-supervise", "s6-log"},
	version: func(w *workshop) string { return debianVersion(w, "s6") },
	declare: func(w *workshop, dir, fifo string, p plan) []string {
		for i := range p.n {
			s6Service(w, filepath.Join(dir, "scan", "s"+itoa(i)), dir, fifo, i, p)
		}
		return []string{w.program("s6-svscan"), "-c", itoa(2*p.n + 1000), filepath.Join(dir, "scan")}
	},
	ready: func(c *cell, p plan) (last time.Duration) {
		for i := range p.n {
			path := filepath.Join(c.dir, "scan", "s"+itoa(i), "supervise/status")
			c.w.until(path+" says ready", func() bool {
				s, err := s6Status(path)
				if err != nil || !s.Ready() {
					return false
				}
				last = max(last, monotonic(s.ReadyStamp.Time()))
				return true
			})
		}
		return last
	},
	logs: true,
}

// s6Service writes one service directory.
func s6Service(w *workshop, service, dir, fifo string, i int, p plan) {
	w.Helper()
	w.write(filepath.Join(service, "run"), fmt.Sprintf("#!/bin/sh\nexec %s %s %d %s\n", w.program("service"), fifo, i, p.options()), 0o755)
	if p.ready {
		w.write(filepath.Join(service, "notification-fd"), "3\n", 0o644)
	}
	if p.logs {
		w.must(os.MkdirAll(filepath.Join(dir, "log"), 0o755))
		w.write(filepath.Join(service, "log/run"), fmt.Sprintf("#!/bin/sh\nexec %s t %s/log/s%d\n", w.program("s6-log"), dir, i), 0o755)
	}
}

// s6Version is what Debian has, whose status files are 35 bytes long.
var s6Version = wire.Version{2, 11, 3, 2}

func s6Status(path string) (wire.Status, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return wire.Status{}, err
	}
	return wire.DecodeStatus(s6Version, b)
}

// runit has no readiness.
var runit = supervisor{
	name: "runit", programs: []string{"runsvdir", "runsv", "svlogd"},
	version: func(w *workshop) string { return debianVersion(w, "runit") },
	declare: func(w *workshop, dir, fifo string, p plan) []string {
		for i := range p.n {
			service := filepath.Join(dir, "scan", "s"+itoa(i))
			w.write(filepath.Join(service, "run"), fmt.Sprintf("#!/bin/sh\nexec %s %s %d %s\n", w.program("service"), fifo, i, p.options()), 0o755)
			if p.logs {
				w.must(os.MkdirAll(filepath.Join(dir, "log", "s"+itoa(i)), 0o755))
				w.write(filepath.Join(service, "log/run"), fmt.Sprintf("#!/bin/sh\nexec %s -tt %s/log/s%d\n", w.program("svlogd"), dir, i), 0o755)
			}
		}
		return []string{w.program("runsvdir"), filepath.Join(dir, "scan")}
	},
	logs: true,
}

// supervisord has no readiness; without startsecs it does not hold a start back.
var supervisord = supervisor{
	name: "supervisord", programs: []string{"supervisord"},
	version: func(w *workshop) string { return debianVersion(w, "supervisor") },
	declare: func(w *workshop, dir, fifo string, p plan) []string {
		var b strings.Builder
		fmt.Fprintf(&b, "[supervisord]\nnodaemon=true\nuser=root\nlogfile=%s/log.txt\npidfile=%s/pid\nchildlogdir=%s\nminfds=%d\nminprocs=200\n",
			dir, dir, dir, 6*p.n+100)
		fmt.Fprintf(&b, "[unix_http_server]\nfile=%s/sock\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n", dir)
		w.must(os.MkdirAll(filepath.Join(dir, "log"), 0o755))
		for i := range p.n {
			file := "NONE"
			if p.logs {
				file = fmt.Sprintf("%s/log/s%d", dir, i)
			}
			fmt.Fprintf(&b, "[program:s%d]\ncommand=%s %s %d %s\nstartsecs=0\nautorestart=true\nredirect_stderr=true\nstdout_logfile=%s\n",
				i, w.program("service"), fifo, i, p.options(), file)
		}
		w.write(filepath.Join(dir, "supervisord.conf"), b.String(), 0o644)
		return []string{w.program("supervisord"), "-c", filepath.Join(dir, "supervisord.conf")}
	},
	logs: true,
}

// pebble has checks but no readiness, and keeps output in memory.
var pebble = supervisor{
	name: "pebble", programs: []string{"pebble"},
	version: func(w *workshop) string {
		return firstLine(w.run(exec.Command("go", "list", "-C", "../../hack/peers/pebble", "-f", "{{.Module.Version}}", "github.com/canonical/pebble/cmd/pebble")))
	},
	declare: func(w *workshop, dir, fifo string, p plan) []string {
		var b strings.Builder
		b.WriteString("summary: the benchmark\nservices:\n")
		for i := range p.n {
			fmt.Fprintf(&b, "  s%d:\n    override: replace\n    startup: enabled\n    command: %s %s %d %s\n", i, w.program("service"), fifo, i, p.options())
		}
		w.write(filepath.Join(dir, "layers/001-all.yaml"), b.String(), 0o644)
		return []string{"/usr/bin/env", "PEBBLE=" + dir, w.program("pebble"), "run"}
	},
}

// processCompose is measured where it is on PATH.
var processCompose = supervisor{
	name: "process-compose", programs: []string{"process-compose"},
	version: func(w *workshop) string {
		return firstLine(w.run(exec.Command(w.program("process-compose"), "version", "--short")))
	},
	declare: func(w *workshop, dir, fifo string, p plan) []string {
		var b strings.Builder
		b.WriteString("version: \"0.5\"\nprocesses:\n")
		for i := range p.n {
			fmt.Fprintf(&b, "  s%d:\n    command: exec %s %s %d %s\n    availability: {restart: always}\n", i, w.program("service"), fifo, i, p.options())
			if p.logs {
				fmt.Fprintf(&b, "    log_location: %s/log/s%d\n", dir, i)
			}
		}
		w.must(os.MkdirAll(filepath.Join(dir, "log"), 0o755))
		w.write(filepath.Join(dir, "compose.yaml"), b.String(), 0o644)
		return []string{w.program("process-compose"), "up", "-f", filepath.Join(dir, "compose.yaml"), "-t=false", "-U", "-u", filepath.Join(dir, "sock"), "-L", filepath.Join(dir, "log.txt")}
	},
	logs: true,
}

// debianVersion is the version of an installed package; unknown where it does not come from one.
func debianVersion(w *workshop, name string) string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		return "unknown"
	}
	return string(out)
}
