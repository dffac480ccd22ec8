package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockWait is how long a test binary waits for another one's private engine to
// end. There is one private engine for a cache at a time.
const lockWait = 10 * time.Minute

// private is a Docker engine of our own.
//
// It lives in three namespaces. Pid: its first process is docker-init, which
// the kernel kills when the test binary's thread that started it ends; with it
// ends every process of the engine and of its containers. Mount: /run is a
// tmpfs of its own, with the socket, containerd's state and the shims' sockets,
// so that no file of them is left. Network: docker0 and the firewall rules are
// in there and nowhere else.
type private struct {
	dir     string        // what is kept: data, dockerd.log, lock
	pid     int           // of docker-init, as the host sees it
	cgroup  string        // parent of the containers' cgroups
	ended   chan struct{} // closed when all of its processes are gone
	process *os.Process
}

// boot is what the first process of the private engine does before it becomes
// docker-init. Its arguments are dockerd's.
const boot = `set -e
mount --make-rslave /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up 2>/dev/null || true
exec docker-init -- dockerd "$@"`

// startPrivate starts a private engine that keeps its images in dir. It waits
// for another test binary that has one there.
func startPrivate(dir string) (*private, error) {
	for _, tool := range []string{"dockerd", "docker-init", "containerd", "runc", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("no %s on PATH", tool)
		}
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(dir, "lock"), lockWait)
	if err != nil {
		return nil, err
	}
	// The engine's processes hold the lock too, so that it is free only when
	// the last of them is gone, whatever became of us.
	defer lock.Close()

	hash := fnv.New32a()
	hash.Write([]byte(dir))
	p := &private{dir: dir, cgroup: fmt.Sprintf("pintle-test-%08x", hash.Sum32()), ended: make(chan struct{})}
	p.removeCgroups() // of a predecessor that was killed
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(p.logFile())
	if err != nil {
		return nil, err
	}
	defer log.Close()

	cmd := exec.Command("sh", "-c", boot, "sh",
		"--host", "unix:///run/docker.sock",
		"--config-file", config,
		"--data-root", filepath.Join(dir, "data"),
		"--exec-root", "/run/docker",
		"--pidfile", "/run/docker.pid",
		"--cgroup-parent", "/"+p.cgroup,
		"--exec-opt", "native.cgroupdriver=cgroupfs",
		"--log-level", "warn")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lock}
	err = startNamespaced(cmd, syscall.CLONE_NEWNET, p.ended)
	if err != nil {
		return nil, err
	}
	p.process, p.pid = cmd.Process, cmd.Process.Pid
	if err := p.waitReady(time.Minute); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// env is the environment in which a docker command talks to the engine, and to
// nothing that the user has configured.
func (p *private) env() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "DOCKER_") {
			env = append(env, kv)
		}
	}
	return append(env,
		fmt.Sprintf("DOCKER_HOST=unix:///proc/%d/root/run/docker.sock", p.pid),
		"DOCKER_CONFIG="+p.dir)
}

func (p *private) logFile() string { return filepath.Join(p.dir, "dockerd.log") }

// waitReady waits until the engine answers, or has ended.
func (p *private) waitReady(deadline time.Duration) error {
	e := &engine{env: p.env()}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for {
		err := e.answers()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-p.ended:
			return fmt.Errorf("it ended at once: %s", p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("it does not answer after %v: %v; it said: %s", deadline, err, p.lastWords())
		}
	}
}

// lastWords returns the last line of the engine's log.
func (p *private) lastWords() string {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// stop ends the engine and returns when none of its processes is left.
func (p *private) stop() error {
	p.process.Signal(syscall.SIGTERM)
	var err error
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		err = fmt.Errorf("cannot stop the private Docker engine gently; it said: %s", p.lastWords())
		p.process.Kill()
		<-p.ended
	}
	p.removeCgroups()
	return err
}

// removeCgroups removes the empty groups that a killed engine leaves behind. A
// group in use cannot be removed, so nothing that lives is touched.
func (p *private) removeCgroups() {
	tops, _ := filepath.Glob("/sys/fs/cgroup/*/" + p.cgroup)
	for _, top := range append(tops, "/sys/fs/cgroup/"+p.cgroup) {
		var dirs []string
		filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			syscall.Rmdir(dirs[i])
		}
	}
}

// hostPID translates a pid of the engine's namespace into the host's.
func (p *private) hostPID(pid int) (int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0, err
	}
	ours, err := os.Readlink(fmt.Sprintf("/proc/%d/root/proc/%d/ns/pid", p.pid, pid))
	if err != nil {
		return 0, err
	}
	for _, file := range dirs {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), "\nNSpid:")
		line, _, _ := strings.Cut(rest, "\n")
		pids := strings.Fields(line) // outermost first: the host's, the engine's, the container's
		if len(pids) < 2 || pids[1] != strconv.Itoa(pid) {
			continue
		}
		if ns, err := os.Readlink(filepath.Join(filepath.Dir(file), "ns/pid")); err == nil && ns == ours {
			return strconv.Atoi(pids[0])
		}
	}
	return 0, fmt.Errorf("no process with pid %d in the engine", pid)
}

// startNamespaced starts cmd in a pid and a mount namespace of its own (and
// what flags add), which end with this test binary. It closes ended when all of
// cmd's processes are gone.
func startNamespaced(cmd *exec.Cmd, flags uintptr, ended chan<- struct{}) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | flags,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // Ctrl-C at the terminal is for the test binary
	}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the parent thread ends, so that
		// thread must live as long as we do.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("cannot start it in namespaces of its own: %w", err)
	}
	return nil
}

// lockFile opens the file and waits for an exclusive lock on it.
func lockFile(name string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(wait)
	for said := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", name, err)
		}
		if time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("another process has held %s for %v", name, wait)
		}
		if !said {
			said = true
			fmt.Fprintf(os.Stderr, "dockertest: waiting for another test binary to release %s\n", name)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
