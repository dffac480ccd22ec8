// Package discover finds out which instances the directories of a template
// declare, and goes on doing so while they come and go.
//
// It promises that an instance is reported within two seconds after its directory
// and marker are there, whoever made them: inotify(7) says it at once where it
// can, and a rescan finds what a host wrote through a mount that sends no events.
// One bad entry (a forbidden name, a symlink, one that may not be read, ten
// thousand of them) keeps no other from being found; it is listed with a reason.
//
// An entry is taken for gone only when the kernel says that there is nothing of
// that name, and still says so a second later: an editor that writes a marker anew
// is no end. When the whole directory is missing or cannot be read, that is
// trouble, and what was known stays known: a mount that hiccups stops nobody.
//
// The directory and all in it may be written by anybody while it is looked at. It
// is entered as package trust does it, its entries by its descriptor, without
// following a symlink anywhere, and nothing in it is opened but directories. It
// reads no file, and it does not say what is wanted of an instance.
//
// It talks to inotify itself. The package of its field, fsnotify, watches paths, and
// by the time it does another directory may have the path; here it is the directory
// that was looked at which is watched.
package discover

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Rule says where to look, and what for.
type Rule struct {
	// Directory is absolute.
	Directory string
	// Marker is the name of the regular file that an entry must have; "" for any directory.
	Marker string
	// Except are names that declare nothing.
	Except []string
	// Check tells why no instance can have a name; nil where one can.
	Check func(name string) error
	// Max is how many instances there can be.
	Max int
	// Known are the instances that were there before. They come first where there are more than Max.
	Known []string
	// UID is pintle's own (effective) user.
	UID int
	// As does something with the rights to files that are to be used; nil for pintle's own.
	As func(do func()) error

	deaf bool // without inotify, for tests
}

// Found is what declares instances at one time.
type Found struct {
	// Read is set once the directory has been read; before that, Names says nothing.
	Read bool
	// Names are the instances, sorted.
	Names []string
	// Trouble is why the directory cannot be read now; Names are those of before, then.
	Trouble string
	// Rejected are the first entries that look like instances and are none; there are More.
	Rejected []Rejection
	More     int
}

// Rejection is an entry that is no instance.
type Rejection struct{ Name, Reason string }

// String is the entry as a sentence has it, on one line.
func (r Rejection) String() string { return quote(r.Name) + " (" + r.Reason + ")" }

// quote shows a name that may be anything, and not all of a long one.
func quote(name string) string {
	if len(name) > 60 {
		return strconv.Quote(name[:60]) + "…"
	}
	return strconv.Quote(name)
}

// maxRejected is how many bad entries are named.
const maxRejected = 20

func (f *Found) reject(name, reason string) {
	if len(f.Rejected) == maxRejected {
		f.More++
		return
	}
	f.Rejected = append(f.Rejected, Rejection{name, reason})
}

func (f *Found) equal(g *Found) bool {
	return f.Read == g.Read && f.Trouble == g.Trouble && f.More == g.More &&
		slices.Equal(f.Names, g.Names) && slices.Equal(f.Rejected, g.Rejected)
}

// Summary says of the rejected entries what they are; "" where there are none.
func (f *Found) Summary(directory string) string {
	n := len(f.Rejected) + f.More
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf("%d entries of %s are no instances: ", n, directory)
	if n == 1 {
		text = fmt.Sprintf("an entry of %s is no instance: ", directory)
	}
	for i, r := range f.Rejected {
		if i > 0 {
			text += ", "
		}
		text += r.String()
	}
	if f.More > 0 {
		text += fmt.Sprintf(" and %d more", f.More)
	}
	return text
}

const (
	// rescan is the longest time between two looks. A look costs one fstatat(2) for each entry: 2 to 6 ms for 1,000
	// of them on a local file system, which is less than half a percent of a processor.
	rescan = 1500 * time.Millisecond
	// settle is waited after an event, so that a burst of them is one look.
	settle = 30 * time.Millisecond
	// pause is the least time between two looks, whatever happens. It is restraint times what the last one took, but no
	// more than rescan, so that nobody who plays with the directory keeps pintle busy.
	pause     = 100 * time.Millisecond
	restraint = 10
	// absence is how long an entry must be missing before it is gone.
	absence = time.Second
)

// Watch looks until ctx ends. It calls report with what it finds first, and then with every change; report must not
// block.
func Watch(ctx context.Context, rule Rule, report func(Found)) {
	w := newScanner(rule)
	defer w.close()
	var last *Found
	for {
		began := now()
		found := w.scan(began)
		if last == nil || !found.equal(last) {
			report(*found)
			last = found
		}
		rest := min(max(pause, restraint*now().Sub(began)), rescan)
		if !wait(ctx, rest, nil) {
			return
		}
		next := rescan - rest
		if w.missing() {
			next = min(next, absence)
		}
		if !wait(ctx, next, w.news()) {
			return
		}
	}
}

// wait waits for a time, or until there is news and its burst is over; it tells whether ctx goes on.
func wait(ctx context.Context, d time.Duration, news <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-news:
		return wait(ctx, settle, nil)
	case <-t.C:
		return true
	}
}
