package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Service is what the files of a service directory say, as s6-supervise takes them. It reads them anew each time that
// it needs one; so should who stands in for it.
type Service struct {
	// Run and Finish tell whether there are such files. Whether they can be executed is found out by doing it.
	Run, Finish bool
	// Down: the service is not to be started by itself.
	Down bool
	// NotificationFD is where the run says that it is ready, LockFD where it holds its lock; -1 for nowhere.
	NotificationFD, LockFD int
	// TimeoutKill is how long after being told to stop the run is killed, TimeoutFinish how long finish may take. Zero is for ever.
	TimeoutKill, TimeoutFinish time.Duration
	// KillGroup: the whole process group is killed then.
	KillGroup bool
	// MaxDeaths is how many ends are kept in the death tally.
	MaxDeaths int
	// DownSignal asks the run to stop, ReloadSignal to read its configuration again.
	DownSignal, ReloadSignal unix.Signal
	// NewPIDs: the run is the first process of a PID namespace of its own.
	NewPIDs bool
	// Log tells whether there is a logger in log/.
	Log bool
	// Warnings are what s6-supervise would say of the files, without its name, in the order in which it comes to read
	// them. What is warned of has its default.
	Warnings []string
}

const (
	defaultFinish = 5 * time.Second
	defaultDeaths = 100
)

// Service reads the files of a service directory. It is an error only where the directory cannot be searched.
func (d *Dir) Service(v Version) (Service, error) {
	s := Service{NotificationFD: -1, LockFD: -1, TimeoutFinish: defaultFinish, MaxDeaths: defaultDeaths, DownSignal: unix.SIGTERM, ReloadSignal: unix.SIGHUP}
	// s6 finds out about most files only by trying; here a directory that may not be searched is one clear error.
	if _, err := d.Stat("."); err != nil { // access(2) would not ask for the rights of who calls, but for those of its real user
		return s, d.failure("search", ".", err)
	}
	r := serviceReader{d: d, s: &s}
	s.Run, s.Finish, s.Down = r.present("run"), r.present("finish"), r.present("down")
	if n, ok := r.number("lock-fd"); ok && v.AtLeast(2, 11) {
		s.LockFD = r.descriptor("lock-fd", n)
	}
	if n, ok := r.number("notification-fd"); ok {
		s.NotificationFD = r.descriptor("notification-fd", n)
	}
	r.signal("down-signal", &s.DownSignal)
	if n, ok := r.number("timeout-kill"); ok {
		s.TimeoutKill = time.Duration(n) * time.Millisecond
	}
	if n, ok := r.number("max-death-tally"); ok {
		s.MaxDeaths = int(min(n, MaxDeaths))
	}
	if n, ok := r.number("timeout-finish"); ok {
		s.TimeoutFinish = time.Duration(n) * time.Millisecond
	}
	if v.AtLeast(2, 15, 1) {
		r.signal("reload-signal", &s.ReloadSignal)
	}
	s.KillGroup = v.AtLeast(2, 15) && r.present("flag-timeout-killpg")
	s.NewPIDs = v.AtLeast(2, 13, 1) && r.present("flag-newpidns")
	s.Log = d.hasDir("log")
	return s, nil
}

// Startable is why s6-supervise would never start such a service, though it goes on listening; nil where it would.
func (s Service) Startable() error {
	if s.LockFD >= 0 && s.LockFD == s.NotificationFD {
		return errors.New("notification-fd and lock-fd are the same")
	}
	return nil
}

type serviceReader struct {
	d *Dir
	s *Service
}

func (r serviceReader) warn(format string, args ...any) {
	r.s.Warnings = append(r.s.Warnings, fmt.Sprintf(format, args...))
}

// present tells whether there is anything of that name.
func (r serviceReader) present(name string) bool {
	_, err := r.d.Stat(name)
	if err != nil && err != unix.ENOENT {
		r.warn("unable to access %s: %s", name, Text(err))
	}
	return err == nil
}

const (
	// numberSize and signalSize are how much s6-supervise reads of a file with a number or a signal's name.
	numberSize = 11
	signalSize = 15
)

// text is a file up to the end of its first line, and no more than size bytes. There is none where ok is false.
func (r serviceReader) text(name string, size int) (text string, ok bool) {
	data, err := r.d.read(name, size)
	if err == unix.ENOENT {
		return "", false
	}
	if err != nil {
		r.warn("unable to open %s: %s", name, Text(err))
		return "", false
	}
	if end := bytes.IndexAny(data, "\n\x00"); end >= 0 { // for C, NUL ends it too
		data = data[:end]
	}
	return string(data), true
}

// number reads a file with a number of 32 bits: digits up to the end of the line, and nothing else.
func (r serviceReader) number(name string) (uint32, bool) {
	text, ok := r.text(name, numberSize)
	if !ok {
		return 0, false
	}
	n, ok := ScanNumber(text)
	if !ok {
		r.warn("invalid %s", name)
	}
	return n, ok
}

// descriptor is a number that can be a file descriptor's. The limit of descriptors, which counts too from 2.12 on, is
// the run's affair and not looked at here.
func (r serviceReader) descriptor(name string, n uint32) int {
	if n > 1<<31-1 {
		r.warn("invalid %s", name)
		return -1
	}
	return int(n)
}

func (r serviceReader) signal(name string, to *unix.Signal) {
	text, ok := r.text(name, signalSize)
	if !ok {
		return
	}
	if sig, ok := ScanSignal(text); ok {
		*to = sig
		return
	}
	r.warn("invalid %s", name)
}

// hasDir tells whether there is a directory of that name.
func (d *Dir) hasDir(name string) bool {
	st, err := d.Stat(name)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// ScanNumber reads a number as s6 has them in files and options: digits only, at least one, that fit 32 bits.
func ScanNumber(s string) (uint32, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' { // strconv takes a sign
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}
