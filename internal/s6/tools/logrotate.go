package tools

import (
	"errors"
	"syscall"
)

// rotate goes through the stages that are left, and says whether all are done. A stage that fails is tried again later.
func (d *logdir) rotate() bool {
	for d.stage != writable {
		switch d.stage {
		case runProcessor:
			d.startProcessor()
			return false
		case awaitProcessor:
			return false
		}
		next, doing, err := d.step()
		if err != nil {
			d.l.complain(err, doing)
			d.later()
			return false
		}
		d.stage = next
	}
	return true
}

// step carries out the stage that d is in.
func (d *logdir) step() (next stage, doing string, err error) {
	switch d.stage {
	case syncCurrent:
		return renameCurrent, "fd_sync " + d.name("current"), syscall.Fsync(d.file)
	case renameCurrent:
		return newCurrent, "rename " + d.name("current") + " to " + d.name("previous"),
			syscall.Rename(d.name("current"), d.name("previous"))
	case newCurrent:
		fd, err := d.openCurrent()
		if err == nil {
			_ = syscall.Close(d.file) // it was synchronised
			d.file, d.held = fd, 0
		}
		return closePrevious, "open_append " + d.name("current"), err
	case closePrevious:
		next = archivePrevious
		if d.processor != "" {
			next = runProcessor
		}
		return next, "chmod " + d.name("previous"), syscall.Chmod(d.name("previous"), d.l.mode|0o100)
	case archivePrevious:
		return writable, "finish previous .s to logdir " + d.path, d.archive("previous", 's')
	case syncProcessed:
		return syncState, "fd_sync " + d.name("processed"), syncFile(d.name("processed"), d.l.mode|0o100)
	case syncState:
		return removePrevious, "fd_sync " + d.name("newstate"), syncFile(d.name("newstate"), 0)
	case removePrevious:
		if err = syscall.Unlink(d.name("previous")); errors.Is(err, syscall.ENOENT) {
			err = nil
		}
		return renameState, "unlink " + d.name("previous"), err
	case renameState:
		return archiveProcessed, "rename " + d.name("newstate") + " to " + d.name("state"),
			syscall.Rename(d.name("newstate"), d.name("state"))
	}
	return writable, "finish processed .s to logdir " + d.path, d.archive("processed", 's')
}

// syncFile has a file on the disk, and then with a mode where one is given.
func syncFile(path string, mode uint32) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_APPEND|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if err = syscall.Fsync(fd); err == nil && mode != 0 {
		err = syscall.Fchmod(fd, mode)
	}
	return err
}

// processorEnded takes in how the processor ended: only with success is its output an archive.
func (d *logdir) processorEnded(status syscall.WaitStatus) {
	d.child = 0
	switch {
	case status.Signaled():
		d.failed("crashed")
	case status.ExitStatus() != 0:
		d.failed("failed")
	default:
		d.stage = syncProcessed
		d.rotate()
	}
}

func (d *logdir) failed(how string) {
	if d.l.verbosity > 0 {
		d.l.warn("processor " + how + " in " + d.path)
	}
	d.stage = runProcessor
	d.later()
}

// startProcessor starts the processor. Where it cannot, that is as if the processor had failed, as it is where a fork comes first.
func (d *logdir) startProcessor() {
	child := &call{name: "s6-log (processor child)", stderr: d.l.stderr, path: d.l.path, env: d.l.env}
	pid, doing, err := d.process(child)
	if err != nil {
		child.unable(exitSystem, err, doing)
		d.failed("failed")
		return
	}
	d.child, d.stage = pid, awaitProcessor
}

// process has the processor run in the logdir: previous is its stdin, processed its stdout, and what it wants to
// remember it reads from descriptor 4 and writes to 5.
func (d *logdir) process(child *call) (pid int, doing string, err error) {
	const write = syscall.O_WRONLY | syscall.O_TRUNC | syscall.O_CREAT
	files := [...]struct {
		at    int
		doing string
		name  string
		flags int
	}{
		{0, "open_readb ", "previous", syscall.O_RDONLY}, {1, "open_trunc ", "processed", write},
		{4, "open_readb ", "state", syscall.O_RDONLY}, {5, "open_trunc ", "newstate", write},
	}
	fds := []int{closed, closed, 2, closed, closed, closed}
	for _, f := range files {
		fd, err := syscall.Open(d.name(f.name), f.flags|syscall.O_CLOEXEC, 0o666)
		if err != nil {
			return 0, f.doing + d.name(f.name), err
		}
		defer syscall.Close(fd)
		fds[f.at] = fd
	}
	choices := [][]string{{"/bin/sh", "-c", d.processor}}
	if !d.shell {
		choices = execlines(d.processor)
	}
	pid, err = child.spawn(choices, d.path, fds)
	return pid, "exec " + choices[0][0], err
}
