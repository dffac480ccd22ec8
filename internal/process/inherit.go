package process

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inheritNothing keeps from children what this process was started with and
// would hand on although it has no use for it: descriptors, and signals that are
// ignored (nohup(1), a script's background job).
func inheritNothing() error {
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		// A kernel or a seccomp profile that does not know it.
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return fmt.Errorf("cannot find the open descriptors: %w", err)
		}
		for _, name := range names {
			if fd, err := strconv.Atoi(name.Name()); err == nil && fd > 2 {
				unix.CloseOnExec(fd)
			}
		}
	}
	return DefaultSignals()
}

// lastSignal is the highest signal number (SIGRTMAX, signal(7)).
const lastSignal = 64

// DefaultSignals gives every ignored signal its default effect back, because a
// program begins with the ignored signals of the one that executes it
// (execve(2)). Those that are caught begin with their default anyway. Go's
// os/signal can't say which are ignored, and can't undo it.
func DefaultSignals() error {
	for n := range uintptr(lastSignal) {
		// The kernel's struct sigaction: the handler, which is all that is looked at here, and room for the rest.
		var action [8]uintptr
		const ignored, maskSize = 1, 8
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, n+1, 0, uintptr(unsafe.Pointer(&action)), maskSize, 0, 0)
		if errno == 0 && action[0] == ignored {
			action = [8]uintptr{} // SIG_DFL
			_, _, errno = unix.RawSyscall6(unix.SYS_RT_SIGACTION, n+1, uintptr(unsafe.Pointer(&action)), 0, maskSize, 0, 0)
		}
		if errno != 0 {
			return fmt.Errorf("cannot give signal %d its default effect: %w", n+1, errno)
		}
	}
	return nil
}

// signalSet is the set of one signal.
func signalSet(sig unix.Signal) *unix.Sigset_t {
	var set unix.Sigset_t
	bits := 8 * int(unsafe.Sizeof(set.Val[0]))
	set.Val[(int(sig)-1)/bits] = 1 << ((int(sig) - 1) % bits)
	return &set
}
