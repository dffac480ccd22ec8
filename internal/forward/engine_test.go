package forward

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// books is an engine that has units and their lines, and can be written to while it is read.
type books struct {
	engine.Engine

	mu    sync.Mutex
	lines map[unit.Name][]engine.Line
	// denied are the units whose lines may not, or (main) cannot be read, with how often somebody tried.
	denied map[unit.Name]int
	gone   map[unit.Name]bool
	// lives are where the lines of each life of a unit begin: those of one that was removed can't be asked for any more.
	lives  map[unit.Name][]int
	change chan struct{} // closed and made anew
	// down is set while nobody answers, and starts counts how often that began.
	down   bool
	starts int
	// open counts the streams at present, most is the highest that it was, and asked how many there ever were.
	open, most, asked int
}

func newBooks(names ...unit.Name) *books {
	b := &books{lines: map[unit.Name][]engine.Line{}, denied: map[unit.Name]int{}, gone: map[unit.Name]bool{}, lives: map[unit.Name][]int{}, change: make(chan struct{})}
	for _, n := range names {
		b.lines[n], b.lives[n] = nil, []int{0}
	}
	return b
}

func (b *books) do(what func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	what()
	close(b.change)
	b.change = make(chan struct{})
}

// write adds n lines to a unit, which it makes where there is none.
func (b *books) write(name unit.Name, n int) {
	b.do(func() {
		if b.gone[name] || b.lives[name] == nil {
			delete(b.gone, name)
			b.lives[name] = append(b.lives[name], len(b.lines[name]))
		}
		for range n {
			seq := uint64(len(b.lines[name]) + 1)
			b.lines[name] = append(b.lines[name], engine.Line{
				Unit: name, Run: 1, Seq: seq, Time: time.Now(), Stream: engine.Stdout, Text: fmt.Sprintf("%s %d", name, seq),
			})
		}
	})
}

// streams are how many there are at present, the most that there were at once, and all there ever were.
func (b *books) streams() (open, most, asked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open, b.most, b.asked
}

// away has nobody answer, or somebody again; then the units are those of a new life, without lines that nobody has read.
func (b *books) away(down bool, change func()) {
	b.do(func() {
		if b.down = down; down {
			b.starts++
		}
		if change != nil {
			change()
		}
	})
}

func errDown() error {
	return engine.Errorf(engine.Unavailable, "cannot reach pintle: nobody is there")
}

func (b *books) remove(name unit.Name) { b.do(func() { b.gone[name] = true }) }

func (b *books) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		told := map[unit.Name]bool{}
		for {
			b.mu.Lock()
			if b.down {
				b.mu.Unlock()
				yield(engine.Status{}, errDown())
				return
			}
			change := b.change
			var news []engine.Status
			for _, name := range slices.Sorted(maps.Keys(b.lines)) {
				if here := !b.gone[name]; here != told[name] {
					told[name] = here
					news = append(news, engine.Status{Name: name, Kind: unit.Service, Gone: !here})
				}
			}
			b.mu.Unlock()
			for _, s := range news {
				if !yield(s, nil) {
					return
				}
			}
			select {
			case <-change:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (b *books) List(context.Context) ([]engine.Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return nil, errDown()
	}
	var all []engine.Status
	for name := range b.lines {
		if !b.gone[name] {
			all = append(all, engine.Status{Name: name, Kind: unit.Service})
		}
	}
	return all, nil
}

// LogsOf counts as one stream.
func (b *books) LogsOf(ctx context.Context, reqs []engine.LogRequest) iter.Seq2[engine.Line, error] {
	return b.counted(func(yield func(engine.Line, error) bool) {
		if err := b.refusal(reqs); err != nil {
			yield(engine.Line{}, err)
			return
		}
		engine.LogsOf(ctx, each{b}, reqs)(yield)
	})
}

func (b *books) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return b.counted(func(yield func(engine.Line, error) bool) { each{b}.Logs(ctx, req)(yield) })
}

func (b *books) counted(stream iter.Seq2[engine.Line, error]) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		b.mu.Lock()
		b.open++
		b.asked++
		b.most = max(b.most, b.open)
		b.mu.Unlock()
		defer func() { b.mu.Lock(); b.open--; b.mu.Unlock() }()
		stream(yield)
	}
}

// refusal is the answer to who may not read all that he asks for.
func (b *books) refusal(reqs []engine.LogRequest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var refusal *engine.Error
	for _, req := range reqs {
		n, denied := b.denied[req.Name]
		if !denied || req.Name == "main" {
			continue
		}
		b.denied[req.Name] = n + 1
		if refusal == nil {
			refusal = engine.Errorf(engine.Denied, "cannot read the logs of %s: uid 7 may not", req.Name)
		}
		refusal.Units = append(refusal.Units, req.Name)
	}
	if refusal == nil {
		return nil
	}
	return refusal
}

// each answers for one unit.
type each struct{ *books }

func (b each) LogsOf() {} // not that of books

func (b each) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		if err := b.refusal([]engine.LogRequest{req}); err != nil {
			yield(engine.Line{}, err)
			return
		}
		b.mu.Lock()
		life, starts, err := len(b.lives[req.Name])-1, b.starts, error(nil)
		switch n, denied := b.denied[req.Name]; {
		case b.down:
			err = errDown()
		case denied:
			b.denied[req.Name] = n + 1
			err = engine.Errorf(engine.Conflict, "cannot read the log of main: its output goes elsewhere")
		case life < 0 || b.gone[req.Name]:
			err = engine.Errorf(engine.NotFound, "cannot read the log of %s: there is no such unit", req.Name)
		}
		b.mu.Unlock()
		if err != nil {
			yield(engine.Line{}, err)
			return
		}
		place := req.After
		b.mu.Lock()
		if n := len(b.lines[req.Name]); n > 0 && place > b.lines[req.Name][n-1].Seq {
			place = 0 // it is of a life when the clock was ahead
		}
		b.mu.Unlock()
		for {
			b.mu.Lock()
			change, over, down := b.change, b.gone[req.Name], b.starts != starts
			lines := b.lines[req.Name]
			if lives := b.lives[req.Name]; len(lives) > life+1 {
				lines, over = lines[:lives[life+1]], true
			}
			var news []engine.Line
			for _, l := range lines[b.lives[req.Name][life]:] {
				if l.Seq > place {
					news = append(news, l)
				}
			}
			b.mu.Unlock()
			if down {
				yield(engine.Line{}, engine.Errorf(engine.Unavailable, "cannot go on: pintle ends"))
				return
			}
			for _, l := range news {
				place = l.Seq
				if ctx.Err() != nil || !yield(l, nil) {
					return
				}
			}
			if over {
				return
			}
			select {
			case <-change:
			case <-ctx.Done():
				return
			}
		}
	}
}

// shelf is a receiver that keeps what it gets, and does as it is told.
type shelf struct {
	mu    sync.Mutex
	got   []entry
	times []time.Time // of each batch
	tries int
	// fails is what it answers instead; nil: it takes lines. hangs has it not answer at all.
	fails func(batch []entry) error
	hangs bool
	taken int
}

func (s *shelf) send(ctx context.Context, batch []entry) error {
	s.mu.Lock()
	s.tries++
	hangs, fails := s.hangs, s.fails
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if fails != nil {
		if err := fails(batch); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, batch...)
	s.times = append(s.times, time.Now())
	s.taken += len(batch)
	return nil
}

func (s *shelf) settled() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.taken
	s.taken = 0
	return n, nil
}

func (s *shelf) close() {}

func (s *shelf) set(fails func([]entry) error, hangs bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails, s.hangs = fails, hangs
}

// batches are when it got something, and attempts how often somebody tried.
func (s *shelf) batches() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.times)
}

func (s *shelf) attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// texts are what it got, of one unit or ("") of all.
func (s *shelf) texts(name unit.Name) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, e := range s.got {
		if name == "" || e.line.Unit == name {
			all = append(all, e.text())
		}
	}
	return all
}

// byUnit are the texts of each unit.
func (s *shelf) byUnit() map[unit.Name][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[unit.Name][]string{}
	for _, e := range s.got {
		all[e.line.Unit] = append(all[e.line.Unit], e.text())
	}
	return all
}

// numbered are the texts of a unit's lines from one number to another.
func numbered(name unit.Name, from, to int) []string {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprintf("%s %d", name, i))
	}
	return all
}

// running is a forwarder to shelves, in a bubble.
type running struct {
	*Forwarder
	shelves []*shelf
	stop    func() // and wait for its end
	mu      sync.Mutex
	said    []string
}

func (r *running) words() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

// startForwarder has a forwarder run with so many targets, until the test ends or it is stopped.
func startForwarder(t *testing.T, b *books, targets int, change func(*Options, *tuning)) *running {
	t.Helper()
	r := &running{}
	o := Options{Engine: b, Host: "alpha", Say: func(text string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = append(r.said, text)
	}}
	for i := range targets {
		o.Targets = append(o.Targets, Target{Name: fmt.Sprintf("target%d", i), Protocol: "loki", Transport: "http"})
	}
	tuned := defaultTuning()
	if change != nil {
		change(&o, &tuned)
	}
	f, err := newForwarder(o, tuned)
	if err != nil {
		t.Fatal(err)
	}
	r.Forwarder = f
	for _, route := range f.routes {
		s := &shelf{}
		route.sender.receiver = s
		r.shelves = append(r.shelves, s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f.Run(ctx); err != nil {
			t.Errorf("it ended with %v", err)
		}
	}()
	r.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(r.stop)
	return r
}
