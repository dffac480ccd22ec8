package process

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// cgroups is the cgroup in which every run gets one: a child of pintle's own.
//
// It and all within it belong to pintle's user, so nobody but him and root can
// move a process out of a run or into one.
type cgroups struct {
	base  cgroup
	place string   // base as /proc/PID/cgroup names it
	lock  *os.File // base, locked for as long as this pintle lives, so that no other one takes it for a dead one's

	// changes is the inotify(7) descriptor for all cgroups that are waited for; nil where there is none to be had.
	changes *os.File

	mu   sync.Mutex
	kept []cgroup // were to be removed, but something was still in them

	old bool // for tests: as if the kernel had no cgroup.kill
}

// basePrefix is what the name of every pintle's base begins with.
const basePrefix = "pintle."

// openCgroups makes the base in the first of the places where that can be done, and removes what pintles that are dead left there.
func openCgroups(places []place) (g *cgroups, err error) {
	for _, p := range places {
		if g, err = openAt(p); err == nil {
			return g, nil
		}
	}
	return nil, err
}

// place is where a cgroup is: in the mounted tree, and as /proc/PID/cgroup names it.
type place struct{ dir, name string }

// ownPlaces lists where pintle's own cgroup can be found.
func ownPlaces() ([]place, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	places := placesIn(string(own), string(mounts))
	if len(places) == 0 {
		return nil, errors.New("no cgroup2 file system that has pintle's own cgroup is mounted")
	}
	return places, nil
}

// placesIn does that for the text of /proc/self/cgroup (cgroups(7)) and /proc/self/mountinfo (proc(5)).
func placesIn(own, mounts string) (places []place) {
	name, found := "", false
	for line := range strings.Lines(own) {
		if name, found = strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			break
		}
	}
	if !found || slices.Contains(strings.Split(name, "/"), "..") { // outside the cgroup namespace
		return nil
	}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(kind) == 0 || kind[0] != "cgroup2" {
			continue
		}
		root, point := unescape(fields[3]), unescape(fields[4])
		if rest, ok := strings.CutPrefix(name+"/", strings.TrimSuffix(root, "/")+"/"); ok {
			places = append(places, place{filepath.Join(point, rest), name})
		}
	}
	return places
}

// unescape undoes what the kernel does to a path in mountinfo.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// baseTries is how often a base is made, when another pintle that begins just now took it for a dead one's.
const baseTries = 10

func openAt(p place) (g *cgroups, err error) {
	removeDead(p.dir)
	for range baseTries {
		name := basePrefix + strings.ToLower(rand.Text()[:8])
		g = &cgroups{base: cgroup(filepath.Join(p.dir, name)), place: filepath.Join(p.name, name)}
		if err := os.Mkdir(string(g.base), 0o700); err != nil {
			return nil, err
		}
		if g.lock, err = lockDir(g.base); err == nil {
			err = g.try()
		}
		if err == nil {
			if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
				g.changes = os.NewFile(uintptr(fd), "inotify")
			}
			return g, nil
		}
		if err = errors.Join(err, g.close()); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
	}
	return nil, err
}

// lockDir opens a cgroup, and locks it unless somebody else has.
func lockDir(g cgroup) (*os.File, error) {
	f, err := os.Open(string(g))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: %w", g, err), f.Close())
	}
	return f, nil
}

// removeDead removes the bases of pintles that have ended without doing it, as far as nothing is left in them.
func removeDead(dir string) {
	bases, _ := filepath.Glob(filepath.Join(dir, basePrefix+"*"))
	for _, b := range bases {
		if lock, err := lockDir(cgroup(b)); err == nil {
			_ = cgroup(b).remove()
			lock.Close()
		}
	}
}

// try makes a process in the base, as a run's will be made in its own cgroup: nothing else tells whether the kernel,
// a seccomp profile (clone3(2)), the permissions and the kind of the cgroup allow it.
func (g *cgroups) try() error {
	const nothing = os.DevNull + "/nothing" // so that it ends at once
	_, err := syscall.ForkExec(nothing, []string{nothing}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.lock.Fd())},
	})
	if err == unix.ENOTDIR {
		return nil
	}
	return fmt.Errorf("cannot make a process in %s: %w", g.base, err)
}

// close removes what is empty. What is not, the next pintle will find.
func (g *cgroups) close() error {
	err := g.base.remove()
	for _, f := range []*os.File{g.lock, g.changes} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// add makes a run's cgroup. Its name is for people to read; where that is taken, it gets an ending.
func (g *cgroups) add(name unit.Name, number uint64) (cgroup, error) {
	g.retry()
	dir := g.base.file(fmt.Sprintf("%s.%d", name, number))
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrExist) {
		dir += "." + strings.ToLower(rand.Text()[:8])
		err = os.Mkdir(dir, 0o700)
	}
	return cgroup(dir), err
}

// drop removes a run's cgroup, later if something is still in it.
func (g *cgroups) drop(dir cgroup) {
	if dir.remove() != nil {
		g.mu.Lock()
		g.kept = append(g.kept, dir)
		g.mu.Unlock()
	}
}

func (g *cgroups) retry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = slices.DeleteFunc(g.kept, func(dir cgroup) bool { return dir.remove() == nil })
}

// kill kills all that is in a cgroup, and tells whether the kernel has done that by itself.
func (g *cgroups) kill(dir cgroup) bool { return !g.old && dir.kill() == nil }

// watch has changed be told when the cgroup gets empty.
func (g *cgroups) watch(dir cgroup) {
	if g.changes == nil {
		return
	}
	conn, err := g.changes.SyscallConn()
	if err != nil {
		return
	}
	// Without it the census looks again by itself, only later; so it may fail.
	_ = conn.Control(func(fd uintptr) {
		_, _ = unix.InotifyAddWatch(int(fd), dir.file("cgroup.events"), unix.IN_MODIFY)
	})
}

// listen tells of changes in what is watched, until close.
func (g *cgroups) listen(changed func()) {
	var buf [4096]byte
	for {
		if _, err := g.changes.Read(buf[:]); err != nil {
			return
		}
		changed()
	}
}

// dirIn is the directory in the base that a process is in, for the text of its /proc/PID/cgroup, or none.
func (g *cgroups) dirIn(text []byte) cgroup {
	for line := range bytes.Lines(text) {
		if rest, ok := strings.CutPrefix(string(line), "0::"+g.place+"/"); ok {
			name, _, _ := strings.Cut(strings.TrimSuffix(rest, "\n"), "/")
			return cgroup(g.base.file(strings.TrimSuffix(name, " (deleted)")))
		}
	}
	return ""
}
