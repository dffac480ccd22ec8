package supervisor

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pintle/internal/account"
	"pintle/internal/api"
	"pintle/internal/unit"
)

// floodManners are what connections of a flood do; each returns when its connection is closed.
var floodManners = []func(net.Conn){
	func(c net.Conn) { io.Copy(io.Discard, c) }, // it says nothing
	func(c net.Conn) { io.WriteString(c, "GET /v1/un"); io.Copy(io.Discard, c) },
	func(c net.Conn) { // 1 GB
		fmt.Fprintf(c, "PUT /v1/units/unit1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{\"down\":", 1<<30)
		for some := strings.Repeat(" ", 64<<10); ; {
			if _, err := io.WriteString(c, some); err != nil {
				return
			}
		}
	},
	func(c net.Conn) { // answers that nobody reads
		for {
			if _, err := io.WriteString(c, "GET /v1/units HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return
			}
		}
	},
	watchAndRead(0), watchAndRead(0), watchAndRead(0), watchAndRead(1),
}

// watchAndRead asks for all that changes, and then reads so many bytes at a time, slowly.
func watchAndRead(bytes int) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for b := make([]byte, bytes); ; <-tick.C {
			if _, err := c.Read(b); err != nil {
				return
			}
			if bytes == 0 { // a read of nothing does not find out that it is closed
				if _, err := io.WriteString(c, "\n"); err != nil {
					return
				}
			}
		}
	}
}

// flood serves the supervisor on a socket and keeps 1,000 connections to it busy, of which it has as many at a time as
// it lets in. It is pintle's own user who does it, who may have the most.
func flood(t *testing.T, s *Supervisor) (end func()) {
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := api.NewServer(api.Options{
		Engine: s, Managers: func(string) (unit.Managers, bool) { return unit.Managers{}, false }, Accounts: account.Database{},
	})
	var over sync.WaitGroup
	over.Go(func() {
		if err := server.Serve(l); err != nil {
			t.Error(err)
		}
	})
	var stop atomic.Bool
	var tried sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	connections := 1000
	if raceEnabled {
		connections = 100 // it is about time, which is another one there
	}
	for i := range connections {
		tried.Add(1)
		over.Go(func() {
			first := sync.OnceFunc(tried.Done)
			for n := i; !stop.Load(); n++ {
				c, err := net.Dial("unix", path)
				first()
				if n != i {
					<-time.After(time.Second) // it is not the flood's own work that is measured
				}
				if err != nil {
					continue
				}
				mu.Lock()
				open[c] = true
				mu.Unlock()
				if !stop.Load() {
					floodManners[n%len(floodManners)](c)
				}
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			}
		})
	}
	tried.Wait()
	return func() {
		stop.Store(true)
		server.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		over.Wait()
	}
}

// TestAFloodDoesNotBlockTheLoop: with 1,000 connections that behave as badly as they can, of which 256 are let in at a
// time, and with as many readers of changes who never read, the longest turn is no longer than without.
func TestAFloodDoesNotBlockTheLoop(t *testing.T) {
	turnsAreShort(t, flood)
}
