package tools

import (
	"errors"
	"syscall"
)

// The directories in which s6-supervise and s6-svscan listen.
const (
	superviseDir = "supervise"
	scanDir      = ".s6-svscan"
)

// How telling a supervisor something can end.
const (
	told = iota
	deaf
	broken // what is there is not what a supervisor makes
	failed
)

// errOther is why a file is not written to: whoever owns the directory may have put a link to somebody else's there.
var errOther = errors.New("not what a supervisor has made")

// control writes letters to the control FIFO in dir/sub, or with none only tries whether somebody reads there.
func control(dir, sub, letters string) (how int, err error) {
	fd, err := syscall.Open(dir+"/"+sub+"/control", syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0)
	switch {
	case errors.Is(err, syscall.ENXIO):
		return deaf, nil
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return controlDir(dir, sub, err)
	case err != nil:
		return failed, err
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return failed, err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return broken, errOther
	}
	// As s6's does, this waits for a supervisor that does not empty its FIFO.
	if err := syscall.SetNonblock(fd, false); err != nil {
		return failed, err
	}
	for letters != "" {
		n, err := syscall.Write(fd, []byte(letters))
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EPIPE):
			return deaf, nil
		case err != nil:
			return failed, err
		default:
			letters = letters[n:]
		}
	}
	return told, nil
}

// controlDir finds out what is wrong with a directory in which there is no FIFO, for that reason.
func controlDir(dir, sub string, why error) (how int, err error) {
	const search = syscall.O_RDONLY | syscall.O_DIRECTORY | syscall.O_CLOEXEC
	fd, err := syscall.Open(dir, search, 0)
	if err != nil {
		return failed, err
	}
	defer syscall.Close(fd)
	inner, err := syscall.Openat(fd, sub, search, 0)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return deaf, nil
	case err != nil:
		return broken, err
	}
	_ = syscall.Close(inner)
	return broken, why
}

func svok(c *call) int {
	if len(c.args) == 0 {
		return c.wrongUsage()
	}
	held, err := isLocked(c.args[0] + "/" + superviseDir + "/lock")
	switch {
	case err != nil:
		return c.unable(exitSystem, err, "check "+c.args[0])
	case !held:
		return exitRefused
	}
	return 0
}

// maxScanLetters is how many letters s6-svscanctl takes.
const maxScanLetters = 64

func svscanctl(c *call) int {
	letters := ""
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		if letter == unknown {
			return c.wrongUsage()
		}
		if len(letters) >= maxScanLetters {
			return c.fatal(exitUsage, "too many commands")
		}
		letters += string(letter)
	}
	args := o.rest()
	if len(args) == 0 {
		return c.wrongUsage()
	}
	dir := args[0]
	switch how, err := control(dir, scanDir, letters); how {
	case deaf:
		return c.fatal(exitUsage, c.release().unableOf("control "+dir+": supervisor not listening"))
	case broken:
		return c.fatal(exitUsage, "something is wrong with the "+dir+"/"+scanDir+" directory. errno reported: "+strerror(err))
	case failed:
		return c.unable(exitSystem, err, "control "+dir)
	}
	return 0
}
