package peers

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"pintle/internal/api"
	"pintle/internal/engine"
	"pintle/internal/unit"
)

// pintle is the one that all this is about. Its services are the instances of a template, s@0 and so on; its main program is
// a service like the others, and not counted.
var pintle = supervisor{
	name: "pintle", programs: []string{"pintle"},
	version: func(w *workshop) string {
		return firstLine(w.run(w.command("git", "describe", "--always", "--dirty", "--tags")))
	},
	declare: func(w *workshop, dir, fifo string, p plan) []string {
		var b strings.Builder
		fmt.Fprintf(&b, "main: {command: [%s, %s, \"-1\"]}\nstate_directory: /run/state\n%s", w.program("service"), fifo, p.more)
		fmt.Fprintf(&b, "templates:\n  s:\n    command: [%s, %s, \"%%i\", \"%s\"]\n", w.program("service"), fifo, p.options())
		if p.ready {
			b.WriteString("    readiness: {fd: 3}\n")
		}
		if p.logs {
			fmt.Fprintf(&b, "    log: {directory: \"%s/log/s%%i\"}\n", dir)
		}
		if p.atOnce {
			b.WriteString("    stable_after: 1s\n")
		}
		fmt.Fprintf(&b, "    instances:\n      names: \"[0-9]+\"\n      managers: [\"10000\"]\n      max: %d\n      initial: up\n      always: [", p.n+10000)
		for i := range p.n {
			fmt.Fprintf(&b, "\"%d\", ", i)
		}
		b.WriteString("]\n")
		w.write(filepath.Join(dir, "pintle.yaml"), b.String(), 0o644)
		return []string{w.program("pintle"), "init", "--config", filepath.Join(dir, "pintle.yaml")}
	},
	ready: func(c *cell, p plan) (last time.Duration) {
		client := c.client()
		c.w.until("every unit is up", func() bool {
			last = 0
			all, err := client.List(context.Background())
			if err != nil || len(all) < p.n {
				return false
			}
			for _, s := range all {
				if s.State != unit.Up {
					return false
				}
				if s.Name != "main" {
					last = max(last, monotonic(s.Since))
				}
			}
			return true
		})
		return last
	},
	logs: true,
}

// client is one of the socket of the pintle in the cell.
func (c *cell) client() *api.Client {
	c.w.Helper()
	client, err := api.Dial(context.Background(), api.DialOptions{Getenv: func(name string) string {
		return map[string]string{"PINTLE_SOCKET": c.socket()}[name]
	}})
	c.w.must(err)
	c.w.Cleanup(client.Close)
	c.w.until("pintle answers", func() bool {
		_, err := client.Info(context.Background())
		return err == nil
	})
	return client
}

// socket is its path from outside.
func (c *cell) socket() string { return fmt.Sprintf("/proc/%d/root/run/pintle/pintle.sock", c.pid) }

// get is the status of one unit.
func (c *cell) get(client *api.Client, name string) engine.Status {
	c.w.Helper()
	s, err := client.Get(context.Background(), unit.Name(name))
	c.w.must(err)
	return s
}
