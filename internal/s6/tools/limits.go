package tools

import (
	"math"
	"syscall"
)

// resources are what an option of s6-softlimit limits. Others have no letter here and are passed over, as in the real one.
func resources(letter byte) []int {
	switch letter {
	case 'a':
		return []int{syscall.RLIMIT_AS}
	case 'c':
		return []int{syscall.RLIMIT_CORE}
	case 'd':
		return []int{syscall.RLIMIT_DATA}
	case 'f':
		return []int{syscall.RLIMIT_FSIZE}
	case 'l':
		return []int{limitLocked}
	case 'm':
		return []int{syscall.RLIMIT_DATA, syscall.RLIMIT_STACK, limitLocked, syscall.RLIMIT_AS}
	case 'o':
		return []int{syscall.RLIMIT_NOFILE}
	case 'p':
		return []int{limitProcesses}
	case 'r':
		return []int{limitResident}
	case 's':
		return []int{syscall.RLIMIT_STACK}
	case 't':
		return []int{syscall.RLIMIT_CPU}
	}
	return nil
}

// wish is a limit that a program is to be started with: it is applied in one go with the others, right before the
// program, because one on memory would already be ours too.
type wish struct {
	resource int
	limit    syscall.Rlimit
}

func softlimit(c *call) int {
	fileLimitAsGiven()
	soft, hard := true, false
	var wishes []wish
	o := c.parse()
	for letter, ok := o.next(); ok; letter, ok = o.next() {
		switch letter {
		case 'h':
			soft, hard = false, true
		case 'H':
			soft, hard = true, true
		default:
			for _, resource := range resources(letter) {
				w, err := current(wishes, resource)
				if err != nil {
					return c.unable(exitSystem, err, "getrlimit")
				}
				if !w.change(o.arg, soft, hard) {
					return c.wrongUsage()
				}
				wishes = append(wishes, w)
			}
		}
	}
	program := o.rest()
	if len(program) == 0 {
		return c.wrongUsage()
	}
	for _, w := range wishes {
		if err := syscall.Setrlimit(w.resource, &w.limit); err != nil {
			return c.unable(exitSystem, err, "setrlimit")
		}
	}
	return c.execute(program)
}

// current is a limit as the last wish for it has it, or else the kernel.
func current(wishes []wish, resource int) (wish, error) {
	for i := len(wishes) - 1; i >= 0; i-- {
		if wishes[i].resource == resource {
			return wishes[i], nil
		}
	}
	w := wish{resource: resource}
	return w, syscall.Getrlimit(resource, &w.limit)
}

// change sets the limit to value; "=" is the hard limit, and for that one none.
func (w *wish) change(value string, soft, hard bool) bool {
	n := uint64(math.MaxUint64)
	if value == "=" {
		if !hard {
			n = w.limit.Max
		}
	} else {
		var ok bool
		if n, ok = number(value, math.MaxUint64); !ok {
			return false
		}
	}
	if hard {
		w.limit.Max = n
	}
	if soft {
		w.limit.Cur = min(n, w.limit.Max)
	}
	return true
}

// fileLimitAsGiven undoes what Go's runtime did to the soft limit of open files at the start. It does so itself before
// an execve(2), also before one that is going to fail, and there is no other way to have it done.
func fileLimitAsGiven() { _ = syscall.Exec("", nil, nil) }
