package drive

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pintle/internal/unit"
)

// A file of a service directory.
type file struct {
	path, text string
	executable bool
}

// containerEnvironment is where s6-overlay keeps the container's environment, a file for each variable: its services
// have none of it otherwise.
const containerEnvironment = "/run/s6/container_environment"

// maxTally is how many ends s6 is asked to remember of a service, by which its runs are numbered.
const maxTally = 1000

// finishTime is how long finish may take; it is s6's default, and rendered to be known.
const finishTime = 5 * time.Second

// render makes the files of an instance's service directory. self is pintle's own program. notes are what the template
// asks for and s6 cannot do.
func render(spec *unit.Spec, self string) (files []file, notes []string, err error) {
	if len(spec.Command) == 0 {
		return nil, nil, errors.New("it has no command")
	}
	r := renderer{spec: spec, self: self}
	files = []file{
		{"type", "longrun\n", false},
		{"run", r.run(), true},
		{"finish", r.finish(), true},
		{"max-death-tally", strconv.Itoa(maxTally) + "\n", false},
		{"timeout-finish", milliseconds(finishTime), false},
		{"timeout-kill", milliseconds(max(spec.Stop.Grace, time.Millisecond)), false},
		{"flag-timeout-killpg", "", false}, // s6 takes notice of it from 2.15 on
		{"down-signal", strconv.Itoa(int(spec.Stop.First())) + "\n", false},
	}
	if spec.Readiness != nil && spec.Readiness.FD > 0 {
		files = append(files, file{"notification-fd", strconv.Itoa(spec.Readiness.FD) + "\n", false})
	}
	if logged(spec) {
		files = append(files, file{"log/type", "longrun\n", false}, file{"log/run", r.log(), true})
	}
	for _, f := range files {
		if strings.ContainsRune(f.text, 0) {
			return nil, nil, fmt.Errorf("there is a NUL in what %s would say", f.path)
		}
	}
	return files, r.beyond(), nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "\n" }

type renderer struct {
	spec *unit.Spec
	self string
}

// quote is a word as sh(1) takes it for itself.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func quoteAll(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, quote(w))
	}
	return strings.Join(all, " ")
}

// launch is a script that becomes the process that it is for, by way of pintle. Whatever is in a word of it, the shell
// sees it in quotes, and nothing else.
func (r renderer) launch(about, before string, options []string, command ...string) string {
	words := []string{r.self, LaunchRole}
	if r.spec.User != "" {
		words = append(words, "--user", r.spec.User)
	}
	words = append(append(append(words, options...), "--"), command...)
	return "#!/bin/sh\n# " + about + "\n# Rendered by pintle; a change is lost with the next start.\n" + before + "exec " + quoteAll(words) + "\n"
}

func (r renderer) run() string {
	s := r.spec
	options := []string{"--container-environment", containerEnvironment}
	for _, f := range s.EnvFiles {
		flag := "--env-file"
		if f.Optional {
			flag = "--optional-env-file"
		}
		options = append(options, flag, f.Path)
	}
	env := map[string]string{
		"PINTLE_UNIT": string(s.Name), "PINTLE_TEMPLATE": s.Name.Template(), "PINTLE_INSTANCE": s.Name.Instance(),
		"PINTLE_STOP_GRACE": strconv.FormatFloat(s.Stop.Grace.Seconds(), 'f', -1, 64),
	}
	maps.Copy(env, s.Environment)
	for _, key := range slices.Sorted(maps.Keys(env)) {
		options = append(options, "--set", key+"="+env[key])
	}
	options = append(options, "--directory", cmp.Or(s.WorkingDir, "/"))
	if s.Attributes.Umask != nil {
		options = append(options, "--umask", fmt.Sprintf("%04o", *s.Attributes.Umask))
	}
	before := ""
	if logged(s) {
		before = "exec 2>&1\n"
	}
	return r.launch(string(s.Name)+", an instance of template "+s.Name.Template(), before, options, s.Command...)
}

// park is the exit code of finish that has s6 leave a service down.
const park = 125

func (r renderer) finish() string {
	s := r.spec
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# What follows an end of " + string(s.Name) + ": 125 leaves it down. $1 is its exit code, or 256 for the signal $2.\ncase $1:$2 in\n")
	again := "exit 0"
	if g := s.GiveUp; g.After > 0 {
		within := g.Within
		if within <= 0 {
			within = 24 * time.Hour
		}
		again = fmt.Sprintf("PATH=$PATH:/command:/usr/bin; exec s6-permafailon %d %d 0-255 true", max(1, int(within.Seconds())), g.After)
	}
	rule := func(pattern string, v unit.Verdict) {
		then := "exit " + strconv.Itoa(park)
		if v == unit.VerdictRestart {
			then = again
		}
		fmt.Fprintf(&b, "%s) %s ;;\n", pattern, then)
	}
	exits := slices.SortedFunc(maps.Keys(s.ExitRules), func(a, b unit.Exit) int { return a.ShellCode()*1000 + a.Code - b.ShellCode()*1000 - b.Code })
	for _, e := range exits {
		pattern := strconv.Itoa(e.Code) + ":*"
		if e.Signal != 0 {
			pattern = "256:" + strconv.Itoa(int(e.Signal))
		}
		rule(pattern, s.ExitRules[e])
	}
	bare := unit.Spec{Restart: s.Restart}
	verdict := func(e unit.Exit) unit.Verdict { v, _ := bare.Judge(e); return v }
	if verdict(unit.Exit{}) != verdict(unit.Exit{Code: 1}) {
		rule("0:*", verdict(unit.Exit{}))
	}
	rule("*", verdict(unit.Exit{Code: 1}))
	b.WriteString("esac\n")
	return b.String()
}

// logged tells whether an instance has a logger of its own: what has no directory to be kept in is the tree's to log.
func logged(spec *unit.Spec) bool { return spec.Log != nil && spec.Log.Directory != "" }

// The bounds of s6-log's own.
const (
	leastLogSize = 4096
	mostLogSize  = 268435455
)

// log is the logger's script. The directory is made by the user whose it is, so that it makes no difference whose
// logger comes first.
func (r renderer) log() string {
	l := r.spec.Log
	size := min(max(l.Size, leastLogSize), mostLogSize)
	const script = `mkdir -p "$0" || exit 111
PATH=$PATH:/command:/usr/bin:/bin
exec s6-log "$@" "$0"`
	return r.launch("the logger of "+string(r.spec.Name), "", nil,
		"/bin/sh", "-c", script, l.Directory, fmt.Sprintf("n%d", l.Keep), fmt.Sprintf("s%d", size), "1", "T")
}

// beyond is what the template asks for and s6 cannot do, or not as pintle does it.
func (r renderer) beyond() []string {
	s := r.spec
	var notes []string
	note := func(is bool, text string) {
		if is {
			notes = append(notes, text)
		}
	}
	note(s.Backoff != (unit.BackoffRule{}) && s.Backoff != unit.DefaultBackoff, "backoff: s6 starts a service again a second after its end, each time")
	note(s.GiveUp.After > 0, "give_up: every end counts, also one that was asked for")
	note(s.Readiness != nil && s.Readiness.FD == 0, "readiness: it counts as up once it was executed (only fd is s6's)")
	note(s.StartTimeout > 0, "start_timeout: s6 waits for readiness as long as it takes")
	note(s.Liveness != nil || s.Watchdog > 0, "liveness, watchdog: s6 asks no run whether it does its work")
	note(len(s.DependsOn) > 0, "depends_on: instances start at once")
	note(s.Exclusive, "exclusive: other containers are not asked")
	note(s.OnFailure != "" && s.OnFailure != unit.FailureIgnore, "on_failure: the container goes on")
	note(len(s.Stop.Signals) > 1, "stop_signal: only the first is sent")
	note(len(s.Stop.Command) > 0, "stop_command: it is not executed")
	note(s.Stop.Target == unit.TargetSet, "stop_target: the stop signal goes to the leader alone")
	a := s.Attributes
	a.Umask = nil
	note(!a.IsZero(), "limits, nice, oom_score_adj, capabilities and no_new_privileges: they stay as the tree has them")
	slices.Sort(notes)
	return slices.Compact(notes)
}
