package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pintle/internal/engine"
	"pintle/internal/syslog"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// This file listens to what processes say on /dev/log (syslog(3)). There is one
// socket for all, since its path is fixed; each line goes to the journal of the unit
// whose process sent it, by the kernel's word. What nobody knows the sender of is
// counted, and said on pintle's own log now and then.

// LogSocket is where processes say something by syslog(3), as *syslog.Socket has it.
type LogSocket interface {
	Serve(take func(syslog.Sender, syslog.Message)) error
	Close() error
}

// ListenSyslog makes a socket for syslog(3), in a directory where nobody else could put another in its place.
func ListenSyslog(path string) (LogSocket, error) {
	if _, err := trust.ReadDir(filepath.Dir(path), os.Geteuid()); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	socket, err := syslog.Listen(path)
	if err != nil {
		return nil, err
	}
	return socket, nil
}

// devlog takes what comes on the socket; its one goroutine owns it.
type devlog struct {
	s *Supervisor
	// tags are the runs that lines with a tag came from, by the sender's user, where that was known.
	tags map[tagged]Run
	// next is when the next line may be said about what could not be taken, missed how many lines that were since the last one.
	next   time.Time
	missed int
	log    *slog.Logger
}

type tagged struct {
	uid uint32
	tag string
}

// mostTags bounds the tags that are kept in mind.
const mostTags = 256

// unknownPause is the shortest time between two lines about senders that nobody knows.
const unknownPause = time.Minute

// hearSyslog takes messages until the socket is closed; it is a goroutine of its own.
func (s *Supervisor) hearSyslog() {
	defer close(s.listened)
	d := &devlog{s: s, tags: map[tagged]Run{}, log: s.o.Log}
	if err := s.o.Syslog.Serve(d.take); err != nil {
		s.o.Log.Warn(err.Error())
	}
	d.tell()
}

// take gives a message to the unit whose it is.
func (d *devlog) take(from syslog.Sender, m syslog.Message) {
	r := d.whose(from, m.Tag)
	if r == nil {
		d.unknown(from)
		return
	}
	name, number := r.Names()
	if journal := d.s.o.Logs.Find(name); journal != nil {
		journal.Add(number, engine.Syslog, m.Line())
	}
}

// whose is the run that a message is of, nil where nobody knows. Where its sender has ended, and several runs of its user
// remain, it is the one that the tag was heard from before, and from no other.
func (d *devlog) whose(from syslog.Sender, tag string) Run {
	runs := d.s.o.Kernel.SendersOf(from.PID, from.UID)
	key := tagged{from.UID, tag}
	known, again := d.tags[key]
	switch {
	case len(runs) == 0:
		return nil
	case len(runs) > 1 && slices.Contains(runs, known):
		return known
	case len(runs) > 1:
		return nil
	}
	r := runs[0]
	if len(d.tags) == mostTags && !again {
		clear(d.tags)
	}
	d.tags[key] = r
	return r
}

// unknown counts what can't be taken.
func (d *devlog) unknown(from syslog.Sender) {
	d.missed++
	if now().Before(d.next) {
		return
	}
	d.tell()
	d.log.Warn(fmt.Sprintf("cannot take a line on the log socket from process %d (uid %d): %s", from.PID, from.UID, whyNoRun(from.PID)))
	d.next, d.missed = now().Add(unknownPause), 0
}

// tell says how many more there were.
func (d *devlog) tell() {
	if d.missed > 1 {
		d.log.Warn(fmt.Sprintf("cannot take %d lines on the log socket: it is not known which runs they are of", d.missed))
	}
}

// listenToAll has the log socket be heard, if there is one.
func (s *Supervisor) listenToAll() {
	if s.o.Syslog == nil {
		return
	}
	s.o.Logs.Journal(unit.MainName) // the one unit that none is made for when it runs
	go s.hearSyslog()
}

// deafen closes the log socket, when all that was sent on it has been taken.
func (s *Supervisor) deafen() {
	if s.o.Syslog == nil {
		return
	}
	if err := s.o.Syslog.Close(); err != nil {
		s.o.Log.Warn(err.Error())
	}
	<-s.listened
}
