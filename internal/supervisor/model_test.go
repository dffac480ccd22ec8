package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"pintle/internal/engine"
	"pintle/internal/logs"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// tale is a plan that is being played.
type tale struct {
	*model
	p       *plan
	version int // of the declarations, as of the last reload
	steps   int
	story   []string
	started time.Time

	mu        sync.Mutex
	published map[unit.Name]engine.Status
}

// liveThrough has a supervisor live through a plan, in virtual time. It returns how many
// steps that were, commands and the kernel's results, and which law did not hold.
func liveThrough(t *testing.T, p *plan, f fault) (steps int, story string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, p, f)
		err = w.tell()
		steps, story = w.steps+w.k.results, strings.Join(w.story[max(0, len(w.story)-60):], "\n")
		w.close()
	})
	return steps, story, err
}

func begin(t *testing.T, p *plan, f fault) *tale {
	w := &tale{p: p, published: map[unit.Name]engine.Status{}, started: time.Now()}
	k := newFake(p.seed, f)
	w.model = &model{k: k, truth: map[string]*unit.Spec{}, before: map[unit.Name]*seen{}, books: map[*record]*book{}, stops: map[*fakeRun]*book{}}
	for i := range p.versions {
		w.learn(&p.versions[i])
	}
	v := deceive(p.versions[0], f)
	w.rule, w.was, w.main = p.versions[0].governor, p.versions[0].governor, v.main != nil
	o := Options{
		Main: v.main, Services: v.services, Templates: v.templates, Governor: v.governor, Records: p.records, Kernel: k,
		Load: w.load, Logs: logs.NewBook(logs.Options{Now: time.Now}), Environ: []string{"PATH=/bin"}, RunDirectory: t.TempDir(),
		Log: slog.New(slog.NewTextHandler(w, nil)),
	}
	o.Store, _ = store.Open(store.Options{})
	w.s = New(o)
	k.s = w.s
	w.s.queue.put(func(s *Supervisor) {
		s.turn, s.most = w.turn, 1+int(p.seed%4)*2 // few at once, as if there were many units
	})
	go w.read()
	synctest.Wait()
	return w
}

// close ends everything; nobody may be left in the bubble.
func (w *tale) close() {
	w.k.close()
	w.s.Close()
	_ = w.s.o.Store.Close(context.Background())
	_ = w.s.o.Logs.Close(context.Background())
	time.Sleep(time.Second) // for who is in the kernel at this moment
}

// Write takes what pintle says into the story.
func (w *tale) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(p)
	if i := strings.Index(text, "msg="); i >= 0 {
		text = text[i+4:]
	}
	w.story = append(w.story, fmt.Sprintf("%10s   %s", time.Since(w.started), strings.TrimSpace(text)))
	return len(p), nil
}

// read is a reader of all changes.
func (w *tale) read() {
	for status, err := range w.s.Watch(context.Background()) {
		if err != nil {
			return
		}
		w.mu.Lock()
		w.published[status.Name] = status
		if status.Gone {
			delete(w.published, status.Name)
		}
		w.mu.Unlock()
	}
}

func (w *tale) load() (Declarations, error) {
	v := deceive(w.p.versions[w.version], w.k.fault)
	return Declarations{Main: v.main, Services: v.services, Templates: v.templates, Governor: v.governor, Differ: differ}, nil
}

// tell is the tale from its beginning to its end.
func (w *tale) tell() error {
	w.commanding.Store(true)
	w.s.Boot()
	if err := w.settled(); err != nil {
		return err
	}
	for _, a := range w.p.asks {
		w.ask(a)
		if err := w.settled(); err != nil {
			return err
		}
		for end := time.Now().Add(a.wait); time.Now().Before(end); {
			time.Sleep(min(time.Until(end), time.Second))
			if err := w.settled(); err != nil {
				return err
			}
		}
	}
	if w.p.quiet && w.stopAt.IsZero() {
		if err := w.comeToRest(); err != nil {
			return err
		}
	}
	return w.end()
}

// settled waits until nothing happens any more at this moment, and judges.
func (w *tale) settled() error {
	synctest.Wait()
	list, _ := w.s.List(context.Background())
	synctest.Wait()
	w.commanding.Store(false)
	w.inLoop(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rest(w.published, list)
	})
	synctest.Wait()
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	return w.k.broken
}

// inLoop looks at what is the loop's.
func (w *tale) inLoop(look func()) {
	done := make(chan struct{})
	w.s.queue.put(func(*Supervisor) {
		defer close(done)
		look()
	})
	<-done
}

func (w *tale) ask(a asking) {
	ctx := engine.WithActor(context.Background(), unit.Actor{Kind: "peer", UID: 7})
	var err error
	switch w.commanding.Store(true); a.deed {
	case passTime:
		return
	case askStart:
		_, err = w.s.Start(ctx, a.who)
	case askStop:
		_, err = w.s.Stop(ctx, a.who)
	case askRestart:
		_, err = w.s.Restart(ctx, a.who)
	case askSignal:
		_, err = w.s.Signal(ctx, a.who, 10)
	case askCreate, askCreateDown:
		_, _, err = w.s.Create(ctx, engine.CreateRequest{Name: a.who, Down: a.deed == askCreateDown})
	case askRemove:
		_, err = w.s.Remove(ctx, a.who)
	case askReload:
		w.version = (w.version + 1) % len(w.p.versions)
		before := w.rule
		w.ruleIs(w.p.versions[w.version].governor)
		if _, err = w.s.Reload(ctx, engine.ReloadRequest{}); err != nil {
			w.ruleIs(before)
		}
	case askHalt:
		w.halt()
	}
	w.steps++
	w.say("%s: %v", a, err)
}

// ruleIs notes the governor's rule, and which it was.
func (w *tale) ruleIs(g unit.Governor) {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	w.was, w.rule = w.rule, g
}

func (w *tale) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%10s %s", time.Since(w.started), fmt.Sprintf(format, args...)))
}

func (w *tale) halt() {
	w.k.mu.Lock()
	if w.stopAt.IsZero() {
		w.stopAt = time.Now()
	}
	w.k.mu.Unlock()
	w.s.Halt()
}

// comeToRest: when nobody asks for anything and the world is kind, every unit comes to where it belongs, in bounded time.
func (w *tale) comeToRest() error {
	w.say("the world is kind")
	w.k.beKind()
	for began := time.Now(); ; time.Sleep(time.Second) {
		if err := w.settled(); err != nil {
			return err
		}
		var loud unit.Name
		var state unit.State
		w.inLoop(func() { loud, state = w.quiet() })
		switch {
		case loud == "":
			return nil
		case time.Since(began) > 5*time.Minute:
			return broken{"a kind world comes to rest", fmt.Sprintf("%s is still %s", loud, state)}
		}
	}
}

// end halts the container. It ends within the time that the graces take, one after the other where they must.
func (w *tale) end() error {
	w.say("halt")
	w.commanding.Store(true)
	var bound time.Duration
	w.inLoop(func() { bound = w.longestEnd() + time.Second })
	w.halt()
	for {
		if err := w.settled(); err != nil {
			return err
		}
		select {
		case <-w.s.Idle():
			return nil
		default:
		}
		since := time.Since(w.stopAt)
		if since > bound {
			var alive string
			w.inLoop(func() { alive = w.alive() })
			return broken{"the way down has an end", fmt.Sprintf("it takes %s, and %s is the sum of what it may; %s", since, bound, alive)}
		}
		if w.p.hurry > 0 && since >= w.p.hurry && !w.hurried {
			w.say("hurry")
			w.inLoop(func() { w.hurried = true })
			w.s.Hurry()
			bound = since + 2*killTime + time.Second*2
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// alive names the units that have not ended.
func (w *tale) alive() string {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	var text string
	for n, x := range w.look() {
		if x.alive() {
			text += fmt.Sprintf("%s is %s; ", n, x.state)
		}
	}
	return text
}

// longestEnd is the sum of graces along the longest path of dependencies, with what the fake kernel adds.
func (w *tale) longestEnd() time.Duration {
	own := map[unit.Name]time.Duration{}
	before := map[unit.Name][]unit.Name{}
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	for n, x := range w.look() {
		s := x.spec
		own[n] = max(s.Stop.Grace, s.Stop.GraceMax) + killTime + 6*mostLag
		if s.OnHang != nil {
			own[n] += s.OnHang.Wait
		}
		if len(s.Down) > 0 {
			own[n] += undoTime(s) + max(s.Stop.Grace, s.Stop.GraceMax) + killTime + 6*mostLag
		}
		for _, d := range s.DependsOn {
			before[d.On] = append(before[d.On], n)
		}
	}
	var longest time.Duration
	var along func(n unit.Name) time.Duration
	along = func(n unit.Name) time.Duration {
		var most time.Duration
		for _, d := range before[n] {
			most = max(most, along(d))
		}
		return own[n] + most
	}
	for n := range own {
		longest = max(longest, along(n))
	}
	return longest
}

// deceive gives the supervisor other declarations than the model has.
func deceive(v declared, f fault) declared {
	v = v.clone()
	switch f {
	case "no dependencies":
		v.each(func(s *unit.Spec) { s.DependsOn = nil })
	case "no governor":
		v.governor.Starts = -1
	case "short grace":
		v.each(func(s *unit.Spec) { s.Stop.Grace /= 2 })
	case "nothing stops the container":
		v.each(func(s *unit.Spec) { s.OnFailure, s.Required = "", false })
	case "no readiness":
		v.each(func(s *unit.Spec) { s.Readiness = nil })
	}
	return v
}

// TestModel: whatever is declared and asked for, and however late or badly the kernel and its runs behave, no law breaks.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		if _, story, err := liveThrough(t, anyPlan(rapidDice{rt}), ""); err != nil {
			rt.Fatalf("%v\n%s", err, story)
		}
	})
}

// TestModelForLong is the same with dice that are thrown faster, and fall in the same way every time. For a person who
// looks for more, PINTLE_MODEL_SEED plays one tale, and PINTLE_MODEL_FROM many from there on.
func TestModelForLong(t *testing.T) {
	t.Parallel()
	enough, first, last := 100_000, uint64(1), ^uint64(0)
	if raceEnabled {
		enough /= 4
	}
	if s := os.Getenv("PINTLE_MODEL_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		last = first
	}
	if s := os.Getenv("PINTLE_MODEL_FROM"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		enough = 400_000
	}
	steps, tales := 0, 0
	for seed := first; steps < enough && seed <= last; seed++ {
		n, story, err := liveThrough(t, anyPlan(seeded(seed)), "")
		steps += n
		tales++
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, story)
		}
	}
	t.Logf("%d steps in %d tales", steps, tales)
}
