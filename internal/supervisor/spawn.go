package supervisor

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/lifecycle"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// spawn executes a unit's command as a new run; it is a worker, and of the record
// it reads only what never changes. However it fails, the run has then ended:
// with a code as a shell gives it, and a sentence, which is in its log too.
func (s *Supervisor) spawn(u *record, number uint64) {
	err := s.execute(u, number)
	if err == nil {
		return
	}
	if u.spec.Kind != unit.Main {
		s.o.Logs.Journal(u.spec.Name).Note(number, err.Error())
	}
	code := 126
	if e, ok := errors.AsType[*process.ExecError](err); ok {
		code = e.Code
	}
	s.happened(u, lifecycle.Event{
		Kind: lifecycle.SpawnFailed, Run: number, Exit: unit.Exit{Code: code}, Err: err.Error(),
	})
}

func (s *Supervisor) execute(u *record, number uint64) error {
	spec := u.spec
	id, err := Identity(spec.User)
	if err != nil {
		return err
	}
	environ := environment(s.o.Environ, spec, number, id)
	path, err := process.LookPath(spec.Command[0], process.PathOf(environ), spec.WorkingDir, id)
	if err != nil {
		return err
	}
	c := process.Command{
		Path: path, Args: spec.Command, Env: environ, Dir: spec.WorkingDir, Identity: id,
		Unit: spec.Name, Number: number,
	}
	hooks := process.Hooks{
		Started: func(r *process.Run) { s.spawned(u, number, r) },
		Exited: func(e unit.Exit) {
			s.happened(u, lifecycle.Event{Kind: lifecycle.Exited, Run: number, Exit: e})
		},
	}
	if spec.Kind == unit.Main {
		c.Files = [3]*os.File{os.Stdin, os.Stdout, os.Stderr}
		c.Terminal = s.o.Terminal
		_, err := s.o.Kernel.Start(c, hooks)
		return err
	}
	return s.captured(c, hooks)
}

// captured starts a run whose output goes to the unit's journal.
func (s *Supervisor) captured(c process.Command, hooks process.Hooks) error {
	outRead, outWrite, err := process.Pipe()
	if err != nil {
		return err
	}
	defer outWrite.Close()
	errRead, errWrite, err := process.Pipe()
	if err != nil {
		return errors.Join(err, outRead.Close())
	}
	defer errWrite.Close()
	c.Files = [3]*os.File{nil, outWrite, errWrite}
	process.Lend(c.Identity, outWrite, errWrite)
	journal := s.o.Logs.Journal(c.Unit)
	if _, err := s.o.Kernel.Start(c, hooks); err != nil {
		return errors.Join(err, outRead.Close(), errRead.Close())
	}
	journal.Capture(c.Number, engine.Stdout, outRead)
	journal.Capture(c.Number, engine.Stderr, errRead)
	return nil
}

// Identity is who a unit with this user runs as. Where pintle is not root there
// is only one answer, itself: it can switch to nobody, and a container that was
// started as some user (docker run --user) means all of it to run as that user.
func Identity(user string) (*process.Identity, error) {
	self := process.Self()
	if user == "" || self.UID != 0 {
		return &self, nil
	}
	id, err := process.Resolve(user)
	if err != nil {
		return nil, err
	}
	return &id, nil
}

// environment is a run's whole environment but for the mark, sorted: the
// container's, then what a change of user changes (as login(1) has it), then
// what the unit declares, then what pintle says of the run.
func environment(base []string, spec *unit.Spec, run uint64, id *process.Identity) []string {
	env := map[string]string{}
	for _, entry := range base {
		if key, value, ok := strings.Cut(entry, "="); ok {
			env[key] = value
		}
	}
	if id.UID != os.Geteuid() {
		env["HOME"], env["USER"], env["LOGNAME"] = id.Home, id.Name, id.Name
	}
	maps.Copy(env, spec.Environment)
	env["PINTLE_UNIT"], env["PINTLE_RUN"] = string(spec.Name), strconv.FormatUint(run, 10)
	delete(env, "PINTLE_MARK") // of a pintle outside this one
	list := make([]string, 0, len(env))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		list = append(list, key+"="+env[key])
	}
	return list
}

// How often a port is tried: quickly at first, because most programs are ready
// soon, then rarely enough to cost nothing.
const (
	probeFirst   = 20 * time.Millisecond
	probeMost    = 500 * time.Millisecond
	probeTimeout = time.Second
)

// accepts waits until a connection to address is accepted, and tells whether it was before ctx ended.
func accepts(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: probeTimeout}
	for wait := probeFirst; ; wait = min(2*wait, probeMost) {
		if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			conn.Close()
			return ctx.Err() == nil
		}
		if !pause(wait, ctx.Done()) {
			return false
		}
	}
}
