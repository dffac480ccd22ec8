package wire

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Fifodir is a directory of FIFOs, one for each who listens. Who notifies writes the same bytes to all.
type Fifodir struct{ dir *Dir }

const (
	listenerPrefix = "ftrig1:@"
	// listenerName is how long a listener's name is: the prefix, 24 digits of a stamp, ":" and 6 more characters.
	listenerName = len(listenerPrefix) + 24 + 7
	// maxListeners is how many FIFOs one notification reaches. A directory in which anybody may listen must not
	// hold its supervisor up for as long as he likes.
	maxListeners = 4096
	// maxNames is how many names of such a directory are looked at, for the same reason.
	maxNames = 4 * maxListeners
	// listenerMode lets a supervisor that is not root reach the listener of another user.
	listenerMode = 0o622
)

// OpenFifodir opens a directory of FIFOs by the rights of the caller.
func OpenFifodir(path string) (*Fifodir, error) {
	d, err := Open(path)
	if err != nil {
		return nil, err
	}
	return &Fifodir{d}, nil
}

// Events opens the directory of FIFOs of a service directory.
func (d *Dir) Events() (*Fifodir, error) {
	events, err := d.Sub(eventDir)
	if err != nil {
		return nil, err
	}
	return &Fifodir{events}, nil
}

// MakeEvents makes the event directory where it is missing, such that members of the group may listen, or everybody
// where gid is -1, and leaves an existing one as it is.
func (d *Dir) MakeEvents(gid int) error {
	if err := d.makeFifodir(eventDir, gid); err != nil {
		return d.failure("make", eventDir, err)
	}
	return nil
}

func (d *Dir) makeFifodir(name string, gid int) error {
	mode := uint32(eventMode)
	if gid == -1 {
		mode = publicMode
	}
	return d.makeEvents(name, mode, gid)
}

// MakeFifodir makes a directory of FIFOs as s6-mkfifodir does: as MakeEvents, but one that is there must be the
// caller's own, and is given that mode and group too where force is set.
func (d *Dir) MakeFifodir(name string, gid int, force bool) error {
	err := d.makeFifodir(name, gid)
	if err == nil {
		var st unix.Stat_t
		st, err = d.Stat(name)
		if err == nil && int(st.Uid) != os.Getuid() {
			err = unix.EACCES
		}
	}
	if err == nil && force {
		mode := uint32(eventMode)
		if gid == -1 {
			mode = publicMode
		}
		err = d.give(name, unix.S_IFDIR, mode, &Owner{UID: -1, GID: gid})
	}
	if err != nil {
		return d.failure("make", name, err)
	}
	return nil
}

// Close closes the directory; its listeners stay.
func (f *Fifodir) Close() error { return f.dir.Close() }

// A Listener is one FIFO in a directory of FIFOs. Nobody is told what was notified before it was there.
type Listener struct {
	dir         *os.File
	name        string
	read, write *os.File
}

// Listen begins to listen. From its return on no notification is missed, as long as the bytes are read before 64 KiB
// of them have come together. The time is for the FIFO's name only. It takes the rights to write and to search the directory, not to
// read it.
func (f *Fifodir) Listen(now time.Time) (*Listener, error) {
	l, err := f.listen(now)
	if err != nil {
		return nil, fmt.Errorf("cannot listen in %s: %w", f.dir.Path(), err)
	}
	return l, nil
}

func (f *Fifodir) listen(now time.Time) (_ *Listener, err error) {
	name := "ftrig1:" + StampOf(now).Label() + ":" + rand.Text()[:6]
	hidden := "." + name // by this name nobody notifies it, as it has no reader yet
	at := f.dir.fd()
	if err := retry(func() error { return unix.Mknodat(at, hidden, unix.S_IFIFO|0o600, 0) }); err != nil {
		return nil, err
	}
	l := &Listener{name: hidden}
	defer func() {
		if err != nil {
			_ = l.Close()
		}
	}()
	// The listener outlives f, so it holds the directory itself.
	fd, err := openat(at, ".", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		_ = unix.Unlinkat(at, hidden, 0)
		return nil, err
	}
	l.dir = os.NewFile(uintptr(fd), f.dir.Path())
	own := &Dir{f: l.dir}
	if l.read, err = own.open(hidden, unix.O_RDONLY, 0, unix.S_IFIFO); err != nil {
		return nil, err
	}
	// With a writing end of its own it never comes to an end.
	if l.write, err = own.open(hidden, unix.O_WRONLY, 0, unix.S_IFIFO); err != nil {
		return nil, err
	}
	if err := l.read.Chmod(listenerMode); err != nil {
		return nil, err
	}
	if err := unix.Renameat(at, hidden, at, name); err != nil {
		return nil, err
	}
	l.name = name
	return l, nil
}

// Read waits for event bytes, until SetReadDeadline's time or Close.
func (l *Listener) Read(p []byte) (int, error) { return l.read.Read(p) }

// SetReadDeadline bounds how long Read waits; then it is os.ErrDeadlineExceeded.
func (l *Listener) SetReadDeadline(t time.Time) error { return l.read.SetReadDeadline(t) }

// Pending are the bytes that have arrived; it does not wait for any.
func (l *Listener) Pending() ([]byte, error) {
	raw, err := l.read.SyscallConn()
	if err != nil {
		return nil, err
	}
	var all []byte
	buf := make([]byte, 4096)
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.Read(int(fd), buf)
			switch {
			case err == unix.EINTR:
			case n > 0:
				all = append(all, buf[:n]...)
			case err == nil || err == unix.EAGAIN:
				return true
			default:
				failed = err
				return true
			}
		}
	})
	return all, errors.Join(err, failed)
}

// Close ends listening and removes the FIFO.
func (l *Listener) Close() error {
	if l.dir == nil {
		return nil
	}
	// First the name, so that no notifier finds a FIFO without a reader.
	err := unix.Unlinkat(int(l.dir.Fd()), l.name, 0)
	if err == unix.ENOENT {
		err = nil
	}
	for _, f := range []*os.File{l.read, l.write, l.dir} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// Notify writes events to all who listen, and tells how many got them. Who does not empty his FIFO misses them; FIFOs
// without a reader are removed.
func (f *Fifodir) Notify(events string) (int, error) {
	told := 0
	err := f.each(maxListeners, func(name string) {
		if f.notify(name, events) {
			told++
		}
	})
	if err != nil {
		return told, fmt.Errorf("cannot notify %s: %w", f.dir.Path(), err)
	}
	return told, nil
}

// notify tells one listener. That he cannot be told is his own affair.
func (f *Fifodir) notify(name, events string) bool {
	fifo, err := f.open(name)
	if err != nil {
		if err == unix.ENXIO {
			_ = f.remove(name)
		}
		return false
	}
	defer unix.Close(fifo)
	n, err := write(fifo, events)
	if err == unix.EPIPE {
		_ = f.remove(name)
	}
	return err == nil && n == len(events)
}

// open opens a listener's FIFO to write to it; unix.ENXIO says that it has no reader.
func (f *Fifodir) open(name string) (int, error) {
	return (&Dir{f: f.dir.f}).openFD(name, unix.O_WRONLY, 0, unix.S_IFIFO)
}

// remove removes a FIFO without a reader. A socket is ENXIO too, and nobody's listener.
func (f *Fifodir) remove(name string) error {
	st, err := (&Dir{f: f.dir.f}).Stat(name)
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
		err = unix.Unlinkat(f.dir.fd(), name, 0)
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// Clean removes the FIFOs that have no reader, among so many names as a notification looks at. (s6 2.11 compares with a wrong length here and removes none.)
func (f *Fifodir) Clean() error {
	var failed error
	err := f.each(-1, func(name string) {
		fifo, err := f.open(name)
		if err == nil {
			_ = unix.Close(fifo)
		} else if err == unix.ENXIO {
			failed = errors.Join(failed, f.remove(name))
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("cannot clean %s: %w", f.dir.Path(), err)
	}
	return nil
}

// each visits the names that listeners have, up to a number of them, or all where it is negative, among the first maxNames.
func (f *Fifodir) each(most int, visit func(name string)) error {
	fd, err := openat(f.dir.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	list := os.NewFile(uintptr(fd), f.dir.Path())
	defer list.Close()
	for range maxNames / 256 {
		names, err := list.Readdirnames(256)
		for _, name := range names {
			if len(name) != listenerName || !strings.HasPrefix(name, listenerPrefix) {
				continue
			}
			if most == 0 {
				return nil
			}
			most--
			visit(name)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
