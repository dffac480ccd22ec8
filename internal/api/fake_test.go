package api

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// fake is an engine that keeps what it was told and never changes by it.
type fake struct {
	info  engine.Info
	units []engine.Status
	kept  []engine.Line
	runs  []engine.RunRecord
	// changed is what a reload does; refusal is what it says instead.
	changed []engine.Change
	refusal error
	// changes and lines feed Watch and Logs with follow; fails ends a stream with an error.
	changes chan engine.Status
	lines   chan engine.Line
	fails   chan error
	// began and ended hear of every stream; nil for nobody.
	began, ended chan struct{}

	mu    sync.Mutex
	calls []string // "<verb> <name> <actor's uid>", what changes something, and logs
	last  unit.Actor
	asked []engine.LogRequest // of Logs, sorted by name
}

func (f *fake) note(ctx context.Context, verb string, name unit.Name) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = engine.ActorOf(ctx)
	f.calls = append(f.calls, fmt.Sprintf("%s %s %d", verb, name, f.last.UID))
}

// told returns the calls since the last time.
func (f *fake) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func (f *fake) find(name unit.Name) (engine.Status, error) {
	i := slices.IndexFunc(f.units, func(s engine.Status) bool { return s.Name == name })
	if i < 0 {
		return engine.Status{}, engine.Errorf(engine.NotFound, "cannot find %s: there is no such unit", name)
	}
	return f.units[i], nil
}

func (f *fake) do(ctx context.Context, verb string, name unit.Name) (engine.Status, error) {
	f.note(ctx, verb, name)
	return f.find(name)
}

func (f *fake) Info(context.Context) (engine.Info, error)                 { return f.info, nil }
func (f *fake) List(context.Context) ([]engine.Status, error)             { return f.units, nil }
func (f *fake) Get(_ context.Context, n unit.Name) (engine.Status, error) { return f.find(n) }

func (f *fake) Create(ctx context.Context, req engine.CreateRequest) (engine.Status, bool, error) {
	verb := "create"
	if req.Down {
		verb = "create-down"
	}
	s, err := f.do(ctx, verb, req.Name)
	switch {
	case err == nil:
		return s, false, nil
	case req.Name.Template() == "":
		return engine.Status{}, false, engine.Errorf(engine.Invalid, "cannot create %s: it is no instance", req.Name)
	}
	return engine.Status{Name: req.Name, Kind: unit.Instance}, true, nil
}

func (f *fake) Remove(ctx context.Context, n unit.Name) (engine.Status, error) {
	return f.do(ctx, "remove", n)
}
func (f *fake) Start(ctx context.Context, n unit.Name) (engine.Status, error) {
	return f.do(ctx, "start", n)
}
func (f *fake) Stop(ctx context.Context, n unit.Name) (engine.Status, error) {
	return f.do(ctx, "stop", n)
}
func (f *fake) Restart(ctx context.Context, n unit.Name) (engine.Status, error) {
	return f.do(ctx, "restart", n)
}
func (f *fake) Signal(ctx context.Context, n unit.Name, sig unit.Signal) (engine.Status, error) {
	return f.do(ctx, fmt.Sprintf("signal-%d", sig), n)
}

func (f *fake) Reload(ctx context.Context, req engine.ReloadRequest) ([]engine.Change, error) {
	verb := "reload"
	if req.DryRun {
		verb = "reload-dry"
	}
	f.note(ctx, verb, "")
	return f.changed, f.refusal
}

func (f *fake) Watch(ctx context.Context) iter.Seq2[engine.Status, error] {
	return follow(ctx, f, f.units, f.changes, true)
}

func (f *fake) Logs(ctx context.Context, req engine.LogRequest) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		if _, err := f.do(ctx, fmt.Sprintf("logs-%d", req.Tail), req.Name); err != nil {
			yield(engine.Line{}, err)
			return
		}
		f.mu.Lock()
		f.asked = append(f.asked, req)
		slices.SortFunc(f.asked, func(a, b engine.LogRequest) int { return strings.Compare(string(a.Name), string(b.Name)) })
		f.mu.Unlock()
		kept := f.kept
		if req.Tail >= 0 {
			kept = kept[max(0, len(kept)-req.Tail):]
		}
		follow(ctx, f, kept, f.lines, req.Follow)(yield)
	}
}

func (f *fake) Runs(ctx context.Context, n unit.Name, limit int) ([]engine.RunRecord, error) {
	if _, err := f.do(ctx, fmt.Sprintf("runs-%d", limit), n); err != nil {
		return nil, err
	}
	return f.runs, nil
}

func follow[T any](ctx context.Context, f *fake, first []T, then chan T, on bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		tell(f.began)
		defer tell(f.ended)
		for _, v := range first {
			if !yield(v, nil) {
				return
			}
		}
		for on {
			select {
			case <-ctx.Done():
				return
			case v := <-then:
				if !yield(v, nil) {
					return
				}
			case err := <-f.fails:
				var none T
				yield(none, err)
				return
			}
		}
	}
}

func tell(c chan struct{}) {
	if c != nil {
		c <- struct{}{}
	}
}
