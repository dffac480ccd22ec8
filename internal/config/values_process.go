package config

import (
	"fmt"
	"strconv"
	"strings"

	"pintle/internal/unit"
)

// umask is a file mode creation mask, octal as umask(1) has it.
type umask struct {
	scalar
	bits uint32
}

func (v *umask) check() error {
	n, err := strconv.ParseUint(v.text, 8, 16)
	if err != nil || len(v.text) < 3 || len(v.text) > 4 || n > 0o777 {
		return fmt.Errorf("%s is no octal mask such as 0027", v.shown())
	}
	v.bits = uint32(n)
	return nil
}

// limit is one of the two numbers of a resource limit. -1 is what Docker's users write for none.
type limit struct {
	scalar
	n uint64
}

func (v *limit) check() error {
	if v.text == unlimited || v.text == "-1" {
		v.n = unit.Unlimited
		return nil
	}
	n, err := strconv.ParseUint(v.text, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is neither a whole number nor %s", v.shown(), unlimited)
	}
	v.n = n
	return nil
}

// limitNames are the resources of getrlimit(2).
var limitNames = setOf("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
	"rss", "rtprio", "rttime", "sigpending", "stack")

// capability is one of capabilities(7), with or without CAP_ and in any case.
type capability struct {
	scalar
	name string
}

func (v *capability) check() error {
	name := strings.TrimPrefix(strings.ToUpper(v.text), "CAP_")
	if !capabilityNames[name] {
		return fmt.Errorf("%s is no capability%s", v.shown(), v.nearest(name, capabilityNames))
	}
	v.name = name
	return nil
}

// capabilityNames are those of Linux 5.9, which are all that there are today.
var capabilityNames = setOf("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
	"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE")

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
