package logs

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// compressor compresses files that were set aside, one at a time for all units, so that it never takes more than one
// processor from them. It has a goroutine, and memory of a megabyte or two, while there is something to compress.
//
// At any moment a file is there whole under one of its two names, or both: the compressed one is written under a hidden
// name, synced and renamed before the other one is removed. What a kill leaves behind, and a file that could not be
// compressed because the disk was full, is done again after the next one of its directory.
type compressor struct {
	stop chan struct{} // closed by close

	mu     sync.Mutex
	queue  []File
	idle   chan struct{} // closed when the goroutine ends; nil where none was ever started
	busy   bool
	closed bool
}

func newCompressor() *compressor { return &compressor{stop: make(chan struct{})} }

// enqueue has all that was set aside by a rule be compressed some time. It waits for nothing.
func (c *compressor) enqueue(r File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !r.Compress {
		return
	}
	for i := range c.queue {
		if c.queue[i].Directory == r.Directory {
			c.queue[i] = r
			return
		}
	}
	c.queue = append(c.queue, r)
	if !c.busy {
		c.busy, c.idle = true, make(chan struct{})
		go c.work()
	}
}

// close interrupts what is being compressed, and waits for that until ctx ends. Nothing is compressed afterwards; the
// next life of pintle does it.
func (c *compressor) close(ctx context.Context) {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.stop)
	}
	idle := c.idle
	c.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// work compresses until the queue is empty.
func (c *compressor) work() {
	// The fastest level: on lines of logs it makes 4.5 of a byte where the usual level makes 5.1, in less than half the time.
	zip, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // which is a level
	chunk := make([]byte, 64<<10)
	for {
		c.mu.Lock()
		if c.closed || len(c.queue) == 0 {
			c.queue, c.busy = nil, false
			close(c.idle)
			c.mu.Unlock()
			return
		}
		r := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		c.all(&r, zip, chunk)
	}
}

// all compresses what was set aside in a directory, the oldest first. What cannot be compressed stays as it is.
func (c *compressor) all(r *File, zip *gzip.Writer, chunk []byte) {
	dir := -1
	var names []string
	err := r.look(func(at int) (err error) {
		if dir, err = openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		s, err := shelve(dir, mostArchives, nil)
		for _, file := range s.unfinished {
			_ = unix.Unlinkat(dir, file, 0) // of a life that was cut off; where it stays, no room for another is made
		}
		for _, name := range s.names {
			if sizeOf(dir, name) > 0 {
				names = append(names, name)
			}
		}
		return err
	})
	if dir < 0 {
		return
	}
	defer unix.Close(dir)
	for _, name := range names {
		if err != nil {
			return
		}
		err = c.one(r, dir, name, zip, chunk)
	}
}

// one compresses one file. An error is one by which the next one cannot be compressed either.
func (c *compressor) one(r *File, dir int, name string, zip *gzip.Writer, chunk []byte) error {
	var from, to *os.File
	var size int64
	var err error
	e := r.as(func() {
		if from, size, err = openRegular(dir, name, unix.O_RDONLY, 0); err != nil || size > r.mostRead() {
			err = nil // it was removed, or is nobody's to touch, or nothing that could be read back
			return
		}
		const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL
		if to, _, err = openRegular(dir, hidden+name+zipped, flags, r.mode()); err == nil {
			_ = unix.Fchmod(int(to.Fd()), r.mode()) // without it, fewer may read than the process's umask lets
		}
	})
	if from != nil {
		defer from.Close()
	}
	if err = errors.Join(e, err); err != nil || to == nil {
		return err
	}
	err = c.zip(zip, to, io.LimitReader(from, size), chunk)
	if err == nil {
		err = to.Sync()
	}
	err = errors.Join(err, to.Close())
	return errors.Join(err, r.as(func() { finish(dir, name, from, size, err == nil) }))
}

// finish puts the compressed file in the place of the other one, or, where it is not good or the other one is not what
// it was, removes it.
func finish(dir int, name string, from *os.File, size int64, good bool) {
	var st, there unix.Stat_t
	good = good && unix.Fstat(int(from.Fd()), &st) == nil && st.Size == size &&
		unix.Fstatat(dir, name, &there, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Dev == there.Dev && st.Ino == there.Ino &&
		unix.Renameat(dir, hidden+name+zipped, dir, name+zipped) == nil
	if good {
		_ = unix.Unlinkat(dir, name, 0) // where it stays, it is what counts, and is compressed again
		return
	}
	_ = unix.Unlinkat(dir, hidden+name+zipped, 0)
}

// errInterrupted is why a file was not compressed when the book is closed.
var errInterrupted = errors.New("interrupted")

// zip compresses a file, piece by piece, until it is interrupted.
func (c *compressor) zip(zip *gzip.Writer, to io.Writer, from io.Reader, chunk []byte) error {
	zip.Reset(to)
	for {
		select {
		case <-c.stop:
			return errInterrupted
		default:
		}
		n, err := from.Read(chunk)
		if _, err := zip.Write(chunk[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return zip.Close()
		}
		if err != nil {
			return err
		}
	}
}
