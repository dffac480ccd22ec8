package tools

import (
	"errors"
	"syscall"
)

// defaultPath is where programs are searched for by who has no PATH.
const defaultPath = "/usr/bin:/bin"

func searchPath(path string, set bool) string {
	if !set {
		return defaultPath
	}
	return path
}

// execute replaces the process by the program args, with c.env. It returns where that fails, with the exit code.
func (c *call) execute(args []string) int {
	err := c.search(args[0], func(file string) error { return c.exec(file, args, c.env) })
	code := exitCannot
	if errors.Is(err, syscall.ENOENT) {
		code = exitNone
	}
	return c.unable(code, err, "exec "+args[0])
}

// search tries what file can mean, one after the other. The error is the last that says more than that there is no such file.
func (c *call) search(file string, try func(string) error) error {
	if contains(file, "/") {
		return try(file)
	}
	failure := error(syscall.ENOENT)
	for _, dir := range split(c.path, ":") {
		if dir == "" {
			continue
		}
		err := try(dir + "/" + file)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.ENOENT):
			continue
		}
		failure = err
		switch {
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
			continue
		}
		return failure
	}
	return failure
}

// set gives the next program a variable.
func (c *call) set(key, value string) {
	c.unset(key)
	c.env = append(c.env, key+"="+value)
}

// unset takes a variable from the next program. The first of several of that name goes, as s6 has it.
func (c *call) unset(key string) {
	for i, entry := range c.env {
		if hasPrefix(entry, key) && len(entry) > len(key) && entry[len(key)] == '=' {
			last := len(c.env) - 1
			c.env[i] = c.env[last]
			c.env = c.env[:last]
			return
		}
	}
}

// get is a variable that the next program would get.
func (c *call) get(key string) (value string, ok bool) {
	for _, entry := range c.env {
		if value, ok = cutPrefix(entry, key+"="); ok {
			return value, true
		}
	}
	return "", false
}
