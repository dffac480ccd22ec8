// Package dashboard is what a container shows over TCP: its metrics, for Prometheus
// and all that read the same format.
//
// It promises that it is a client of the engine like everybody else, and needs no
// rights: what it shows is the same whoever runs it, namely what everybody who
// reaches pintle's socket may see. The name and the labels of a metric stay what they
// are. A scrape is of one moment, or an error that says why not: 503, and never half
// of the truth. Slow and many readers cost it a bounded amount of memory.
//
// It changes nothing, keeps nothing, and asks nobody who he is: who may reach its
// address may read it.
package dashboard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/netutil"

	"pintle/internal/engine"
)

// The bounds of a reader.
const (
	// maxReaders are served at a time; the next ones wait for their turn in the listener's queue.
	maxReaders = 32
	// maxScrapes are made at a time.
	maxScrapes = 4
	maxHeader  = 16 << 10
)

// tuning is how patient a server is.
type tuning struct {
	// request and idle bound the time in which a reader must have sent a request, and begun the next one.
	request, idle time.Duration
	// write bounds the time from a request's end in which a reader must have read the answer.
	write time.Duration
	// collect bounds the time that the engine has. Prometheus itself waits for 10 s.
	collect time.Duration
}

func defaultTuning() tuning {
	return tuning{request: 5 * time.Second, idle: 2 * time.Minute, write: 30 * time.Second, collect: 8 * time.Second}
}

// Serve answers who connects to l until ctx ends, and then ends at once; it returns nil then. It closes l.
func Serve(ctx context.Context, l net.Listener, eng engine.Engine) error {
	return serve(ctx, l, ofEngine(eng), defaultTuning())
}

// collector makes the metrics of a moment.
type collector func(ctx context.Context) ([]byte, error)

func serve(ctx context.Context, l net.Listener, collect collector, t tuning) error {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	s := &http.Server{
		Handler:                      handler(collect, t),
		Protocols:                    &http1,
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               maxHeader,
		ReadTimeout:                  t.request,
		IdleTimeout:                  t.idle,
		WriteTimeout:                 t.write,
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	err := s.Serve(netutil.LimitListener(l, maxReaders))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	_ = s.Close()
	return err
}

// handler is everything that can be asked.
func handler(collect collector, t tuning) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", &scraper{collect: collect, patience: t.collect, turns: make(chan struct{}, maxScrapes)})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "text/plain; charset=utf-8", []byte("Metrics are at /metrics.\n"))
	})
	return mux
}

// scraper answers with the metrics.
type scraper struct {
	collect  collector
	patience time.Duration
	turns    chan struct{}
}

// ServeHTTP implements http.Handler.
func (s *scraper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.patience)
	defer cancel()
	text, err := s.scrape(ctx)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, "text/plain; charset=utf-8", []byte(err.Error()+"\n"))
		return
	}
	answer(w, http.StatusOK, contentType, text)
}

// scrape collects, in its turn.
func (s *scraper) scrape(ctx context.Context) ([]byte, error) {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return nil, engine.Errorf(engine.Unavailable, "cannot collect metrics: too many ask at once")
	}
	return s.collect(ctx)
}

// ofEngine asks an engine.
func ofEngine(eng engine.Engine) collector {
	return func(ctx context.Context) ([]byte, error) {
		info, err := eng.Info(ctx)
		if err != nil {
			return nil, err
		}
		units, err := eng.List(ctx)
		if err != nil {
			return nil, err
		}
		return metrics(info, units), nil
	}
}

func answer(w http.ResponseWriter, code int, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(text) // who has gone away needs no answer
}
