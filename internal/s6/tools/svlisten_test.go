package tools

import (
	"testing"
)

// wishes are what s6-svwait and its kin can be asked to wait for.
var wishes = []string{"-u", "-U", "-d", "-D", "-r", "-R"}

// lasting are services in states of all kinds that no scene changes.
var lasting = []string{"unready", "stuck", "killed", "willful", "paused", "logged/log"}

// TestSvwait: s6-svwait waits for what the real one waits for, ends as it does, and leaves nothing behind.
func TestSvwait(t *testing.T) {
	t.Parallel()
	dir := plant(t)
	up := func(service string) string { return "s6-svc -T 30000 -wu -u " + service }
	down := func(service string) string { return "s6-svc -T 30000 -wD -d " + service }
	// while does something to a service as soon as it is listened to.
	while := func(service, deed string) string {
		return `("$@"; echo "code $?") & i=0; until ls ` + service + `/event | grep -q . || [ $i = 1000 ]; do sleep .02; i=$((i+1)); done; sleep .2; ` + deed + `; wait; sleep .5; ls ` + service + `/event`
	}
	scenes := []scene{
		{name: "nothing"},
		{name: "no directory", args: []string{"-U"}},
		{name: "unknown option", args: []string{"-x", "steady"}},
		{name: "long option", args: []string{"--up", "steady"}},
		{name: "no time", args: []string{"-t", "x", "steady"}},
		{name: "time without", args: []string{"-t"}},
		{name: "negative time", args: []string{"-t", "-1", "steady"}},
		{name: "no limit of time", args: []string{"-t", "0", "steady"}},
		{name: "long time", args: []string{"-t", "2000000000", "steady"}},
		{name: "largest time", args: []string{"-t", "4294967295", "steady"},
			differs: &difference{why: "s6 takes more than 2^31 milliseconds for a time that is over"}},
		{name: "too large a time", args: []string{"-t", "4294967296", "steady"}},
		{name: "up by itself", args: []string{"steady"}},
		{name: "the last wish counts", args: []string{"-Dut5000", "steady"}},
		{name: "double dash", args: []string{"-u", "--", "steady"}},
		{name: "all are up", args: []string{"-u", "steady", "ready", "logged/log"}},
		{name: "not all are up", args: []string{"-u", "-t", "300", "steady", "down"}},
		{name: "not all are up, and -a", args: []string{"-oaut300", "steady", "down"}},
		{name: "some are up", args: []string{"-uo", "down", "steady"}},
		{name: "some are down", args: []string{"-do", "steady", "down"}},
		{name: "none is up", args: []string{"-uo", "-t", "300", "crashed", "down"}},
		{name: "some are ready", args: []string{"-Uo", "steady", "down", "ready"}},
		{name: "none is ready", args: []string{"-Uo", "-t", "300", "steady", "down"}},
		{name: "the same twice", args: []string{"-u", "steady", "steady"}},
		{name: "as somebody else", args: []string{"-t", "300", "steady"}, as: nobodyElse},
		{name: "the second is none", args: []string{"-t", "300", "steady", "none"}, after: "ls steady/event"},
		{name: "comes up", args: []string{"-u", "finishing"}, before: down("finishing"), under: while("finishing", up("finishing")), after: "true"},
		{name: "goes down", args: []string{"-d", "finishing"}, before: up("finishing"), under: while("finishing", down("finishing")), after: "true"},
		{name: "goes down till it has finished", args: []string{"-D", "finishing"}, before: up("finishing"), under: while("finishing", down("finishing")), after: "true"},
		{name: "both come up", args: []string{"-u", "steady", "finishing"}, before: down("finishing"), under: while("finishing", up("finishing")), after: "true"},
		{name: "one goes down", args: []string{"-do", "steady", "finishing"}, before: up("finishing"), under: while("finishing", down("finishing")), after: "true"},
		{name: "is ready", args: []string{"-U", "ready"}, before: down("ready"), under: while("ready", "s6-svc -u ready"), after: "true"},
		{name: "restarts", args: []string{"-r", "steady"}, before: up("steady"), under: while("steady", down("steady")+"; "+up("steady")), after: "true"},
		{name: "restarts till ready", args: []string{"-R", "ready"}, before: "s6-svc -u ready; s6-svwait -U ready", under: while("ready", down("ready")+"; s6-svc -u ready"), after: "true"},
		{name: "some restart", args: []string{"-ro", "-t", "500", "steady", "ready"}, before: up("steady"), under: while("steady", down("steady")+"; "+up("steady")), after: "true"},
		{name: "fails for good", args: []string{"-U", "fails"}, under: while("fails", "s6-svc -u fails"), after: "true"},
		{name: "fails for good where that is fine", args: []string{"-D", "-o", "steady", "willful", "fails"}, before: "s6-svwait -D fails", after: "true"},
		{name: "its supervisor ends", args: []string{"-u", "down"}, under: while("down", "s6-svc -x down"), after: "sleep 1; i=0; until s6-svok down || [ $i = 1000 ]; do sleep .02; i=$((i+1)); done"},
		{name: "its supervisor ends, and it is down", args: []string{"-d", "contrary"}, under: while("contrary", "s6-svc -xd contrary"), after: "sleep 1; i=0; until s6-svok contrary || [ $i = 1000 ]; do sleep .02; i=$((i+1)); done; s6-svc -wu -u contrary"},
		{name: "two fail", args: []string{"-U", "down", "crashed"}, under: while("down", "s6-svc -x down; s6-svc -x crashed"), after: "sleep 1; i=0; until s6-svok down && s6-svok crashed || [ $i = 1000 ]; do sleep .02; i=$((i+1)); done"},
		{name: "a signal", args: []string{"-d", "steady"}, before: up("steady"), under: `"$@" & p=$!; exec 2>/dev/null; sleep .5; kill -TERM $p; wait $p; echo $?; sleep .5; ls steady/event`, after: "true"},
		{name: "an interrupt that is ignored", args: []string{"-d", "-t", "900", "steady"}, before: up("steady"), under: `trap "" INT; "$@" & p=$!; sleep .4; kill -INT $p; wait $p; echo $?`, after: "true"},
		{name: "no event directory", args: []string{"-t", "300", "bare"}, before: "rm -rf bare/event; touch bare/supervise/status", after: "find bare | sort; ls -ld bare/event | cut -c 1-10"},
	}
	for _, wish := range wishes {
		for _, place := range lasting {
			scenes = append(scenes, scene{name: wish + " at " + place, args: []string{wish, "-t", "500", place}, calm: true})
		}
	}
	for _, place := range places {
		scenes = append(scenes, scene{name: "at " + place, args: []string{"-t", "500", place}, calm: true})
	}
	play(t, "s6-svwait", dir, scenes)
}

// TestSvlisten1: s6-svlisten1 starts its program when it listens, and then waits as the real one does.
func TestSvlisten1(t *testing.T) {
	t.Parallel()
	dir := plant(t)
	up := func(service string) string { return "s6-svc -T 30000 -wu -u " + service }
	down := func(service string) string { return "s6-svc -T 30000 -wD -d " + service }
	scenes := []scene{
		{name: "nothing"},
		{name: "no program", args: []string{"steady"}},
		{name: "unknown option", args: []string{"-x", "steady", "true"}},
		{name: "not for several", args: []string{"-a", "steady", "true"}},
		{name: "not for some", args: []string{"-o", "steady", "true"}},
		{name: "no time", args: []string{"-t", "x", "steady", "true"}},
		{name: "no service", args: []string{"none", "echo", "started"}},
		{name: "missing", args: []string{"missing", "echo", "started"}},
		{name: "as somebody else", args: []string{"steady", "echo", "started"}, as: nobodyElse},
		{name: "missing program", args: []string{"-d", "steady", "nosuchprogram"}, after: "ls steady/event"},
		{name: "missing program by path", args: []string{"-d", "steady", "./nosuchprogram"}, after: "ls steady/event"},
		{name: "program that is none", args: []string{"-d", "steady", "./file"}},
		{name: "program of no format", args: []string{"-d", "steady", "./text"}, before: "echo true >text; chmod 755 text"},
		{name: "empty program", args: []string{"-d", "steady", ""}},
		{name: "is there already", args: []string{"steady", "sh", "-c", "echo started"}, under: `"$@"; sleep .3`, after: "true"},
		{name: "in vain", args: []string{"-d", "-t", "500", "steady", "sh", "-c", "echo started; exit 7"}, after: "ls steady/event"},
		{name: "environment and stdin", args: []string{"-d", "-t", "500", "steady", "sh", "-c", "cat; echo $A $PINTLE_S6_VERSION"}, env: []string{"A=b"}, under: `echo in | "$@"`},
		{name: "comes up", args: []string{"-u", "steady", "s6-svc", "-u", "steady"}, before: down("steady"), after: "s6-svstat steady"},
		{name: "goes down", args: []string{"-d", "steady", "s6-svc", "-d", "steady"}, before: up("steady"), after: "s6-svwait -D steady; s6-svstat steady"},
		{name: "goes down till finished", args: []string{"-D", "finishing", "s6-svc", "-d", "finishing"}, before: up("finishing"), after: "s6-svstat finishing"},
		{name: "ready", args: []string{"-U", "ready", "s6-svc", "-u", "ready"}, before: down("ready"), after: "s6-svstat ready"},
		{name: "never ready", args: []string{"-U", "-t", "500", "unready", "s6-svc", "-u", "unready"}, after: "ls unready/event"},
		{name: "restarts", args: []string{"-r", "finishing", "s6-svc", "-r", "finishing"}, before: up("finishing"), after: "s6-svstat finishing"},
		{name: "restarts till ready", args: []string{"-R", "ready", "s6-svc", "-r", "ready"}, before: up("ready"), after: "s6-svstat ready"},
		{name: "fails for good", args: []string{"-U", "fails", "s6-svc", "-u", "fails"}, after: "s6-svwait -D fails; s6-svstat fails"},
		{name: "its supervisor ends", args: []string{"-u", "down", "s6-svc", "-x", "down"}, after: "sleep 1; i=0; until s6-svok down || [ $i = 1000 ]; do sleep .02; i=$((i+1)); done"},
		{name: "double dash", args: []string{"-u", "--", "steady", "true"}, before: up("steady")},
		{name: "words of the program", args: []string{"steady", "echo", "-n", "--", "-u"}, before: up("steady"), under: `"$@"; sleep .3`},
	}
	for _, wish := range wishes {
		for _, place := range []string{"ready", "stuck", "down"} {
			scenes = append(scenes, scene{name: wish + " at " + place, args: []string{wish, "-t", "500", place, "true"}, calm: true})
		}
	}
	play(t, "s6-svlisten1", dir, scenes)
}

// TestSvlisten: s6-svlisten does that for several services.
func TestSvlisten(t *testing.T) {
	t.Parallel()
	dir := plant(t)
	up := func(service string) string { return "s6-svc -T 30000 -wu -u " + service }
	down := func(service string) string { return "s6-svc -T 30000 -wD -d " + service }
	scenes := []scene{
		{name: "nothing"},
		{name: "one word", args: []string{"steady"}},
		{name: "two words", args: []string{"steady", ""}},
		{name: "no end", args: []string{"steady", "finishing", "true"}},
		{name: "no program", args: []string{"steady", "ready", ""}},
		{name: "no service", args: []string{"", "echo", "started"}},
		{name: "no service and no program", args: []string{"", "", ""}},
		{name: "as a block", args: []string{" steady", " ready", "", "true"}},
		{name: "as a block without an end", args: []string{" steady", " ready", "true"}},
		{name: "block in a block", args: []string{"  steady", "", "true"}},
		{name: "strict words in a block", args: []string{" steady", " ready", "", "true"}, env: []string{"EXECLINE_STRICT=2"}},
		{name: "careful", args: []string{" steady", "ready", "", "true"}, env: []string{"EXECLINE_STRICT=1"}},
		{name: "careful without an end", args: []string{"steady", "ready", "true"}, env: []string{"EXECLINE_STRICT=1"}},
		{name: "strict", args: []string{" steady", "ready", "", "true"}, env: []string{"EXECLINE_STRICT=2"}},
		{name: "strict by no number", args: []string{" steady", "ready", "", "true"}, env: []string{"EXECLINE_STRICT=x"}},
		{name: "not strict", args: []string{" steady", "ready", "", "true"}, env: []string{"EXECLINE_STRICT=0"}},
		{name: "unknown option", args: []string{"-x", "steady", "", "true"}},
		{name: "no time", args: []string{"-t", "", "steady", "", "true"}},
		{name: "as somebody else", args: []string{"steady", "", "true"}, as: nobodyElse},
		{name: "missing program", args: []string{"steady", "", "nosuchprogram"}, after: "ls steady/event"},
		{name: "the second is none", args: []string{"steady", "none", "", "echo", "started"}, after: "ls steady/event"},
		{name: "all are up", args: []string{"steady", "ready", "logged", "", "true"}},
		{name: "not all are up", args: []string{"-t", "300", "steady", "down", "", "true"}},
		{name: "some are up", args: []string{"-o", "-t", "300", "down", "steady", "", "true"}},
		{name: "all again", args: []string{"-oa", "-t", "300", "down", "steady", "", "true"}},
		{name: "both go down", args: []string{"-d", "steady", "finishing", "", "s6-svc", "-d", "finishing"}, before: up("finishing") + ";" + down("steady"), after: "s6-svwait -D finishing; s6-svstat finishing"},
		{name: "one goes down", args: []string{"-do", "steady", "finishing", "", "s6-svc", "-d", "finishing"}, before: up("finishing") + ";" + up("steady"), after: "s6-svwait -D finishing; s6-svstat finishing"},
		{name: "both come up", args: []string{"-u", "steady", "finishing", "", "sh", "-c", "s6-svc -u steady; s6-svc -u finishing"}, before: down("finishing") + ";" + down("steady"), after: "s6-svstat finishing; s6-svstat steady"},
		{name: "both restart", args: []string{"-r", "steady", "finishing", "", "sh", "-c", "s6-svc -wD -d steady; s6-svc -wD -d finishing; s6-svc -u steady; s6-svc -u finishing"}, before: up("finishing") + ";" + up("steady"), after: "s6-svstat finishing; s6-svstat steady"},
		{name: "some restart", args: []string{"-ro", "-t", "500", "steady", "finishing", "", "s6-svc", "-r", "steady"}, before: up("finishing") + ";" + up("steady"), after: "s6-svwait -u steady"},
		{name: "some restart till ready", args: []string{"-oR", "-t", "500", "steady", "finishing", "", "s6-svc", "-r", "steady"}, before: up("finishing") + ";" + up("steady"), after: "s6-svwait -u steady"},
		{name: "one fails for good", args: []string{"-U", "fails", "ready", "", "s6-svc", "-u", "fails"}, after: "s6-svwait -D fails"},
		{name: "two supervisors end", args: []string{"-u", "down", "crashed", "", "sh", "-c", "s6-svc -x down; s6-svc -x crashed"}, after: "sleep 1; i=0; until s6-svok down && s6-svok crashed || [ $i = 1000 ]; do sleep .02; i=$((i+1)); done"},
		{name: "one supervisor of some ends", args: []string{"-uo", "down", "crashed", "", "s6-svc", "-x", "down"}, after: "sleep 1; i=0; until s6-svok down || [ $i = 1000 ]; do sleep .02; i=$((i+1)); done"},
		{name: "double dash", args: []string{"-u", "--", "steady", "", "true"}, before: up("steady")},
		{name: "in vain", args: []string{"-d", "-t", "500", "steady", "ready", "", "sh", "-c", "echo started; exit 7"}, after: "ls steady/event ready/event"},
	}
	play(t, "s6-svlisten", dir, scenes)
}
