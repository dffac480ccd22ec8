package discover

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// events are what inotify(7) says of the directory and of those in it. That there
// are none, or that some get lost, costs time and nothing else: the rescan sees
// what they would have said. A nil *events is one that never says anything.
type events struct {
	file *os.File
	news chan struct{} // holds one token when something has happened
	done chan struct{} // closed when nobody reads any more
	// marker is the only name in an entry that matters; an instance may write a thousand others.
	marker string
	top    atomic.Int32 // the directory's own watch; 0 before it is there
	count  int
}

// maxWatches is how many directories are watched for their markers. A user has 8,192 watches or more in all containers
// together (/proc/sys/fs/inotify/max_user_watches); what is over this waits for the rescan.
const maxWatches = 1024

const (
	watchTop = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF |
		unix.IN_MOVE_SELF | unix.IN_ATTRIB | unix.IN_ONLYDIR
	watchEntry = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
)

func listen(marker string) *events {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil // every container of a user shares a limit of instances
	}
	e := &events{
		file: os.NewFile(uintptr(fd), "inotify"), marker: marker,
		news: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go e.read()
	return e
}

func (e *events) close() {
	if e != nil {
		_ = e.file.Close()
		<-e.done
	}
}

// add watches a directory that is open. It returns the watch, negative where there is none.
func (e *events) add(dir int, name string) int {
	mask := uint32(watchEntry)
	switch {
	case e == nil || e.count > maxWatches:
		return -1
	case name == "":
		mask = watchTop
	}
	wd := -1
	raw, err := e.file.SyscallConn()
	if err != nil {
		return -1
	}
	_ = raw.Control(func(fd uintptr) {
		// By its descriptor, so that it is this directory, whatever its path leads to by now.
		if n, err := unix.InotifyAddWatch(int(fd), "/proc/self/fd/"+strconv.Itoa(dir), mask); err == nil {
			wd = n
		}
	})
	if wd >= 0 {
		e.count++
	}
	if name == "" {
		e.top.Store(int32(wd))
	}
	return wd
}

func (e *events) remove(wd int) {
	if e == nil || wd < 0 {
		return
	}
	e.count--
	if raw, err := e.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.InotifyRmWatch(int(fd), uint32(wd)) }) // the kernel may have done so
	}
}

// read makes of events news, until the file is closed.
func (e *events) read() {
	defer close(e.done)
	var buf [16 << 10]byte
	for {
		n, err := e.file.Read(buf[:])
		if err != nil {
			return
		}
		if e.matters(buf[:n]) {
			select {
			case e.news <- struct{}{}:
			default:
			}
		}
	}
}

// matters tells whether any of the events can change what there is.
func (e *events) matters(buf []byte) bool {
	for len(buf) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(buf))
		mask := binary.NativeEndian.Uint32(buf[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[12:]))
		if end > len(buf) {
			return true
		}
		name := strings.TrimRight(string(buf[unix.SizeofInotifyEvent:end]), "\x00")
		if top := e.top.Load(); top == 0 || wd == top || mask&unix.IN_Q_OVERFLOW != 0 || name == e.marker {
			return true
		}
		buf = buf[end:]
	}
	return false
}
