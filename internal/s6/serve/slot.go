package serve

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// slot is a service directory, and the logger that it had when it was found. It is there while the scan directory has it or
// somebody supervises a part of it.
type slot struct {
	id wire.Identity
	// name is what the last scan has found it as.
	name string
	// active is whether the last scan found it, and back whether it did so when its pipe had been let go of already: then it
	// begins anew once all of it has ended.
	active, back bool
	logged       bool
	// pipe is from the service to its logger. That the slot holds both ends, too, keeps what is in it while either is away.
	pipe [2]*end
	// parts are the service and its logger, and again is when the supervisor of each may begin again.
	parts [2]*service
	again [2]time.Time
}

// end is one end of a pipe, with how many hold it.
type end struct {
	file  *os.File
	users int
}

func (e *end) hold() *end {
	if e != nil {
		e.users++
	}
	return e
}

func (e *end) release() {
	if e == nil {
		return
	}
	if e.users--; e.users == 0 {
		_ = e.file.Close() // nothing is lost by an error: what was written is in the pipe
	}
}

// newSlot makes one for a directory, with a pipe where there is a logger. Both ends block, as programs expect of them.
func newSlot(e wire.Entry) (*slot, error) {
	sl := &slot{id: e.ID, logged: e.Log}
	if !e.Log {
		return sl, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	for i, fd := range fds {
		sl.pipe[i] = &end{file: os.NewFile(uintptr(fd), "pipe"), users: 1}
	}
	return sl, nil
}

// letGo has the end of the service be the end of its logger's input, and the logger's end break the pipe.
func (sl *slot) letGo() {
	for i, e := range sl.pipe {
		e.release()
		sl.pipe[i] = nil
	}
}

func (sl *slot) empty() bool { return sl.parts == [2]*service{} }

// found has a directory of the scan directory be supervised.
func (t *Tree) found(e wire.Entry, itself bool) {
	sl := t.slots[e.ID]
	if sl == nil {
		if itself && t.unsettled(e) {
			return
		}
		if len(t.slots) >= t.most {
			t.warn(fmt.Sprintf("%s: there are more services than %d, which are not supervised", t.o.Directory, t.most))
			return
		}
		var err error
		if sl, err = newSlot(e); err != nil {
			t.warn(fmt.Sprintf("cannot supervise %s/%s: %v", t.o.Directory, e.Name, err))
			t.soon(scanAgain)
			return
		}
		t.slots[e.ID] = sl
	} else if sl.logged && sl.pipe[0] == nil {
		sl.back = true
		return
	}
	sl.active, sl.name = true, e.Name
	if sl.parts[0] == nil || sl.logged && sl.parts[1] == nil {
		t.fill(sl, e.Name)
	}
}

// fill has the parts of a slot that nobody supervises be supervised, by the name that it has now.
func (t *Tree) fill(sl *slot, name string) {
	if t.refused(name) {
		return
	}
	for i := range sl.parts {
		s := &service{tree: t, slot: sl, name: name, unit: unit.Name(name), path: filepath.Join(t.o.Directory, name), logger: i == 1}
		if s.logger {
			s.name, s.unit, s.path = name+"/log", s.unit+".log", s.path+"/log"
		}
		if sl.parts[i] != nil || s.logger && !sl.logged {
			continue
		}
		if wait := sl.again[i].Sub(t.o.Now()); wait > 0 {
			t.soon(wait)
			continue
		}
		if t.services[s.name] != nil { // another directory of that name is still supervised
			t.soon(scanAgain)
			continue
		}
		if !t.o.Names.take(s.unit, t) {
			t.warn(fmt.Sprintf("%s: cannot use name %s: another unit has it", t.o.Directory, s.unit))
			t.soon(scanAgain)
			continue
		}
		s.pipe = sl.pipe[1-i].hold()
		t.begin(s)
	}
}

// ended takes out a service whose supervisor has ended. One that the scan directory still has gets another one.
func (t *Tree) ended(s *service) {
	delete(t.services, s.name)
	t.keepers.Delete(s.unit)
	sl := s.slot
	if !sl.active && !t.ending { // at the end its last lines are still to be seen
		t.o.Logs.Forget(s.unit)
	}
	for i := range sl.parts {
		if sl.parts[i] == s {
			sl.parts[i], sl.again[i] = nil, t.o.Now().Add(restartDelay)
		}
	}
	if !sl.active || sl.name != s.name && sl.name+"/log" != s.name {
		t.o.Names.give(s.unit, t)
	}
	if sl.active {
		t.soon(restartDelay)
		return
	}
	sl.letGo()
	if sl.empty() {
		delete(t.slots, sl.id)
		if sl.back {
			t.soon(0)
		}
	}
}
