// Package prepare brings about what must be so before anything starts: the ids of
// users, directories with their owners and modes, and files that are written once.
//
// It promises that nothing outside of what was declared ever changes its owner, its
// mode or its content, whatever a service's user, who owns the directories that it
// works in, does there at the same time. Everything is done to a descriptor whose
// inode was looked at, never to a path; below the first directory that others may
// change no symlink is followed; a repair enters no mount and changes no device, and no file
// that could be somebody else's under another name; pintle's state directory is left
// alone, under any name. It promises further that a file is never written over, that what
// fits already is not touched, that no group 0 is ever joined, and that a repair ends
// in bounded time and says what it has not done.
//
// It does not promise that what is root's stays root's where the configuration gives
// the whole tree to somebody, and it does not protect a directory of root's that lies in
// a service user's own: who owns the directory around it can give it the name of one that is
// declared. It asks the kernel for no more than the container's rights: without them what
// cannot be done is a Problem.
package prepare

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/unit"
)

// The bounds of a repair, for all trees of a Run together.
const (
	DefaultTime    = 30 * time.Second
	DefaultEntries = 1_000_000
)

// Options are what Run works with.
type Options struct {
	// UID and GID are pintle's own, and Groups its supplementary groups.
	UID, GID int
	Groups   []int
	// Environ is where from_environment finds variables.
	Environ []string
	// StateDirectory is left out of every repair; empty for none. StateMark names a directory that every state
	// directory has, by which it is known after somebody has renamed it.
	StateDirectory, StateMark string
	// Accounts are the files that users are in.
	Accounts account.Database
	// At is told what is prepared next, so that it can be said where that takes long; nil for nobody.
	At  func(what string)
	Now func() time.Time
	// Time and Entries bound the repairs; zero means the defaults. Entries counts those that are changed, so that
	// each start of a container comes further.
	Time    time.Duration
	Entries int
}

// Problem is something that could not be prepared.
type Problem struct {
	// Text is one sentence: "cannot prepare X: cause".
	Text string
	// Fatal is set where the container must not start without.
	Fatal bool
}

// Result is what Run has come to.
type Result struct {
	// Accounts are Options.Accounts with what the plan declares of users.
	Accounts account.Database
	// Problems are in the order of the plan; things with one cause share a sentence.
	Problems []Problem
}

// Run does all that the plan says, in its order: users, directories, files. What fails
// keeps nothing else from being done.
func Run(plan unit.Prepare, o Options) Result {
	if o.Time == 0 {
		o.Time = DefaultTime
	}
	if o.Entries == 0 {
		o.Entries = DefaultEntries
	}
	if o.At == nil {
		o.At = func(string) {}
	}
	j := &job{o: o, accounts: o.Accounts, until: o.Now().Add(o.Time), entries: o.Entries}
	if o.StateDirectory != "" {
		o.At(o.StateDirectory)
		j.stateKnown = unix.Lstat(o.StateDirectory, &j.state) == nil
	}
	for _, u := range plan.Users {
		o.At("user " + u.Name)
		j.user(u)
	}
	for _, d := range plan.Directories {
		o.At(d.Path)
		j.directory(d)
	}
	for _, f := range plan.Files {
		o.At(f.Path)
		if err := j.file(f); err != nil {
			j.complain(f.Path, f.OnError, err)
		}
	}
	return Result{Accounts: j.accounts, Problems: j.problems()}
}

// job is one Run.
type job struct {
	o        Options
	accounts account.Database
	troubles []trouble

	state      unix.Stat_t
	stateKnown bool
	until      time.Time // when repairs end
	entries    int       // how many entries they may still change
}

// trouble is a Problem before those with one cause are put together.
type trouble struct {
	what, cause string
	fatal       bool
}

// wrong is a cause that the configuration or the image has, and no container of it is without.
type wrong struct{ error }

func (j *job) complain(what string, on unit.OnError, err error) {
	fatal := on == unit.ErrorFail
	if _, is := errors.AsType[wrong](err); is && on == unit.ErrorByCause {
		fatal = true
	}
	j.troubles = append(j.troubles, trouble{what, err.Error(), fatal})
}

func (j *job) problems() []Problem {
	var list []Problem
	done := make([]bool, len(j.troubles))
	for i, t := range j.troubles {
		if done[i] {
			continue
		}
		what := []string{t.what}
		for k, other := range j.troubles[i+1:] {
			if other.cause == t.cause && other.fatal == t.fatal {
				what = append(what, other.what)
				done[i+1+k] = true
			}
		}
		list = append(list, Problem{"cannot prepare " + listed(what) + ": " + t.cause, t.fatal})
	}
	return list
}

// listed joins words as a sentence does: "a, b and c"; of many the first ones stand for all.
func listed(words []string) string {
	const most = 8
	last := len(words) - 1
	switch {
	case last == 0:
		return words[0]
	case len(words) > most:
		return strings.Join(words[:most], ", ") + " and others"
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// root tells whether pintle may give things away at all. Where it is not root, all
// units run as its own user, so what it makes is theirs as it is.
func (j *job) root() bool { return j.o.UID == 0 }
