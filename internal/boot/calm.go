package boot

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// calm is how long after the start what only the start needed is given back.
const calm = 5 * time.Second

// startGarbage is how much of Go's heap may be garbage while everything starts, in percent of what is not (GOGC): what is
// collected then costs units their time, and is given back soon.
const startGarbage = 400

// giveBack gives to the kernel the memory that reading the configuration and starting everything took: a container that
// does little would otherwise keep twice what it needs, because nothing makes Go collect it.
func (c *container) giveBack() {
	select {
	case <-time.After(calm):
		debug.SetGCPercent(c.garbage)
		debug.FreeOSMemory()
		unmapProgram()
	case <-c.ended:
	}
}

// unmapProgram lets go of the pages of pintle's own program file, nearly all of which the start has touched, or the kernel
// has mapped beside one that was. What goes on being used is found in the page cache at once; the rest can be reclaimed
// without that having to be found out first.
func unmapProgram() {
	maps, _ := os.ReadFile("/proc/self/maps") // proc(5): from-to permissions offset device inode path
	program, _ := os.Readlink("/proc/self/exe")
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		if len(fields) != 6 || fields[5] != program || strings.Contains(fields[1], "w") {
			continue
		}
		first, last, _ := strings.Cut(fields[0], "-")
		from, err := strconv.ParseUint(first, 16, 64)
		to, err2 := strconv.ParseUint(last, 16, 64)
		if err == nil && err2 == nil && from < to {
			_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}
