package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/relay"
	"pintle/internal/s6/wire"
	"pintle/internal/unit"
)

// Options is what a Tree needs.
type Options struct {
	// Directory is the scan directory; it is absolute, and there.
	Directory string
	Version   wire.Version
	// Self is pintle's own uid.
	Self     int
	Kernel   *process.Kernel
	Accounts account.Database
	// Environ is the environment of what is run.
	Environ []string
	Logs    *logs.Book
	Log     *slog.Logger
	Now     func() time.Time
	// Taken tells whether a unit of that name is somebody else's.
	Taken func(unit.Name) bool
	// Names are what all trees of a container share; nil where it is the only one.
	Names *Names
}

// Tree is a scan directory whose services pintle supervises, in s6-svscan's place.
type Tree struct {
	o     Options
	most  int // how many services it may have
	owner owner
	dir   *wire.Dir
	seat  *wire.Seat

	relay *relay.Relay

	mu   sync.Mutex
	todo []func()
	bell chan struct{} // has one item while there is something in todo
	done chan struct{} // closed once the loop has ended

	keepers sync.Map // unit.Name → the uid of who may manage it

	// The rest is the loop's.
	services map[string]*service
	wrong    warnings
	slots    map[wire.Identity]*slot
	ending   bool
	next     *time.Timer // the next scan that is due; nil: none
	nextAt   time.Time
	notices  *os.File // of inotify; nil: there is none
}

// Open begins to supervise what is in a scan directory.
func Open(o Options) (*Tree, error) {
	t := &Tree{o: o, most: most(descriptorLimit()), relay: relay.New(), bell: make(chan struct{}, 1), done: make(chan struct{}), services: map[string]*service{}, slots: map[wire.Identity]*slot{}}
	dir, who, err := t.enterScan()
	if err != nil {
		return nil, err
	}
	t.dir, t.owner = dir, who
	if err = who.as(func() (err error) { t.seat, err = t.dir.SuperviseScan(); return err }); err != nil {
		return nil, errors.Join(err, t.dir.Close())
	}
	t.watch(dir)
	go t.relay.Run(t.done)
	go t.loop()
	go t.listen()
	scanned := make(chan struct{})
	t.do(func() {
		t.scan(false)
		close(scanned)
	})
	<-scanned
	return t, nil
}

// do has the loop do something. After its end nothing is done any more.
func (t *Tree) do(what func()) {
	t.mu.Lock()
	t.todo = append(t.todo, what)
	t.mu.Unlock()
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

func (t *Tree) loop() {
	defer close(t.done)
	for !(t.ending && len(t.services) == 0) {
		<-t.bell
		t.mu.Lock()
		todo := t.todo
		t.todo = nil
		t.mu.Unlock()
		for _, what := range todo {
			what()
		}
	}
	if t.notices != nil {
		_ = t.notices.Close() // only read
	}
	t.o.Names.giveAll(t)
	if err := errors.Join(t.seat.Close(), t.dir.Close()); err != nil {
		t.o.Log.Warn(err.Error())
	}
}

// listen reads what s6-svscanctl writes.
func (t *Tree) listen() {
	buf := make([]byte, 64)
	for {
		n, err := t.seat.Commands.Read(buf)
		if commands := string(buf[:n]); commands != "" {
			t.doAndWait(func() { t.command(commands) })
		}
		if err != nil {
			return
		}
	}
}

// command carries out what s6-svscanctl asks for. Prunes come after scans.
func (t *Tree) command(commands string) {
	scan, prune, hard := strings.ContainsAny(commands, "ah"), strings.ContainsAny(commands, "hn"), strings.Contains(commands, "N")
	if scan {
		t.scan(false)
	}
	if prune || hard {
		t.prune(hard)
	}
	if strings.ContainsAny(commands, "itqb") {
		t.end(strings.Contains(commands, "q"))
	}
	for _, c := range commands {
		if !strings.ContainsRune(wire.ScanCommands, c) {
			t.warn(fmt.Sprintf("%s: received unknown control command: %c", t.o.Directory, c))
		}
	}
}

// scan finds services that are new, and marks those that are gone. By itself, because something has changed, it passes over
// what may not be whole yet, and ends what has gone.
func (t *Tree) scan(itself bool) {
	if t.ending {
		return
	}
	t.wrong.begin()
	defer t.warned()
	var entries []wire.Entry
	var warnings []string
	var again bool
	who, err := t.ownerOfScan(t.dir)
	if err != nil {
		t.warn(err.Error())
		t.soon(scanAgain)
		return
	}
	t.owner = who
	err = t.owner.as(func() (err error) { entries, warnings, again, err = t.dir.Scan(t.o.Version); return err })
	for _, w := range warnings {
		t.warn(t.o.Directory + ": " + w)
	}
	if err != nil {
		t.warn(err.Error())
		again = true
	}
	if again {
		t.soon(scanAgain)
	}
	if err != nil {
		return
	}
	for _, sl := range t.slots {
		sl.active = false
	}
	for _, e := range entries {
		t.found(e, itself)
	}
	for id, sl := range t.slots {
		if !sl.active && sl.parts[0] == nil { // its logger gets nothing more
			sl.letGo()
		}
		if !sl.active && sl.empty() {
			delete(t.slots, id)
		}
	}
	if itself {
		t.prune(false)
	}
}

// scanAgain is after how long the scan directory is looked at again where that could not be done, or something in it was not
// taken up yet.
const scanAgain = 5 * time.Second

// refused tells whether a name can be no unit's.
func (t *Tree) refused(name string) bool {
	_, err := unit.ParseName(name)
	if err == nil && t.o.Taken != nil && t.o.Taken(unit.Name(name)) {
		err = fmt.Errorf("cannot use name %s: another unit has it", name)
	}
	if err != nil {
		t.warn(fmt.Sprintf("%s: %v", t.o.Directory, err))
	}
	return err != nil
}

// begin supervises a service, or tries again later.
func (t *Tree) begin(s *service) {
	if err := t.supervise(s); err != nil {
		t.warn(err.Error())
		s.abandon()
		t.soon(scanAgain)
	}
}

// prune ends what the last scan did not find.
func (t *Tree) prune(hard bool) {
	for _, s := range t.services {
		if !s.slot.active {
			s.end(!s.logs() || hard)
		}
	}
}

// end ends all: services are asked to stop, and loggers when nothing comes any more, unless they are asked to, too.
func (t *Tree) end(loggers bool) {
	if t.ending {
		return
	}
	t.ending = true
	if t.next != nil {
		t.next.Stop()
	}
	for _, s := range t.services {
		s.end(!s.logs() || loggers)
	}
	for _, sl := range t.slots {
		sl.letGo()
	}
}

// Keeper is the uid that a service runs as, who controls it by its files anyway; false where there is no such service.
func (t *Tree) Keeper(name unit.Name) (uid int, ok bool) {
	keeper, ok := t.keepers.Load(name)
	if !ok {
		return 0, false
	}
	return keeper.(int), true
}

// Ended is closed once the tree has ended, because s6-svscanctl asked for that or Close did.
func (t *Tree) Ended() <-chan struct{} { return t.done }

// Hurry kills what has not ended by now.
func (t *Tree) Hurry() {
	t.do(func() {
		for _, s := range t.services {
			s.soon(func() { s.send(unix.SIGKILL, true) })
		}
	})
}

// Left names the services whose supervisors have not ended.
func (t *Tree) Left() []string {
	names, _ := ask(context.Background(), t, func() (names []string) { // where it has ended, there are none
		for _, s := range t.services {
			names = append(names, string(s.unit))
		}
		return names
	})
	slices.Sort(names)
	return names
}

// Close ends all services, and waits for that until ctx ends.
func (t *Tree) Close(ctx context.Context) error {
	t.do(func() { t.end(false) })
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot end %s: its services have not ended", t.o.Directory)
	}
}
