package tools

import (
	"errors"
	"syscall"
)

// svstatus is what s6-supervise says of its service in supervise/status.
type svstatus struct {
	changed, readied                 instant // when the service went up or down, and when it was ready, the last time
	pid, pgid                        int
	wait                             syscall.WaitStatus // how the last run ended
	paused, finishing, wanted, ready bool
}

const maxStatusSize = 43

// statusSize is the length of a status file.
func (r release) statusSize() int {
	if r.hasPGID() {
		return maxStatusSize
	}
	return 35
}

func (r release) hasPGID() bool { return r.atLeast(2, 13) && !r.atLeast(2, 14) }

// readStatus reads the status of a service directory. A file that is too short is EPIPE, as s6 has it.
func readStatus(dir string, r release) (s svstatus, err error) {
	fd, err := syscall.Open(dir+"/"+superviseDir+"/status", syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0)
	if err != nil {
		return s, err
	}
	defer syscall.Close(fd)
	var buffer [maxStatusSize]byte
	text := buffer[:r.statusSize()]
	for done := 0; done < len(text); {
		n, err := syscall.Read(fd, text[done:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return s, err
		case n == 0:
			return s, syscall.EPIPE
		}
		done += n
	}
	return unpackStatus(text, r), nil
}

func unpackStatus(b []byte, r release) (s svstatus) {
	s.changed, s.readied = unpack(b), unpack(b[12:])
	s.pid, b = unpackPID(b[24:]), b[32:]
	if r.hasPGID() {
		s.pgid, b = unpackPID(b), b[8:]
	}
	s.wait = syscall.WaitStatus(uint32(b[0])<<8 | uint32(b[1]))
	s.paused, s.finishing, s.wanted, s.ready = b[2]&1 != 0, b[2]&2 != 0, b[2]&4 != 0, b[2]&8 != 0
	return s
}

// unpackPID reads eight bytes, of which a pid_t has the last four.
func unpackPID(b []byte) int {
	return int(int32(uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])))
}

// up tells whether the run is there: while finish runs the service is down.
func (s svstatus) up() bool { return s.pid != 0 && !s.finishing }

// notStarted tells that there was no run since the supervisor started, where a release can say so.
func (s svstatus) notStarted(r release) bool { return r.atLeast(2, 13, 2) && s.paused && s.pid == 0 }

// exitCode is the last run's, or -1.
func (s svstatus) exitCode(r release) int {
	if s.up() || s.notStarted(r) || !s.wait.Exited() {
		return -1
	}
	return s.wait.ExitStatus()
}

// signal is what killed the last run, or -1.
func (s svstatus) signal(r release) int {
	if s.up() || s.notStarted(r) || !s.wait.Signaled() {
		return -1
	}
	return int(s.wait.Signal())
}

// signalName is a signal's name without SIG.
func signalName(number int) string {
	if number == int(syscall.SIGPOLL) { // of its two names s6 says the other one
		return "POLL"
	}
	if number < 1 || number > len(signalNames) {
		return "???"
	}
	return words(signalNames[number-1], " ")[0]
}
