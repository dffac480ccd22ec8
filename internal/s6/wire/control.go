package wire

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// scanDir is where s6-svscan keeps its own files in a scan directory.
const scanDir = ".s6-svscan"

var (
	// ErrNotListening: nobody reads the control FIFO, or there is no supervise directory at all.
	ErrNotListening = errors.New("supervisor not listening")
	// ErrBroken: the directory of the control FIFO is there, but not what a supervisor makes.
	ErrBroken = errors.New("something is wrong with the control directory")
	// ErrRunning: somebody else supervises the directory already.
	ErrRunning = errors.New("another instance is already running")
)

// Control writes command bytes to the control FIFO of the directory's s6-supervise, all at once. With none it only
// tries whether there is one. The error is ErrNotListening, ErrBroken or what the system said, such as
// unix.EACCES for who has no right to, or unix.EAGAIN where the supervisor does not read what it was told.
func (d *Dir) Control(commands string) error { return d.control(superviseDir, commands) }

// ControlScan is Control for the s6-svscan of a scan directory.
func (d *Dir) ControlScan(commands string) error { return d.control(scanDir, commands) }

func (d *Dir) control(dir, commands string) error {
	err := d.tell(dir, commands)
	if err != nil {
		return fmt.Errorf("cannot control %s: %w", d.Path(), err)
	}
	return nil
}

func (d *Dir) tell(dir, commands string) error {
	in, err := d.enter(dir)
	switch err {
	case nil:
		defer in.Close()
	case unix.ENOENT:
		return ErrNotListening
	case unix.ENOTDIR, unix.ELOOP:
		return fmt.Errorf("%w: %w", ErrBroken, err)
	default:
		return err
	}
	// A bare descriptor, as os.File would wait for room in a FIFO that perhaps nobody empties.
	fifo, err := in.openFD(controlName, unix.O_WRONLY, 0, unix.S_IFIFO)
	if err == unix.ENXIO {
		return ErrNotListening
	}
	if _, wrong := errors.AsType[typeError](err); wrong || err == unix.ENOENT || err == unix.EISDIR || err == unix.ELOOP {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fifo)
	if commands == "" {
		return nil
	}
	n, err := write(fifo, commands)
	if err == unix.EPIPE {
		return ErrNotListening
	}
	if err == nil && n < len(commands) {
		err = unix.EAGAIN
	}
	return err
}

// Supervised tells whether an s6-supervise, or who stands in for it, holds the directory's lock. It asks as s6-svok
// does, so that a directory without one is not supervised.
func (d *Dir) Supervised() (bool, error) { return d.held(superviseDir) }

// Scanned tells whether an s6-svscan runs on the scan directory.
func (d *Dir) Scanned() (bool, error) { return d.held(scanDir) }

func (d *Dir) held(dir string) (bool, error) {
	in, err := d.enter(dir)
	if err == unix.ENOENT {
		return false, nil
	}
	held := false
	if err == nil {
		defer in.Close()
		held, err = in.locked()
	}
	if err != nil {
		return false, fmt.Errorf("cannot check %s: %w", d.Path(), err)
	}
	return held, nil
}

func (d *Dir) locked() (bool, error) {
	f, err := d.open(lockName, unix.O_RDONLY, 0, unix.S_IFREG)
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	return Locked(f)
}

// A Seat is what a running supervisor holds of its directory: the lock, and both ends of the control FIFO.
type Seat struct {
	lock, write *os.File
	// Commands is where the command bytes arrive. It never ends while the seat is held, since
	// the seat holds a writing end itself.
	Commands *os.File
}

// Close gives the seat up. The files stay, as s6's do. What the process is just forking holds the seat too, until it
// executes its program.
func (s *Seat) Close() error {
	return errors.Join(s.Commands.Close(), s.write.Close(), s.lock.Close())
}

// Supervise makes the caller the directory's supervisor, as s6-supervise does at its start: it makes event/ and
// supervise/ where they are missing, takes the lock, makes the control FIFO, removes what dead listeners have left
// and empties the death tally. What is there already keeps its owner and mode. It is ErrRunning where the directory
// has a supervisor.
func (d *Dir) Supervise() (*Seat, error) {
	seat, err := d.supervise()
	if err != nil {
		return nil, fmt.Errorf("cannot supervise %s: %w", d.Path(), err)
	}
	return seat, nil
}

func (d *Dir) supervise() (*Seat, error) {
	if err := d.makeEvents(eventDir, eventMode, os.Getegid()); err != nil {
		return nil, err
	}
	if err := d.makeDir(superviseDir, 0o700); err != nil {
		return nil, err
	}
	seat, err := d.take(superviseDir, 0o644)
	if err != nil {
		return nil, err
	}
	events, err := d.enter(eventDir)
	if err == nil {
		err = (&Fifodir{events}).Clean()
		if errors.Is(err, unix.EACCES) {
			err = nil // s6-svwait has made it, for another user: what is in it is not the caller's to remove
		}
		_ = events.Close()
	}
	if err == nil {
		err = d.ClearDeaths()
	}
	if err != nil {
		return nil, errors.Join(err, seat.Close())
	}
	return seat, nil
}

// SuperviseScan makes the caller the scan directory's s6-svscan. It is ErrRunning where there is one.
func (d *Dir) SuperviseScan() (*Seat, error) {
	seat, err := (*Seat)(nil), d.makeDir(scanDir, 0o700)
	if err == nil {
		seat, err = d.take(scanDir, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot scan %s: %w", d.Path(), err)
	}
	return seat, nil
}

// take holds the lock and the control FIFO in a directory.
func (d *Dir) take(dir string, lockMode uint32) (_ *Seat, err error) {
	in, err := d.enter(dir)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	s := new(Seat)
	defer func() {
		if err != nil {
			for _, f := range []*os.File{s.lock, s.Commands, s.write} {
				_ = f.Close() // a nil file only returns an error
			}
		}
	}()
	if s.lock, err = in.open(lockName, unix.O_WRONLY|unix.O_CREAT, lockMode, unix.S_IFREG); err != nil {
		return nil, err
	}
	free, err := Lock(s.lock, true)
	if err != nil {
		return nil, err
	}
	if !free {
		return nil, ErrRunning
	}
	if err := in.makeFIFO(controlName, 0o600, nil); err != nil {
		return nil, err
	}
	if s.Commands, err = in.open(controlName, unix.O_RDONLY, 0, unix.S_IFIFO); err != nil {
		return nil, err
	}
	s.write, err = in.open(controlName, unix.O_WRONLY, 0, unix.S_IFIFO)
	return s, err
}
