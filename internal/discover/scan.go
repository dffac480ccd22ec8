package discover

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/trust"
)

// scanner looks at one directory again and again. It belongs to one goroutine.
type scanner struct {
	rule   Rule
	most   int     // how many entries are looked at
	events *events // nil where there are none
	// at is the directory as it was when it was last read; names is what was in it, read is as an entry's told.
	at    key
	since time.Time
	read  bool
	names []string
	// device is that of the directory in which the known instances were found.
	device uint64
	// entries are the directories in it. round counts the looks, to know those that are not in it any more.
	entries map[string]*entry
	round   uint64
	// known are the instances, and since when they are missing; zero for those that are there.
	known map[string]time.Time
	last  Found
}

func newScanner(rule Rule) *scanner {
	w := &scanner{rule: rule, most: maxEntries, known: map[string]time.Time{}}
	for _, name := range rule.Known {
		w.known[name] = time.Time{}
	}
	return w
}

// reset forgets everything but the instances: another directory is looked at.
func (w *scanner) reset() {
	w.events.close()
	w.events = nil
	if !w.rule.deaf {
		w.events = listen(w.rule.Marker)
	}
	w.at, w.read, w.names, w.entries = key{}, false, nil, map[string]*entry{}
}

func (w *scanner) close() { w.events.close() }

// news has something when it is worth looking before the time.
func (w *scanner) news() <-chan struct{} {
	if w.events == nil {
		return nil
	}
	return w.events.news
}

// missing tells whether an instance is missing and not gone yet.
func (w *scanner) missing() bool {
	for _, since := range w.known {
		if !since.IsZero() {
			return true
		}
	}
	return false
}

// scan looks once.
func (w *scanner) scan(at time.Time) *Found {
	found, err := &Found{}, error(nil)
	look := func() { found, err = w.scanNow(at) }
	if w.rule.As == nil {
		look()
	} else if e := w.rule.As(look); e != nil {
		err = e
	}
	if err != nil {
		found = &Found{Read: w.last.Read, Names: w.last.Names, Trouble: w.trouble(err)}
	}
	w.last = *found
	return found
}

// trouble is why the directory cannot be read. A directory that was never there is no trouble: there is just nothing yet.
func (w *scanner) trouble(err error) string {
	if errors.Is(err, fs.ErrNotExist) && len(w.known) == 0 {
		return ""
	}
	if n := len(w.known); n > 0 {
		return fmt.Sprintf("%v; the %d instances that are known stay", err, n)
	}
	return err.Error()
}

func (w *scanner) scanNow(at time.Time) (*Found, error) {
	f, err := trust.OpenForeign(w.rule.Directory, w.rule.UID)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir := int(f.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", w.rule.Directory, err)
	}
	is, was := keyOf(&st), w.at
	if is.dev != was.dev || is.ino != was.ino {
		w.reset()
		w.events.add(dir, "")
	}
	if err := w.list(f, is, at); err != nil {
		return nil, err
	}
	w.round++
	found := &Found{Read: true}
	answers := w.judge(dir, at, found)
	if is.dev != w.device && w.last.Read && len(answers) == 0 && len(w.known) > 0 {
		// What was mounted there is not, and its mount point is bare.
		return nil, fmt.Errorf("cannot read %s: it is on another file system now, and has none of its instances", w.rule.Directory)
	}
	w.device = is.dev
	w.settle(answers, at, found)
	runtime.KeepAlive(f)
	return found, nil
}

// maxEntries is how many entries of a directory are looked at. Of one with more, instances that are known stay all the same.
const maxEntries = 16384

// list reads the names in the directory, unless they are as they were.
func (w *scanner) list(f *os.File, is key, at time.Time) error {
	if w.at != is {
		w.at, w.since, w.read = is, at, false
	}
	if w.read {
		return nil
	}
	names, err := f.Readdirnames(w.most + 1)
	if err != nil && err != io.EOF {
		w.at = key{dev: is.dev, ino: is.ino}
		return fmt.Errorf("cannot read %s: %w", w.rule.Directory, err)
	}
	slices.Sort(names)
	w.names, w.read = names, at.Sub(w.since) >= granularity
	return nil
}

// judge looks at every name, and tells which declare an instance or may do so.
func (w *scanner) judge(dir int, at time.Time, found *Found) map[string]verdict {
	names := w.names
	if len(names) > w.most { // those that are known are looked at whatever comes before them
		first := names[:w.most]
		names = slices.Clone(first)
		for name := range w.known {
			if _, in := slices.BinarySearch(first, name); !in {
				names = append(names, name)
			}
		}
		found.reject("…", fmt.Sprintf("the directory has more than %d entries, and the others are not looked at", w.most))
	}
	answers := map[string]verdict{}
	for _, name := range names {
		if slices.Contains(w.rule.Except, name) {
			continue
		}
		a := w.look(dir, name, at)
		switch a.verdict {
		case declares:
			answers[name] = declares
		case doubtful:
			answers[name] = doubtful
			found.reject(name, a.reason)
		case rejected:
			found.reject(name, a.reason)
		}
	}
	for name, e := range w.entries {
		if e.seen != w.round {
			w.forget(name)
		}
	}
	return answers
}

// settle makes of what was seen now, and of what is known, which instances there are.
func (w *scanner) settle(answers map[string]verdict, at time.Time, found *Found) {
	for name, since := range w.known {
		_, there := answers[name] // one that is in doubt stays
		switch {
		case there:
			w.known[name] = time.Time{}
		case since.IsZero() && w.last.Read:
			w.known[name] = at
		case !w.last.Read || at.Sub(since) >= absence: // nothing was reported yet that could be taken back
			delete(w.known, name)
		}
	}
	var fresh []string
	for name, v := range answers {
		if _, known := w.known[name]; !known && v == declares {
			fresh = append(fresh, name)
		}
	}
	slices.Sort(fresh)
	for _, name := range fresh {
		if len(w.known) >= w.rule.Max {
			found.reject(name, fmt.Sprintf("there are %d already, which is the most", len(w.known)))
			continue
		}
		w.known[name] = time.Time{}
	}
	for name := range w.known {
		found.Names = append(found.Names, name)
	}
	slices.SortFunc(found.Names, strings.Compare)
}

// Declares looks whether one name declares an instance now, without waiting for Watch to find it.
func Declares(rule Rule, name string) bool {
	if rule.Check(name) != nil || slices.Contains(rule.Except, name) {
		return false
	}
	found := false
	look := func() {
		f, err := trust.OpenForeign(rule.Directory, rule.UID)
		if err != nil {
			return
		}
		defer f.Close()
		w := newScanner(rule)
		w.entries = map[string]*entry{}
		found = w.look(int(f.Fd()), name, now()).verdict == declares
		runtime.KeepAlive(f)
	}
	if rule.As == nil {
		look()
	} else if rule.As(look) != nil {
		return false
	}
	return found
}
