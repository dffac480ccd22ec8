package forward

import (
	"fmt"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// TestManyUnits: a thousand are read by few streams, those that come one by one too, and each line arrives once.
func TestManyUnits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		name := func(i int) unit.Name { return unit.Name(fmt.Sprintf("u%d", i)) }
		for i := range 1000 {
			b.write(name(i), 1)
		}
		r := startForwarder(t, b, 2, nil)
		pass(2 * time.Second)
		if open, most, asked := b.streams(); open != 2 || most != 2 || asked != 2 {
			t.Errorf("a thousand units are read by %d streams of %d, and there were %d at once", open, asked, most)
		}
		for i := range 100 {
			b.write(name(1000+i), 1)
			b.write(name(i*3), 1)
			b.remove(name(i*3 + 1))
			pass(time.Second)
		}
		for i := range 1100 {
			b.write(name(i), 1)
		}
		pass(20 * time.Second)
		for _, s := range r.shelves {
			got := s.byUnit()
			for i := range 1100 {
				same(t, string(name(i)), got[name(i)], numbered(name(i), 1, len(b.lines[name(i)])))
			}
		}
		if _, most, _ := b.streams(); most > 24 { // of both
			t.Errorf("there were %d streams at once", most)
		}
	})
}

// TestOneOfItsNameAgain: a unit that is removed and made again at once, which who watches may never hear of, is read
// anew after its last lines.
func TestOneOfItsNameAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("other")
		b.write("web", 2)
		r := startForwarder(t, b, 1, nil)
		pass(2 * time.Second)
		for range 5 {
			b.write("web", 2)
			b.remove("web")
			b.write("web", 3)
			pass(3 * time.Second)
		}
		same(t, "web", r.shelves[0].texts("web"), numbered("web", 1, 27))
	})
}

// TestPintleIsAway: while pintle is not there nothing is asked for often, and when it is again each unit goes on where it
// was: nothing is missing, and nothing comes twice. What is not there any more is not asked for again and again.
func TestPintleIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks("main")
		b.denied["main"] = 0
		for i := range 100 {
			b.write(unit.Name(fmt.Sprintf("u%d", i)), 2)
		}
		r := startForwarder(t, b, 1, nil)
		for range 3 {
			pass(time.Minute)
			b.away(true, nil)
			_, _, before := b.streams()
			pass(10 * time.Minute)
			if _, _, asked := b.streams(); asked-before > 80 {
				t.Errorf("it asked %d times in ten minutes", asked-before)
			}
			b.away(false, func() {
				for i := range 10 { // these are not there any more, and nobody says so
					name := unit.Name(fmt.Sprintf("u%d", i))
					delete(b.lines, name)
					delete(b.lives, name)
				}
			})
			for i := 10; i < 100; i++ {
				b.write(unit.Name(fmt.Sprintf("u%d", i)), 1)
			}
			pass(time.Minute)
		}
		for i := 10; i < 100; i++ {
			name := unit.Name(fmt.Sprintf("u%d", i))
			same(t, string(name), r.shelves[0].texts(name), numbered(name, 1, 5))
		}
		_, _, before := b.streams()
		pass(10 * time.Minute)
		if open, _, asked := b.streams(); open > 2 || asked-before > 21 { // main is asked for twice a minute
			t.Errorf("%d streams are open, and %d were asked for in ten minutes", open, asked-before)
		}
	})
}

// TestClockSetBack: a life of pintle that began when the clock was behind that of the one before has smaller numbers. Its
// lines arrive all the same, and the next forwarder goes on behind them.
func TestClockSetBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		b.write("web", 100)
		r := startForwarder(t, b, 1, nil)
		pass(time.Minute)
		b.away(true, nil)
		b.away(false, func() { b.lines["web"], b.lives["web"] = nil, []int{0} })
		b.write("web", 5)
		pass(time.Minute)
		same(t, "web", r.shelves[0].texts("web"), append(numbered("web", 1, 100), numbered("web", 1, 5)...))
		if got := r.cursors.get(r.routes[0].target.Name, "web"); got != 5 {
			t.Errorf("the cursor is %d", got)
		}
	})
}

// TestNoReader: who may read nothing hears so in one sentence a minute, and does not ask for each unit by itself.
func TestNoReader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBooks()
		for i := range 1000 {
			name := unit.Name(fmt.Sprintf("u%d", i))
			b.write(name, 1)
			b.denied[name] = 0
		}
		r := startForwarder(t, b, 1, nil)
		pass(30 * time.Second)
		want := []string{"cannot read the logs of u0: uid 7 may not (nor those of 999 others)"}
		same(t, "what it says", r.words(), want)
		if _, _, asked := b.streams(); asked > 10 {
			t.Errorf("it asked %d times", asked)
		}
		b.mu.Lock()
		clear(b.denied)
		b.mu.Unlock()
		pass(time.Minute)
		got := r.shelves[0].byUnit()
		for i := range 1000 {
			name := unit.Name(fmt.Sprintf("u%d", i))
			same(t, string(name), got[name], numbered(name, 1, 1))
		}
	})
}

// TestPlacesAreBounded: a target that takes nothing, while units come and go, makes the forwarder remember only so many.
func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	f, err := newForwarder(Options{Targets: []Target{{Name: "x"}}}, defaultTuning())
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(f.routes[0])
	r.queue.down = true
	for i := range 20 * mostCursors {
		name := unit.Name(fmt.Sprintf("u%d", i))
		r.notice(name, sighting{here: true})
		r.line(t.Context(), engine.Line{Unit: name, Seq: 7})
		r.notice(name, sighting{went: true})
	}
	if n := len(r.places); n > 10*mostCursors {
		t.Errorf("%d units are remembered", n)
	}
	r.alarm.stop()
}
