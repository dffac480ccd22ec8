package tools

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"slices"
	"syscall"
)

// dirSettings are what the directives before a logdir said.
type dirSettings struct {
	size      uint32 // of the current file, at which it is rotated
	tolerance uint32 // how much before size a rotation may come, at a line's end
	keep      uint32 // how many archives
	total     uint64 // how many bytes of archives; 0 for any number
	retry     uint32 // milliseconds until what failed is tried again
	processor string // what makes an archive of a file; empty for no change
	shell     bool   // the processor is sh's, not execline's
}

// stage is how far the rotation of a logdir is. Each stage is tried again until it succeeds, so that lines are never
// written to a file that is half an archive. One after the other:
type stage int

const (
	writable stage = iota
	syncCurrent
	renameCurrent
	newCurrent
	closePrevious
	archivePrevious // without a processor; then writable
	runProcessor    // with one
	awaitProcessor
	syncProcessed
	syncState
	removePrevious
	renameState
	archiveProcessed // then writable
)

// logdir is a directory of logs that s6-log writes: current, and archives by time.
//
// A file with the owner's execute bit is complete: of current, so left by a clean end;
// of previous, whole and on its way to an archive.
type logdir struct {
	dirSettings
	l     *logger
	path  string
	out   []byte // lines that are not in current yet
	file  int    // current
	held  uint64 // bytes in current
	stage stage
	due   int64 // when to try again (elapsed)
	child int   // the processor
	ended bool  // current was marked as complete
}

func (d *logdir) name(file string) string { return d.path + "/" + file }

// openDir makes, locks and tidies a logdir.
func (l *logger) openDir(path string, s dirSettings) (*logdir, *problem) {
	d := &logdir{dirSettings: s, l: l, path: path}
	if doing, err := d.open(); err != nil {
		return nil, &problem{l.unable(exitSystem, err, doing)}
	}
	return d, nil
}

func (d *logdir) open() (doing string, err error) {
	if err := syscall.Mkdir(d.path, 0o2700); err != nil && !errors.Is(err, syscall.EEXIST) {
		return "mkdir " + d.path, err
	}
	fd, err := syscall.Open(d.name("lock"), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		return "open " + d.name("lock"), err
	}
	if err := lock(fd, true, false); err != nil { // held until the process ends
		return "lock " + d.name("lock"), err
	}
	info, err := os.Stat(d.name("current"))
	switch {
	case err != nil && !errors.Is(err, syscall.ENOENT):
		return "stat " + d.name("current"), err
	case err == nil && info.Mode()&0o100 != 0:
		d.held = uint64(info.Size())
	default:
		if doing, err := d.recover(); err != nil {
			return doing, err
		}
	}
	if d.file, err = d.openCurrent(); err != nil {
		return "open_append " + d.name("current"), err
	}
	if err := syscall.Fchmod(d.file, d.l.mode); err != nil {
		return "fd_chmod " + d.name("current"), err
	}
	return "", nil
}

// recover makes archives of what an end that was not clean left behind.
func (d *logdir) recover() (doing string, err error) {
	_ = os.Remove(d.name("state")) // what cannot be removed fails below
	_ = os.Remove(d.name("newstate"))
	info, err := os.Stat(d.name("processed"))
	switch {
	case err != nil && !errors.Is(err, syscall.ENOENT):
		return "stat " + d.name("processed"), err
	case err == nil && info.Mode()&0o100 != 0:
		_ = os.Remove(d.name("previous"))
		if err := d.archive("processed", 's'); err != nil {
			return "finish processed .s for logdir " + d.path, err
		}
	default:
		_ = os.Remove(d.name("processed"))
		if err := d.archive("previous", 'u'); err != nil {
			return "finish previous .u for logdir " + d.path, err
		}
	}
	if err := d.archive("current", 'u'); err != nil {
		return "finish current .u for logdir " + d.path, err
	}
	fd, err := syscall.Open(d.name("state"), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_TRUNC|syscall.O_CREAT|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		return "open_trunc " + d.name("state"), err
	}
	_ = syscall.Close(fd)
	return "", nil
}

func (d *logdir) openCurrent() (int, error) {
	return syscall.Open(d.name("current"), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_APPEND|syscall.O_CREAT|syscall.O_CLOEXEC, 0o666)
}

// archive gives a file its name as an archive, unless it has one already, and removes the oldest that are too many.
func (d *logdir) archive(file string, suffix byte) error {
	var info syscall.Stat_t
	err := syscall.Stat(d.name(file), &info)
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	if err == nil && info.Nlink == 1 {
		err = syscall.Link(d.name(file), d.name(now().label()+"."+string(suffix)))
	}
	if err == nil {
		err = syscall.Unlink(d.name(file))
	}
	if err == nil {
		err = d.trim()
	}
	return err
}

// trim removes the oldest archives, as many as keep and total ask for.
func (d *logdir) trim() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	type archive struct {
		name string
		size uint64
	}
	var archives []archive
	total := uint64(0)
	for _, e := range entries {
		if !isArchive(e.Name()) {
			continue
		}
		info, err := os.Stat(d.name(e.Name()))
		if err != nil {
			d.l.complain(err, "stat "+d.name(e.Name()))
			continue
		}
		archives = append(archives, archive{e.Name(), uint64(info.Size())})
		total += uint64(info.Size())
	}
	slices.SortFunc(archives, func(a, b archive) int { return cmp.Compare(a.name[:26], b.name[:26]) })
	for len(archives) > 0 && (uint64(len(archives)) > uint64(d.keep) || d.total > 0 && total > d.total) {
		if err := syscall.Unlink(d.name(archives[0].name)); err != nil {
			d.l.complain(err, "unlink "+d.name(archives[0].name))
		}
		total -= archives[0].size
		archives = archives[1:]
	}
	return nil
}

// isArchive knows an archive by its name: a label, and ".s" for saved or ".u" for unfinished.
func isArchive(name string) bool {
	if len(name) != labelLength+2 {
		return false
	}
	_, ok := parseLabel(name)
	return ok && (name[labelLength:] == ".s" || name[labelLength:] == ".u")
}

// busy tells that there is something to do before s6-log may end.
func (d *logdir) busy() bool { return len(d.out) > 0 || d.stage != writable }

// flush goes on with what is to be done.
func (d *logdir) flush() {
	if d.stage != writable && !d.rotate() {
		return
	}
	if d.held >= uint64(d.size) {
		d.stage = syncCurrent
		if !d.rotate() {
			return
		}
	}
	for len(d.out) > 0 {
		n, err := d.write()
		if n == 0 || err != nil {
			return
		}
		d.out = d.out[n:]
	}
	d.out = nil
}

// write writes what is there up to the last line's end, and rotates where that made the file large enough.
func (d *logdir) write() (n int, err error) {
	chunk := d.out
	if end := bytes.LastIndexByte(chunk, '\n'); end >= 0 {
		chunk = chunk[:end+1]
	}
	n, err = syscall.Write(d.file, chunk)
	if err != nil {
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			d.later()
			d.l.complain(err, "write to "+d.name("current"))
		}
		return 0, err
	}
	d.held += uint64(n)
	if d.held+uint64(d.tolerance) >= uint64(d.size) && n > 0 && chunk[n-1] == '\n' {
		d.stage = syncCurrent
		d.rotate()
	}
	return n, nil
}

// later has what failed tried again after a while.
func (d *logdir) later() { d.due = elapsed() + int64(d.retry)*1e6 }

// finish marks current as complete. It says whether that was done.
func (d *logdir) finish() bool {
	err := syscall.Fsync(d.file)
	doing := "fd_sync "
	if err == nil || errors.Is(err, syscall.EINVAL) {
		doing = "fd_chmod "
		err = syscall.Fchmod(d.file, d.l.mode|0o100)
	}
	if err != nil {
		d.l.complain(err, doing+d.name("current"))
		d.later()
		return false
	}
	d.ended = true
	return true
}
