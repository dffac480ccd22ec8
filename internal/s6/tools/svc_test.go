package tools

import (
	"strings"
	"testing"
)

// heard is a shell command line that listens as a supervisor does in s/supervise, and shows what it is told.
const heard = `mkdir -p s/supervise; mkfifo s/supervise/control; exec 3<>s/supervise/control; "$@"; echo "code $?"; echo >&3; head -n 1 <&3`

// TestSvcLetters: s6-svc writes the letters that the real one writes, and says no to the same words.
func TestSvcLetters(t *testing.T) {
	t.Parallel()
	var trials []trial
	for letter := '!'; letter <= '~'; letter++ {
		trials = append(trials, trial{name: "letter " + string(letter), args: []string{"-" + string(letter), "s"}, under: heard})
	}
	for name, args := range map[string][]string{
		"all":                  {"-abqhkti12pcyroduDUxOQ", "s"},
		"in several words":     {"-a", "-bq", "-d", "--", "s"},
		"none":                 {"s"},
		"again":                {"-uuu", "s"},
		"as many as there may": {"-" + strings.Repeat("a", 62), "s"},
		"too many":             {"-" + strings.Repeat("a", 63), "s"},
		"too many in words":    {"-" + strings.Repeat("a", 60), "-bbb", "s"},
		"several directories":  {"-u", "s", "t"},
		"letters behind":       {"s", "-u"},
		"unknown one behind":   {"-uZ", "s"},
		"long":                 {"--up", "s"},
		"a time":               {"-T", "100", "-u", "s"},
		"no time":              {"-T", "x", "-u", "s"},
		"empty time":           {"-T", "", "-u", "s"},
		"negative time":        {"-T", "-1", "-u", "s"},
		"large time":           {"-T4294967295", "-u", "s"},
		"too large a time":     {"-T4294967296", "-u", "s"},
		"time without":         {"-T"},
		"wait for nothing":     {"-w", "", "s"},
		"wait without":         {"-w"},
		"wait for x":           {"-wx", "s"},
		"a dash":               {"-", "s"},
		"no directory":         {"-u"},
		"nothing":              {},
		"signal by name":       {"-s", "TERM", "s"},
		"empty directory":      {"-u", ""},
		"empty and more":       {"-u", "", "s"},
		"slash":                {"-u", "s/"},
		"path":                 {"-u", "./s/../s"},
	} {
		trials = append(trials, trial{name: name, args: args, under: heard})
	}
	for name, before := range map[string]string{
		"no service":                  `:`,
		"service is a file":           `>s`,
		"no supervise":                `mkdir s`,
		"supervise is a file":         `mkdir s; >s/supervise`,
		"supervise is a loop":         `mkdir s; ln -s supervise s/supervise`,
		"supervise leads nowhere":     `mkdir s; ln -s nowhere s/supervise`,
		"no control":                  `mkdir -p s/supervise`,
		"control is a directory":      `mkdir -p s/supervise/control`,
		"control leads nowhere":       `mkdir -p s/supervise; ln -s nowhere s/supervise/control`,
		"control is a loop":           `mkdir -p s/supervise; ln -s control s/supervise/control`,
		"control through a file":      `mkdir -p s/supervise; >f; ln -s ../../f/x s/supervise/control`,
		"nobody reads":                `mkdir -p s/supervise; mkfifo s/supervise/control`,
		"a link to where nobody does": `mkdir -p s/supervise; mkfifo f; ln -s ../../f s/supervise/control`,
	} {
		for _, option := range []string{"-u", "-x"} {
			trials = append(trials,
				trial{name: name + " " + option, args: []string{option, "s"}, before: before},
				trial{name: name + " for somebody else " + option, args: []string{option, "s"}, before: before + "; chmod -R 755 . 2>/dev/null; true", as: nobodyElse})
		}
		trials = append(trials, trial{name: name + ", only asked", args: []string{"s"}, before: before})
	}
	trials = append(trials,
		trial{name: "no right to tell", args: []string{"-u", "s"}, before: "mkdir -p s/supervise; mkfifo -m 600 s/supervise/control", as: nobodyElse},
		trial{name: "no right to search", args: []string{"-u", "s"}, before: "mkdir -p s/supervise; mkfifo -m 666 s/supervise/control; chmod 700 s/supervise", as: nobodyElse},
		trial{name: "no right to look why", args: []string{"-u", "s"}, before: "mkdir -p s/supervise; chmod 711 s s/supervise", as: nobodyElse},
		trial{name: "no right to look in", args: []string{"-u", "s"}, before: "mkdir -p s/supervise; chmod 711 s/supervise", as: nobodyElse},
		trial{name: "control is a file", args: []string{"-u", "s"}, before: "mkdir -p s/supervise; echo dear to him >s/supervise/control", tree: true,
			differs: &difference{why: "who owns the directory could have a file of root's written to", code: 100,
				stderr: "s6-svc: fatal: something is wrong with the s/supervise directory: not what a supervisor has made\n",
				tree:   []string{". drwxr-xr-x", "s drwxr-xr-x", "s/supervise drwxr-xr-x", `s/supervise/control -rw-r--r-- 12 "dear to him\n"`}}},
		trial{name: "control is a device", args: []string{"-u", "s"}, before: "mkdir -p s/supervise; ln -s /dev/null s/supervise/control",
			differs: &difference{why: "who owns the directory could have a device of root's written to", code: 100,
				stderr: "s6-svc: fatal: something is wrong with the s/supervise directory: not what a supervisor has made\n"}},
		trial{name: "no notification-fd", args: []string{"-wU", "-T", "100", "s"}, before: "mkdir s"},
		trial{name: "no notification-fd for a restart", args: []string{"-wR", "-r", "-T", "100", "s"}, before: "mkdir s"},
		trial{name: "notification-fd that is a loop", args: []string{"-wR", "-r", "s"}, before: "mkdir s; ln -s notification-fd s/notification-fd"},
		trial{name: "notification-fd in a file", args: []string{"-wU", "-u", "s"}, before: ">s"},
		trial{name: "wait where no service is", args: []string{"-wu", "-u", "s"}},
		trial{name: "wait without a letter where no service is", args: []string{"-wu", "s"}},
		trial{name: "wait where there is no status", args: []string{"-wd", "-d", "s"}, before: "mkdir s", tree: true},
	)
	compare(t, "s6-svc", trials)
}

// TestSvcServices: what s6-svc does to real services, and when it is back, is what the real one does.
func TestSvcServices(t *testing.T) {
	t.Parallel()
	// see shows a service when it has come to rest.
	see := func(wait, service string) string {
		return "s6-svwait -t 30000 " + wait + " " + service + "; s6-svstat -n " + service + "; s6-svstat -o up,wantedup,normallyup,ready,paused,exitcode,signal " + service
	}
	up := func(service string) string {
		return "rm -f " + service + "/down; s6-svc -T 30000 -wu -u " + service + "; s6-svc -c " + service
	}
	const none = "ls steady/event"
	play(t, "s6-svc", plant(t), []scene{
		{name: "down", args: []string{"-d", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "up", args: []string{"-u", "steady"}, before: "s6-svc -T 30000 -wD -d steady", after: see("-u", "steady")},
		{name: "killed", args: []string{"-Ok", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "interrupted", args: []string{"-Oi", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "hung up", args: []string{"-Oh", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "first", args: []string{"-O1", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "second", args: []string{"-O2", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "alarm", args: []string{"-Oa", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "once", args: []string{"-o", "steady"}, before: "s6-svc -T 30000 -wD -d steady", after: see("-u", "steady")},
		{name: "at most once", args: []string{"-wD", "-Or", "steady"}, before: up("steady"), after: see("-D", "steady")},
		{name: "down for good", args: []string{"-wD", "-D", "steady"}, before: up("steady"), after: see("-D", "steady") + "; ls steady/down; rm steady/down"},
		{name: "up for good", args: []string{"-wu", "-U", "contrary"}, before: "s6-svc -T 30000 -wD -d contrary; >contrary/down", after: see("-u", "contrary") + "; ls contrary"},
		{name: "paused", args: []string{"-p", "steady"}, before: up("steady"), after: "sleep .3; s6-svstat steady"},
		{name: "continued", args: []string{"-c", "steady"}, before: "s6-svc -p steady", after: "sleep .3; s6-svstat steady"},
		{name: "waits for up", args: []string{"-wu", "-u", "finishing"}, before: "s6-svc -T 30000 -wD -d finishing", after: see("-u", "finishing")},
		{name: "waits for down", args: []string{"-wd", "-d", "finishing"}, before: up("finishing"), after: see("-D", "finishing")},
		{name: "waits for all down", args: []string{"-wD", "-d", "finishing"}, before: up("finishing"), after: see("-D", "finishing")},
		{name: "waits for a restart", args: []string{"-wr", "-r", "finishing"}, before: up("finishing"), after: see("-u", "finishing")},
		{name: "waits for ready", args: []string{"-wU", "-u", "ready"}, before: "s6-svc -T 30000 -wD -d ready", after: see("-U", "ready")},
		{name: "waits for a restart till ready", args: []string{"-wR", "-r", "ready"}, before: up("ready"), after: see("-U", "ready")},
		{name: "no notification-fd", args: []string{"-wU", "-u", "steady"}, before: "s6-svc -T 30000 -wD -d steady", after: see("-u", "steady")},
		{name: "no notification-fd for a restart", args: []string{"-wR", "-r", "steady"}, before: up("steady"), after: see("-u", "steady")},
		{name: "is there already", args: []string{"-wu", "-u", "steady"}, before: up("steady"), after: see("-u", "steady")},
		{name: "only waits", args: []string{"-wu", "steady"}, before: up("steady"), after: none},
		{name: "only waits, in vain", args: []string{"-wd", "-T", "300", "steady"}, after: none},
		{name: "ends by a signal", args: []string{"-wd", "-T", "20000", "-a", "willful"}, after: see("-D", "willful")},
		{name: "waits in vain for ready", args: []string{"-wU", "-T", "300", "-u", "unready"}, after: see("-u", "unready")},
		{name: "killed after its time", args: []string{"-wD", "-d", "stubborn"}, before: up("stubborn"), after: see("-D", "stubborn")},
		{name: "fails for good", args: []string{"-wU", "-u", "fails"}, before: "echo 3 >fails/notification-fd", after: see("-D", "fails") + "; rm fails/notification-fd"},
		{name: "fails for good before it is up", args: []string{"-wR", "-r", "-T", "20000", "stubborn"}, before: "echo 3 >stubborn/notification-fd; printf '#!/bin/sh\nexit 125\n' >stubborn/finish; chmod 755 stubborn/finish; " + up("stubborn"), under: `(until [ "$(ls stubborn/event)" ]; do sleep .02; done; s6-svc -k stubborn) & "$@"`, after: see("-D", "stubborn") + "; rm stubborn/finish stubborn/notification-fd"},
		{name: "no supervisor", args: []string{"-u", "none"}, after: none},
		{name: "waits where there is no supervisor", args: []string{"-wu", "-T", "300", "-u", "none"}, after: "find none"},
		{name: "as somebody else", args: []string{"-u", "steady"}, as: nobodyElse, after: none},
		{name: "waits as somebody else", args: []string{"-wu", "-u", "steady"}, as: nobodyElse, after: none},
		{name: "a logger", args: []string{"-wr", "-r", "logged/log"}, after: see("-u", "logged/log")},
		{name: "a supervisor ends and comes back", args: []string{"-x", "down"}, after: "sleep 2; i=0; until s6-svok down || [ $i = 500 ]; do sleep .02; i=$((i+1)); done; s6-svok down; echo $?"},
		{name: "no directory", args: []string{"-wu", "-u", "missing"}, after: none},
	})
}

// TestSvscanctl: s6-svscanctl writes the letters that the real one writes, and says no to the same words.
func TestSvscanctl(t *testing.T) {
	t.Parallel()
	heard := strings.ReplaceAll(heard, "supervise", ".s6-svscan")
	var trials []trial
	for letter := '!'; letter <= '~'; letter++ {
		trials = append(trials, trial{name: "letter " + string(letter), args: []string{"-" + string(letter), "s"}, under: heard})
	}
	for name, args := range map[string][]string{
		"all":                  {"-zabhitqnN", "s"},
		"in several words":     {"-z", "-an", "--", "s"},
		"none":                 {"s"},
		"as many as there may": {"-" + strings.Repeat("a", 64), "s"},
		"too many":             {"-" + strings.Repeat("a", 65), "s"},
		"several directories":  {"-a", "s", "t"},
		"letters behind":       {"s", "-a"},
		"long":                 {"--all", "s"},
		"no directory":         {"-a"},
		"nothing":              {},
		"empty directory":      {"-a", ""},
	} {
		trials = append(trials, trial{name: name, args: args, under: heard})
	}
	for name, before := range map[string]string{
		"no directory":           `:`,
		"a file":                 `>s`,
		"nothing in it":          `mkdir s`,
		"a file in it":           `mkdir s; >s/.s6-svscan`,
		"no control":             `mkdir -p s/.s6-svscan`,
		"control is a directory": `mkdir -p s/.s6-svscan/control`,
		"nobody reads":           `mkdir -p s/.s6-svscan; mkfifo s/.s6-svscan/control`,
	} {
		trials = append(trials,
			trial{name: name + ", told", args: []string{"-an", "s"}, before: before},
			trial{name: name + ", for somebody else", args: []string{"-an", "s"}, before: before + "; chmod -R 755 . 2>/dev/null; true", as: nobodyElse})
	}
	trials = append(trials,
		trial{name: "no right to tell", args: []string{"-a", "s"}, before: "mkdir -p s/.s6-svscan; mkfifo -m 600 s/.s6-svscan/control", as: nobodyElse},
		trial{name: "control is a file", args: []string{"-a", "s"}, before: "mkdir -p s/.s6-svscan; >s/.s6-svscan/control",
			differs: &difference{why: "who owns the directory could have a file of root's written to", code: 100,
				stderr: "s6-svscanctl: fatal: something is wrong with the s/.s6-svscan directory. errno reported: not what a supervisor has made\n"}},
	)
	const scan = `mkdir -p s/one; printf '#!/bin/sh\nexec sleep 100\n' >s/one/run; chmod 755 s/one/run; s6-svscan -d 3 s 3>ready 2>log & p=$!
until_() { i=0; until eval "$1" || [ $i = 1500 ]; do sleep .02; i=$((i+1)); done; [ $i -lt 1500 ] && echo "$1"; }
until_ '[ -s ready ]'; until_ 's6-svok s/one && [ -e s/one/supervise/status ]'; s6-svwait -t 30000 -u s/one
`
	const gone = `; until_ '! s6-svok s/one'; s6-svok s/one; echo $?; kill -TERM $p 2>/dev/null; wait $p; echo $?`
	trials = append(trials,
		trial{name: "a scan", args: []string{"-a", "s"}, under: scan + `cp -r s/one s/two; rm -rf s/two/supervise s/two/event; "$@"; until_ 's6-svok s/two'; kill $p; wait $p`},
		trial{name: "no scan", args: []string{"-z", "s"}, under: scan + `"$@"; sleep .3; s6-svok s/one; echo $?; kill $p; wait $p`},
		trial{name: "a prune", args: []string{"-an", "s"}, under: scan + `mv s/one s/.one; ln -s .one one; "$@"; until_ '! s6-svok s/.one'; kill $p; wait $p`},
		trial{name: "an end", args: []string{"-t", "s"}, under: scan + `"$@"` + gone},
		trial{name: "an end of all", args: []string{"-q", "s"}, under: scan + `"$@"` + gone},
	)
	compare(t, "s6-svscanctl", trials)
}
