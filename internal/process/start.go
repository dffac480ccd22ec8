package process

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// Command is what Start executes.
type Command struct {
	// Path is the file to execute, found by LookPath; Args is its whole argument vector.
	Path string
	Args []string
	// Env is its whole environment but for the mark.
	Env []string
	// Dir is its working directory; empty for pintle's own.
	Dir string
	// In is its working directory instead, held open (O_PATH): that one, whatever has its path by now. Dir is then what it is called
	// in errors.
	In *os.File
	// Identity is who it runs as; nil for pintle's own.
	Identity *Identity
	// Files are its standard input, output and error; nil for /dev/null. It gets no other descriptor but More.
	Files [3]*os.File
	// More are its other descriptors by their numbers, each from 3 to MaxFD.
	More map[int]*os.File
	// Attributes are what else it gets: limits, capabilities and the like.
	Attributes unit.Attributes
	// Terminal is set for the program that gets the terminal on Files[0]: it stays in pintle's session, as the
	// foreground process group. Every other one gets a session of its own.
	Terminal bool
	// Unit and Number are the run, for the mark.
	Unit   unit.Name
	Number uint64
	// Of is the run whose process set the new process belongs to, as a probe of it does or a command that stops it: what
	// ends that run ends this process too, with whatever it leaves; a run that is swept, killed or over takes none. Nil for
	// a set of its own.
	Of *Run
}

// MaxFD is the highest number that a descriptor of Command.More can have: it is below every usual limit of open files, and
// those between are closed one by one while pintle waits.
const MaxFD = 255

// Hooks are told about a run. They are called in order, from the reaper or with
// the reaper held, so they must not block and must not call the Kernel.
type Hooks struct {
	// Started is given the run before anything else can happen to it.
	Started func(*Run)
	// Exited is told how the leader ended, and what it used. It is called once, and never where Start returns an error.
	Exited func(unit.Exit, unit.Usage)
}

// ExecError is why a command could not be executed. Code is the exit code that a
// shell gives for it: 127 for not found, 126 for everything else.
type ExecError struct {
	Code int
	Err  error
}

func (e *ExecError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *ExecError) Unwrap() error { return e.Err }

func execError(code int, format string, args ...any) *ExecError {
	return &ExecError{code, fmt.Errorf(format, args...)}
}

// Run is one life of a unit's processes.
type Run struct {
	k      *Kernel
	pid    int
	mark   string
	hooks  Hooks
	unit   unit.Name
	number uint64
	uid    int // who it was started as
	belonging

	// step is set while the leader is in the exec step: the hooks have to wait. The Kernel's mutex guards it.
	step *pending
	// guests counts the leaders of runs that belong to this one's set. It is changed as Kernel.leaders is.
	guests int

	set set
}

// Pid is the leader's process number.
func (r *Run) Pid() int { return r.pid }

// Start executes a command as the leader of a new run. Every error is an
// *ExecError, and then no process is left of the attempt.
func (k *Kernel) Start(c Command, h Hooks) (run *Run, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	r := &Run{k: k, hooks: h, unit: c.Unit, number: c.Number, uid: os.Geteuid()}
	if c.Identity != nil {
		r.uid = c.Identity.UID
	}
	attr := &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: !c.Terminal, Setpgid: c.Terminal}}
	enlisted, err := r.enlist(&c, attr.Sys)
	if err != nil {
		return nil, err
	}
	defer func() { enlisted(run != nil) }()
	attr.Env = append([]string{markName + "=" + r.mark}, c.Env...)
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0) // an os.File would be tried with Go's poller, at each start
	if err != nil {
		return nil, execError(126, "cannot open %s: %w", os.DevNull, err)
	}
	defer unix.Close(null)
	for _, f := range c.Files {
		if f == nil {
			attr.Files = append(attr.Files, uintptr(null))
		} else {
			attr.Files = append(attr.Files, f.Fd())
		}
	}
	for n, f := range c.More {
		attr.Files = descriptor(attr.Files, n, f)
	}
	if c.needsStep() {
		if err := r.startByStep(c, attr); err != nil {
			return nil, err
		}
		return r, nil
	}

	attr.Dir = c.Dir
	b := &birth{path: c.Path, args: c.Args, attr: attr, in: none}
	if c.In != nil {
		b.in = int(c.In.Fd())
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if err := r.fork(b); err != nil {
		return nil, diagnose(c, err)
	}
	r.began()
	return r, nil
}

// closedFD is in the place of a descriptor that a child does not get (syscall.ProcAttr).
const closedFD = ^uintptr(0)

// descriptor has a child's descriptor n be the file f; those below that nothing is said of are closed.
func descriptor(files []uintptr, n int, f *os.File) []uintptr {
	for len(files) <= n {
		files = append(files, closedFD)
	}
	files[n] = f.Fd()
	return files
}

// check refuses what can't be executed by anybody.
func (c *Command) check() error {
	if len(c.Args) == 0 {
		return execError(126, "cannot execute %s: there is not even a name for it", c.Path)
	}
	for what, list := range map[string][]string{
		"path": {c.Path}, "working directory": {c.Dir}, "arguments": c.Args, "environment": c.Env,
	} {
		if slices.ContainsFunc(list, func(s string) bool { return strings.IndexByte(s, 0) >= 0 }) {
			return execError(126, "cannot execute %q: a zero byte, which ends a string, is in its %s", c.Path, what)
		}
	}
	for n := range c.More {
		if n < 3 || n > MaxFD {
			return execError(126, "cannot execute %s: it can be given no descriptor %d; only 3 to %d", c.Path, n, MaxFD)
		}
	}
	if _, err := readAttributes(c.Attributes); err != nil {
		return execError(126, "%w", err)
	}
	if c.switches() {
		if err := CanSwitch(); err != nil {
			return execError(126, "cannot run as user %s (uid %d): %w", c.Identity.Name, c.Identity.UID, err)
		}
	}
	return nil
}

// fork makes the process that executes something, and registers it as the run's leader. The caller holds the Kernel's
// mutex for reading.
func (r *Run) fork(b *birth) error {
	pid, err := r.forkExec(b)
	if err != nil {
		return err
	}
	r.k.registering.Lock()
	defer r.k.registering.Unlock()
	r.pid = pid
	r.k.leaders[pid] = r
	if r.of == nil {
		r.k.runs[r.mark] = r
	} else {
		r.of.guests++
	}
	return nil
}

// switches tells whether the command needs other user or group ids than pintle has. A pintle that is not root never
// changes groups: it is what it was started as (docker run --user).
func (c *Command) switches() bool {
	id := c.Identity
	switch {
	case id == nil:
		return false
	case id.UID != os.Geteuid():
		return true
	case id.UID != 0:
		return false
	case id.GID != os.Getegid():
		return true
	}
	// Where only supplementary groups would differ, root without the capabilities to change them stays as it is.
	own, err := os.Getgroups()
	return err != nil || !slices.Equal(supplementary(id.Groups, id.GID), supplementary(own, id.GID)) && CanSwitch() == nil
}

// began tells that the leader is the program that was asked for. The caller holds the Kernel's mutex, if only for reading.
func (r *Run) began() {
	if r.hooks.Started != nil {
		r.hooks.Started(r)
	}
}

// over tells that the leader has ended. The caller holds the Kernel's mutex.
func (r *Run) over(e unit.Exit, used unit.Usage) {
	switch {
	case r.step != nil:
		r.step.end(e, used)
	case r.hooks.Exited != nil:
		r.hooks.Exited(e, used)
	}
}
