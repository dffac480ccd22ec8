package logs

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// TestMadeAgain: a unit that is made again, with the same files, while those of the old one are still written, costs no
// line of either; and each line is of its own run.
func TestMadeAgain(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	b := newBook(t, Options{})
	const lives, each = 4, 20_000
	began := map[uint64]int{}
	for life := range lives {
		j := b.Journal(name)
		began[j.began] = life
		j.Configure(Output{File: &File{Directory: dir, Size: 200_000, UID: os.Geteuid()}})
		r, w := pipe(t)
		j.Capture(uint64(life), engine.Stdout, r)
		go func() {
			defer w.Close()
			for i := range each {
				fmt.Fprintf(w, "%d %d\n", life, i)
			}
		}()
		eventually(t, "it has begun to be written", func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return j.sink.next.number > j.began+100
		})
		if life < lives-1 {
			b.Forget(name)
		}
	}
	closed(t, b)
	var next [lives]int
	wrong := 0
	for l := range (&File{Directory: dir, Size: 200_000, UID: os.Geteuid()}).history(t.Context(), name, all) {
		var life, i int
		if n, err := fmt.Sscan(l.Text, &life, &i); n != 2 || i != next[life] {
			t.Fatalf("%+v is not line %d of life %d: %v", l, next[life], life, err)
		}
		next[life]++
		if l.Run != uint64(life) {
			wrong++
		}
	}
	if wrong > 0 || next != [lives]int{each, each, each, each} {
		t.Errorf("%v lines are there, and %d have another's run", next, wrong)
	}
}

// TestForgottenUnitsAreFreed: the memory of a forgotten unit is freed once its files have all that it said, and nobody
// holds its pipes open any more.
func TestForgottenUnitsAreFreed(t *testing.T) {
	t.Parallel()
	b := newBook(t, Options{})
	j := b.Journal(name)
	j.Configure(Output{File: &File{Directory: scratch(t), Size: 1 << 20, UID: os.Geteuid()}})
	r, w := pipe(t)
	j.Capture(1, engine.Stdout, r)
	say(j, "one")
	b.Forget(name)
	_, err := w.WriteString("two\n")
	must(t, errorsOf(err, w.Close()))
	freed := weak.Make(j)
	eventually(t, "it is freed", func() bool { runtime.GC(); return freed.Value() == nil })
	runtime.KeepAlive(b)
}

// TestConditionsOfThoseThatGo: whoever asks for conditions when they change never has an old one: neither of a unit that is
// forgotten, nor of one whose lines go to no file any more, nor what one did before it waited.
func TestConditionsOfThoseThatGo(t *testing.T) {
	t.Parallel()
	for what, stop := range map[string]func(b *Book){
		"forgotten":      func(b *Book) { b.Forget(name) },
		"without a file": func(b *Book) { b.Journal(name).Configure(Output{}) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			changed := make(chan struct{}, 1)
			b := newBook(t, Options{RingBytes: 1000, Changed: func() {
				select {
				case changed <- struct{}{}:
				default:
				}
			}})
			known := func(want string) {
				t.Helper()
				var got string
				eventually(t, "the condition is "+want, func() bool {
					select {
					case <-changed:
						got = ""
						for _, c := range b.Conditions() {
							got = c.Text
						}
					default:
					}
					return strings.Contains(got, want) && (want != "") == (got != "")
				})
			}
			j := b.Journal(name)
			j.Configure(Output{File: &File{Directory: "/nowhere", Size: 4000, UID: os.Geteuid(), As: func(func()) error { return unix.ENOSPC }}})
			j.Note(1, "one")
			known("is kept in memory only")
			r, w := pipe(t)
			j.Capture(1, engine.Stdout, r)
			_, err := w.Write(append([]byte(strings.Repeat("x", 1000)), '\n'))
			must(t, err)
			known("waits for its log")
			stop(b)
			<-changed
			for len(b.Conditions()) > 0 {
				<-changed
			}
			must(t, w.Close())
		})
	}
}

// TestClockSetBack: lines are written in order, and with numbers in order, and files that could not be written are tried
// again in time, though the clock is set back by a day and forth again.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	dir := scratch(t) + "/log"
	b, j, h := kept(t, File{Directory: dir, Size: 200, Age: time.Hour, Keep: 100})
	say(j, "one")
	h.move(-24 * time.Hour)
	say(j, "two")
	must(t, os.Rename(dir, dir+".1"))
	must(t, os.WriteFile(dir, nil, 0o600))
	h.move(-24 * time.Hour)
	say(j, "three")
	h.change(t)
	h.move(-24 * time.Hour)
	must(t, os.Remove(dir))
	must(t, os.Rename(dir+".1", dir))
	h.change(t) // by itself
	for i := range 5 {
		say(j, fmt.Sprint("more ", i))
		h.move(24 * time.Hour)
	}
	closed(t, b)
	if got, want := content(t, dir), "out one\nout two\nout three\nout more 0\nout more 1\nout more 2\nout more 3\nout more 4\n"; got != want {
		t.Errorf("it holds %q", got)
	}
	next := j.began
	for l := range (&File{Directory: dir, Size: 200, UID: os.Geteuid()}).history(t.Context(), name, all) {
		if next++; l.Seq != next {
			t.Errorf("line %q has number %d, not %d", l.Text, l.Seq-j.began, next-j.began)
		}
	}
}
