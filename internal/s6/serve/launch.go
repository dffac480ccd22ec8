package serve

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/process"
	"pintle/internal/unit"
)

// This file has a service's scripts be executed, with what they are given: input and output, a lock, and a pipe by which they
// say that they are ready.

// place is the path that the directory has now, as it may have been renamed.
func (s *service) place() string {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(s.dir.Descriptor()))
	if err != nil {
		return s.path // without /proc
	}
	return path
}

// command is one of the directory's scripts, as it is executed. Like s6-supervise it stays with its directory, whatever that
// is called by now.
func (s *service) command(script, arg0 string, args []string) process.Command {
	return process.Command{
		Path: "./" + script, Args: append([]string{arg0}, args...), Dir: s.place(), In: s.dir.File(),
		Env: s.tree.environment(s.owner), Identity: s.owner.identity, Unit: s.unit, Number: s.number,
	}
}

// launch has a command of the service be executed, which may take a while: the kernel may have to wait for its owner, who has
// a lease on the file, say, or for a file system. Only what is to be done with this service waits for that. In the loop, begun is
// told how that went, and ended how the process ended.
func (s *service) launch(c process.Command, begun func(*process.Run, error) []deed, ended func(*process.Run, unit.Exit)) []deed {
	lent, outRead, errRead, err := s.connect(&c)
	if err != nil {
		closeAll(given(&c)...)
		return begun(nil, err)
	}
	journal, number := s.tree.o.Logs.Journal(s.unit), s.number
	s.starting = true
	go func() {
		var run *process.Run
		run, err := s.tree.o.Kernel.Start(c, process.Hooks{Exited: func(e unit.Exit, _ unit.Usage) {
			s.tree.do(func() {
				s.soon(func() { // not before begun was told
					s.run = nil
					ended(run, e)
				})
			})
		}})
		closeAll(lent...)
		if err != nil {
			closeAll(outRead, errRead)
		} else {
			if outRead != nil {
				journal.Capture(number, engine.Stdout, outRead)
			}
			journal.Capture(number, engine.Stderr, errRead)
		}
		s.tree.do(func() {
			s.starting, s.run = false, run
			s.do(begun(run, err))
			later := s.later
			s.later = nil
			for _, what := range later {
				s.soon(what)
			}
		})
	}()
	return nil
}

// given are the files that a command has already.
func given(c *process.Command) []*os.File {
	files := slices.Collect(maps.Values(c.More))
	for _, f := range c.Files {
		if f != nil {
			files = append(files, f)
		}
	}
	return files
}

// connect gives a command the input and output that it has not. What is lent to it is the command's own once it has been
// executed.
func (s *service) connect(c *process.Command) (lent []*os.File, outRead, errRead *os.File, err error) {
	lent = given(c)
	errRead, errWrite, err := process.OutputPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	lent = append(lent, errWrite)
	if c.Files[2] == nil {
		c.Files[2] = errWrite
	}
	switch {
	case s.pipe != nil && s.logger && c.Files[0] == nil:
		c.Files[0] = s.pipe.file
	case s.pipe != nil && !s.logger && c.Files[1] == nil:
		c.Files[1] = s.pipe.file
	}
	if c.Files[1] == nil {
		if outRead, c.Files[1], err = process.OutputPipe(); err != nil {
			closeAll(errRead, errWrite) // nothing was written
			return nil, nil, nil, err
		}
		lent = append(lent, c.Files[1])
	}
	process.Lend(c.Identity, c.Files[1], c.Files[2])
	return lent, outRead, errRead, nil
}

// awaitReady waits for the newline by which a run says that it is ready. It says whether there was one, once.
func (s *service) awaitReady(pipe *os.File, number uint64, said chan<- bool) {
	defer pipe.Close()
	buf := make([]byte, 4<<10)
	for left := mostUnread; ; {
		n, err := pipe.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) && left > 0 { // the run has ended: what it wrote before counts
			n, err = readNow(pipe, buf)
			left -= n
		}
		if slices.Contains(buf[:n], '\n') {
			said <- true
			s.tree.do(func() {
				if s.number == number {
					s.do(s.m.ready(s.tree.o.Now()))
				}
			})
			return
		}
		if err != nil {
			said <- false
			return
		}
	}
}

// mostUnread is how much can be in a pipe. What comes after that was written later, by what the run has left behind.
const mostUnread = 1 << 20

// readNow reads what is in a pipe. Where that is nothing, or the last of it, there is an error.
func readNow(pipe *os.File, buf []byte) (n int, err error) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) { n, err = unix.Read(int(fd), buf) })
	if err == nil && n <= 0 {
		err = io.EOF
	}
	return max(n, 0), errors.Join(controlErr, err)
}

// readyAtLast has a run that has ended be ready before that where it said so, and nobody say so in its place.
func (s *service) readyAtLast() {
	if s.ready == nil {
		return
	}
	_ = s.ready.SetReadDeadline(time.Unix(1, 0)) // it is perhaps closed
	if <-s.readiness {
		s.do(s.m.ready(s.tree.o.Now()))
	}
	s.ready, s.readiness = nil, nil
}

// closeAll closes files that were only read, or not used.
func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // a nil file only returns an error
	}
}

// giveReady gives a run its notification-fd, and returns the other end; nil where it has none.
func (s *service) giveReady(c *process.Command) (*os.File, error) {
	fd := s.m.files.NotificationFD
	switch {
	case fd < 0:
		return nil, nil
	case fd > process.MaxFD:
		s.say(fmt.Sprintf("cannot use notification-fd: %d is none of 0 to %d", fd, process.MaxFD))
		return nil, nil
	}
	read, write, err := process.Pipe()
	switch {
	case err != nil:
	case fd < len(c.Files):
		c.Files[fd] = write
	default:
		c.More[fd] = write
	}
	return read, err
}

// errLocked is why a run waits: s6 starts it, and has it wait for the lock itself.
var errLocked = errors.New("what an earlier run has left behind holds the service's lock")

// giveLock gives a run its lock-fd. The lock lasts as long as any process has the descriptor.
func (s *service) giveLock(c *process.Command) error {
	fd := s.m.files.LockFD
	switch {
	case fd < 0:
		return nil
	case fd < 3 || fd > process.MaxFD:
		s.say(fmt.Sprintf("cannot use lock-fd: %d is none of 3 to %d", fd, process.MaxFD))
		return nil
	}
	var f *os.File
	var free bool
	var warnings []string
	err := s.asKeeper(func() (err error) { f, free, warnings, err = s.dir.ServiceLock(); return err })
	for _, w := range warnings {
		s.say(w)
	}
	if err == nil && !free {
		return errLocked
	}
	if err == nil {
		c.More[fd] = f
	}
	return err
}
