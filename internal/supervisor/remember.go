package supervisor

import (
	"slices"
	"time"

	"pintle/internal/store"
	"pintle/internal/unit"
)

// This file keeps what was asked of instances whose directories are gone, for as
// long as their templates say: one that comes back meanwhile is wanted as before.

// recordOf is what is kept of a unit.
func (s *Supervisor) recordOf(u *record) store.Record {
	return store.Record{Unit: u.spec.Name, Intent: u.intent, Discovered: u.found && !u.created && !s.isAlways(u)}
}

// remember keeps what was asked of an instance whose directory is gone. Of one of which nobody has asked anything there is nothing to keep.
func (s *Supervisor) remember(u *record, gone time.Time) {
	if u.intent.Generation == 0 {
		return
	}
	s.keepGone(store.Record{Unit: u.spec.Name, Intent: u.intent, Discovered: true, Gone: gone})
}

func (s *Supervisor) keepGone(r store.Record) {
	s.remembered[r.Unit] = r
	s.o.Store.Repeat(r)
}

// regain is the end of remembering an instance: it is there again.
func (s *Supervisor) regain(r store.Record) {
	delete(s.remembered, r.Unit)
	if !r.Gone.IsZero() {
		r.Gone = zeroTime
		s.o.Store.Repeat(r)
	}
}

// missThose notes of remembered instances that they are gone as of now, where nothing declares them any more: the
// directory went while pintle was not there, or just before it looked.
func (s *Supervisor) missThose(f *search) {
	if !f.found.Read {
		return
	}
	for name, r := range s.remembered {
		if name.Template() == f.t.Name && r.Gone.IsZero() && !f.declared[name.Instance()] && s.units[name] == nil {
			r.Gone = now()
			s.keepGone(r)
		}
	}
}

// prune forgets what has been kept long enough. Of a template no more is kept than it may have instances, so that
// nobody who makes directories and removes them fills the disk.
func (s *Supervisor) prune() {
	gone := map[string][]store.Record{}
	for name, r := range s.remembered {
		if !r.Gone.IsZero() {
			gone[name.Template()] = append(gone[name.Template()], r)
		}
	}
	next := time.Duration(-1)
	for template, list := range gone {
		slices.SortFunc(list, func(a, b store.Record) int { return b.Gone.Compare(a.Gone) }) // the latest first
		keep, most := unit.DefaultKeepIntent, unit.DefaultMax
		if t := s.templates[template]; t != nil {
			most = t.Max
			if t.Discover != nil {
				keep = t.Discover.KeepIntent
			}
		}
		for i, r := range list {
			left := r.Gone.Add(keep).Sub(now())
			if i < most && left > 0 {
				if next < 0 || left < next {
					next = left
				}
				continue
			}
			delete(s.remembered, r.Unit)
			s.o.Store.Delete(r.Unit, nil)
		}
	}
	if s.pruneTimer != nil {
		s.pruneTimer.Stop()
	}
	if next >= 0 { // and now and then, because a clock can be set
		s.pruneTimer = s.later(min(next, time.Hour), (*Supervisor).prune)
	}
}
