package peers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// record is one line of a program of testdata.
type record struct {
	word  string // cell, started, ready, killed, missed
	index int
	pid   int // in the cell
	at    time.Duration
}

// fifo is where those programs say it. It holds more than all of them say at once, so nobody ever waits for its reader.
type fifo struct {
	w    *workshop
	path string
	file *os.File
	rest []byte
	news []record
	// over is closed when who is supervised through it has ended, so that nobody waits for it; nil where nobody tells.
	over chan struct{}
}

func (w *workshop) newFIFO(dir string) *fifo {
	w.Helper()
	path := filepath.Join(dir, "fifo")
	w.must(unix.Mkfifo(path, 0o666))
	w.must(os.Chmod(path, 0o666))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	w.must(err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 1<<20)
	w.must(err)
	return &fifo{w: w, path: path, file: os.NewFile(uintptr(fd), path)}
}

// read takes what has been said since.
func (f *fifo) read() {
	f.w.Helper()
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Read(int(f.file.Fd()), buffer)
		if n <= 0 || err != nil {
			break
		}
		f.rest = append(f.rest, buffer[:n]...)
	}
	for {
		line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			return
		}
		f.rest = rest
		var r record
		if _, err := fmt.Sscanf(string(line), "%s %d %d %d", &r.word, &r.index, &r.pid, &r.at); err != nil {
			f.w.Fatalf("cannot understand %q: %v", line, err)
		}
		f.news = append(f.news, r)
	}
}

// next waits for n records of a word, and takes them out.
func (f *fifo) next(word string, n int) []record {
	f.w.Helper()
	var taken []record
	end := now() + patience
	for {
		f.read()
		var others []record
		for _, r := range f.news {
			if r.word == word && len(taken) < n {
				taken = append(taken, r)
			} else {
				others = append(others, r)
			}
		}
		f.news = others
		if len(taken) == n {
			return taken
		}
		select {
		case <-f.over:
			f.w.Fatalf("cannot measure: it has ended when %d of %d had said %q", len(taken), n, word)
		default:
		}
		if now() > end {
			f.w.Fatalf("cannot measure: %d of %d have said %q after %v", len(taken), n, word, patience)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// cell is a supervisor that runs as PID 1 of its own namespaces, so that its end is the end of all that it has started.
type cell struct {
	*fifo
	w     *workshop
	dir   string // what belongs to it, and is removed with it
	cmd   *exec.Cmd
	pid   int // PID 1's, as seen from here
	began time.Duration
	ended bool
}

// enclose starts a command in a cell. What it prints is in the file output.
func (w *workshop) enclose(dir string, f *fifo, command ...string) *cell {
	w.Helper()
	out, err := os.Create(filepath.Join(dir, "output"))
	w.must(err)
	defer out.Close()
	cmd := exec.Command(w.program("cell"), append([]string{f.path}, command...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	cmd.Env = []string{"PATH=" + w.bin + ":" + os.Getenv("PATH"), "HOME=/root", "LANG=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Setsid: true, Pdeathsig: syscall.SIGKILL,
	}
	c := &cell{fifo: f, w: w, dir: dir, cmd: cmd}
	w.must(cmd.Start())
	c.pid = cmd.Process.Pid
	over := make(chan struct{})
	f.over = over
	go func() {
		_ = cmd.Wait()
		close(over)
	}()
	w.Cleanup(c.end)
	c.began = f.next("cell", 1)[0].at
	return c
}

// end kills all that is in the cell and removes what belongs to it.
func (c *cell) end() {
	if c.ended {
		return
	}
	c.ended = true
	if c.w.Failed() {
		out, _ := os.ReadFile(filepath.Join(c.dir, "output"))
		c.w.Logf("%v printed:\n%s", c.cmd.Args[2:], out[max(0, len(out)-600):])
	}
	_ = c.cmd.Process.Kill()
	<-c.over
	c.file.Close()
	_ = os.RemoveAll(c.dir)
}

// inside is a command that is executed in the cell's namespaces.
func (c *cell) inside(command ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", itoa(c.pid), "-p", "-m", "-w" + c.dir, "--"}, command...)...)
	cmd.Env = append(os.Environ(), "PATH="+c.w.bin+":"+os.Getenv("PATH"))
	return cmd
}

// processes are the pids of the cell, as seen from here: those of the supervisor alone, or all.
func (c *cell) processes(all bool) (pids []int) {
	c.w.Helper()
	mine, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.pid))
	c.w.must(err)
	entries, err := filepath.Glob("/proc/[0-9]*")
	c.w.must(err)
	service := c.w.program("service")
	for _, e := range entries {
		ns, _ := os.Readlink(e + "/ns/pid")
		if ns != mine {
			continue
		}
		exe, err := os.Readlink(e + "/exe")
		if err != nil || !all && exe == service { // one that has just ended has none
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(e), "%d", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killer kills services of a cell by their pids there.
type killer struct {
	c     *cell
	cmd   *exec.Cmd
	stdin *os.File
}

func (c *cell) newKiller() *killer {
	c.w.Helper()
	read, write, err := os.Pipe()
	c.w.must(err)
	cmd := c.inside(c.w.program("killer"), c.path)
	cmd.Stdin, cmd.Stderr = read, os.Stderr
	c.w.must(cmd.Start())
	read.Close()
	k := &killer{c: c, cmd: cmd, stdin: write}
	c.w.Cleanup(k.end)
	return k
}

// kill has a process of the cell killed; the FIFO says when.
func (k *killer) kill(pid, index int) {
	k.c.w.Helper()
	_, err := fmt.Fprintf(k.stdin, "%d %d\n", pid, index)
	k.c.w.must(err)
}

func (k *killer) end() {
	if k.stdin != nil {
		k.stdin.Close()
		_ = k.cmd.Wait()
		k.stdin = nil
	}
}

// firstLine is what is said of a version.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
