package supervisor

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/lifecycle"
	"pintle/internal/notify"
	"pintle/internal/unit"
)

// This file listens to what runs say of themselves (sd_notify(3)). Each run that
// may say something has a socket of its own, which only its user can send to, so
// that nobody can fill it up for others; and of what comes only that is heard whose
// sender, by the kernel's word, belongs to the run.

// mustTalk tells whether runs of a unit can't do without saying something.
func mustTalk(spec *unit.Spec) bool {
	return notifies(spec) || spec.Watchdog > 0
}

// notifies tells whether runs of a unit say themselves that they are ready.
func notifies(spec *unit.Spec) bool { return spec.Readiness != nil && spec.Readiness.Notify }

// talks tells whether runs of a unit have something to say that counts.
func talks(spec *unit.Spec) bool {
	return spec.Kind != unit.Main && (mustTalk(spec) || spec.StartTimeout > 0 || spec.Stop.GraceMax > spec.Stop.Grace)
}

// notifySocket is where a run's socket is. Its name is short, because a socket's path may not be long.
func (s *Supervisor) notifySocket() string {
	if s.o.RunDirectory == "" {
		return ""
	}
	return filepath.Join(s.o.RunDirectory, strconv.FormatUint(s.sockets.Add(1), 36)+".notify")
}

// mostWords is how many messages of a run may wait for the loop; then their senders wait.
const mostWords = 16

// listen takes a run's messages until its socket is closed; it is a goroutine of its own.
func (s *Supervisor) listen(u *record, number uint64, socket Socket) {
	room := make(chan struct{}, mostWords)
	d := deaf{name: u.spec.Name, log: s.o.Log}
	err := socket.Serve(func(from notify.Sender, m notify.Message) {
		sender := s.o.Kernel.RunOf(from.PID)
		if sender == nil {
			d.say(from, whyUnknown(from.PID))
			return
		}
		room <- struct{}{}
		if !s.do(func(s *Supervisor) { <-room; s.heard(u, number, word{sender, m}) }) {
			<-room
		}
	}, func(from notify.Sender, err error) { d.say(from, err.Error()) })
	if err != nil {
		s.o.Log.Warn(err.Error())
	}
}

// whyUnknown says why nobody knows which run a sender belongs to.
func whyUnknown(pid int) string {
	if unix.Kill(pid, 0) == unix.ESRCH {
		return whyNoRun(pid) + ": it must wait until it is heard (BARRIER=1, sd_notify_barrier(3))"
	}
	return whyNoRun(pid)
}

// whyNoRun is that where there is nothing that the sender can do about it.
func whyNoRun(pid int) string {
	if unix.Kill(pid, 0) == unix.ESRCH {
		return "it has ended already, and nobody can tell any more whose it was"
	}
	return "it belongs to no run"
}

// word is what somebody said on a run's socket.
type word struct {
	by      Run
	message notify.Message
}

// mostEarly bounds the words that came before the loop knew the run: between the
// fork and the loop's turn a program can already say something.
const mostEarly = 16

// heard takes a word in the loop.
func (s *Supervisor) heard(u *record, number uint64, w word) {
	switch {
	case u.life.Run != number || !u.life.Alive() || u.life.Ended:
	case u.run == nil:
		u.words = append(u.words, w)
		u.words = u.words[max(0, len(u.words)-mostEarly):]
	case w.by == u.run:
		s.hear(u, w.message)
	}
}

// deaf says what was not heard, but not more often than a log can bear: whoever
// sends, may send as fast as he likes.
type deaf struct {
	name    unit.Name
	log     *slog.Logger
	next    time.Time
	skipped int
}

// deafPause is the shortest time between two such lines.
const deafPause = 10 * time.Second

func (d *deaf) say(from notify.Sender, why string) {
	if now().Before(d.next) {
		d.skipped++
		return
	}
	text := fmt.Sprintf("%s: cannot take a message from process %d (uid %d): %s", d.name, from.PID, from.UID, why)
	if d.skipped > 0 {
		text += fmt.Sprintf("; and %d more like it", d.skipped)
	}
	d.log.Warn(text)
	d.next, d.skipped = now().Add(deafPause), 0
}

func (s *Supervisor) hear(u *record, m notify.Message) {
	run := u.life.Run
	say := func(k lifecycle.EventKind) { s.step(u, lifecycle.Event{Kind: k, Run: run, After: m.Extend}) }
	if m.Refused != "" {
		s.o.Logs.Journal(u.spec.Name).Note(run, "cannot take "+m.Refused+" from it: the main process of a run is the one that pintle started")
	}
	if m.HasStatus && m.Status != u.text {
		u.text = m.Status
		s.publish(u)
	}
	if m.Extend > 0 {
		say(lifecycle.Extend)
	}
	if m.Ready && notifies(u.spec) {
		say(lifecycle.Ready)
	}
	if m.Alive {
		say(lifecycle.Ping)
	}
	if m.Hung && u.life.State == unit.Up {
		u.ailment = "it says so itself (WATCHDOG=trigger)"
		say(lifecycle.Hang)
	}
	if m.Stopping {
		say(lifecycle.Ending)
	}
}
