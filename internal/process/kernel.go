// Package process is the kernel's side of a run: spawning, reaping, process
// sets, credentials and the terminal.
//
// It promises three things. Every child, its own and every adopted orphan, is
// reaped in one place, and no exit status of a run is lost to it. A signal never
// reaches a process that merely inherited a number: a leader is signalled only
// while it has not been reaped, any other process through a descriptor of it.
// And a run is empty only when no process that can be attributed to it is left:
// its session, its process group, its descendants, and whatever carries the
// run's mark in its initial environment.
//
// What it does not see is an orphan that cleared its environment and left its
// session before a census saw it. Such strays are still pintle's children, and
// end with the container.
package process

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// Kernel starts runs and reaps every child of this process. There is one in a
// process: two would take each other's exit statuses.
type Kernel struct {
	nonce string // tells this pintle's marks from any other's
	log   *slog.Logger

	// mu is held while a child is forked and registered, and while one is reaped and looked up. So a child can't be
	// reaped before it is known, and a leader that is in leaders can't have been reaped: its number is its own.
	mu      sync.Mutex
	leaders map[int]*Run
	stopped func(pid int, sig unit.Signal)

	census *census
	done   chan struct{}
}

// Options for New.
type Options struct {
	// Log receives what is worth a line; nil for none.
	Log *slog.Logger
	// Stopped is told when a leader was stopped by a signal (not ended); nil for nobody. It must not block.
	Stopped func(pid int, sig unit.Signal)
}

// New makes this process the reaper of all its descendants: it becomes a child
// subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), which as PID 1 it is already.
func New(o Options) (*Kernel, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become the subreaper: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Kernel{
		nonce:   rand.Text()[:10],
		log:     o.Log,
		leaders: map[int]*Run{},
		stopped: o.Stopped,
		done:    make(chan struct{}),
	}
	k.census = &census{k: k, kick: make(chan struct{}, 1), watched: map[*Run]bool{}, marks: map[process]string{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	go func() {
		for {
			select {
			case <-children:
				k.reap()
			case <-k.done:
				signal.Stop(children)
				return
			}
		}
	}()
	go k.census.run()
	return k, nil
}

// Close ends the Kernel's goroutines. Children that are left are not reaped any more.
func (k *Kernel) Close() { close(k.done) }

// Sets says by which means the processes of a run are told from others.
func (k *Kernel) Sets() string { return "session, process group, descent and mark" }

// Command is what Start executes.
type Command struct {
	// Path is the file to execute, found by LookPath; Args is its whole argument vector.
	Path string
	Args []string
	// Env is its whole environment but for the mark.
	Env []string
	// Dir is its working directory; empty for pintle's own.
	Dir string
	// Identity is who it runs as; nil for pintle's own.
	Identity *Identity
	// Files are its standard input, output and error; nil for /dev/null.
	Files [3]*os.File
	// Terminal is set for the program that gets the terminal on Files[0]: it stays in pintle's session, as the
	// foreground process group. Every other one gets a session of its own.
	Terminal bool
	// Unit and Number are the run, for the mark.
	Unit   unit.Name
	Number uint64
}

// Hooks are told about a run. They are called in order, from the reaper or with
// the reaper held, so they must not block and must not call the Kernel.
type Hooks struct {
	// Started is given the run before anything else can happen to it.
	Started func(*Run)
	// Exited is told how the leader ended.
	Exited func(unit.Exit)
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
	exited func(unit.Exit)

	set set
}

// Pid is the leader's process number.
func (r *Run) Pid() int { return r.pid }

// Start executes a command as the leader of a new run. Every error is an *ExecError.
func (k *Kernel) Start(c Command, h Hooks) (*Run, error) {
	mark := fmt.Sprintf("%s/%s/%d", k.nonce, c.Unit, c.Number)
	attr := &syscall.ProcAttr{
		Dir: c.Dir,
		Env: append([]string{markName + "=" + mark}, c.Env...),
		Sys: &syscall.SysProcAttr{Setsid: !c.Terminal, Setpgid: c.Terminal},
	}
	if id := c.Identity; id != nil && id.UID != os.Geteuid() {
		if err := CanSwitch(); err != nil {
			return nil, execError(126, "cannot run as user %s (uid %d): %w", id.Name, id.UID, err)
		}
		attr.Sys.Credential = &syscall.Credential{Uid: uint32(id.UID), Gid: uint32(id.GID), Groups: []uint32{}}
		for _, g := range id.Groups {
			attr.Sys.Credential.Groups = append(attr.Sys.Credential.Groups, uint32(g))
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, execError(126, "cannot open %s: %w", os.DevNull, err)
	}
	defer null.Close()
	for _, f := range c.Files {
		if f == nil {
			f = null
		}
		attr.Files = append(attr.Files, f.Fd())
	}
	path, args := c.Path, c.Args
	if c.Terminal {
		path, args = execStep(c.Path, c.Args)
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	pid, err := syscall.ForkExec(path, args, attr)
	if err != nil {
		return nil, diagnose(c, err)
	}
	r := &Run{k: k, pid: pid, mark: mark, exited: h.Exited}
	k.leaders[pid] = r
	if h.Started != nil {
		h.Started(r)
	}
	return r, nil
}

// diagnose says in words why fork or exec failed: the kernel's one number stands for several causes.
func diagnose(c Command, err error) *ExecError {
	what := fmt.Sprintf("cannot execute %s", c.Path)
	if c.Dir != "" {
		if info, dirErr := os.Stat(c.Dir); dirErr != nil {
			return execError(126, "%s: its working directory is not usable: %w", what, dirErr)
		} else if !info.IsDir() {
			return execError(126, "%s: its working directory %s is not a directory", what, c.Dir)
		}
	}
	info, statErr := os.Stat(c.Path)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return execError(127, "%s: there is no such file", what)
	case errors.Is(err, unix.ENOENT):
		return execError(127, "%s: its interpreter (the #! line or the dynamic loader) is not there", what)
	case statErr == nil && info.IsDir():
		return execError(126, "%s: it is a directory", what)
	case errors.Is(err, unix.EACCES) && c.Dir != "":
		return execError(126, "%s in %s: permission denied on one of them", what, c.Dir)
	case errors.Is(err, unix.ENOEXEC):
		return execError(126, "%s: it is neither a program for this machine nor a script with a #! line", what)
	}
	return execError(126, "%s: %w", what, err)
}

// reap takes every exit status there is.
func (k *Kernel) reap() {
	orphans := false
	for k.reapOne(&orphans) {
	}
	if orphans {
		// The last of a set to die is an orphan of ours by then, so this is all that an emptied set needs.
		k.census.wake()
	}
}

func (k *Kernel) reapOne(orphans *bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	var status unix.WaitStatus
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG|unix.WUNTRACED, nil)
	switch {
	case errors.Is(err, unix.EINTR):
		return true
	case err != nil || pid <= 0:
		return false
	}
	r := k.leaders[pid]
	switch {
	case status.Stopped():
		if r != nil && k.stopped != nil {
			k.stopped(pid, unit.Signal(status.StopSignal()))
		}
	case r == nil:
		*orphans = true
	default:
		delete(k.leaders, pid)
		e := unit.Exit{Code: status.ExitStatus()}
		if status.Signaled() {
			e = unit.Exit{Signal: unit.Signal(status.Signal())}
		}
		if r.exited != nil {
			r.exited(e)
		}
	}
	return true
}

// leads tells whether pid is the leader of a run that has not been reaped. The caller holds mu.
func (k *Kernel) leads(pid int) bool { return k.leaders[pid] != nil }

// Signal sends a signal to the run's leader; it does nothing when the leader has ended.
func (r *Run) Signal(sig unit.Signal) error { return r.signal(r.pid, unix.Signal(sig)) }

// signal sends sig to target, the leader's pid or minus that for its group, while the leader has not been reaped.
func (r *Run) signal(target int, sig unix.Signal) error {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	if r.k.leaders[r.pid] != r {
		return nil
	}
	return unix.Kill(target, sig)
}

// Pipe makes a pipe for a child's output. Reading from r waits in Go's poller and
// holds no thread; w blocks, as a program expects of its standard output.
func Pipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, fmt.Errorf("cannot make a pipe: %w", errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1])))
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}
