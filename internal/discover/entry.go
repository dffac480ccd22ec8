package discover

import (
	"time"

	"golang.org/x/sys/unix"
)

// entry is what is known of one name in the directory.
type entry struct {
	key key
	// since is when the entry was first seen as it is, told is set once its marker was looked for so long after that
	// another change would show.
	since time.Time
	told  bool
	answer
	watch int // the descriptor of its watch; negative for none
	seen  uint64
}

// key changes whenever something comes to a directory or leaves it.
type key struct {
	dev, ino     uint64
	mtime, ctime unix.Timespec
}

func keyOf(st *unix.Stat_t) key {
	return key{st.Dev, st.Ino, st.Mtim, st.Ctim}
}

// answer is what an entry turned out to be.
type answer struct {
	verdict verdict
	reason  string // of a rejection or a doubt
}

type verdict uint8

const (
	absent   verdict = iota // it declares nothing
	declares                // it declares an instance
	rejected                // it looks like an instance and can be none
	doubtful                // what it is cannot be found out now
)

// granularity is more than the least difference between two times on any file system that is in use (FAT has 2 s).
// An answer found sooner after a change may be from before another one that looks the same.
const granularity = 3 * time.Second

// look finds out what the name in the directory dir is. It costs one fstatat(2) where nothing has changed.
func (w *scanner) look(dir int, name string, at time.Time) answer {
	var st unix.Stat_t
	if err := fstatat(dir, name, &st); err != nil {
		w.forget(name)
		return w.failure(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
	case unix.S_IFLNK:
		w.forget(name)
		return answer{rejected, "it is a symlink, which is not followed"}
	default:
		w.forget(name)
		return answer{verdict: absent}
	}
	e := w.entries[name]
	if e == nil || e.key != keyOf(&st) {
		if e == nil || e.key.ino != st.Ino || e.key.dev != st.Dev {
			w.forget(name)
			e = &entry{watch: -1}
			w.entries[name] = e
		}
		e.key, e.since, e.told = keyOf(&st), at, false
	}
	e.seen = w.round
	if e.told {
		return e.answer
	}
	e.answer = w.ask(dir, name, e)
	e.told = at.Sub(e.since) >= granularity && e.verdict != doubtful
	return e.answer
}

// ask looks for the marker in a directory.
func (w *scanner) ask(dir int, name string, e *entry) answer {
	forbidden := w.rule.Check(name)
	if w.rule.Marker != "" {
		fd, err := openat(dir, name)
		if err != nil {
			return w.failure(err)
		}
		defer unix.Close(fd)
		if e.watch < 0 && forbidden == nil { // before the look, so that nothing is missed between the two
			e.watch = w.events.add(fd, name)
		}
		var st unix.Stat_t
		if err := fstatat(fd, w.rule.Marker, &st); err == unix.EACCES && forbidden != nil {
			return answer{verdict: absent} // lost+found, for one: nobody means an instance by it
		} else if err != nil {
			return w.failure(err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return answer{rejected, "its " + w.rule.Marker + " is not a regular file"}
		}
	}
	if forbidden != nil {
		return answer{rejected, forbidden.Error()}
	}
	return answer{verdict: declares}
}

// failure is the answer when the kernel gives none. Only what is not there declares nothing; the rest is not known.
func (w *scanner) failure(err error) answer {
	switch err {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP: // the latter two are what somebody put there between two steps
		return answer{verdict: absent}
	}
	return answer{doubtful, "it cannot be looked at: " + err.Error()}
}

// forget has nothing be known of an entry.
func (w *scanner) forget(name string) {
	if e := w.entries[name]; e != nil {
		w.events.remove(e.watch)
		delete(w.entries, name)
	}
}

func fstatat(dir int, name string, st *unix.Stat_t) error {
	for {
		if err := unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW); err != unix.EINTR { // possible on network and FUSE file systems
			return err
		}
	}
}

// openat opens a directory without reading it, and no symlink to one.
func openat(dir int, name string) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
