package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pintle/internal/engine"
	"pintle/internal/logs"
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
	// tags are the runs that lines with a tag came from, by the sender's user, where that was known; nil where they were of
	// several units.
	tags map[tagged]Run
	// pending are messages of senders that had ended, and whose tag is not known yet, the oldest first; size is their length.
	pending []message
	size    int
	// next is when the next line may be said about what could not be taken, missed how many that were since the last one.
	next   time.Time
	missed int
}

type tagged struct {
	uid uint32
	tag string
}

type message struct {
	tagged
	from  syslog.Sender
	among []Run // whose it may be
	line  []byte
}

const (
	// mostTags bounds the tags that are kept in mind.
	mostTags = 256
	// mostPending bounds the bytes of messages that wait to be known, and mostWaiting their number.
	mostPending, mostWaiting = 64 << 10, 256
)

// unknownPause is the shortest time between two lines about senders that nobody knows.
const unknownPause = time.Minute

// hearSyslog takes messages until the socket is closed; it is a goroutine of its own.
func (s *Supervisor) hearSyslog() {
	defer close(s.listened)
	d := &devlog{s: s, tags: map[tagged]Run{}}
	if err := s.o.Syslog.Serve(d.take); err != nil {
		s.o.Log.Warn(err.Error())
	}
	for _, m := range d.pending {
		d.unknown(m.from)
	}
	d.tell()
}

// take gives a message to the unit whose it is. Where its sender has ended, and several runs of its user remain, it is of the
// one that the tag was heard from before, or is heard from next, and from no other unit.
func (d *devlog) take(from syslog.Sender, said syslog.Message) {
	m := message{tagged{from.UID, said.Tag}, from, d.s.o.Kernel.SendersOf(from.PID, from.UID), said.Line()}
	known, heard := d.tags[m.tagged]
	switch {
	case len(m.among) == 1:
		d.learn(m.tagged, m.among[0])
		give(d.s.o.Logs, m.among[0], m.line)
	case slices.Contains(m.among, known):
		give(d.s.o.Logs, known, m.line)
	case len(m.among) == 0 || heard && known == nil:
		d.unknown(from)
	default:
		d.wait(m)
	}
}

// learn keeps in mind whose a tag is, and gives away what has waited for that.
func (d *devlog) learn(key tagged, r Run) {
	known, heard := d.tags[key]
	switch {
	case heard && (known == r || known == nil):
		return
	case heard && unitOf(known) != unitOf(r):
		d.tags[key] = nil
		return
	case len(d.tags) >= mostTags:
		clear(d.tags)
	}
	d.tags[key] = r
	rest := d.pending[:0]
	for _, m := range d.pending {
		if m.tagged == key && slices.Contains(m.among, r) {
			d.size -= len(m.line)
			give(d.s.o.Logs, r, m.line)
		} else {
			rest = append(rest, m)
		}
	}
	clear(d.pending[len(rest):])
	d.pending = rest
}

// wait keeps a message until it is known whose it is; the oldest of too many are given up.
func (d *devlog) wait(m message) {
	d.pending = append(d.pending, m)
	d.size += len(m.line)
	for d.size > mostPending || len(d.pending) > mostWaiting {
		d.unknown(d.pending[0].from)
		d.size -= len(d.pending[0].line)
		d.pending[0] = message{}
		d.pending = d.pending[1:]
	}
}

func unitOf(r Run) unit.Name {
	name, _ := r.Names()
	return name
}

// give adds lines to the journal of a run's unit, if that is still there.
func give(book *logs.Book, r Run, line []byte) {
	name, number := r.Names()
	if journal := book.Find(name); journal != nil {
		journal.Add(number, engine.Syslog, line)
	}
}

// unknown counts what can't be taken.
func (d *devlog) unknown(from syslog.Sender) {
	d.missed++
	if now().Before(d.next) {
		return
	}
	d.tell()
	d.s.o.Log.Warn(fmt.Sprintf("cannot take a line on the log socket from process %d (uid %d): %s", from.PID, from.UID, whyNoRun(from.PID)))
	d.next, d.missed = now().Add(unknownPause), 0
}

// tell says how many more there were.
func (d *devlog) tell() {
	if d.missed > 1 {
		d.s.o.Log.Warn(fmt.Sprintf("cannot take %d lines on the log socket: it is not known which runs they are of", d.missed))
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
