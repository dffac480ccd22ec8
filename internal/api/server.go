package api

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"pintle/internal/account"
	"pintle/internal/engine"
	"pintle/internal/unit"
)

// Options is what a Server needs.
type Options struct {
	// Engine does what is asked; calls to it carry the peer as engine.ActorOf.
	Engine engine.Engine
	// Managers is who may manage a template's instances; false where there is
	// no such template. It is called at each decision, from many goroutines.
	Managers func(template string) (unit.Managers, bool)
	// Readers may read the output of every unit beside those who may manage it; nil: nobody may. It is called as Managers is.
	Readers func() unit.Managers
	// Keeper is the uid of who may manage a unit beside the owners and a template's managers, such as the user that an s6
	// service runs as; false: nobody. Nil is nobody for all. It is called as Managers is.
	Keeper func(unit.Name) (uid int, ok bool)
	// UID is the user that pintle itself runs as.
	UID int
	// Accounts turns the managers' names into ids.
	Accounts account.Database
	// ErrorLog gets what net/http has to say, such as the stack of a panic that
	// a handler ended with; nil discards it.
	ErrorLog *log.Logger
}

// tuning is the numbers of a server.
type tuning struct {
	limits limits
	// header, request and idle bound the time in which a peer must have sent a
	// request's head, all of it, and the next one.
	header, request, idle time.Duration
	// write bounds the time in which a peer must have read an answer, or one line of a stream.
	write time.Duration
	// beat is the time between two signs of life in a stream.
	beat time.Duration
}

const (
	maxHeader = 16 << 10
	maxBody   = 64 << 10
)

func defaultTuning() tuning {
	return tuning{
		limits:  limits{total: 256, others: 192, perUID: 64},
		header:  5 * time.Second,
		request: 10 * time.Second,
		idle:    30 * time.Second,
		write:   30 * time.Second,
		beat:    15 * time.Second,
	}
}

// Server serves an engine to the peers of a socket.
type Server struct {
	engine engine.Engine
	policy policy
	tuning tuning
	http   *http.Server
	mux    func() *http.ServeMux // made when the first one asks: a container's start does not wait for it
	// ending is done once streams must end; end makes it so.
	ending context.Context
	end    context.CancelFunc
}

// NewServer makes a Server. It serves nothing yet.
func NewServer(o Options) *Server { return newServer(o, defaultTuning()) }

func newServer(o Options, t tuning) *Server {
	if o.Readers == nil {
		o.Readers = func() unit.Managers { return unit.Managers{} }
	}
	s := &Server{
		engine: o.Engine,
		policy: policy{uid: o.UID, managers: o.Managers, readers: o.Readers, keeper: o.Keeper, accounts: o.Accounts},
		tuning: t,
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.mux = sync.OnceValue(s.routes)
	if o.ErrorLog == nil {
		o.ErrorLog = log.New(io.Discard, "", 0)
	}
	var http1 http.Protocols
	http1.SetHTTP1(true)
	s.http = &http.Server{
		Handler:                      s,
		Protocols:                    &http1,
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               maxHeader,
		ReadHeaderTimeout:            t.header,
		ReadTimeout:                  t.request,
		IdleTimeout:                  t.idle,
		WriteTimeout:                 t.write,
		ErrorLog:                     o.ErrorLog,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return withPeer(ctx, c.(*conn).peer)
		},
	}
	return s
}

// Serve answers the peers that connect to l, which must be a unix socket, until
// Close or Shutdown; it returns nil then. It closes l.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(&gate{
		Listener: l,
		limits:   s.tuning.limits,
		owner:    s.policy.owner,
		open:     map[uint32]int{},
	})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends all connections at once.
func (s *Server) Close() error {
	s.end()
	return s.http.Close()
}

// Shutdown ends streams, answers what has been asked, and then ends all
// connections; what is still open when ctx ends is cut off, and that is no
// error. Peers that have connected and said nothing can make it take all the
// time that ctx gives.
func (s *Server) Shutdown(ctx context.Context) error {
	s.end()
	err := s.http.Shutdown(ctx)
	if err != nil && ctx.Err() != nil {
		return s.http.Close()
	}
	return err
}
