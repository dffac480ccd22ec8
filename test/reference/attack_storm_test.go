package reference_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// An adversary who has other things stand where pintle works, at any moment and as
// fast as he can: symlinks to what is root's, FIFOs, devices, huge files, forged
// trees, nothing, pintle's own state directory under another name.

// stormUnits are what root restarts meanwhile, and a service of hermes's that reads its variables where he can write.
const stormUnits = `
services:
  tool: {command: [sleep, infinity], user: root}
  peek:
    command: [sleep, infinity]
    user: hermes
    env_file: [{path: "${HERMES_HOME}/peek.env", required: false}]
    restart: never
`

// stormPlaces are all that pintle makes, reads, writes, gives away or looks into in hermes's home.
var stormPlaces = []string{
	".pintle=sessions", "profiles", "profiles/coder", "profiles/coder/SOUL.md", "profiles/coder/gateway_state.json",
	"logs", "logs/gateways", "logs/container-boot.log", "cron", ".env", "peek.env", "gateway_state.json",
}

// stormVolume makes a volume in which all of them are, and something of root's.
func stormVolume(t *testing.T) string {
	t.Helper()
	return prepareVolume(t, `cd /opt/data
		mkdir -p profiles/coder profiles/other cron sessions logs/gateways
		touch profiles/coder/SOUL.md profiles/other/SOUL.md logs/container-boot.log .env peek.env
		echo '{"desired_state":"running"}' | tee gateway_state.json >profiles/coder/gateway_state.json
		chown -R hermes:hermes .
		mkdir -m 700 roots; (umask 077; echo '{"desired_state":"running"}' >roots/secret)`)
}

// stormOthers is all that is not hermes's: root's files, what gives whoever executes it more rights, and what root owns in his
// home, but for the state directory, wherever it is just now, and an empty directory that was taken away in the moment
// in which pintle made it.
func stormOthers(t *testing.T, c *dockertest.Container) string {
	t.Helper()
	return attackRootsFiles(t, c) + succeeds(t, c.Exec("root", "bash", "-c", `
		find / /opt/data /run /tmp /dev/shm -xdev -perm /6000 -printf '%p %U:%G %m\n' | sort -u
		find /opt/data '(' -path '/opt/data/*pintle*' -o -path /opt/data/sessions -o -name '.storm-*-left-*' -empty ')' -prune -o ! -user hermes -printf '%p %U:%G %m %s %n %T@ %C@\n' | sort
		find /opt/data/roots -printf '%p %U:%G %m %s %n %T@ %C@\n' | sort
		find /run/pintle -maxdepth 1 -printf '%p %U:%G %m\n' | sort`))
}

// stormRoots are the command lines of root's processes that the container has by itself.
func stormRoots(c *dockertest.Container) []string {
	var all []string
	for _, p := range c.Top() {
		if p.UID == 0 && p.PPID != 0 {
			all = append(all, p.Args)
		}
	}
	slices.Sort(all)
	return all
}

// stormBlew checks that there was a storm.
func stormBlew(t *testing.T, said string) {
	t.Helper()
	_, said, _ = strings.Cut(said, "exchanged ")
	counts := regexp.MustCompile(`:(\d+)`).FindAllStringSubmatch(said, -1)
	if len(counts) != len(stormPlaces) {
		t.Fatalf("the storm was %q", said)
	}
	for _, count := range counts {
		if n, err := strconv.Atoi(count[1]); err != nil || n < 100 {
			t.Errorf("it was no storm: %s", said)
		}
	}
	t.Logf("exchanged %s", said)
}

// While everything in the home changes places all the time, and somebody tries on
// pintle what one process can do to another, pintle does what root and hermes ask,
// in time; nothing that is not hermes's is changed, nobody becomes root, and root's
// services stay as they are (promise 5).
func TestAttackBySwapsWhileItWorks(t *testing.T) {
	t.Parallel()
	volume := stormVolume(t)
	// Without Docker's own filter of system calls: it is not what keeps pintle safe.
	flags := []string{"-v", volume + ":/opt/data", "--security-opt", "seccomp=unconfined"}
	c := boot(t, dockertest.Options{Image: attackImage(t, stormUnits), Flags: flags}, "sleep", "infinity")
	becomes(t, c, "tool", unit.Up)
	vault := becomes(t, c, "vault", unit.Up)
	before, roots := stormOthers(t, c), stormRoots(c)

	began := func(what, word string, args ...string) {
		t.Helper()
		script := "echo $$ >/tmp/" + what + ".pid; exec attack " + what + " " + strings.Join(args, " ") + " >/tmp/" + what + " 2>&1"
		succeeds(t, dockertest.Docker(t, "exec", "-d", "-u", "hermes", c.Name, "sh", "-c", script))
		dockertest.Eventually(t, soon, func() (bool, string) {
			r := c.Exec("", "cat", "/tmp/"+what)
			return strings.HasPrefix(r.Stdout, word), r.String()
		}, what+" has begun")
	}
	over := func(what, word string) (said string) {
		t.Helper()
		succeeds(t, c.Exec("hermes", "sh", "-c", "kill -TERM $(cat /tmp/"+what+".pid)"))
		dockertest.Eventually(t, soon, func() (bool, string) {
			said = c.Exec("", "cat", "/tmp/"+what).Stdout
			return strings.Contains(said, "\n"+word), said
		}, what+" is over")
		return said
	}
	began("storm", "storming", stormPlaces...)
	began("meddle", "meddling", "1")

	// What hermes asks for may fail by what he does, but not for lack of an answer (124 is timeout's). What root asks for works.
	work := c.Exec("root", "bash", "-c", `
		answers() { timeout 20 "$@" >/dev/null 2>/tmp/said; code=$?; case $code in 124|69|125) echo "$*: $code $(cat /tmp/said)";; esac; }
		works() { timeout 20 "$@" >/tmp/works 2>&1 || echo "$*: $? $(cat /tmp/works)"; }
		export -f answers
		su hermes -s /bin/bash -c 'for i in {1..5}; do
			for verb in "create gateway@made" "start gateway@coder" "stop gateway@coder" "restart gateway@default" "remove gateway@made" "remove gateway@coder"; do
				answers pintle $verb
			done
		done' &
		for i in {1..5}; do
			works pintle restart tool
			works pintle status
			works pintle why vault
			works pintle runs vault
			works pintle healthcheck --level alive
			answers pintle restart peek
			answers pintle stop gateway@other
			answers pintle start gateway@other
		done
		wait`)
	if work.Code != 0 || work.Stdout != "" {
		t.Errorf("in the storm: %s", work)
	}
	stormBlew(t, over("storm", "exchanged "))
	if said := over("meddle", "tried "); strings.Contains(said, "could") {
		t.Errorf("what hermes could do to pintle:\n%s", said)
	}

	if after := stormOthers(t, c); after != before {
		t.Errorf("what is not hermes's was changed:%s", manageDiff(before, after))
	}
	// What pintle is about to start is root's for a moment.
	dockertest.Eventually(t, soon, func() (bool, string) {
		now := stormRoots(c)
		return slices.Equal(now, roots), fmt.Sprintf("%q", now)
	}, fmt.Sprintf("root's processes are %q", roots))
	if now := status(t, c, "vault"); now.PID != vault.PID || now.Run != vault.Run || now.State != unit.Up {
		t.Errorf("vault is %+v, and was %+v", now, vault)
	}
	// When it is over, all is as it always is, now and in the next life.
	says(t, pintle(c, "hermes", "start", "gateway@other"), 0, "up")
	becomes(t, c, "gateway@coder", status(t, c, "gateway@coder").State) // it is known again
	succeeds(t, pintle(c, "root", "stop", "tool"))
	c.Restart("-t", "5")
	answers(t, c)
	becomes(t, c, "gateway@other", unit.Up)
	becomes(t, c, "tool", unit.Down)
	if all := prepareConditions(t, c); len(all) > 0 {
		t.Errorf("the conditions are %q", all)
	}
}

// The same while pintle starts: it is then that it prepares the home, gives away
// what is below it and reads what it has kept. The adversary is in another container
// on the same volume.
func TestAttackBySwapsWhileItStarts(t *testing.T) {
	t.Parallel()
	volume := stormVolume(t)
	image := attackImage(t, stormUnits)
	c := boot(t, dockertest.Options{Image: image, Flags: []string{"-v", volume + ":/opt/data"}}, "sleep", "infinity")
	becomes(t, c, "vault", unit.Up)
	succeeds(t, pintle(c, "root", "stop", "tool"))
	before := stormOthers(t, c)
	c.Kill("KILL")
	c.Wait()

	adversary := dockertest.Start(t, dockertest.Options{Image: image, Flags: []string{
		"-v", volume + ":/opt/data", "--user", "10000:10000", "--entrypoint", "attack",
	}}, append([]string{"storm"}, stormPlaces...)...)
	prints(t, adversary, "storming")
	const lives = 5
	for life := range lives {
		c.StartAgain()
		answers(t, c)
		says(t, c.Exec("root", "sh", "-c", "pintle wait vault --for up --timeout 30s && pintle healthcheck --level alive && pintle status"), 0, "vault")
		if after := stormOthers(t, c); after != before {
			t.Errorf("in life %d what is not hermes's was changed:%s", life, manageDiff(before, after))
		}
		dockertest.Eventually(t, soon, func() (bool, string) {
			now := stormRoots(c)
			return len(now) == 1 || len(now) == 2, fmt.Sprintf("%q", now)
		}, "root has vault, and tool where what was asked of that is not known")
		c.Kill("KILL")
		c.Wait()
	}
	adversary.Kill("TERM")
	adversary.Wait()
	said, _ := adversary.Logs()
	stormBlew(t, said)

	c.StartAgain()
	answers(t, c)
	becomes(t, c, "vault", unit.Up)
	becomes(t, c, "tool", unit.Down) // root's own wish was only hidden
	if all := prepareConditions(t, c); len(all) > 0 {
		t.Errorf("the conditions are %q", all)
	}
}
