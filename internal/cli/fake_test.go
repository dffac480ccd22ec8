package cli

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// fake is an engine in memory whose runs do as a script says. It is meant for a synctest bubble.
type fake struct {
	mu       sync.Mutex
	units    map[unit.Name]*engine.Status
	watchers map[chan struct{}]*[]engine.Status // each with what it has not read yet
	books    fakeBooks
	info     engine.Info
	runs     map[unit.Name][]engine.RunRecord
	signals  []string
	// refuse is the error of a method, by its name.
	refuse map[string]error
	// live is what a run does after it was executed; runs that are not named stay up.
	live map[unit.Name]func(f *fake, name unit.Name, run uint64)
	// holds has the next start of a unit wait, with this as its because, until the script begins a run.
	holds map[unit.Name]string
	// refused has starts of a unit fail for lack of what it depends on, with this as its because.
	refused map[unit.Name]string
	// changes are what a reload does, and reloads what was asked for.
	changes []engine.Change
	reloads []engine.ReloadRequest
	// stopTime is how long a run takes to end when it is asked to.
	stopTime map[unit.Name]time.Duration
	// lazy answers a verb with the status of before it, as an engine may that only queues wishes.
	lazy bool
	// gone is closed when the supervisor ends.
	gone    chan struct{}
	scripts sync.WaitGroup
}

func newFake(units ...engine.Status) *fake {
	f := &fake{
		units:    map[unit.Name]*engine.Status{},
		watchers: map[chan struct{}]*[]engine.Status{},
		books:    newFakeBooks(),
		refuse:   map[string]error{},
		live:     map[unit.Name]func(*fake, unit.Name, uint64){},
		refused:  map[unit.Name]string{},
		holds:    map[unit.Name]string{},
		stopTime: map[unit.Name]time.Duration{},
		gone:     make(chan struct{}),
		info:     engine.Info{Version: "1.2.3", PID: 1, ProcessSets: "sessions and orphans"},
	}
	for _, s := range units {
		if s.Kind == "" {
			s.Kind = unit.Service
		}
		s.Desired = s.Intent.Desired()
		f.units[s.Name] = &s
	}
	return f
}

// set changes a unit and tells the watchers.
func (f *fake) set(name unit.Name, change func(s *engine.Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setLocked(name, change)
}

func (f *fake) setLocked(name unit.Name, change func(s *engine.Status)) {
	s, ok := f.units[name]
	if !ok {
		return
	}
	state := s.State
	change(s)
	s.Desired = s.Intent.Desired()
	if s.State != state {
		s.Since = time.Now()
	}
	if s.Gone {
		delete(f.units, name)
		f.books.end(name)
	}
	for wake, queue := range f.watchers {
		*queue = append(*queue, *s)
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

func (f *fake) Runs(_ context.Context, name unit.Name, limit int) ([]engine.RunRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.getLocked("read the runs of", name, f.refuse["Runs"]); err != nil {
		return nil, err
	}
	runs := f.runs[name]
	if limit >= 0 {
		runs = runs[max(0, len(runs)-limit):]
	}
	return runs, nil
}

func (f *fake) Info(context.Context) (engine.Info, error) { return f.info, f.refuse["Info"] }

func (f *fake) List(context.Context) ([]engine.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []engine.Status
	for _, name := range slices.Sorted(maps.Keys(f.units)) {
		all = append(all, *f.units[name])
	}
	return all, f.refuse["List"]
}

func (f *fake) Get(_ context.Context, name unit.Name) (engine.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.getLocked("show", name, f.refuse["Get"])
}

func (f *fake) getLocked(verb string, name unit.Name, err error) (engine.Status, error) {
	s, ok := f.units[name]
	switch {
	case err != nil:
		return engine.Status{}, err
	case !ok:
		return engine.Status{}, engine.Errorf(engine.NotFound, "cannot %s %s: there is no such unit", verb, name)
	}
	return *s, nil
}

func (f *fake) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return func(yield func(engine.Status, error) bool) {
		if err := f.refuse["Watch"]; err != nil {
			yield(engine.Status{}, err)
			return
		}
		wake := make(chan struct{}, 1)
		queue, _ := f.List(ctx)
		f.mu.Lock()
		f.watchers[wake] = &queue
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			delete(f.watchers, wake)
			f.mu.Unlock()
		}()
		for {
			f.mu.Lock()
			news := queue
			queue = nil
			f.mu.Unlock()
			for _, s := range news {
				if !yield(s, nil) {
					return
				}
			}
			select {
			case <-wake:
			case <-f.gone:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// ask is what Start, Stop and Restart have in common: the wish is recorded, then effect begins.
func (f *fake) ask(verb string, name unit.Name, up bool, effect func(s *engine.Status)) (engine.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.getLocked(verb, name, f.refuse[verb]); err != nil {
		return engine.Status{}, err
	}
	f.setLocked(name, func(s *engine.Status) {
		s.Intent = unit.Intent{Up: up, Generation: s.Intent.Generation + 1, Time: time.Now(), Actor: unit.Actor{Kind: "peer", UID: 10000, PID: 55, Command: "pintle"}}
	})
	if f.lazy {
		before := *f.units[name]
		f.script(func() {
			time.Sleep(10 * time.Millisecond)
			f.set(name, effect)
		})
		return before, nil
	}
	u := f.units[name]
	f.setLocked(name, effect)
	return *u, nil // also when it is gone
}

// script runs what happens later.
func (f *fake) script(what func()) { f.scripts.Go(what) }

// begin starts a run of s; f.mu is held.
func (f *fake) begin(s *engine.Status) {
	if why, ok := f.holds[s.Name]; ok {
		delete(f.holds, s.Name)
		s.State, s.Reason, s.Because, s.PID = unit.Waiting, unit.AwaitsDependency, why, 0
		return
	}
	if why, ok := f.refused[s.Name]; ok {
		s.State, s.Reason, s.Because, s.Since = unit.Failed, unit.DependencyFailed, why, time.Now()
		return
	}
	s.Run++
	s.State, s.Reason, s.Because, s.PID = unit.Starting, unit.Asked, "it was asked for", 1000+int(s.Run)
	name, run := s.Name, s.Run
	f.script(func() {
		if live, ok := f.live[name]; ok {
			live(f, name, run)
			return
		}
		f.up(name, run)
	})
}

// up ends the start of a run well.
func (f *fake) up(name unit.Name, run uint64) {
	f.set(name, func(s *engine.Status) {
		if s.Run == run && s.State == unit.Starting {
			s.State = unit.Up
		}
	})
}

// end is the end of a run, with what becomes of the unit.
func (f *fake) end(name unit.Name, run uint64, state unit.State, l engine.RunEnd, why string) {
	f.set(name, func(s *engine.Status) {
		if s.Run != run {
			return
		}
		l.Run, l.PID, l.Ended = run, s.PID, time.Now()
		s.State, s.PID, s.Last, s.Because = state, 0, &l, why
		if !l.Asked {
			s.Reason = unit.Crashed
			s.Failures++
		}
	})
}

// diesAfter is a life that ends by itself.
func diesAfter(d time.Duration, code int, state unit.State, why string) func(*fake, unit.Name, uint64) {
	return func(f *fake, name unit.Name, run uint64) {
		began := time.Now()
		f.up(name, run)
		time.Sleep(d)
		f.end(name, run, state, engine.RunEnd{Started: began, Exit: unit.Exit{Code: code}}, why)
	}
}

// readyAfter is a life that takes its time to be ready.
func readyAfter(d time.Duration) func(*fake, unit.Name, uint64) {
	return func(f *fake, name unit.Name, run uint64) {
		time.Sleep(d)
		f.up(name, run)
	}
}

// stopping ends the current run of s, then does what follows; f.mu is held.
func (f *fake) stopping(s *engine.Status, then func(s *engine.Status)) {
	switch s.State {
	case unit.Starting, unit.Up:
	case unit.Stopping:
		return
	case unit.Waiting:
		if s.Intent.Up { // it goes on waiting
			return
		}
		then(s)
		return
	default:
		then(s)
		return
	}
	s.State, s.Because = unit.Stopping, "it was asked to end"
	name, run := s.Name, s.Run
	f.script(func() {
		time.Sleep(f.stopTime[name])
		f.end(name, run, unit.Stopping, engine.RunEnd{Asked: true, Killed: f.stopTime[name] >= 10*time.Second}, "")
		f.set(name, then)
	})
}

func (f *fake) Start(_ context.Context, name unit.Name) (engine.Status, error) {
	return f.ask("start", name, true, func(s *engine.Status) {
		if ended(s.State) || s.State == unit.Backoff {
			f.begin(s)
		}
	})
}

func goDown(s *engine.Status) {
	s.State, s.Reason, s.Because = unit.Down, unit.Asked, "it was asked to be down"
}

func (f *fake) Stop(_ context.Context, name unit.Name) (engine.Status, error) {
	return f.ask("stop", name, false, func(s *engine.Status) { f.stopping(s, goDown) })
}

func (f *fake) Restart(_ context.Context, name unit.Name) (engine.Status, error) {
	return f.ask("restart", name, true, func(s *engine.Status) { f.stopping(s, f.begin) })
}

func (f *fake) Remove(_ context.Context, name unit.Name) (engine.Status, error) {
	return f.ask("remove", name, false, func(s *engine.Status) {
		f.stopping(s, func(s *engine.Status) { goDown(s); s.Gone = true })
	})
}

func (f *fake) Create(ctx context.Context, req engine.CreateRequest) (engine.Status, bool, error) {
	if err := f.refuse["create"]; err != nil {
		return engine.Status{}, false, err
	}
	f.mu.Lock()
	_, known := f.units[req.Name]
	if !known {
		f.units[req.Name] = &engine.Status{Name: req.Name, Kind: unit.Instance, State: unit.Down, Desired: "down", Since: time.Now()}
	}
	f.mu.Unlock()
	verb := f.Start
	if req.Down {
		verb = f.Stop
	}
	s, err := verb(ctx, req.Name)
	return s, !known, err
}

func (f *fake) Reload(_ context.Context, req engine.ReloadRequest) ([]engine.Change, error) {
	f.reloads = append(f.reloads, req)
	return f.changes, f.refuse["reload"]
}

func (f *fake) Signal(_ context.Context, name unit.Name, sig unit.Signal) (engine.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.getLocked("signal", name, f.refuse["signal"])
	if err == nil {
		f.signals = append(f.signals, string(name)+" "+sig.String())
	}
	return s, err
}

// result is what a command line came to.
type result struct {
	code           int
	stdout, stderr string
}

// pintle runs a command line against f.
func pintle(t *testing.T, f *fake, args ...string) result {
	t.Helper()
	return pintleWith(t, f, nil, args...)
}

// pintleWith is pintle with other options.
func pintleWith(t *testing.T, f *fake, change func(ctx context.Context, o *Options) context.Context, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	o := Options{
		Args: args, Stdin: bytes.NewReader(nil), Stdout: &stdout, Stderr: &stderr,
		Connect: func() (engine.Engine, error) { return f, f.refuse["Connect"] },
		Config:  ConfigCommands{},
		Init:    func([]string) int { return 0 },
		Version: "1.2.3",
	}
	ctx := t.Context()
	if change != nil {
		ctx = change(ctx, &o)
	}
	code := Run(ctx, o)
	return result{code, stdout.String(), stderr.String()}
}
