package serve

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/s6/wire"
)

// settle is how long a service directory that appears by itself has to be left alone before it is taken to be whole: who
// makes it where it is to be seen has not asked for it yet. Who asks (s6-svscanctl -a) gets it at once.
const settle = time.Second

// scanPause is how long changes are gathered before the scan directory is looked at: somebody may make them all the time.
const scanPause = 50 * time.Millisecond

// watch has the tree be scanned when something comes or goes in the scan directory. Without inotify(7), as where a user has
// too many watches, it is scanned when somebody asks for it, as s6's is.
func (t *Tree) watch(scan *wire.Dir) {
	const mask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	if _, err := unix.InotifyAddWatch(fd, "/proc/self/fd/"+strconv.Itoa(scan.Descriptor()), mask); err != nil {
		_ = unix.Close(fd) // nothing was asked of it
		return
	}
	t.notices = os.NewFile(uintptr(fd), "inotify")
	go func() {
		var buf [4 << 10]byte
		for {
			if _, err := t.notices.Read(buf[:]); err != nil {
				return
			}
			t.doAndWait(func() { t.soon(scanPause) })
		}
	}()
}

// soon has the tree be scanned, and pruned, after a time, unless that is to be sooner already.
func (t *Tree) soon(d time.Duration) {
	at := t.o.Now().Add(d)
	if t.ending || t.next != nil && !at.Before(t.nextAt) {
		return
	}
	if t.next != nil {
		t.next.Stop()
	}
	var timer *time.Timer
	timer = after(d, func() {
		t.do(func() {
			if t.next == timer {
				t.next = nil
				t.scan(true)
			}
		})
	})
	t.next, t.nextAt = timer, at
}

// unsettled tells whether a directory that nobody has asked for may not be whole yet; for how long is not known where it
// has no run.
func (t *Tree) unsettled(e wire.Entry) bool {
	dir, err := t.dir.Sub(e.Name)
	if err != nil {
		return false // a symlink: it was made as a whole; what is wrong with others is said when they are entered
	}
	defer dir.Close()
	run, err := dir.Stat("run")
	if err != nil {
		t.soon(settle)
		return true
	}
	st, err := dir.Stat(".")
	if err != nil {
		return false
	}
	changed := max(time.Unix(st.Ctim.Unix()).UnixNano(), time.Unix(run.Ctim.Unix()).UnixNano())
	if left := settle - t.o.Now().Sub(time.Unix(0, changed)); left > 0 && left <= settle {
		t.soon(left)
		return true
	}
	return false
}
