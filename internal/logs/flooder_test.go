package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// flooder is a unit that writes: one process after the other, each a run with a pipe of its own.
type flooder struct {
	index, rate int
	dir         string
	progress    *os.File // where its process says for how many lines write(2) has returned
	promised    []int    // what that was for each run, once it is over
	killed      int

	mu     sync.Mutex // guards what follows
	now    *os.Process
	ending bool // no other run follows

	// What check has seen.
	bytes int          // of whole lines
	next  map[int]int  // of each run, the number of the line that is to come
	half  map[int]bool // the runs that left half a line
	run   int          // what a line has said of those that follow it; 0: nothing yet
	torn  [][]byte     // lines that a full disk has cut off, behind the last whole one
	tears int          // how many such there were
}

// tell sends a signal to the process; after the last one no other follows.
func (w *flooder) tell(s syscall.Signal, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ending = w.ending || last
	if w.now != nil {
		_ = w.now.Signal(s) // it may be over
	}
}

// start starts a process that writes to out, unless none is to follow.
func (w *flooder) start(run int, out *os.File) (*exec.Cmd, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending {
		return nil, nil
	}
	if err := w.say(w.progress, 0); err != nil {
		return nil, err
	}
	cmd := play("writer", strconv.Itoa(w.index), strconv.Itoa(run), strconv.Itoa(w.rate))
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = out, os.Stderr, []*os.File{w.progress}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w.now = cmd.Process
	return cmd, nil
}

// live has one run follow the other.
func (w *flooder) live(j *Journal) error {
	for run := 1; ; run++ {
		r, out, err := os.Pipe()
		if err != nil {
			return err
		}
		cmd, err := w.start(run, out)
		out.Close()
		if cmd == nil {
			r.Close()
			return err
		}
		j.Capture(uint64(run), engine.Stdout, r)
		_ = cmd.Wait() // it says the same as the next
		n, err := w.taken()
		if err != nil {
			return err
		}
		w.promised = append(w.promised, n)
		switch s := cmd.ProcessState.Sys().(syscall.WaitStatus); {
		case s.Signaled() && s.Signal() == unix.SIGKILL:
			w.killed++
		case s.Signaled() && s.Signal() == unix.SIGTERM || s.Exited() && s.ExitStatus() == 0: // it was asked to
		default:
			return fmt.Errorf("run %d: %v", run, cmd.ProcessState)
		}
	}
}

// say notes for how many lines write(2) has returned. Nothing that happens to the process afterwards changes that.
func (w *flooder) say(progress *os.File, lines int) error {
	_, err := progress.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(lines)), int64(8*w.index))
	return err
}

// taken is what was noted last.
func (w *flooder) taken() (lines int, err error) {
	var said [8]byte
	if _, err = w.progress.ReadAt(said[:], int64(8*w.index)); errors.Is(err, io.EOF) { // nothing yet
		err = nil
	}
	return int(binary.LittleEndian.Uint64(said[:])), err
}

// flooding is the part of the process: it writes lines until it is told to end. One in ten writes each with a write(2) of its
// own, the others many at once, which can be interrupted within a line.
func flooding() error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	var number [3]int
	for i := range number {
		var err error
		if number[i], err = strconv.Atoi(os.Args[1+i]); err != nil {
			return err
		}
	}
	run, w, progress := number[1], flooder{index: number[0], rate: number[2]}, os.NewFile(3, "progress")
	chunk := min(16<<10, w.rate/10)
	tick := time.NewTicker(time.Duration(chunk) * time.Second / time.Duration(w.rate))
	var buf []byte
	for lines := 0; ; {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		for room := chunk; room > 0; room -= len(buf) {
			for buf = buf[:0]; len(buf) == 0 || w.index%10 != 0 && len(buf) < chunk; lines++ {
				buf = append(floodLine(buf, w.index, run, lines), '\n')
			}
			if _, err := os.Stdout.Write(buf); err != nil {
				return err
			}
			if err := w.say(progress, lines); err != nil {
				return err
			}
		}
	}
}

// floodText is what lines are filled with.
var floodText = strings.Repeat("The quick brown fox jumps over the lazy dog. ", 22)

// floodLine appends a line: whose and which it is, text, and a checksum of it all.
func floodLine(b []byte, writer, run, number int) []byte {
	begin := len(b)
	for i, width := range []int{3, 5, 9} {
		n := []int{writer, run, number}[i]
		b = append(b, "000000000"[:width]...)
		for at := len(b) - 1; n > 0; n /= 10 {
			b[at] += byte(n % 10)
			at--
		}
		b = append(b, ' ')
	}
	mixed := uint(number)*2654435761 + uint(writer)
	b = append(b, floodText[mixed%40:40+mixed/64%900]...)
	sum := crc32.ChecksumIEEE(b[begin:])
	return strconv.AppendUint(append(b, ' '), uint64(sum), 16)
}

// check takes what is in the files that were set aside, and in the end in the current one too, and removes them.
func (w *flooder) check(last bool) error {
	files, err := filepath.Glob(w.dir + "/2*") // in order
	if err != nil {
		return err
	}
	if last {
		files = append(files, w.dir+"/current")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(data) {
			if err := w.take(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// take takes the next line of the files.
func (w *flooder) take(line []byte) error {
	stamp, rest, _ := bytes.Cut(line, []byte(" "))
	word, text, _ := bytes.Cut(rest, []byte(" "))
	if len(stamp) == len(stampForm) && string(word) == "run" {
		if n, err := fmt.Sscanf(string(text), "%d, line", &w.run); n == 1 && err == nil {
			return nil
		}
	}
	if string(word) == Own {
		return fmt.Errorf("pintle says: %s", text)
	}
	run := 0 // which is none
	if len(text) >= len("000 00000") {
		run, _ = strconv.Atoi(string(text[4:9]))
	} else if string(word) == "out+" && bytes.HasPrefix(text, fmt.Appendf(nil, "%03d ", w.index)[:min(4, len(text))]) {
		w.half[-len(w.half)] = true // which run has left it can't be told
		return nil
	}
	want := floodLine(nil, w.index, run, w.next[run])
	whole, half := string(word) == "out" && bytes.Equal(text, want), string(word) == "out+" && bytes.HasPrefix(want, text) && !w.half[run]
	switch {
	case len(stamp) == len(stampForm) && whole && !w.half[run]:
		w.next[run]++
		w.bytes += len(text) + 1
	case half:
		w.half[run] = true
	case len(w.torn) > 3: // it does not go on
		return fmt.Errorf("line %d of run %d is to come, and there is %q", w.next[run], run, w.torn[0])
	default:
		w.torn = append(w.torn, line)
		return nil
	}
	if w.run != 0 && w.run != run {
		return fmt.Errorf("it is said to be of run %d: %s", w.run, line)
	}
	for _, torn := range w.torn {
		if !bytes.HasPrefix(line, torn) {
			return fmt.Errorf("it has %q before %.80q", torn, line)
		}
	}
	w.tears += len(w.torn)
	w.torn = nil
	return nil
}
