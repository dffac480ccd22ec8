package tools

import (
	"fmt"
	"testing"
)

// record is one death as s6-supervise tallies it: seconds ago, exit code, signal.
func record(ago, code, signal int) string {
	at := now()
	at.seconds -= uint64(ago)
	text := at.label()
	var packed []byte
	for i := 1; i < len(text); i += 2 {
		var b byte
		_, _ = fmt.Sscanf(text[i:i+2], "%02x", &b)
		packed = append(packed, b)
	}
	return string(append(packed, byte(code), byte(signal)))
}

// TestPermafailon: s6-permafailon gives up on a service for the same deaths, in the same words.
func TestPermafailon(t *testing.T) {
	t.Parallel()
	tally := func(records ...string) map[string]string {
		all := ""
		for _, r := range records {
			all += r
		}
		return map[string]string{"supervise/death_tally": all}
	}
	ones := tally(record(5000, 1, 0), record(500, 1, 0), record(300, 1, 0), record(10, 1, 0))
	mixed := tally(record(50, 137, 9), record(40, 2, 0), record(30, 139, 11), record(20, 111, 0))
	with := func(seconds, count, list string) []string { return []string{seconds, count, list, "echo", "goes on"} }
	compare(t, "s6-permafailon", []trial{
		{name: "often", args: with("1000", "3", "1"), files: ones},
		{name: "not so often", args: with("400", "3", "1"), files: ones},
		{name: "all of them", args: with("10000", "4", "1"), files: ones},
		{name: "too few", args: with("10000", "5", "1"), files: ones},
		{name: "other code", args: with("1000", "1", "2"), files: ones},
		{name: "interval", args: with("1000", "1", "0-5"), files: ones},
		{name: "interval of one", args: with("1000", "1", "1-1"), files: ones},
		{name: "list", args: with("1000", "1", "7,8;9 1"), files: ones},
		{name: "signal", args: with("1000", "1", "SIGKILL"), files: mixed},
		{name: "signal in short", args: with("1000", "1", "segv"), files: mixed},
		{name: "signal by number", args: with("1000", "1", "SIG11"), files: mixed},
		{name: "signal by code", args: with("1000", "1", "137"), files: mixed},
		{name: "other signal", args: with("1000", "1", "SIGTERM,SIGABRT"), files: mixed},
		{name: "signals and codes", args: with("1000", "3", "SIGKILL,SIGSEGV,111"), files: mixed},
		{name: "aliases", args: with("1000", "1", "IOT,CLD,POLL,IO,SYS,STKFLT,PWR,WINCH,9"), files: tally(record(1, 9, 0))},
		{name: "empty list", args: with("1000", "1", ""), files: mixed},
		{name: "empty tally", args: with("1000", "1", "1"), files: tally()},
		{name: "no tally", args: with("1000", "1", "1")},
		{name: "broken tally", args: with("1000", "1", "1"), files: map[string]string{"supervise/death_tally": "123"}},
		{name: "tally that cannot be read", args: with("1000", "1", "1"), files: ones, before: "chmod 0 supervise/death_tally; chmod 755 supervise", as: nobodyElse},
		{name: "no program, often", args: []string{"1000", "3", "1"}, files: ones},
		{name: "no program, seldom", args: []string{"400", "3", "1"}, files: ones},
		{name: "no list", args: []string{"1000", "3"}, files: ones},
		{name: "nothing"},
		{name: "seconds that are no number", args: with("x", "3", "1")},
		{name: "count that is no number", args: with("1000", "3x", "1")},
		{name: "count of zero", args: with("1000", "0", "1")},
		{name: "large count", args: with("1000", "99999", "1"), files: ones},
		{name: "code too large", args: with("1000", "3", "256")},
		{name: "interval too large", args: with("1000", "3", "1-256")},
		{name: "interval upside down", args: with("1000", "3", "5-1")},
		{name: "interval without an end", args: with("1000", "3", "5-")},
		{name: "no such signal", args: with("1000", "3", "SIGNOSUCH")},
		{name: "signal zero", args: with("1000", "3", "SIG0")},
		{name: "signal 99", args: with("1000", "3", "SIG99")},
		{name: "separator first", args: with("1000", "3", ",1")},
		{name: "separator last", args: with("1000", "3", "1,"), files: ones},
		{name: "missing program", args: []string{"400", "3", "1", "nosuchprogram"}, files: ones},
	})
}

// TestNotifyoncheck: under a real s6-supervise, s6-notifyoncheck says that a service is ready when the real one does, asks
// as often, and is gone with the service.
func TestNotifyoncheck(t *testing.T) {
	t.Parallel()
	// service has a real supervisor run the tool in a service, waits for an event or a moment, and looks.
	service := func(script string) string {
		return `mkdir -p s/data s/event; chmod 1733 s/event; echo 3 >s/notification-fd
{ echo '#!/bin/sh'; echo 'exec 2>>../err'; printf 'exec'; printf " '%s'" "$@"; echo; } >s/run; chmod 755 s/run
check() { { echo '#!/bin/sh'; echo "$1"; } >s/data/check; chmod 755 s/data/check; }
ready() { i=0; until s6-svstat -o ready s | grep -q true || [ $i -gt 1000 ]; do sleep .02; i=$((i+1)); done; s6-svstat -o up,ready s; }
start() { s6-supervise s & p=$!; i=0; until [ -s s/supervise/status ] && s6-svstat -o up s | grep -q true || [ $i -gt 1000 ]; do sleep .02; i=$((i+1)); done; }
stop() { s6-svc -xd s; wait $p; }
` + script + `
sort -u err`
	}
	daemon := []string{"sleep", "100"}
	args := func(options ...string) []string { return append(options, daemon...) }
	// tried waits until the check was run n times, and sees that it stays so.
	tried := func(n int) string {
		return fmt.Sprintf(`>tries; start; i=0; until [ $(wc -l <tries) -ge %d ] || [ $i -gt 1500 ]; do sleep .02; i=$((i+1)); done; sleep .7; s6-svstat -o up,ready s; stop; wc -l <tries`, n)
	}
	count := func(n int) string { return `check 'echo >>../tries; exit 1'; ` + tried(n) }
	compare(t, "s6-notifyoncheck", []trial{
		{name: "ready", args: args(), under: service(`check 'exit 0'; start; ready; stop`)},
		{name: "ready, of nobody", args: args("-d"), under: service(`check 'exit 0'; start; ready; stop`)},
		{name: "ready later", args: args("-w", "100"), under: service(`check 'test -e ../go'; start; (sleep .3; >go) & ready; stop`)},
		{name: "ready later, of nobody", args: args("-d", "-w", "100"), under: service(`check 'test -e ../go'; start; (sleep .3; >go) & ready; stop`)},
		{name: "never", args: args("-w", "50", "-n", "3"), under: service(count(3))},
		{name: "never, once", args: args("-n", "1"), under: service(count(1))},
		{name: "all time over", args: args("-T", "300", "-w", "10000"), under: service(count(1))},
		{name: "waits before", args: args("-s", "100000"), under: service(`check 'exit 0'; start; sleep 1; s6-svstat -o up,ready s; stop`)},
		{name: "waits for ever between", args: args("-w", "0"), under: service(count(1))},
		{name: "check that hangs", args: args("-t", "100", "-w", "50", "-n", "2"), under: service(`check 'echo >>../tries; exec sleep 2'; ` + tried(2))},
		{name: "check that ends with a signal", args: args("-w", "50", "-n", "2"), under: service(`check 'echo >>../tries; kill -9 $$'; ` + tried(2))},
		{name: "no check", args: args("-w", "50", "-n", "2"), under: service(`start; sleep 1; s6-svstat -o up,ready s; stop`)},
		{name: "check as a command line", args: args("-c", "test -e ../go", "-w", "50", "-n", "0"), under: service(`start; >go; ready; stop`)},
		{name: "other descriptor", args: append([]string{"-3", "5"}, daemon...), under: service(`echo 5 >s/notification-fd; check 'exit 0'; start; ready; stop`)},
		{name: "descriptor not in the program", args: []string{"sh", "-c", `test -e /proc/$$/fd/3 && echo open >fds; exec sleep 100`}, under: service(`check 'exit 0'; start; ready; stop; cat s/fds`)},
		{name: "the service dies", args: args("-w", "100", "-n", "0"), under: service(`check 'echo >>../tries; exit 1'; start; sleep .5; s6-svc -wD -d s; sleep .3; : >tries; ls s/event; sleep .5; wc -l <tries; stop`)},
		{name: "no supervisor", args: args()},
		{name: "no notification-fd", args: args(), under: service(`rm s/notification-fd; s6-supervise s & p=$!; until [ -s err ]; do sleep .02; done; stop`)},
		{name: "notification-fd that is wrong", args: args(), under: service(`start() { :; }; mkdir s/supervise; exec 7>s/supervise/lock; cd s; s6-setlock supervise/lock sh -c 'echo x >notification-fd; shift; "$@"; echo $?' sh sh "$@"; cd ..; >err`)},
		{name: "descriptor that is not open", args: append([]string{"-3", "77"}, daemon...), under: service(`mkdir s/supervise; cd s; s6-setlock supervise/lock sh -c '"$@"; echo $?' sh "$@"; cd ..; >err`)},
		{name: "no program", args: []string{"-d"}},
		{name: "nothing"},
		{name: "unknown option", args: args("-x")},
		{name: "no number", args: args("-n", "x")},
		{name: "missing program", args: []string{"nosuchprogram"}, under: service(`check 'exit 0'; s6-supervise s & p=$!; until [ -s err ]; do sleep .02; done; stop`)},
	})
}
