package tools

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
)

// maxValue is the longest value of a variable that s6-envdir reads, but for -L.
const maxValue = 4095

// reading is how s6-envdir makes a value of a file.
type reading struct {
	whole, // the whole file, not its first line
	keep, // nothing is cut off at the end
	long bool // without maxValue
	null byte // stands for NUL, which no variable can have
}

func envdir(c *call) int {
	how := reading{null: '\n'}
	insist := true
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'I':
			insist = false
		case 'i':
			insist = true
		case 'n':
			how.keep = true
		case 'f':
			how.whole = true
		case 'L':
			how.long = true
		case 'c':
			how.null = 0
			if o.arg != "" {
				how.null = o.arg[0]
			}
		default:
			return c.wrongUsage()
		}
	}
	args := o.rest()
	if len(args) < 2 {
		return c.wrongUsage()
	}
	err := c.addDirectory(args[0], how)
	if err != nil && (insist || !errors.Is(err, syscall.ENOENT)) {
		return c.unable(exitSystem, err, "envdir "+args[0])
	}
	return c.execute(args[1:])
}

// addDirectory makes a variable of each file; it changes nothing where one cannot be read.
func (c *call) addDirectory(dir string, how reading) error {
	if how.null == 0 {
		return syscall.EINVAL
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	before := c.env
	c.env = append([]string(nil), before...)
	for _, e := range entries {
		name := e.Name()
		if name[0] == '.' || contains(name, "=") {
			continue
		}
		value, set, err := how.read(dir + "/" + name)
		if errors.Is(err, syscall.ENOENT) {
			err = syscall.EIDRM // that the directory is missing is another thing
		}
		if err != nil {
			c.env = before
			return err
		}
		if set {
			c.set(name, value)
		} else {
			c.unset(name)
		}
	}
	return nil
}

// read is the value that a file stands for; an empty file stands for none.
func (how reading) read(path string) (value string, set bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer file.Close()
	source := io.Reader(file)
	if !how.long {
		source = io.LimitReader(file, maxValue)
	}
	text, err := io.ReadAll(source)
	if err != nil || len(text) == 0 {
		return "", false, err
	}
	switch {
	case how.whole && !how.keep:
		text = bytes.TrimSuffix(text, []byte("\n"))
	case !how.whole:
		text, _, _ = bytes.Cut(text, []byte("\n"))
		if !how.keep {
			text = bytes.TrimRight(text, " \t\r")
		}
	}
	return string(bytes.ReplaceAll(text, []byte{0}, []byte{how.null})), true, nil
}

// containerEnvironment is where s6-overlay keeps what the container was started with.
const containerEnvironment = "/run/s6/container_environment"

// withContenv runs a program with the container's environment in the place of its own, but with S6_KEEP_ENV with its own.
// s6-overlay's is a script of several tools; each failure has the name of the one whose it is.
func withContenv(c *call) int {
	if keep, _ := c.get("S6_KEEP_ENV"); skip(keep, "0") == "" {
		c.env = nil
		if path, ok := os.LookupEnv("PATH"); ok {
			c.env = []string{"PATH=" + path}
		}
		if err := c.addDirectory(containerEnvironment, reading{whole: true, keep: true, long: true, null: '\n'}); err != nil {
			c.name = "s6-envdir"
			return c.unable(exitSystem, err, "envdir "+containerEnvironment)
		}
		c.name, c.usage = "exec", "exec [ -c ] [ -l ] [ -a argv0 ] prog..."
		if len(c.args) == 0 {
			return c.wrongUsage()
		}
		c.path = searchPath(c.get("PATH"))
	}
	if len(c.args) == 0 {
		return 0
	}
	return c.execute(c.args)
}
