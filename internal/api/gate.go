package api

import (
	"net"
	"sync"
)

// limits bounds the open connections. Owners are bound by total alone, so that
// total-others are always left for them.
type limits struct {
	total  int // of everybody
	others int // of all who are no owners
	perUID int // of one uid that is no owner
}

// gate is a listener that knows each peer before it lets it in, and closes at
// once what is above the limits.
type gate struct {
	net.Listener
	limits limits
	owner  func(uid uint32) bool

	mu     sync.Mutex // guards what follows
	open   map[uint32]int
	others int
	total  int
}

// Accept returns the next connection that is within the limits; it is a *conn.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := identify(c)
		if err != nil || !g.enter(p.uid) {
			c.Close()
			continue
		}
		p.command = commandOf(p.pid)
		return &conn{Conn: c, peer: p, leave: sync.OnceFunc(func() { g.leave(p.uid) })}, nil
	}
}

func (g *gate) enter(uid uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.limits.total {
		return false
	}
	if !g.owner(uid) {
		if g.others >= g.limits.others || g.open[uid] >= g.limits.perUID {
			return false
		}
		g.others++
		g.open[uid]++
	}
	g.total++
	return true
}

func (g *gate) leave(uid uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.owner(uid) {
		return
	}
	g.others--
	if g.open[uid]--; g.open[uid] == 0 {
		delete(g.open, uid)
	}
}

// conn is a connection with its peer.
type conn struct {
	net.Conn
	peer  peer
	leave func() // once
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
