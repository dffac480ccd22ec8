package tools

import (
	"errors"
	"io"
	"math"
	"os"
	"strconv"
	"syscall"
)

// pollerName is what s6-notifyoncheck executes itself as, to ask beside the service whether it is ready.
const pollerName = "s6-notifyoncheck (child)"

// polling is how the poller asks. Times are in milliseconds.
type polling struct {
	sleep, global, local, wait uint32
	tries                      uint32
	check                      string // an execline; empty for ./data/check
}

// The poller's descriptors.
const (
	pollerNotify = 3 + iota // where a newline says that the service is ready
	pollerSync              // where a byte says that the poller hears of the service's death from now on
)

func notifyOnCheck(c *call) int {
	p := polling{sleep: 10, wait: 1000, tries: 7}
	var (
		fd     uint32
		given  bool
		orphan = "0"
	)
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'd':
			orphan = "1"
		case '3':
			fd, ok = uint32Of(o.arg)
			given = true
		case 's':
			p.sleep, ok = uint32Of(o.arg)
		case 'T':
			p.global, ok = uint32Of(o.arg)
		case 't':
			p.local, ok = uint32Of(o.arg)
		case 'w':
			p.wait, ok = uint32Of(o.arg)
		case 'n':
			p.tries, ok = uint32Of(o.arg)
		case 'c':
			p.check = o.arg
		default:
			ok = false
		}
		if !ok {
			return c.wrongUsage()
		}
	}
	program := o.rest()
	if len(program) == 0 {
		return c.wrongUsage()
	}
	supervised, err := isLocked("supervise/lock")
	switch {
	case err != nil:
		return c.unable(exitSystem, err, "sanity-check current service directory")
	case !supervised:
		return c.fatal(exitUsage, "s6-supervise not running.")
	}
	if !given {
		text, err := firstLine("notification-fd")
		if err != nil {
			return c.unable(exitSystem, err, "read ./notification-fd")
		}
		if fd, given = uint32Of(text); !given {
			return c.fatal(exitUsage, "invalid ./notification-fd")
		}
	}
	if err := isOpen(fd); err != nil {
		return c.fatal(exitSystem, "notification-fd sanity check failed: "+strerror(err))
	}
	if code := c.startPoller(int(fd), append([]string{orphan}, p.words()...)); code != 0 {
		return code
	}
	_ = syscall.Close(int(fd)) // the poller has it
	return c.execute(program)
}

func (p polling) words() []string {
	return []string{decimal(p.sleep), decimal(p.global), decimal(p.local), decimal(p.wait), decimal(p.tries), p.check}
}

func readPolling(words []string) polling {
	n := func(i int) uint32 { value, _ := uint32Of(words[i]); return value }
	return polling{sleep: n(0), global: n(1), local: n(2), wait: n(3), tries: n(4), check: words[5]}
}

// startPoller starts the poller, as a child of the service's process to be or (with "1" as the first word) of nobody, and
// returns once the poller would hear of the service's death.
func (c *call) startPoller(fd int, words []string) (code int) {
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return c.unable(exitSystem, err, "pipe")
	}
	pid, err := c.executeSelf(words, fd, pipe[1])
	_ = syscall.Close(pipe[1])
	if err != nil {
		return c.unable(exitSystem, err, "fork")
	}
	if words[0] == "1" { // the one in between ends at once
		for {
			if _, err := syscall.Wait4(pid, nil, 0, nil); !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
	ready := os.NewFile(uintptr(pipe[0]), "sync")
	defer ready.Close()
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return c.fatal(exitSystem, "unable to synchronize with child")
	}
	return 0
}

// executeSelf starts this binary once more, as the poller.
func (c *call) executeSelf(words []string, notify, sync int) (pid int, err error) {
	const self = "/proc/self/exe" // also where its name is another's by now
	attr := &syscall.ProcAttr{Env: c.env, Files: []uintptr{0, 1, 2, uintptr(notify), uintptr(sync)}}
	return syscall.ForkExec(self, append([]string{pollerName}, words...), attr)
}

// pollCheck is the poller. Its exit code is for those who look: 0 ready, 1 never, 2 the service died, 3 too late.
func pollCheck(c *call) int {
	if len(c.args) != 7 {
		return exitUsage
	}
	if c.args[0] == "1" {
		c.args[0] = "0"
		if _, err := c.executeSelf(c.args, pollerNotify, pollerSync); err != nil {
			return c.unable(exitSystem, err, "doublefork")
		}
		return 0
	}
	syscall.CloseOnExec(pollerNotify)
	syscall.CloseOnExec(pollerSync)
	p := readPolling(c.args[1:])
	events, forget, err := listen("event")
	if err != nil {
		return c.unable(exitSystem, err, "ftrigr_subscribe to event fifodir")
	}
	defer forget()
	wakes, err := trap(syscall.SIGCHLD)
	if err != nil {
		return c.unable(exitSystem, err, "selfpipe_init")
	}
	if _, err := syscall.Write(pollerSync, []byte{0}); err != nil {
		return c.unable(2, err, "synchronize with parent")
	}
	_ = syscall.Close(pollerSync)
	w := watch{events: events, wakes: wakes, end: deadline(p.global)}
	return c.ask(p, &w)
}

// ask asks until the service is ready, as often as it may.
func (c *call) ask(p polling, w *watch) int {
	check := [][]string{{"./data/check"}}
	if p.check != "" {
		check = execlines(p.check)
	}
	pause := deadline(p.sleep)
	if p.sleep == 0 {
		pause = elapsed()
	}
	for try := uint32(0); p.tries == 0 || try < p.tries; try++ {
		switch w.wait(0, pause) {
		case died:
			return 2
		case expired:
			return 3
		}
		pid, err := c.spawn(check, "", []int{0, 1, 2})
		if err != nil {
			c.warnUnable(err, "spawn "+check[0][0])
		} else {
			switch w.wait(pid, deadline(p.local)) {
			case ready:
				_, _ = syscall.Write(pollerNotify, []byte("\n")) // the supervisor may not listen any more
				return 0
			case died:
				return 2
			case expired:
				return 3
			}
		}
		pause = deadline(p.wait)
	}
	return 1
}

// deadline is when ms milliseconds will have passed, where 0 is for ever.
func deadline(ms uint32) int64 {
	if ms == 0 {
		return math.MaxInt64
	}
	return elapsed() + int64(ms)*1e6
}

// What a wait can end with.
const (
	passed  = iota // the time is over, or the check said no
	ready          // the check said yes
	died           // the service's process is gone
	expired        // all time is over
)

// watch is what the poller waits for.
type watch struct {
	events, wakes int
	end           int64 // of all
}

// wait waits for the end of the process pid, if that is not 0, and until a moment.
func (w *watch) wait(pid int, until int64) (what int) {
	defer func() {
		if pid != 0 && (what == died || what == expired) {
			_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended
		}
	}()
	for {
		at := elapsed()
		switch {
		case at >= w.end:
			return expired
		case at >= until:
			return passed
		}
		ms := -1
		if first := min(until, w.end); first != math.MaxInt64 {
			ms = int(min((first-at+999_999)/1e6, math.MaxInt32))
		}
		polled := []pollFd{{fd: int32(w.events), events: pollIn}, {fd: int32(w.wakes), events: pollIn}}
		if _, err := poll(polled, ms); err != nil && !errors.Is(err, syscall.EINTR) {
			return expired
		}
		if w.died() {
			return died
		}
		if ended, well := w.ended(pid); ended && well {
			return ready
		} else if ended {
			return passed
		}
	}
}

// died reads what the service's supervisor has told: a "d" says that its process is gone.
func (w *watch) died() bool {
	var text [64]byte
	n, _ := syscall.Read(w.events, text[:]) // often there is nothing
	return contains(string(text[:max(n, 0)]), "d")
}

// ended reaps, and says whether pid has ended, and well.
func (w *watch) ended(pid int) (ended, well bool) {
	var numbers [64]byte
	_, _ = syscall.Read(w.wakes, numbers[:]) // only to empty it
	for {
		var status syscall.WaitStatus
		p, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil || p <= 0:
			return ended, well
		case p == pid:
			ended, well = true, status.Exited() && status.ExitStatus() == 0
		}
	}
}

// listen hears what is told in a fifodir, through a FIFO of its own there, until forget is called.
func listen(dir string) (fd int, forget func(), err error) {
	name := "ftrig1:" + now().label() + ":" + suffix()
	hidden, public := dir+"/."+name, dir+"/"+name
	if err := syscall.Mkfifo(hidden, 0o622); err != nil {
		return -1, nil, err
	}
	path := hidden
	forget = func() { _ = syscall.Unlink(path) } // who tells removes FIFOs that nobody reads
	err = syscall.Chmod(hidden, 0o622)
	if err == nil {
		fd, err = syscall.Open(hidden, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	}
	if err == nil { // a writer of our own, so that there is no end of file
		_, err = syscall.Open(hidden, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	}
	if err == nil {
		err = syscall.Rename(hidden, public)
	}
	if err != nil {
		forget()
		return -1, nil, err
	}
	path = public
	return fd, forget, nil
}

// suffix is six characters that nobody else has now: the kernel gives no two processes the same number.
func suffix() string {
	const length = 6
	text := "00000" + strconv.FormatInt(int64(os.Getpid()), 36)
	return text[len(text)-length:]
}

// isLocked tells whether somebody holds an exclusive lock on a file; nobody holds one on a file that is not there.
func isLocked(path string) (bool, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, syscall.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer syscall.Close(fd)
	region := syscall.Flock_t{Type: syscall.F_RDLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(uintptr(fd), syscall.F_GETLK, &region); err != nil {
		return false, err
	}
	return region.Type != syscall.F_UNLCK, nil
}

// firstLine is a short file's first line, as far as a number can reach.
func firstLine(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 10))
	line, _, _ := cut(string(text), "\n")
	return line, err
}
