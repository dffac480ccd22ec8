package store

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"pintle/internal/engine"
)

// A life is the time from one start of pintle in this container to its end. Its
// file lives/HOSTNAME.json says "running" from the start on and "ended", with the
// code, after everything else has been written. So the next life knows how this one
// ended, without anything being written meanwhile: a file that still says "running"
// is of a life that was killed, and where the kernel's boot id is another one by
// now, of one that the machine went down under.
//
// Containers are told apart by their host names. Those that have the same one (the
// machine's own network) and one state directory are taken for each other.
const livesDir = "lives"

const (
	lifeRunning = "running"
	lifeEnded   = "ended"
)

// lifeDocument is a life as its file has it.
type lifeDocument struct {
	Life    uint64    `json:"life"`
	State   string    `json:"state"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Code    int       `json:"code"`
	// Boot is the kernel's boot id, and Init when, after that boot, the container's first process was started.
	Boot string `json:"boot"`
	Init string `json:"init"`
}

// lifeFile is where the lives of the container called host are kept. A host name is at most 64 bytes long.
func lifeFile(host string) string {
	return livesDir + "/" + url.PathEscape(host[:min(len(host), 64)]) + suffix
}

// life is the present one, as the disk's user has it.
type life struct {
	host     string
	document lifeDocument
	known    engine.Life
	read     bool // what the one before left has been read
	noted    bool // that this one runs has been written
}

func newLife() *life {
	host, _ := os.Hostname()
	if host == "" || host == "." || host == ".." {
		host = "localhost"
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // where it is not known, no machine is said to have gone down
	return &life{
		host: host,
		document: lifeDocument{
			Life: 1, State: lifeRunning, Started: now().UTC(), Boot: strings.TrimSpace(string(boot)), Init: startOfInit(),
		},
	}
}

// startOfInit is the start time of process 1 in the kernel's ticks (proc_pid_stat(5), field 22).
func startOfInit() string {
	stat, _ := os.ReadFile("/proc/1/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// begin finds out how the life before ended, and notes that this one runs.
func (l *life) begin(d *disk) (bad []spoilt, err error) {
	file := lifeFile(l.host)
	if !l.read {
		l.read = true
		l.known.Container = l.host
		l.known.Before = engine.LifeFirst
		text, err := read(d.volume, file, d.uid, maxRecord)
		var before lifeDocument
		if err == nil {
			before, err = decodeLife(text)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			l.known.Before = engine.LifeUnknown
			err = cause(err)
			bad = append(bad, spoilt{condition: engine.Conditionf(engine.StateUnreadable, "how the container's last life ended is not known: cannot read %s: %v; %s",
				d.path(file), err, setAside(d.volume, livesDir, strings.TrimPrefix(file, livesDir+"/"), err))})
		default:
			l.follow(before)
		}
		l.known.Number = l.document.Life
	}
	if !l.noted {
		err = l.write(d) // until that can be done, the next life would find the one before this
		l.noted = err == nil
	}
	return bad, err
}

// follow makes l the life after another one.
func (l *life) follow(before lifeDocument) {
	l.document.Life = before.Life + 1
	l.known.BeforeStarted, l.known.BeforeEnded, l.known.BeforeCode = before.Started, before.Ended, before.Code
	switch {
	case before.State == lifeEnded:
		l.known.Before = engine.LifeClean
	case before.Boot != "" && l.document.Boot != "" && before.Boot != l.document.Boot:
		l.known.Before = engine.LifeMachineDown
	default:
		l.known.Before = engine.LifeKilled
		l.known.BeforeAlone = before.Init != "" && before.Init == l.document.Init && strconv.Itoa(os.Getpid()) != "1"
	}
}

// end notes that this life has ended, and with which code.
func (l *life) end(d *disk, code int) error {
	l.document.State, l.document.Code, l.document.Ended = lifeEnded, code, now().UTC()
	return l.write(d)
}

func (l *life) write(d *disk) error {
	text, err := json.Marshal(l.document)
	if err == nil {
		err = replace(d.volume, lifeFile(l.host), rand.Text(), append(text, '\n'), 0o600)
	}
	if err == nil {
		err = d.volume.Sync(livesDir)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", d.path(lifeFile(l.host)), cause(err))
	}
	return nil
}

func decodeLife(text []byte) (d lifeDocument, err error) {
	if err := json.Unmarshal(text, &d); err != nil {
		return d, err
	}
	if d.State != lifeRunning && d.State != lifeEnded {
		return d, fmt.Errorf("its state is %.60q, which is neither running nor ended", d.State)
	}
	return d, nil
}
