package process

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// limitNumbers are the resource limits by the names that Compose has for them (getrlimit(2)).
var limitNumbers = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
	"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// attributes are a unit's, as this process can give them to itself.
type attributes struct {
	unit.Attributes
	bounding, ambient capabilitySet
}

// readAttributes refuses what nobody could be given.
func readAttributes(a unit.Attributes) (attributes, error) {
	for _, name := range slices.Sorted(maps.Keys(a.Limits)) {
		l := a.Limits[name]
		if _, known := limitNumbers[name]; !known {
			return attributes{}, fmt.Errorf("cannot set the limit %q: there is none of that name (getrlimit(2))", name)
		}
		if l.Soft > l.Hard {
			return attributes{}, fmt.Errorf("cannot set the limit %s to %s: the soft limit is above the hard one", name, limitText(l))
		}
	}
	bounding, err := parseCapabilities(a.Capabilities)
	if err != nil {
		return attributes{}, err
	}
	ambient, err := parseCapabilities(a.AmbientCapabilities)
	if err != nil {
		return attributes{}, err
	}
	if missing := ambient &^ bounding; a.Capabilities != nil && missing != 0 {
		return attributes{}, fmt.Errorf("cannot give the ambient capability %s: it is not among the unit's capabilities", missing.first())
	}
	return attributes{a, bounding, ambient}, nil
}

// asPintle does what may need rights that the change of user takes away. The limits come after what opens a file.
func (a *attributes) asPintle() error {
	if a.OOMScoreAdj != nil {
		if err := setOOMScoreAdj(*a.OOMScoreAdj); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Limits)) {
		if err := setLimit(name, a.Limits[name]); err != nil {
			return err
		}
	}
	if a.Nice != 0 {
		if err := addNice(a.Nice); err != nil {
			return err
		}
	}
	if a.Capabilities != nil {
		locked, err := boundCapabilities(a.bounding)
		if err != nil {
			return err
		}
		a.NoNewPrivileges = a.NoNewPrivileges || locked
	}
	if a.ambient != 0 {
		return keepForAmbient(a.ambient)
	}
	return nil
}

// afterwards does what the change of user would undo, and what could keep anything before it from being done.
func (a *attributes) afterwards() error {
	if a.ambient != 0 {
		if err := raiseAmbient(a.ambient); err != nil {
			return err
		}
	}
	if a.Umask != nil {
		unix.Umask(int(*a.Umask))
	}
	if a.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("cannot set no_new_privs: %w", err)
		}
	}
	return nil
}

// setOOMScoreAdj sets how soon this process is killed when memory runs out (proc_pid_oom_score_adj(5)).
func setOOMScoreAdj(adj int) error {
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		_, err = unix.Write(fd, []byte(strconv.Itoa(adj)))
		err = because(err, unix.EACCES, "only CAP_SYS_RESOURCE makes it less than pintle's own")
	}
	if err != nil {
		return fmt.Errorf("cannot set oom_score_adj to %d: %w", adj, err)
	}
	return nil
}

// addNice adds to this thread's niceness, as nice(2) does: what is beyond the end of the scale means the end.
func addNice(more int) error {
	kernels, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 less the niceness: from 40 to 1
	if err != nil {
		return fmt.Errorf("cannot read pintle's own nice: %w", err)
	}
	own := 20 - kernels
	nice := min(max(own+more, -20), 19)
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
		return fmt.Errorf("cannot set nice to %d: %w", nice,
			because(err, unix.EACCES, fmt.Sprintf("only CAP_SYS_NICE makes it less than pintle's own, which is %d", own)))
	}
	return nil
}

// setLimit sets one of this process's resource limits. It goes by prlimit(2),
// after which Go's runtime does not put its own limit of open files back.
func setLimit(name string, l unit.Limit) error {
	number := limitNumbers[name]
	err := unix.Prlimit(0, number, &unix.Rlimit{Cur: l.Soft, Max: l.Hard}, nil)
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EPERM) {
		var own unix.Rlimit
		most := openFiles()
		switch {
		case name == "nofile" && most > 0 && l.Hard > most:
			err = fmt.Errorf("the kernel allows at most %d (fs.nr_open): %w", most, err)
		case unix.Prlimit(0, number, nil, &own) == nil:
			err = fmt.Errorf("only CAP_SYS_RESOURCE makes it more than pintle's own hard limit, which is %s: %w", limitNumber(own.Max), err)
		}
	}
	return fmt.Errorf("cannot set the limit %s to %s: %w", name, limitText(l), err)
}

// openFiles is the kernel's limit for the limit of open files (proc_sys_fs(5), nr_open), or 0.
func openFiles() uint64 {
	text, _ := os.ReadFile("/proc/sys/fs/nr_open")
	n, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// limitText is a limit as docker run --ulimit has it: one number, or soft:hard.
func limitText(l unit.Limit) string {
	if l.Soft == l.Hard {
		return limitNumber(l.Hard)
	}
	return limitNumber(l.Soft) + ":" + limitNumber(l.Hard)
}

func limitNumber(n uint64) string {
	if n == unit.Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
