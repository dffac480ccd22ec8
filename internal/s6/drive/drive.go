// Package drive is an engine.Engine over a live tree of a real s6: the scan directory of an s6-svscan, whose services
// are s6-supervise's. It is for images that keep s6-overlay, and is as a rule an unprivileged user's who owns the scan
// directory: no process of it stays, each command speaks s6's own FIFOs and files (package wire) and ends.
//
// It promises that
//
//   - a service directory is seen by s6 complete or not at all, and is made, changed and removed by one command at a
//     time, however many ask for the same name;
//   - what was created is supervised, and what was removed has neither a directory nor an s6-supervise left, when the
//     call returns, or its error says what is still there; nothing waits without a bound, and nothing by sleeping;
//   - what is wanted of an instance is kept in the state directory, so that Reconcile makes anew what a container's
//     new life lacks, and one that cannot be made keeps no other from it;
//   - what it is told to do is done with the rights of whoever runs it, and no symlink in the scan directory takes it
//     elsewhere for an instance.
//
// It does not make s6 safer than it is. Who may write a service directory decides what s6-supervise executes, with the
// rights that s6-supervise has; docs/s6.md says what follows. It knows a run's leader only, not all processes of a run.
package drive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/s6/wire"
	"pintle/internal/store"
	"pintle/internal/unit"
)

// DefaultScan is s6-overlay's scan directory.
const DefaultScan = "/run/service"

// DefaultPatience is how long s6 may take for what takes no time.
const DefaultPatience = 20 * time.Second

// Options are what a Tree works with.
type Options struct {
	// Scan is the scan directory.
	Scan string
	// Release is that of the tree's s6.
	Release wire.Version
	// Templates are what instances are made from.
	Templates []unit.Template
	// StateDirectory is where desired states are kept; empty means that they end with the tree.
	StateDirectory string
	// Version is pintle's own.
	Version string
	// Self is the program that runs of other users than the tree's begin with, as "SELF s6-launch …": pintle.
	Self string
	// Actor is on whose behalf all is done.
	Actor unit.Actor
	// Say hears of what s6 cannot do of what a template asks for, one line for each; nil for nobody.
	Say func(line string)
	// Patience is how long s6 may take for what takes no time of its own; 0 is DefaultPatience.
	Patience time.Duration
}

// Tree is an s6 tree. Its methods may be called from any goroutine.
type Tree struct {
	o         Options
	templates map[string]*unit.Template
	root      *os.Root
	scan      *wire.Dir
	shelf     *store.Shelf
	// unkept is why the state directory cannot be used; nil where it can, or there is none.
	unkept error

	mu   sync.Mutex
	said map[string]bool
	// poked are the watches of this process, which hear at once of what it does itself.
	poked map[chan struct{}]bool
}

var _ engine.Engine = (*Tree)(nil)

// Open opens a scan directory. That an s6-svscan runs on it is asked by what needs one.
func Open(o Options) (*Tree, error) {
	if o.Release == (wire.Version{}) {
		o.Release = wire.Default
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	t := &Tree{o: o, templates: map[string]*unit.Template{}, said: map[string]bool{}, poked: map[chan struct{}]bool{}}
	for i := range o.Templates {
		t.templates[o.Templates[i].Name] = &o.Templates[i]
	}
	var err error
	if t.root, err = os.OpenRoot(o.Scan); err != nil {
		return nil, engine.Errorf(engine.Unavailable, "cannot use the scan directory %s: %v", o.Scan, cause(err))
	}
	if t.scan, err = wire.Open(o.Scan); err != nil {
		_ = t.root.Close()
		return nil, engine.Errorf(engine.Unavailable, "%v", err)
	}
	if info, err := t.root.Stat("."); err != nil || os.Geteuid() == 0 && info.Sys().(*syscall.Stat_t).Uid != 0 { // see GiveUpRoot
		_ = t.root.Close()
		_ = t.scan.Close()
		return nil, engine.Errorf(engine.Denied, "cannot use the scan directory %s: it is not root's, and root works there with its owner's rights only", o.Scan)
	}
	if o.StateDirectory != "" {
		t.shelf, t.unkept = store.OpenShelf(o.StateDirectory, os.Geteuid())
	}
	return t, nil
}

// Close closes it. What runs, runs on.
func (t *Tree) Close() {
	t.shelf.Close()
	_ = t.scan.Close()
	_ = t.root.Close()
}

// Info implements engine.Engine.
func (t *Tree) Info(context.Context) (engine.Info, error) {
	info := engine.Info{
		Version: t.o.Version, UID: os.Geteuid(), ProcessSets: "none: s6 knows the leader of a run only",
		Durable: t.o.StateDirectory != "" && t.unkept == nil,
	}
	if fi, err := t.root.Stat(".s6-svscan/lock"); err == nil {
		info.Started = fi.ModTime()
	}
	if comm, err := os.ReadFile("/proc/1/comm"); err == nil && string(comm) == "s6-svscan\n" {
		info.PID = 1
	}
	if t.unkept != nil {
		info.Conditions = append(info.Conditions, engine.Conditionf(engine.StateInMemory, "desired states end with the tree: %v", t.unkept))
	}
	if err := t.alive(); err != nil {
		info.Conditions = append(info.Conditions, engine.Conditionf(engine.SocketMissing, "nothing can be asked of s6: %v", err))
	}
	return info, nil
}

// alive is why no s6-svscan does what it is told; nil where one does.
func (t *Tree) alive() error {
	err := t.scan.ControlScan("")
	if errors.Is(err, wire.ErrNotListening) {
		return fmt.Errorf("no s6-svscan runs on %s", t.o.Scan)
	}
	return err
}

// rescan tells s6-svscan to look at its directory, and with prune to end what is not there any more.
func (t *Tree) rescan(prune bool) error {
	commands := "a"
	if prune {
		commands = "an"
	}
	err := t.scan.ControlScan(commands)
	if errors.Is(err, wire.ErrNotListening) {
		return fmt.Errorf("no s6-svscan runs on %s", t.o.Scan)
	}
	return err
}

// service is a service directory that was opened.
type service struct {
	*wire.Dir
	name unit.Name
	// template is nil for what is no instance of a template that is known.
	template *unit.Template
	// log is its logger's directory; nil where it has none.
	log *wire.Dir
	// root is the directory to write in; nil for what is no instance.
	root *os.Root
}

func (s *service) close() {
	_ = s.Close()
	if s.log != nil {
		_ = s.log.Close()
	}
	if s.root != nil {
		_ = s.root.Close()
	}
}

// supervisors are the directories that an s6-supervise is for.
func (s *service) supervisors() []*wire.Dir {
	if s.log == nil {
		return []*wire.Dir{s.Dir}
	}
	return []*wire.Dir{s.Dir, s.log}
}

// open opens the service directory of a unit. An instance's is a directory of the scan directory's own; that of what
// pintle did not make may be anywhere, as s6 has it.
func (t *Tree) open(verb string, name unit.Name) (*service, error) {
	if _, err := unit.ParseName(string(name)); err != nil || internal(string(name)) {
		return nil, t.unknown(verb, name)
	}
	s, err := t.openAt(string(name))
	switch {
	case err == nil:
		s.name, s.template = name, t.templates[name.Template()]
		return s, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, t.unknown(verb, name)
	}
	return nil, t.failure(verb, name, err)
}

// openAt opens a service directory by its name in the scan directory.
func (t *Tree) openAt(name string) (*service, error) {
	if unit.Name(name).Template() == "" && filepath.Base(name) == name {
		return t.openStatic(name)
	}
	info, err := t.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory, so it was not made by pintle", filepath.Join(t.o.Scan, name))
	}
	f, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return withLog(&service{Dir: wire.In(f), root: root}), nil
}

// openStatic opens what pintle did not make. What root opens of somebody else's is not followed any further.
func (t *Tree) openStatic(name string) (*service, error) {
	d, err := wire.Open(filepath.Join(t.o.Scan, name))
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(d.Descriptor(), &st); err != nil || os.Geteuid() != 0 || st.Uid == 0 && st.Mode&0o022 == 0 {
		return withLog(&service{Dir: d}), err
	}
	fd, err := unix.FcntlInt(uintptr(d.Descriptor()), unix.F_DUPFD_CLOEXEC, 0)
	_ = d.Close()
	if err != nil {
		return nil, err
	}
	return withLog(&service{Dir: wire.In(os.NewFile(uintptr(fd), d.Path()))}), nil
}

func withLog(s *service) *service {
	if log, err := s.Sub("log"); err == nil {
		s.log = log
	}
	return s
}

func (t *Tree) unknown(verb string, name unit.Name) error {
	if t.templates[name.Template()] != nil {
		return engine.Errorf(engine.NotFound, "cannot %s %s: there is no such instance; pintle create %s makes it", verb, name, name)
	}
	return engine.Errorf(engine.NotFound, "cannot %s %s: there is no such unit", verb, name)
}

// failure is an error of the system's or of s6's as the engine has it.
func (t *Tree) failure(verb string, name unit.Name, err error) error {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e
	}
	kind := engine.Internal
	text := cause(err).Error()
	switch {
	case errors.Is(err, fs.ErrPermission):
		kind = engine.Denied
		text = fmt.Sprintf("uid %d may not (%s); pintle --engine s6 permit, as root, lets a user", os.Geteuid(), text)
	case errors.Is(err, wire.ErrNotListening):
		kind, text = engine.Unavailable, "no s6-supervise serves it"
		if dead := t.alive(); dead != nil {
			text = dead.Error()
		}
	case t.alive() != nil:
		kind = engine.Unavailable
	}
	return engine.Errorf(kind, "cannot %s %s: %s", verb, name, text)
}

// cause is err without the names of system calls.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Path, cause(e.Err))
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Errorf("%s: %w", e.New, cause(e.Err))
	}
	if e, ok := errors.AsType[unix.Errno](err); ok && errors.Unwrap(err) == nil {
		return e
	}
	return err
}
