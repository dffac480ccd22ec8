package drive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// view is what s6 says of a service, at one moment.
type view struct {
	supervised bool
	status     wire.Status
	deaths     []wire.Death
	note       note
	// err is why it is not known.
	err error
}

// steady is how often is looked again at what changes while it is looked at.
const steady = 20

// look reads all that there is of a service. The tally is written before the status, so that it belongs to it if the
// status is the same after it.
func (t *Tree) look(s *service) view {
	v := view{note: readNote(s.root, s.name)}
	if v.supervised, v.err = s.Supervised(); v.err != nil {
		return v
	}
	if v.status, v.err = t.read(s); v.err != nil {
		if errors.Is(v.err, fs.ErrNotExist) { // its s6-supervise has only just begun, or never was
			v.err = nil
		}
		return v
	}
	for range steady {
		before := v.status
		if v.deaths, v.err = s.Deaths(maxTally); errors.Is(v.err, fs.ErrPermission) || errors.Is(v.err, fs.ErrNotExist) {
			v.deaths, v.err = nil, nil // it would have been made; that is its supervisor's affair
		}
		if v.err != nil {
			return v
		}
		if v.status, v.err = t.read(s); v.err != nil || v.status == before {
			break
		}
	}
	if n := len(v.deaths); n > 0 && v.status.Up() && !v.deaths[n-1].Stamp.Before(v.status.Stamp) {
		v.deaths = v.deaths[:n-1] // this very run's, of which the status does not know yet
	}
	return v
}

// read reads the status as the release has it that wrote it: its length tells which.
func (t *Tree) read(s *service) (wire.Status, error) { return s.StatusOfAny(t.o.Release) }

// ended is the number of the last run that is over. Where s6 has forgotten some, it is told by the clock, so that it
// grows from run to run.
func (v view) ended() uint64 {
	n := len(v.deaths)
	if n < maxTally {
		return uint64(n)
	}
	return uint64(v.deaths[n-1].Stamp.Time().Unix())
}

// run is the number of the present run, or of the last one.
func (v view) run() uint64 {
	if v.status.Up() {
		return v.ended() + 1
	}
	return v.ended()
}

// ends are the ends of runs, as far as s6 knows them. When they began it does not say.
func (v view) ends() []engine.RunEnd {
	ends := make([]engine.RunEnd, 0, len(v.deaths))
	last := v.ended()
	for i, d := range v.deaths {
		run := last - uint64(len(v.deaths)-1-i)
		end := engine.RunEnd{Run: run, Ended: d.Stamp.Time(), Exit: exitOf(d), Cause: unit.Crashed}
		if run == v.note.Asked {
			end.Asked, end.Cause = true, unit.Asked
		}
		ends = append(ends, end)
	}
	return ends
}

func exitOf(d wire.Death) unit.Exit {
	if d.Signal != 0 {
		return unit.Exit{Signal: unit.Signal(d.Signal)}
	}
	return unit.Exit{Code: int(d.Code)}
}

// status is a service as the engine shows it.
func (t *Tree) status(s *service) engine.Status {
	v := t.look(s)
	st := engine.Status{Name: s.name, Kind: unit.Service, Intent: v.note.Intent, Run: v.run()}
	spec := &unit.Spec{Name: s.name, Restart: unit.RestartAlways}
	if s.root != nil {
		st.Kind = unit.Instance
		st.Origin = t.origin(s.name)
	}
	if s.template != nil {
		if made, err := s.template.Instantiate(s.name.Instance()); err == nil {
			spec = &made
			st.Labels = made.Labels
			if r := made.Readiness; r != nil && r.FD > 0 {
				st.ReadyBy = r.String()
			}
		}
	}
	if v.err != nil {
		st.State, st.Desired, st.Because = "unknown", "unknown", cause(v.err).Error()
		if errors.Is(v.err, fs.ErrPermission) {
			st.Restricted = true
			st.Because = fmt.Sprintf("uid %d may not see it; pintle --engine s6 permit, as root, lets a user", os.Geteuid())
		}
		return st
	}
	if ends := v.ends(); len(ends) > 0 {
		st.Last = &ends[len(ends)-1]
	}
	if v.status.Stamp != (wire.Stamp{}) {
		st.Since = v.status.Stamp.Time()
	}
	st.Desired = unit.Intent{Up: v.wanted(s)}.Desired()
	t.judge(&st, v, spec, s)
	return st
}

// wanted tells whether a service is to be up: an instance if somebody asked for that, else as s6 has it.
func (v view) wanted(s *service) bool {
	if s.root != nil && v.note.Intent.Time.IsZero() || s.root == nil {
		return v.status.WantUp
	}
	return v.note.Intent.Up
}

// judge finds the state and the reason.
func (t *Tree) judge(st *engine.Status, v view, spec *unit.Spec, s *service) {
	is := func(state unit.State, reason unit.Reason, because string) {
		st.State, st.Reason, st.Because = state, reason, because
	}
	by := v.note.Intent.Actor.String()
	asked := "started by " + by
	if by == "" || v.note.Intent.Generation == 0 {
		asked = "s6 was told to start it"
	}
	ended := ""
	if st.Last != nil {
		ended = "it " + st.Last.Exit.String()
	}
	switch {
	case !v.supervised:
		is(unit.Down, unit.Asked, "no s6-supervise serves it")
		if err := t.alive(); err != nil {
			st.Because = err.Error()
		}
	case v.status.Up():
		st.PID = v.status.PID
		switch {
		case !v.status.WantUp:
			is(unit.Stopping, unit.Asked, "being stopped by "+by)
			if v.note.Intent.Anew && v.note.Intent.Up {
				st.Because = "being restarted by " + by
			}
		case st.ReadyBy != "" && !v.status.Ready():
			is(unit.Starting, unit.NotReady, "waiting for it to say on its descriptor that it is ready")
		default:
			if v.status.Ready() {
				st.Since = v.status.ReadyStamp.Time()
			}
			is(unit.Up, unit.Asked, asked)
			if st.Last != nil && !st.Last.Asked && st.Last.Run+1 == st.Run {
				is(unit.Up, unit.Crashed, fmt.Sprintf("started again after run %d %s", st.Last.Run, st.Last.Exit))
			}
			if v.status.Paused {
				st.Because = "it was paused (SIGSTOP)"
			}
		}
	case v.status.Finishing:
		is(unit.Stopping, unit.Asked, ended+"; its finish runs")
		if v.status.WantUp {
			st.Reason = unit.Crashed
		}
	case v.status.WantUp && st.Last == nil:
		is(unit.Starting, unit.NotReady, "s6-supervise is about to execute it")
	case v.status.WantUp:
		is(unit.Backoff, unit.Crashed, ended)
		st.Failures = failures(v.deaths)
		st.Next = v.status.Stamp.Time().Add(time.Second)
	default:
		t.judgeDown(st, v, spec, s, ended, is)
	}
}

// judgeDown finds out why a service that s6 does not want up is down: because finish left it so, or somebody asked.
func (t *Tree) judgeDown(st *engine.Status, v view, spec *unit.Spec, s *service, ended string, is func(unit.State, unit.Reason, string)) {
	by := v.note.Intent.Actor.String()
	switch {
	case v.note.Intent.Up && st.Last == nil:
		is(unit.Starting, unit.NotReady, "s6-supervise is about to execute it")
	case v.note.Intent.Up && !st.Last.Asked:
		verdict, byRule := spec.Judge(st.Last.Exit)
		reason, why := unit.RestartRule, fmt.Sprintf("%s, and restart is %s", ended, spec.Restart)
		if byRule {
			reason, why = unit.ExitRule, ended+", and exit_codes says what follows"
		}
		switch {
		case verdict == unit.VerdictDone:
			is(unit.Done, reason, why)
		case verdict == unit.VerdictFail:
			is(unit.Failed, reason, why)
		case spec.GiveUp.After > 0:
			is(unit.Failed, unit.GaveUp, fmt.Sprintf("it failed %d times, at last: %s", spec.GiveUp.After, ended))
		default:
			is(unit.Down, unit.Asked, "s6 was told to stop it, and not by pintle")
		}
	case v.note.Intent.Up:
		is(unit.Down, unit.Asked, "its restart by "+by+" was not finished")
	case v.note.Intent.Generation == 0 && st.Last == nil:
		is(unit.Down, unit.NeverStarted, "nobody has started it")
	case v.note.Intent.Generation == 0:
		is(unit.Down, unit.Asked, "s6 was told to stop it")
		if s.root == nil {
			st.Because += ", or its finish says so"
		}
	case st.Last == nil:
		is(unit.Down, unit.Asked, "asked to be down by "+by)
	default:
		is(unit.Down, unit.Asked, "stopped by "+by)
	}
}

// failures counts the ends in a row, of which none came long after the one before.
func failures(deaths []wire.Death) int {
	n := 0
	var next time.Time
	for _, d := range slices.Backward(deaths) {
		at := d.Stamp.Time()
		if n > 0 && next.Sub(at) > unit.DefaultStableAfter {
			break
		}
		n, next = n+1, at
	}
	return n
}

// origin says which directory declares an instance; "" where none does.
func (t *Tree) origin(name unit.Name) string {
	template := t.templates[name.Template()]
	if template == nil || template.Discover == nil || !t.declared(name) {
		return ""
	}
	return template.Discover.Origin(name.Instance())
}

// Get implements engine.Engine.
func (t *Tree) Get(ctx context.Context, name unit.Name) (engine.Status, error) {
	s, err := t.open("find", name)
	if err != nil {
		return engine.Status{}, err
	}
	defer s.close()
	return t.status(s), nil
}

// List implements engine.Engine.
func (t *Tree) List(ctx context.Context) ([]engine.Status, error) {
	names, err := t.names()
	if err != nil {
		return nil, engine.Errorf(engine.Unavailable, "cannot list the services of %s: %v", t.o.Scan, err)
	}
	all := make([]engine.Status, 0, len(names))
	for _, name := range names {
		if s, err := t.Get(ctx, name); err == nil { // else it was removed meanwhile, or is none
			all = append(all, s)
		}
	}
	return all, nil
}

// internal tells whether a service is s6's own.
func internal(name string) bool {
	return name == wire.CatchAll || strings.HasPrefix(name, "s6rc-") || strings.HasPrefix(name, "s6-linux-init-")
}

// names are those of the services, sorted.
func (t *Tree) names() ([]unit.Name, error) {
	entries, _, _, err := t.scan.Scan(t.o.Release)
	if err != nil {
		return nil, err
	}
	var names []unit.Name
	for _, e := range entries {
		if name, err := unit.ParseName(e.Name); err == nil && !internal(e.Name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
