package reference_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// Who owns a scan directory has all of s6's recipe in his hands: what is executed, the files that its supervisor reads and
// writes, the FIFOs that it listens at, the directory that it looks through. Under s6 each of these is root's rights for the
// asking. These tests try them on pintle in s6's place, as hermes, whose /run/service is.

// s6Bait lays out what is root's and must stay so, and has a process of root's hear whatever is written to its FIFOs. In
// /run/loose, which is hermes's, are files of root's that he can't open, but can move anywhere.
const s6Bait = `
	mkdir -m 755 /bait /bait/service /bait/listens /run/loose
	mkdir -m 700 /bait/private
	printf '#!/bin/sh\nid -u >>/bait/ran\n' | tee /bait/run /bait/private/run >/bait/service/run
	touch /bait/ran
	printf canary-of-root >/bait/secret
	chmod 755 /bait/run /bait/private/run /bait/service/run
	chmod 600 /bait/secret
	for n in status lock death_tally service-lock down run finish; do (umask 077; echo canary-of-root >/run/loose/$n); done
	for n in notification-fd lock-fd; do (umask 077; echo 7 >/run/loose/$n); done
	for n in /run/loose/control /run/loose/listener /bait/fifo; do
		mkfifo -m 600 $n
		cat 0<>$n >/bait/listens/${n##*/} &
	done
	chown hermes:hermes /run/loose`

// s6Proof is what a run says of itself: who it is, what it may, and what it has open; and whether it can become root.
const s6Proof = `#!/bin/bash
exec 9>>/opt/data/ran
fds=$(for f in /proc/$$/fd/*; do readlink $f; done | grep -v -e '^pipe:' -e ^/dev/null -e ^/opt/data/ -e ^/run/service/ | tr '\n' ' ')
caps=$(sed -n 's/^Cap\(Inh\|Prm\|Eff\|Amb\):\s*0*/\1=/p' /proc/self/status | tr '\n' ' ')
raised=$(setpriv --reuid=0 --clear-groups echo RAISED 2>/dev/null)
echo "$1: uid $(id -ru) $(id -u) groups $(id -G) $caps$raised$fds" >&9
`

// s6Ran is what is said of a run that is hermes's, and nothing more.
const s6Ran = "uid 10000 10000 groups 10000 Inh= Prm= Eff= Amb= "

// s6Try is a service directory: what hermes makes of one that is good, from within it; whether it runs then, and what is said.
type s6Try struct {
	name, script string
	runs         bool
	says         string
}

// s6Tries are the directories. A service named s6-… by its try has its own files.
var s6Tries = []s6Try{
	{"plain", ``, true, ""},

	// What is executed.
	{"setuid", `chmod 6755 run`, true, ""},
	{"setuid-shell", `cp /bin/bash sh; chmod 6755 sh; printf '#!/run/service/setuid-shell/sh -p\n/opt/data/proof setuid-shell\nexec sleep 1000100\n' >run`, true, ""},
	{"roots-script", `ln -sf /bait/run run`, false, ""},
	{"roots-private-script", `ln -sf /bait/private/run run`, false, ""},
	{"shadow", `ln -sf /etc/shadow run`, false, "cannot execute"},
	{"moved-run", `mv /run/loose/run run`, false, "cannot execute"},
	{"moved-finish", `mv /run/loose/finish finish; printf '#!/bin/sh\n/opt/data/proof moved-finish\n' >run`, true, "cannot execute"},
	{"roots-finish", `ln -s /bait/run finish; printf '#!/bin/sh\n/opt/data/proof roots-finish\n' >run`, true, ""},
	{"no-run", `rm run; mkdir run`, false, "cannot execute"},
	{"run-of-proc", `ln -sf /proc/1/exe run`, false, "cannot execute"},
	{"fifo-run", `rm run; mkfifo run`, false, "cannot execute"},

	// Where it leads.
	{"logger", `mkdir log; printf '#!/bin/sh\n/opt/data/proof logger.log\nexec cat >/dev/null\n' >log/run; chmod 755 log/run`, true, ""},
	{"logger-elsewhere", `ln -s /bait/service log`, true, ""},
	{"supervise-elsewhere", `ln -s /bait/private supervise`, false, ""},
	{"supervise-in-service", `ln -s /bait/service supervise`, false, ""},
	{"event-elsewhere", `ln -s /bait/private event`, false, ""},
	{"inner-event-elsewhere", `mkdir supervise; ln -s /bait/service supervise/event`, false, ""},

	// The files of its supervisor.
	{"control-elsewhere", `mkdir supervise; ln -s /bait/fifo supervise/control`, false, ""},
	{"control-moved", `mkdir supervise; mv /run/loose/control supervise/control`, false, ""},
	{"control-file", `mkdir supervise; truncate -s 8G supervise/control`, false, ""},
	{"control-device", `mkdir supervise; ln -s /dev/zero supervise/control`, false, ""},
	{"status-elsewhere", `mkdir supervise; ln -s /bait/secret supervise/status; ln -s /bait/secret supervise/status.new`, true, ""},
	{"status-moved", `mkdir supervise; mv /run/loose/status supervise/status`, true, ""},
	{"status-directory", `mkdir -p supervise/status`, true, "status"},
	{"lock-elsewhere", `mkdir supervise; ln -s /bait/secret supervise/lock`, false, ""},
	{"lock-moved", `mkdir supervise; mv /run/loose/lock supervise/lock`, false, ""},
	{"lock-fifo", `mkdir supervise; mkfifo supervise/lock`, false, ""},
	{"tally-elsewhere", `mkdir supervise; ln -s /bait/secret supervise/death_tally`, false, ""},
	{"tally-moved", `mkdir supervise; mv /run/loose/death_tally supervise/death_tally`, false, ""},
	{"tally-huge", `mkdir supervise; truncate -s 8G supervise/death_tally`, true, ""},
	{"listener-moved", `mkdir -m 3730 event; mv /run/loose/listener "event/ftrig1:@400000006500000000000000:abcdef"`, true, ""},
	{"listeners", `mkdir -m 3730 event; for i in $(seq 1000); do mkfifo "event/ftrig1:@40000000650000000000$(printf %04d $i):abcdef"; done; ln -s /bait/secret "event/ftrig1:@400000006500000000009999:abcdef"`, true, ""},

	// The files that say how it is run.
	{"fd-0", `echo 0 >notification-fd`, true, ""},
	{"fd-2", `echo 2 >notification-fd; echo 1 >lock-fd`, true, ""},
	{"fd-huge", `echo 4294967295 >notification-fd; echo 2147483647 >lock-fd`, true, ""},
	{"fd-nonsense", `printf -- '-1\033[31m' >notification-fd; echo 99999999999999999999 >lock-fd`, true, "invalid notification-fd"},
	{"fd-same", `echo 5 | tee notification-fd >lock-fd`, false, ""},
	{"fd-moved", `mv /run/loose/notification-fd /run/loose/lock-fd .`, true, "notification-fd"},
	{"fd-sparse", `truncate -s 8G notification-fd`, true, ""},
	{"fd-device", `ln -s /dev/zero notification-fd; ln -s /proc/1/environ lock-fd; mkfifo timeout-kill`, true, ""},
	{"service-lock-moved", `mkdir supervise; mv /run/loose/service-lock supervise/service-lock; echo 5 >lock-fd`, false, "cannot start it: "},
	{"service-lock-elsewhere", `mkdir supervise; ln -s /bait/secret supervise/service-lock; echo 5 >lock-fd`, false, "cannot start it: "},
	{"down-moved", `mv /run/loose/down down`, false, ""},
	{"signal-nonsense", `printf 'KILL\000\033]0;x\007' >down-signal; printf 999 >timeout-finish`, true, ""},
	{"signal-zero", `echo 0 >down-signal; echo 0 >timeout-kill; echo 4294967295 >max-death-tally`, true, ""},
	{"numbers", `echo 4294967295 | tee timeout-kill timeout-finish >max-death-tally; head -c 5M /dev/zero >type`, true, ""},
	{"much", `mkdir env data; (cd env; seq 3000 | xargs touch); truncate -s 8G data/big env/big; ln -s /bait env/bait; ln -s .. data/loop`, true, ""},
	{"lock-elsewhere-2", `ln -s /bait/secret lock; mkdir data; ln -s /bait/secret data/lock; echo 5 >lock-fd`, true, ""},

	// What it says.
	{"words", `printf '#!/bin/sh\n/opt/data/proof words\nprintf "\\033[2J\\033]0;title\\007pintle: condition: none\\r\\n" >&2\nexec sleep 1000100\n' >run`, true, ""},
}

// s6Plant has hermes make all of s6Tries where nobody sees them yet.
func s6Plant(t *testing.T, c *dockertest.Container) {
	t.Helper()
	var script strings.Builder
	script.WriteString("cd /run/service\n")
	for _, try := range s6Tries {
		fmt.Fprintf(&script, `(set -e; mkdir .%[1]s; cd .%[1]s
			printf '#!/bin/sh\n/opt/data/proof %[1]s\nexec sleep 1000100\n' >run; chmod 755 run
			%[2]s
			) || { echo %[1]s; exit 1; }
		`, try.name, try.script)
	}
	succeeds(t, c.Exec("hermes", "bash", "-c", script.String()))
}

// s6Theirs is all that is not hermes's, wherever it is; what is new in /run/service and not his is in it too. Not in it are
// what pintle itself writes for root's service and in its state directory, a file of root's for which he has another one put in
// its place, as who owns a directory may, and a FIFO of root's that he has stand for a listener, who is told of events.
func s6Theirs(t *testing.T, c *dockertest.Container) string {
	t.Helper()
	return succeeds(t, c.Exec("root", "bash", "-ec", `
		const='%p %U:%G %m %s %n %T@ %C@\n'
		{
			find /bin/ /lib/ /sbin/ /srv /usr /var -xdev -printf '%p %U:%G %m %s %T@ %C@\n'
			find /etc /home /root /bait ! -path /etc/hostname ! -path /etc/hosts ! -path /etc/resolv.conf ! -path '/etc/services/vault/supervise*' ! -path '/etc/services/vault/event' ! -path /root/ran ! -path /bait/listens/listener -printf "$const"
			cd /run/service
			find . /run/loose /opt/data ! -user hermes ! -path '/opt/data/.pintle*' ! -path '*status-moved/supervise/status' ! -path '*listener-moved/event/ftrig*' -printf "$const"
			find / /opt/data -xdev -perm /6000 ! -user hermes ! -path '/etc/services/vault/*' -printf '%p %U:%G %m\n'
		} | sed 's|^\./\.|./|' | sort -u`))
}

// s6Unharmed checks what holds whatever hermes tries.
func s6Unharmed(t *testing.T, c *dockertest.Container, theirs string, vault int, by string) {
	t.Helper()
	answers(t, c)
	if now := s6Theirs(t, c); now != theirs {
		t.Errorf("%s changed what is not hermes's:%s", by, manageDiff(theirs, now))
	}
	if s := status(t, c, "vault"); s.State != unit.Up || s.PID != vault {
		t.Errorf("%s: root's service is %s with pid %d, want %d: %s", by, s.State, s.PID, vault, s.Because)
	}
	for _, p := range c.Top() {
		ours := p.PID == 1 || p.PPID == 0 || p.PID == vault || strings.HasPrefix(p.Args, "cat")
		if p.UID != hermes && !ours {
			t.Errorf("%s: this process is not hermes's: %+v", by, p)
		}
	}
	said := succeeds(t, c.Exec("root", "cat", "/opt/data/ran"))
	for line := range strings.Lines(said) {
		if _, who, _ := strings.Cut(line, ": "); strings.TrimSpace(who) != strings.TrimSpace(s6Ran) {
			t.Errorf("%s: one ran as %s", by, line)
		}
	}
}

// s6Baited starts a container with all of that in it, and makes every directory appear at once.
func s6Baited(t *testing.T) (c *dockertest.Container, theirs string, vault int) {
	t.Helper()
	c = boot(t, dockertest.Options{Image: s6Image(t)}, "sleep", "infinity")
	vault = becomes(t, c, "vault", unit.Up).PID
	succeeds(t, dockertest.Docker(t, "exec", "-d", c.Name, "sh", "-ec", s6Bait+"\ntouch /run/laid; wait"))
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := c.Exec("", "test", "-e", "/run/laid")
		return r.Code == 0, r.String()
	}, "the bait is laid")
	succeeds(t, c.Exec("hermes", "sh", "-ec", `printf %s "$1" >/opt/data/proof; chmod 755 /opt/data/proof; touch /opt/data/ran`, "sh", s6Proof))
	s6Plant(t, c)
	// Directories that are root's, under names of hermes's; names that are nobody's; and what a real s6-svscan would execute.
	succeeds(t, c.Exec("hermes", "bash", "-ec", `cd /run/service
		for to in /etc/services/vault /bait/service /bait/private /etc / /proc/1/root /proc/1/cwd /run/s6; do ln -s $to ".to${to//\//-}"; done
		mkdir ".$(printf 'bad\033[31m\nname')" .main .dashboard .-oops .vault
		printf '#!/bin/sh\n/opt/data/proof vault\necho FORGED\nexec sleep 1000100\n' >.vault/run; chmod 755 .vault/run
		for f in finish crash SIGTERM SIGINT SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGWINCH; do printf '#!/bin/sh\n/opt/data/proof svscan\n' >.s6-svscan/$f; chmod 755 .s6-svscan/$f; done`))
	theirs = s6Theirs(t, c)
	succeeds(t, c.Exec("hermes", "bash", "-ec", `cd /run/service; for d in .[!.]*; do [ "$d" = .s6-svscan ] || mv -T -- "$d" "${d#.}"; done; s6-svscanctl -a .`))
	return c, theirs, vault
}

// TestU4: whatever hermes puts into his scan directory, and whatever he has its supervisor do, runs as him with no
// capability and nothing of pintle's open; nothing of root's is executed with root's rights, read out to him or changed; and
// pintle and root's services go on.
func TestU4(t *testing.T) {
	t.Parallel()
	c, theirs, vault := s6Baited(t)
	console := func() string {
		stdout, stderr := c.Logs()
		return stdout + stderr
	}
	dockertest.Eventually(t, 3*soon, func() (bool, string) {
		ran, text := succeeds(t, c.Exec("root", "cat", "/opt/data/ran")), console()
		for _, try := range s6Tries {
			if try.runs && !strings.Contains(ran, try.name+": ") {
				return false, try.name + " does not run:\n" + ran + text
			}
			if try.says != "" && !regexp.MustCompile(`(?m)^.*\b`+regexp.QuoteMeta(try.name)+`\b.*`+regexp.QuoteMeta(try.says)).MatchString(text) {
				return false, fmt.Sprintf("%q is not said of %s:\n%s", try.says, try.name, text)
			}
		}
		return strings.Contains(ran, "logger.log: "), ran
	}, "what is to run runs, and of what does not is said why")
	s6Unharmed(t, c, theirs, vault, "to plant")
	says(t, pintle(c, "root", "why", "plain"), 0, "it runs as hermes, who can write /run/service/plain")
	if r := pintle(c, "root", "logs", "vault"); strings.Contains(r.Stdout, "FORGED") {
		t.Errorf("hermes writes to the log of root's service: %s", r)
	}

	// Each of them is told everything that there is, by FIFO and by signal.
	succeeds(t, c.Exec("hermes", "bash", "-ec", `cd /run/service
		perl -e 'print map chr, 1..255' >/tmp/all
		for i in 1 2 3; do
			for d in *; do timeout 5 s6-svc -hikcpctr "$d" || :; done 2>/dev/null
			for d in plain words numbers listeners; do timeout 5 sh -c 'exec cat /tmp/all /tmp/all /tmp/all 1<>"$0/supervise/control" >&1' $d || :; done
			pkill -KILL -f '^sleep 1000100' || :
			for d in *; do [ "$d" = down-moved ] || timeout 5 s6-svc -u "$d" || :; done 2>/dev/null
			s6-svscanctl -hzN . 
			head -c 100000 /dev/urandom | tr -d 'itqb' >.s6-svscan/control
		done`))
	s6Unharmed(t, c, theirs, vault, "to tell them everything")

	// A new one comes up beside all that.
	s6Make(t, c, "fresh", `printf '#!/bin/sh\n/opt/data/proof fresh\nexec sleep 1000101\n' >run; chmod 755 run`)
	succeeds(t, c.Exec("hermes", "s6-svwait", "-u", "-t", "30000", "/run/service/fresh"))

	c.Restart("-t", "30")
	becomes(t, c, "plain", unit.Up)
	ran := succeeds(t, c.Exec("root", "cat", "/opt/data/ran"))
	for _, try := range s6Tries {
		if !try.runs && strings.Contains(ran, "\n"+try.name+": ") {
			t.Errorf("%s runs", try.name)
		}
	}
	if s := status(t, c, "vault"); s.Origin != "/etc/services/vault" || strings.Contains(ran, "vault: ") {
		t.Errorf("hermes has a service by the name of root's: %+v", s)
	}
	if strings.Contains(ran, "svscan: ") {
		t.Errorf("a script of the scan directory's own was executed:\n%s", ran)
	}
	s6Unharmed(t, c, theirs, becomes(t, c, "vault", unit.Up).PID, "a restart")
	all := console()
	for line := range strings.Lines(all) {
		if strings.HasPrefix(line, "pintle | ") && strings.ContainsAny(strings.TrimSpace(line), "\x1b\x07\r\x00") {
			t.Errorf("pintle says %q", line)
		}
	}
	if strings.Contains(all, "canary") || strings.Contains(all, "panic") {
		t.Errorf("it was said:\n%s", all)
	}
}
