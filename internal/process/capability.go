package process

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// capabilityNames are the capabilities by their numbers (capabilities(7), linux/capability.h), without CAP_.
var capabilityNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// capabilitySet has a bit for each capability.
type capabilitySet uint64

// parseCapabilities makes a set of names, which may begin with CAP_ and be in small letters, as Docker has them.
func parseCapabilities(names []string) (set capabilitySet, err error) {
next:
	for _, name := range names {
		plain := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		for number, known := range capabilityNames {
			if known == plain {
				set |= 1 << number
				continue next
			}
		}
		return 0, fmt.Errorf("cannot use the capability %q: there is none of that name (capabilities(7))", name)
	}
	return set, nil
}

// first names a capability of the set; one that is newer than this list by its number.
func (s capabilitySet) first() string {
	number := bits.TrailingZeros64(uint64(s))
	if number < len(capabilityNames) {
		return capabilityNames[number]
	}
	return strconv.Itoa(number)
}

// capabilities are three of a thread's five sets.
type capabilities struct{ effective, permitted, inheritable capabilitySet }

// ownCapabilities are the calling thread's (capget(2)).
func ownCapabilities() (capabilities, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return capabilities{}, fmt.Errorf("cannot read pintle's capabilities: %w", err)
	}
	set := func(low, high uint32) capabilitySet { return capabilitySet(high)<<32 | capabilitySet(low) }
	return capabilities{
		effective:   set(data[0].Effective, data[1].Effective),
		permitted:   set(data[0].Permitted, data[1].Permitted),
		inheritable: set(data[0].Inheritable, data[1].Inheritable),
	}, nil
}

// take makes them the calling thread's (capset(2)).
func (c capabilities) take() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(c.effective), Permitted: uint32(c.permitted), Inheritable: uint32(c.inheritable)},
		{Effective: uint32(c.effective >> 32), Permitted: uint32(c.permitted >> 32), Inheritable: uint32(c.inheritable >> 32)},
	}
	return unix.Capset(&header, &data[0])
}

// boundCapabilities takes from this thread what it may not hand on: from its
// bounding set, and from its inheritable set, which else would hand it on to a
// program of root's all the same. With that goes what is ambient.
//
// A pintle that is not root, and can't change its bounding set, takes what it has
// itself out of its hands instead. It must then see to it that nothing is had
// anew by executing a program: then no_new_privs, which locked asks for, is as
// good as a smaller bounding set.
func boundCapabilities(keep capabilitySet) (locked bool, err error) {
	for number := range 64 {
		bounding, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0)
		if err != nil {
			break // the kernel knows no more
		}
		one := capabilitySet(1) << number
		if bounding == 0 || keep&one != 0 {
			continue
		}
		err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(number), 0, 0, 0)
		if err == unix.EPERM && os.Geteuid() != 0 {
			locked = true
			break
		}
		if err != nil {
			return false, fmt.Errorf("cannot drop the capability %s: %w", one.first(), because(err, unix.EPERM, "pintle has no CAP_SETPCAP"))
		}
	}
	own, err := ownCapabilities()
	if err != nil {
		return false, err
	}
	own.inheritable &= keep
	if locked {
		own.permitted &= keep
		own.effective &= keep
	}
	if err := own.take(); err != nil {
		return false, fmt.Errorf("cannot drop capabilities: %w", err)
	}
	return locked, nil
}

// keepForAmbient sees to it that this thread still has the capabilities once it is another user's.
func keepForAmbient(ambient capabilitySet) error {
	own, err := ownCapabilities()
	if err != nil {
		return err
	}
	if missing := ambient &^ own.permitted; missing != 0 {
		return fmt.Errorf("cannot give the ambient capability %s: pintle does not have it", missing.first())
	}
	// Until the next execve; without it, all are lost when the last of the user ids is not root's any more.
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot keep the ambient capability %s over the change of user: %w", ambient.first(), err)
	}
	return nil
}

// raiseAmbient makes capabilities ambient: what this thread executes has them,
// whoever's it is (PR_CAP_AMBIENT, prctl(2)). Of a thread that is not root's they
// are all that is left: keepForAmbient had kept everything.
func raiseAmbient(ambient capabilitySet) error {
	own, err := ownCapabilities()
	if err != nil {
		return err
	}
	if unix.Geteuid() != 0 {
		own.effective, own.permitted = ambient, ambient
	}
	own.inheritable |= ambient
	if err := own.take(); err != nil {
		return fmt.Errorf("cannot give the ambient capability %s: %w", ambient.first(),
			because(err, unix.EPERM, "it is not in the bounding set"))
	}
	for left := ambient; left != 0; left &= left - 1 {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(bits.TrailingZeros64(uint64(left))), 0, 0); err != nil {
			return fmt.Errorf("cannot give the ambient capability %s: %w", left.first(), err)
		}
	}
	return nil
}

// because adds to the kernel's number what it means here.
func because(err error, is unix.Errno, means string) error {
	if errors.Is(err, is) {
		return fmt.Errorf("%s: %w", means, err)
	}
	return err
}
