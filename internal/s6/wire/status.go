package wire

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// The names of what s6-supervise keeps in a service directory.
const (
	superviseDir = "supervise"
	eventDir     = "event"
	statusName   = "status"
	tallyName    = "death_tally"
	controlName  = "control"
	lockName     = "lock"
)

// Status is what s6-supervise says of its service in supervise/status.
type Status struct {
	// Stamp is when the service went up or down the last time, or when its supervisor started.
	Stamp Stamp
	// ReadyStamp is when it was ready the last time: a service that is down is ready to be started.
	ReadyStamp Stamp
	// PID is the run's, or finish's while Finishing, or 0.
	PID int
	// PGID is the last run's process group. Only the releases 2.13 have it in the file.
	PGID int
	// Wait is how the last run ended, as wait(2) says.
	Wait unix.WaitStatus
	// Paused without a PID means, from 2.13.2 on, that the service was never started.
	Paused    bool
	Finishing bool
	WantUp    bool
	// ReadyFlag is set when it is ready, to be used or, when it is down, to be started.
	ReadyFlag bool
}

// StatusSize is the length of a status file in bytes.
func (v Version) StatusSize() int {
	if v.hasPGID() {
		return 43
	}
	return 35
}

func (v Version) hasPGID() bool { return v.AtLeast(2, 13) && !v.AtLeast(2, 14) }

const (
	flagPaused = 1 << iota
	flagFinishing
	flagWantUp
	flagReady
)

// Encode is the status as a file of that release.
func (s Status) Encode(v Version) []byte {
	b := make([]byte, 0, 43)
	b = s.Stamp.Append(b)
	b = s.ReadyStamp.Append(b)
	b = binary.BigEndian.AppendUint64(b, uint64(s.PID))
	if v.hasPGID() {
		b = binary.BigEndian.AppendUint64(b, uint64(s.PGID))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(s.Wait))
	var flags byte
	for bit, set := range map[byte]bool{flagPaused: s.Paused, flagFinishing: s.Finishing, flagWantUp: s.WantUp, flagReady: s.ReadyFlag} {
		if set {
			flags |= bit
		}
	}
	return append(b, flags)
}

// DecodeStatus reads a file of that release. As s6's readers do, it takes no notice of what follows, and a file that
// is too short is unix.EPIPE.
func DecodeStatus(v Version, b []byte) (Status, error) {
	var s Status
	if len(b) < v.StatusSize() {
		return s, unix.EPIPE
	}
	s.Stamp, _ = DecodeStamp(b)
	s.ReadyStamp, _ = DecodeStamp(b[12:])
	s.PID = pid(b[24:])
	rest := b[32:]
	if v.hasPGID() {
		s.PGID = pid(rest)
		rest = rest[8:]
	}
	s.Wait = unix.WaitStatus(binary.BigEndian.Uint16(rest))
	flags := rest[2]
	s.Paused = flags&flagPaused != 0
	s.Finishing = flags&flagFinishing != 0
	s.WantUp = flags&flagWantUp != 0
	s.ReadyFlag = flags&flagReady != 0
	return s, nil
}

// pid keeps of a number what fits a pid_t, as C does.
func pid(b []byte) int { return int(int32(binary.BigEndian.Uint64(b))) }

// Status reads supervise/status. The cause of the error is s6's: unix.EPIPE for a file that is too short.
func (d *Dir) Status(v Version) (Status, error) {
	s, err := d.status(v)
	if err != nil {
		return s, fmt.Errorf("cannot read the status of %s: %w", d.Path(), err)
	}
	return s, nil
}

func (d *Dir) status(v Version) (Status, error) {
	data, err := d.statusBytes(v.StatusSize())
	if err != nil {
		return Status{}, err
	}
	return DecodeStatus(v, data)
}

func (d *Dir) statusBytes(limit int) ([]byte, error) {
	supervise, err := d.enter(superviseDir)
	if err != nil {
		return nil, err
	}
	defer supervise.Close()
	return supervise.read(statusName, limit)
}

// The lengths of status files that there are, and a release that has each.
var layouts = map[int]Version{35: Default, 43: {2, 13}}

// StatusOfAny is Status for a reader who may be mistaken about the release: the file's length tells which kind it is, and
// one that no release writes is an error.
func (d *Dir) StatusOfAny(v Version) (Status, error) {
	data, err := d.statusBytes(1 << 16)
	if other, known := layouts[len(data)]; err == nil && known && len(data) != v.StatusSize() {
		v = other
	} else if err == nil && !known {
		err = fmt.Errorf("it has %d bytes, as no s6 writes it", len(data))
	}
	var s Status
	if err == nil {
		s, err = DecodeStatus(v, data)
	}
	if err != nil {
		return s, fmt.Errorf("cannot read the status of %s: %w", d.Path(), err)
	}
	return s, nil
}

// SetStatus replaces supervise/status, in one step.
func (d *Dir) SetStatus(v Version, s Status) error {
	supervise, err := d.enter(superviseDir)
	if err == nil {
		err = supervise.replace(statusName, s.Encode(v))
		_ = supervise.Close()
	}
	if err != nil {
		return fmt.Errorf("cannot write the status of %s: %w", d.Path(), err)
	}
	return nil
}

// enter is Sub with a bare cause for an error.
func (d *Dir) enter(name string) (*Dir, error) {
	fd, err := d.openat(name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{f: os.NewFile(uintptr(fd), d.path(name)), follow: d.follow}, nil
}

// Up tells whether the service's run is there: while finish runs it is down.
func (s Status) Up() bool { return s.PID != 0 && !s.Finishing }

// Ready tells whether the run said that it is ready.
func (s Status) Ready() bool { return s.PID != 0 && s.ReadyFlag }

// NotStarted tells that the service has had no run since its supervisor started, as far as that release can say.
func (s Status) NotStarted(v Version) bool { return v.AtLeast(2, 13, 2) && s.Paused && s.PID == 0 }

// ExitCode is the last run's, or -1 where there is none to tell: it runs, never ran, or was killed by a signal.
func (s Status) ExitCode(v Version) int {
	if s.Up() || s.NotStarted(v) || !s.Wait.Exited() {
		return -1
	}
	return s.Wait.ExitStatus()
}

// Signal is what killed the last run, or -1.
func (s Status) Signal(v Version) int {
	if s.Up() || s.NotStarted(v) || !s.Wait.Signaled() {
		return -1
	}
	return int(s.Wait.Signal())
}

// NormallyUp tells whether the service is to be up when its supervisor starts: it has no file "down".
func (d *Dir) NormallyUp() (bool, error) {
	err := retry(func() error { return unix.Faccessat(d.fd(), "down", unix.F_OK, 0) })
	switch err {
	case nil:
		return false, nil
	case unix.ENOENT:
		return true, nil
	}
	return false, d.failure("see", "down", err)
}

// SetNormallyUp makes the file "down", or removes it.
func (d *Dir) SetNormallyUp(up bool) error {
	if up {
		if err := unix.Unlinkat(d.fd(), "down", 0); err != nil && err != unix.ENOENT {
			return d.failure("remove", "down", err)
		}
		return nil
	}
	f, err := d.open("down", unix.O_WRONLY|unix.O_CREAT, 0o666, unix.S_IFREG)
	if err != nil {
		return d.failure("make", "down", err)
	}
	return f.Close()
}
