package tools

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// svdt shows how a service's runs ended.
func svdt(c *call) int {
	most, numbers := uint32(maxDeaths), false
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'S':
			numbers = false
		case 's':
			numbers = true
		case 'n':
			most, ok = uint32Of(o.arg)
		default:
			ok = false
		}
		if !ok {
			return c.wrongUsage()
		}
	}
	args := o.rest()
	if len(args) == 0 {
		return c.wrongUsage()
	}
	if most == 0 {
		return 0
	}
	tally, err := readTally(args[0]+"/"+deathTally, int(min(most, maxDeaths)))
	if err != nil {
		return c.unable(exitSystem, err, "read death tally for service "+args[0])
	}
	var out []byte
	for ; len(tally) > 0; tally = tally[deathLength:] {
		out = append(out, unpack(tally).label()...)
		switch code, signal := tally[12], tally[13]; {
		case signal == 0:
			out = append(out, " exitcode "+decimal(uint32(code))...)
		case numbers:
			out = append(out, " signal "+decimal(uint32(signal))...)
		default:
			out = append(out, " signal SIG"+signalName(int(signal))...)
		}
		out = append(out, '\n')
	}
	return c.print(out)
}

// readTally reads the newest records, at most so many. As s6's readers do, it makes an empty tally where there is none, and of a file that is none.
func readTally(path string, most int) ([]byte, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ENOENT) {
		return nil, emptyTally(path)
	}
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size%deathLength != 0 {
		return nil, emptyTally(path)
	}
	tally := make([]byte, min(st.Size, int64(most)*deathLength))
	if _, err := io.ReadFull(io.NewSectionReader(file, st.Size-int64(len(tally)), int64(len(tally))), tally); err != nil {
		return nil, syscall.EPIPE // it became shorter meanwhile
	}
	return tally, nil
}

// emptyTally empties only what nobody can have linked there.
func emptyTally(path string) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0o666)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Nlink != 1 {
		return errOther
	}
	return syscall.Ftruncate(fd, 0)
}

// svdtClear puts an empty tally in the place of the old one.
func svdtClear(c *call) int {
	if len(c.args) == 0 {
		return c.wrongUsage()
	}
	path := c.args[0] + "/" + deathTally
	interim := path + ".new"
	err := syscall.Unlink(interim)
	if err == nil || errors.Is(err, syscall.ENOENT) {
		var fd int
		fd, err = syscall.Open(interim, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o666)
		if err == nil {
			_ = syscall.Close(fd)
			if err = syscall.Rename(interim, path); err != nil {
				_ = syscall.Unlink(interim)
			}
		}
	}
	if err != nil {
		return c.unable(exitSystem, err, "clear death tally for service "+c.args[0])
	}
	return 0
}

// print writes what a tool has found.
func (c *call) print(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	if _, err := c.stdout.Write(text); err != nil {
		return c.unable(exitSystem, err, "write to stdout")
	}
	return 0
}
