package wire

import (
	"strings"

	"golang.org/x/sys/unix"
)

// A Want is what a command does to the wanted state of a service.
type Want byte

const (
	WantSame Want = iota
	WantUp
	WantDown
)

// Command is one byte of the control FIFO of s6-supervise, and the option of s6-svc of the same letter.
type Command struct {
	Byte byte
	// Signal is sent to the run while it is up, to its whole process group where Group is set; 0 for none.
	Signal unix.Signal
	Group  bool
	// Down is set where the service's own down-signal is sent, Reload where its reload-signal is.
	Down, Reload bool
	// Stop goes with Down where timeout-kill follows, and a SIGCONT.
	Stop bool
	Want Want
	// Start is set where a service that is down is started at once, without the delay.
	Start bool
	// Keep is set where the want is written to the file down, for the next life of the supervisor.
	Keep bool
	// Exit ends the supervisor when the service is down.
	Exit bool
	// since is the first release that knows it, of those that matter.
	since Version
}

var commands = []Command{
	{Byte: 'a', Signal: unix.SIGALRM},
	{Byte: 'b', Signal: unix.SIGABRT},
	{Byte: 'q', Signal: unix.SIGQUIT},
	{Byte: 'h', Signal: unix.SIGHUP},
	{Byte: 'k', Signal: unix.SIGKILL},
	{Byte: 't', Signal: unix.SIGTERM},
	{Byte: 'i', Signal: unix.SIGINT},
	{Byte: '1', Signal: unix.SIGUSR1},
	{Byte: '2', Signal: unix.SIGUSR2},
	{Byte: 'p', Signal: unix.SIGSTOP},
	{Byte: 'c', Signal: unix.SIGCONT},
	{Byte: 'y', Signal: unix.SIGWINCH},
	{Byte: 'r', Down: true},
	{Byte: 'l', Reload: true, since: Version{2, 15, 1}},
	{Byte: 'P', Signal: unix.SIGSTOP, Group: true, since: Version{2, 13}},
	{Byte: 'C', Signal: unix.SIGCONT, Group: true, since: Version{2, 13}},
	{Byte: 'K', Signal: unix.SIGKILL, Group: true, since: Version{2, 13}},
	{Byte: 'o', Want: WantDown, Start: true},
	{Byte: 'd', Want: WantDown, Down: true, Stop: true},
	{Byte: 'u', Want: WantUp, Start: true},
	{Byte: 'D', Want: WantDown, Down: true, Stop: true, Keep: true, since: Version{2, 11, 2}},
	{Byte: 'U', Want: WantUp, Start: true, Keep: true, since: Version{2, 11, 2}},
	{Byte: 'x', Exit: true},
	{Byte: 'O', Want: WantDown},
	{Byte: 'Q', Want: WantDown, Keep: true, since: Version{2, 11, 3}},
}

// CommandOf is what a byte means to a supervisor of that release; ok is false for what it takes no notice of. (Release
// 2.15.1.0 takes none of Q by accident, which is not followed.)
func CommandOf(v Version, b byte) (c Command, ok bool) {
	for _, c := range commands {
		if c.Byte == b {
			return c, v.AtLeast(c.since[:]...)
		}
	}
	return Command{}, false
}

// Commands are the bytes that a supervisor of that release knows.
func Commands(v Version) string {
	var b strings.Builder
	for _, c := range commands {
		if v.AtLeast(c.since[:]...) {
			b.WriteByte(c.Byte)
		}
	}
	return b.String()
}

// ScanCommands are the bytes that s6-svscan knows: z reap, a rescan, b leave at once, h rescan and prune, i and t end
// services and let loggers finish, q end all, n prune and let loggers finish, N prune all.
const ScanCommands = "zabhitqnN"
