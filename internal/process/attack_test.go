package process

import (
	"testing"
	"time"
)

// hostile is the user that attacks; victim is another one.
var (
	hostile = Identity{Name: "hostile", UID: 10000, GID: 10000}
	victim  = Identity{Name: "victim", UID: 10001, GID: 10001}
)

func TestStopAttack(t *testing.T) {
	alone(t, surroundings{PID1: true, Caps: dockerCaps}, func(t *testing.T) {
		w := newWorld(t)
		c := as("say ready stoppers")
		c.Identity = &hostile
		attacker := w.start(c)
		attacker.hears("ready")
		for range 100 {
			c := as("exit 0")
			c.Identity = &hostile
			began := time.Now()
			l := w.start(c)
			t.Log(time.Since(began))
			l.Run.Kill()
			l.ends()
		}
	})
}
