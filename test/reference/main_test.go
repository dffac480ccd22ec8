package reference_test

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// A routed line is what docker run's arguments lead to.
type routed struct {
	args   []string
	flags  []string // docker run's
	stdin  string
	code   int
	stdout string // all of it, or its beginning with "…" behind
	stderr string // a part of it
}

func (r routed) name() string {
	if len(r.args) == 0 {
		return "no arguments"
	}
	return strconv.Quote(strings.Join(r.args, " "))
}

// check runs the line in an image.
func (r routed) check(t *testing.T, image string) {
	t.Helper()
	o := dockertest.Options{Image: image, Flags: r.flags}
	if r.stdin != "" {
		o.Stdin = strings.NewReader(r.stdin)
	}
	got := dockertest.Run(t, o, r.args...)
	if got.Code != r.code {
		t.Errorf("the exit code is %d, want %d", got.Code, r.code)
	}
	if beginning, cut := strings.CutSuffix(r.stdout, "…"); got.Stdout != r.stdout && !(cut && strings.HasPrefix(got.Stdout, beginning)) {
		t.Errorf("the output is %q, want %q", got.Stdout, r.stdout)
	}
	if !strings.Contains(got.Stderr, r.stderr) {
		t.Errorf("the errors do not contain %q", r.stderr)
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestTheFivePatterns: what people have always typed works (section 2a; B13, B14, B15).
// The two that need a terminal are in TestThePatternsOnATerminal.
func TestTheFivePatterns(t *testing.T) {
	t.Parallel()
	for _, r := range []routed{
		// docker run IMG: hermes, which wants a terminal.
		{code: 1, stderr: "hermes: cannot start a prompt: standard input is not a terminal"},
		{args: []string{"chat", "-q", "hello"}, stdout: "hermes chat: hello\n"},
		{args: []string{"bash"}, stdin: "echo $0; exit 3", code: 3, stdout: "bash\n"},
	} {
		t.Run(r.name(), func(t *testing.T) {
			t.Parallel()
			r.check(t, "")
		})
	}
	t.Run("sleep infinity", func(t *testing.T) {
		t.Parallel()
		c := boot(t, dockertest.Options{}, "sleep", "infinity")
		if p := processOf(t, c, "sleep infinity"); p.UID != hermes || p.PPID != 1 {
			t.Errorf("it is not pintle's child and hermes's: %+v", p)
		}
		if code, _ := c.Stop(); code != 128+15 {
			t.Errorf("stopped, its exit code is %d, want 143: it dies of TERM", code)
		}
	})
}

// TestArgumentsAreRouted keeps section 2d's rule, in its order, and avoids what section 2c lists: no argument is ever
// given to a shell, so none of a shell's words, options and expansions means anything.
func TestArgumentsAreRouted(t *testing.T) {
	t.Parallel()
	image := dockertest.Derive(t, `FROM reference
COPY program /usr/local/bin/mcp
COPY program /usr/local/bin/roots
COPY program /usr/local/bin/text
COPY orphan /usr/local/bin/orphan
RUN chmod 0755 /usr/local/bin/mcp /usr/local/bin/text /usr/local/bin/orphan && chmod 0700 /usr/local/bin/roots \
 && sed -i 1d /usr/local/bin/text
`, map[string]string{
		"program": "#!/bin/sh\necho the program ${0##*/}\n",
		"orphan":  "#!/no/such/interpreter\n",
	})
	toHermes := func(word string) routed {
		return routed{args: []string{word}, code: 2, stderr: "hermes: unknown command " + strconv.Quote(word)}
	}
	lines := []routed{
		// (2) The explicit "execute the rest".
		{args: []string{"--"}, code: 125, stderr: "pintle: cannot start the main program: no command was given after --"},
		{args: []string{"--", "sh", "-c", "exit 5"}, code: 5},
		{args: []string{"--", "hermes", "exit", "6"}, code: 6},
		{args: []string{"--", "nosuch"}, code: 127, stderr: "pintle: cannot execute nosuch: there is no such program in PATH"},
		{args: []string{"--", "-p"}, code: 127, stderr: "pintle: cannot execute -p: there is no such program in PATH"},
		{args: []string{"--", ""}, code: 127, stderr: `pintle: cannot execute "": the command is empty`},
		{args: []string{"--", "--", "true"}, code: 127},

		// (3) Options and subcommands are the command's: `-p` was once taken for a program.
		{args: []string{"--version"}, stdout: "hermes 0.0.0 (stand-in)\n"},
		{args: []string{"-p", "coder", "gateway", "run"}, flags: []string{"-e", "HERMES_GATEWAY_EXIT=3"}, code: 3,
			stdout: "gateway coder: starting (pid …", stderr: "gateway coder: ended with 3"},
		{args: []string{"gateway", "run"}, flags: []string{"-e", "HERMES_GATEWAY_EXIT=4"}, code: 4,
			stdout: "gateway default: starting (pid …", stderr: "gateway default: ended with 4"},
		{args: []string{"profile", "list"}, stdout: "default\n"},

		// A subcommand comes before a program of the same name (B16), which can still be had.
		{args: []string{"mcp"}, stdout: "usage: hermes mcp\n"},
		{args: []string{"--", "mcp"}, stdout: "the program mcp\n"},
		{args: []string{"login"}, stdout: "usage: hermes login\n"}, // Debian has one too

		// (4) A path is that file or an error, like a shell's.
		{args: []string{"/usr/bin/id", "-u"}, stdout: "10000\n"},
		{args: []string{"bin/id", "-u"}, flags: []string{"-w", "/usr"}, stdout: "10000\n"},
		{args: []string{"/etc/passwd"}, code: 126, stderr: "pintle: cannot execute /etc/passwd: its mode 0644 does not let hermes execute it"},
		{args: []string{"/usr/local/bin/roots"}, code: 126, stderr: "its mode 0700 does not let hermes execute it"},
		{args: []string{"/etc"}, code: 126, stderr: "pintle: cannot execute /etc: it is a directory"},
		{args: []string{"/dev/null"}, code: 126, stderr: "it is not a regular file"},
		{args: []string{"/root/secret"}, code: 127, stderr: "there is no such file"},
		{args: []string{"./nosuch"}, code: 127, stderr: "pintle: cannot execute /opt/data/nosuch: there is no such file"},
		{args: []string{"/usr/local/bin/text"}, code: 126, stderr: "it is neither a program for this machine nor a script with a #! line"},
		{args: []string{"/usr/local/bin/orphan"}, code: 127, stderr: "its interpreter (the #! line or the dynamic loader) is not there"},

		// (5) A program on PATH, which a shell's word can be too.
		{args: []string{"whoami"}, stdout: "hermes\n"},
		{args: []string{"test", "1", "=", "2"}, code: 1},
		{args: []string{"["}, code: 2, stderr: "[: missing"},
		{args: []string{"sh", "-c", `echo "$0 $@"`, "a  b", "*", "$(id)"}, stdout: "a  b * $(id)\n"},

		// (6) All else is the command's.
		{args: []string{"exit"}, code: 2, stderr: "usage: hermes exit N"}, // the agent has one, and it wants a number
		toHermes("nosuch"), toHermes(""), toHermes("roots"), toHermes(" "), toHermes("id -u"), toHermes("$(id)"), toHermes("id;id"),
		toHermes("cd"), toHermes("if"), toHermes("."), toHermes(".."), toHermes(":"), toHermes("eval"), toHermes("command"), toHermes("exec"),
	}
	for _, r := range lines {
		t.Run(r.name(), func(t *testing.T) {
			t.Parallel()
			r.check(t, image)
		})
	}
}

// TestArgumentsAreTheCommandWhereThereIsNone: pintle without a main.command is a plain init, with a configuration of
// services alone and with none at all.
func TestArgumentsAreTheCommandWhereThereIsNone(t *testing.T) {
	t.Parallel()
	image := dockertest.Derive(t, `FROM reference
RUN rm -r /etc/pintle
COPY services.yaml /etc/services.yaml
`, map[string]string{
		"services.yaml": "services: {idle: {command: [sleep, infinity]}}\n",
	})
	for _, r := range []routed{
		{code: 125, stderr: "pintle: cannot start the main program: there is no main.command in the configuration, and no command was given"},
		{args: []string{"--"}, code: 125, stderr: "pintle: cannot start the main program: "},
		{args: []string{"sh", "-c", "id -u; exit 9"}, code: 9, stdout: "0\n"},
		{args: []string{"--", "sh", "-c", "exit 8"}, code: 8},
		{args: []string{"nosuch"}, code: 127, stderr: "pintle: cannot execute nosuch: there is no such program in PATH"},
		{args: []string{"gateway", "run"}, code: 127},
		{args: []string{"-p"}, code: 127},
		{args: []string{"cd"}, code: 127},
		{args: []string{""}, code: 127},
		{args: []string{"/etc/passwd"}, code: 126},
	} {
		t.Run(r.name(), func(t *testing.T) {
			t.Parallel()
			r.check(t, image)
		})
	}
	t.Run("beside services", func(t *testing.T) {
		t.Parallel()
		c := boot(t, dockertest.Options{Image: image, Flags: []string{"-e", "PINTLE_CONFIG=/etc/services.yaml"}}, "hermes", "trap-exit", "7")
		becomes(t, c, "idle", unit.Up)
		if code, _ := c.Stop(); code != 7 {
			t.Errorf("the exit code is %d, want 7", code)
		}
	})
}

// TestPromise3TheContainerExitsWithMainsCode (B17, U62).
func TestPromise3TheContainerExitsWithMainsCode(t *testing.T) {
	t.Parallel()
	byItself := []struct {
		args []string
		code int
	}{
		{[]string{"true"}, 0},
		{[]string{"sh", "-c", "exit 42"}, 42},
		{[]string{"--", "hermes", "exit", "255"}, 255},
		{[]string{"--", "hermes", "crash", "KILL"}, 128 + 9},
		{[]string{"--", "hermes", "crash", "SEGV"}, 128 + 11},
		{[]string{"--", "hermes", "crash", "TERM"}, 128 + 15},
		{[]string{"--", "nosuch"}, 127},
		{[]string{"/etc/passwd"}, 126},
	}
	for _, end := range byItself {
		t.Run(strings.Join(end.args, " "), func(t *testing.T) {
			t.Parallel()
			// Services beside it neither change the code nor hold it back.
			r := dockertest.Run(t, dockertest.Options{Flags: []string{"-e", "HERMES_DASHBOARD=1"}}, end.args...)
			if r.Code != end.code {
				t.Errorf("want %d: %s", end.code, r)
			}
		})
	}
	byOthers := []struct {
		name string
		args []string
		end  func(t *testing.T, c *dockertest.Container)
		code int
	}{
		{"main is killed", []string{"sleep", "infinity"}, func(t *testing.T, c *dockertest.Container) {
			succeeds(t, c.Exec("", "kill", "-9", strconv.Itoa(status(t, c, "main").PID)))
		}, 128 + 9},
		{"stopped, and main exits with 7", []string{"--", "hermes", "trap-exit", "7"}, stop, 7},
		{"stopped, and main exits with 0", []string{"--", "hermes", "trap-exit", "0"}, stop, 0},
		{"stopped, and main dies of TERM", []string{"sleep", "infinity"}, stop, 128 + 15},
	}
	for _, end := range byOthers {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			c := boot(t, dockertest.Options{}, end.args...)
			end.end(t, c)
			if code := c.Wait(); code != end.code {
				t.Errorf("the exit code is %d, want %d", code, end.code)
			}
		})
	}
}

// stop is docker stop, with so much time that its SIGKILL never is what ends the container.
func stop(_ *testing.T, c *dockertest.Container) { c.Stop("-t", "60") }

// reporter is a main program that says which of these signals it got, and exits with 7 when it is told to end. It is in
// Perl because bash now and then swallows a signal that comes together with a child's end.
func reporter(signals ...string) []string {
	const program = `$| = 1;
for my $s ("TERM", @ARGV) { $SIG{$s} = sub { print "got $s\n"; exit 7 if $s eq "TERM" } }
print "listening\n";
select undef, undef, undef, 0.05 while 1`
	return append([]string{"perl", "-e", program}, signals...)
}

// TestSignalsReachMainAlone: all signals go to main as they come, and to nobody else. The gateway beside it dies of
// most of them.
func TestSignalsReachMainAlone(t *testing.T) {
	t.Parallel()
	for _, on := range []struct {
		name    string
		flags   []string
		signals []string
	}{
		{"without a terminal", nil, []string{"HUP", "USR1", "USR2", "WINCH", "QUIT", "ALRM", "CONT", "NUM37"}},
		// On a terminal INT is the key that interrupts a program.
		{"on a terminal", []string{"-t"}, []string{"INT", "HUP", "USR1", "USR2", "WINCH", "QUIT"}},
	} {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			c := boot(t, dockertest.Options{Flags: on.flags}, reporter(on.signals...)...)
			prints(t, c, "listening")
			succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
			before := status(t, c, "gateway@coder")
			for _, s := range on.signals {
				c.Kill(strings.TrimPrefix(s, "NUM")) // Perl's name for a signal that has only a number
				prints(t, c, "got "+s)
			}
			if after := status(t, c, "gateway@coder"); after.PID != before.PID || after.State != unit.Up {
				t.Errorf("the gateway got a signal: %+v", after)
			}
			if stdout, _ := c.Logs(); strings.Count(stdout, "got ") != len(on.signals) {
				t.Errorf("main got other signals than %v:\n%s", on.signals, stdout)
			}
			c.Kill("TERM")
			if code := c.Wait(); code != 7 {
				t.Errorf("the exit code is %d, want main's 7", code)
			}
		})
	}
}

// TestIntWithoutATerminalBeginsTheStop: who presses Ctrl-C at a docker run without -t wants the end. Main gets TERM.
func TestIntWithoutATerminalBeginsTheStop(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, reporter("INT")...)
	prints(t, c, "listening")
	c.Kill("INT")
	if code := c.Wait(); code != 7 {
		t.Errorf("the exit code is %d, want main's 7", code)
	}
	if stdout, _ := c.Logs(); strings.Contains(stdout, "got INT") || !strings.Contains(stdout, "got TERM") {
		t.Errorf("main got something else than TERM:\n%s", stdout)
	}
}

// TestASecondTermKillsAtOnce: whoever asks twice has no patience left. The control is the same container, asked once:
// it still waits for its grace period to end.
func TestASecondTermKillsAtOnce(t *testing.T) {
	t.Parallel()
	asked := func() *dockertest.Container {
		c := boot(t, dockertest.Options{}, "sh", "-c", `trap "" TERM; echo deaf; exec sleep infinity`)
		prints(t, c, "deaf")
		c.Kill("TERM")
		prints(t, c, "SIGTERM: stopping everything")
		return c
	}
	twice, once := asked(), asked()
	twice.Kill("TERM")
	if code := twice.Wait(); code != 128+9 {
		t.Errorf("the exit code is %d, want 137: main was killed", code)
	}
	if !once.Running() {
		t.Error("the container that was asked only once has ended as well")
	}
	once.Kill("TERM")
	once.Wait()
}

// TestAGracePeriodIsAMaximum: a container in which everything ends when it is asked to ends then, whatever the
// configuration allows. And everything is asked at the same time: here main and the service each wait for the other to
// be told. Docker's patience is less than any of pintle's, so that exit code 7 can only come from an end in time.
func TestAGracePeriodIsAMaximum(t *testing.T) {
	t.Parallel()
	image := dockertest.Derive(t, "FROM reference\nCOPY pintle.yaml /etc/pintle/pintle.yaml\nCOPY friend.pl /\n", map[string]string{
		"friend.pl": `my ($me, $other) = @ARGV;
sub nap { select undef, undef, undef, 0.02 }
$SIG{TERM} = sub { open F, ">", "/tmp/$me-was-told"; nap until -e "/tmp/$other-was-told"; exit 7 };
$| = 1; print "$me waits\n"; nap while 1
`,
		"pintle.yaml": `
main: {command: [perl, /friend.pl, main, service], stop_grace_period: 100s}
services: {service: {command: [perl, /friend.pl, service, main], stop_grace_period: 100s}}
stop_timeout: 100s
`})
	c := boot(t, dockertest.Options{Image: image})
	prints(t, c, "service waits")
	prints(t, c, "main waits")
	if code, took := c.Stop("-t", "30"); code != 7 {
		t.Errorf("the exit code is %d after %v, want 7", code, took)
	}
	_, stderr := c.Logs()
	if strings.Contains(stderr, "killing") {
		t.Errorf("something was killed:\n%s", stderr)
	}
}

// identity is what "hermes whoami" prints.
type identity struct {
	UID, GID             int
	Groups               []int
	CWD                  string
	PID, PPID, PGID, SID int
	TTY                  bool
	SigIgnored           string
	SigBlocked           string
}

// whoami runs "hermes whoami" as the main program of a container.
func whoami(t *testing.T, flags ...string) (me identity) {
	t.Helper()
	r := dockertest.Run(t, dockertest.Options{Flags: flags}, "--", "hermes", "whoami")
	if err := json.Unmarshal([]byte(r.Stdout), &me); err != nil || r.Code != 0 {
		t.Fatalf("hermes whoami: %v: %s", err, r)
	}
	return me
}

// TestMainIsHermes: main has the identity that a login would give it and nothing of root's (B18, B21, U12), and the
// state that a program expects to be started in.
func TestMainIsHermes(t *testing.T) {
	t.Parallel()
	me := whoami(t)
	if me.UID != hermes || me.GID != hermes || len(me.Groups) != 0 {
		t.Errorf("main is uid %d, gid %d, groups %v; want %d, %[4]d and none", me.UID, me.GID, me.Groups, hermes)
	}
	if me.PPID != 1 || me.PGID != me.PID || me.TTY {
		t.Errorf("main does not lead a group of its own, or has a terminal: %+v", me)
	}
	if none := "0000000000000000"; me.SigBlocked != none || me.SigIgnored != none {
		t.Errorf("main starts with signals blocked (%s) or ignored (%s)", me.SigBlocked, me.SigIgnored)
	}

	r := dockertest.Run(t, dockertest.Options{Flags: []string{"-e", "SECRET=a b\n$c"}}, "sh", "-c",
		`echo "$HOME $USER $LOGNAME $HERMES_HOME $PINTLE_UNIT $PINTLE_RUN $(pwd)"; echo "$SECRET"`)
	if want := "/opt/data hermes hermes /opt/data main 1 /opt/data\na b\n$c\n"; r.Stdout != want {
		t.Errorf("its environment is %q, want %q", r.Stdout, want)
	}
}

// TestGroupAddReachesMain: docker run --group-add gives groups to the program (B26, U26), but never root's.
func TestGroupAddReachesMain(t *testing.T) {
	t.Parallel()
	me := whoami(t, "--group-add", "4242", "--group-add", "0", "--group-add", "4343")
	slices.Sort(me.Groups)
	if want := []int{4242, 4343}; !slices.Equal(me.Groups, want) {
		t.Errorf("main's supplementary groups are %v, want %v", me.Groups, want)
	}
}

// TestWorkingDirectory: docker run -w holds (B20, U14), also where hermes may not enter: main is there, as docker run
// -w DIR -u hermes has it.
func TestWorkingDirectory(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"/tmp", "/usr/lib", "/root", "/made/by/docker"} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			if me := whoami(t, "-w", dir); me.CWD != dir || me.UID != hermes {
				t.Errorf("main is in %s as uid %d, want %s and %d", me.CWD, me.UID, dir, hermes)
			}
		})
	}
}

// TestStandardStreamsCanBeOpenedByName: /dev/stdout and its like are for hermes to open, though Docker made them for root.
func TestStandardStreamsCanBeOpenedByName(t *testing.T) {
	t.Parallel()
	r := dockertest.Run(t, dockertest.Options{Stdin: strings.NewReader("in\n")}, "bash", "-c",
		`cat /dev/stdin; echo out >/dev/stdout; echo err >/dev/stderr`)
	if r.Code != 0 || r.Stdout != "in\nout\n" || !strings.Contains(r.Stderr, "err\n") {
		t.Error(r)
	}
}

// TestStdinReachesMain, to its end.
func TestStdinReachesMain(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	r := dockertest.Run(t, dockertest.Options{Stdin: io.LimitReader(zeros{}, size)}, "wc", "-c")
	if strings.TrimSpace(r.Stdout) != strconv.Itoa(size) || r.Code != 0 {
		t.Errorf("%s", r)
	}
}

// zeros is /dev/zero.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
