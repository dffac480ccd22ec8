package wire

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// MaxDeaths is the most that a death tally holds, whatever max-death-tally says.
const MaxDeaths = 4096

// deathSize is a record's length in bytes.
const deathSize = StampSize + 2

// A Death is one end of a run in supervise/death_tally.
type Death struct {
	Stamp Stamp
	// Code is the exit code, or 128 and the signal.
	Code byte
	// Signal is what killed the run, or 0.
	Signal byte
}

// DeathOf is the record of a run's end.
func DeathOf(at Stamp, how unix.WaitStatus) Death {
	if how.Signaled() {
		return Death{Stamp: at, Code: byte(128 + how.Signal()), Signal: byte(how.Signal())}
	}
	return Death{Stamp: at, Code: byte(how.ExitStatus())}
}

// EncodeDeaths are the records as a file, the oldest first.
func EncodeDeaths(deaths []Death) []byte {
	b := make([]byte, 0, deathSize*len(deaths))
	for _, d := range deaths {
		b = append(d.Stamp.Append(b), d.Code, d.Signal)
	}
	return b
}

// DecodeDeaths reads a whole file. One that is no whole number of records is not a tally: ok is false.
func DecodeDeaths(b []byte) (deaths []Death, ok bool) {
	if len(b)%deathSize != 0 {
		return nil, false
	}
	for ; len(b) > 0; b = b[deathSize:] {
		at, _ := DecodeStamp(b)
		deaths = append(deaths, Death{Stamp: at, Code: b[StampSize], Signal: b[StampSize+1]})
	}
	return deaths, true
}

// Deaths reads the newest max records of the death tally, the oldest of them first. As s6's readers do, it makes an
// empty tally where there is none, and of a file that is none.
func (d *Dir) Deaths(most int) ([]Death, error) {
	supervise, err := d.enter(superviseDir)
	if err == nil {
		defer supervise.Close()
		var deaths []Death
		if deaths, err = supervise.deaths(most); err == nil {
			return deaths, nil
		}
	}
	return nil, fmt.Errorf("cannot read the death tally of %s: %w", d.Path(), err)
}

func (d *Dir) deaths(most int) ([]Death, error) {
	f, err := d.open(tallyName, unix.O_RDONLY, 0, unix.S_IFREG)
	if err == unix.ENOENT {
		return nil, d.truncate(tallyName)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size()%deathSize != 0 {
		return nil, d.truncate(tallyName)
	}
	size := min(info.Size(), deathSize*int64(max(0, min(most, MaxDeaths))))
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, info.Size()-size, size), data); err != nil {
		return nil, unix.EPIPE // it became shorter meanwhile
	}
	deaths, _ := DecodeDeaths(data)
	return deaths, nil
}

// AddDeath adds a record, of which no more than most are kept. None are kept, and nothing is written, where most is 0.
func (d *Dir) AddDeath(death Death, most int) error {
	if most = min(most, MaxDeaths); most <= 0 {
		return nil
	}
	supervise, err := d.enter(superviseDir)
	if err == nil {
		defer supervise.Close()
		var deaths []Death
		if deaths, err = supervise.deaths(most - 1); err == nil {
			err = supervise.replace(tallyName, EncodeDeaths(append(deaths, death)))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write the death tally of %s: %w", d.Path(), err)
	}
	return nil
}

// ClearDeaths empties the death tally, and makes one where there is none.
func (d *Dir) ClearDeaths() error {
	supervise, err := d.enter(superviseDir)
	if err == nil {
		err = supervise.truncate(tallyName)
		_ = supervise.Close()
	}
	if err != nil {
		return fmt.Errorf("cannot empty the death tally of %s: %w", d.Path(), err)
	}
	return nil
}

func (d *Dir) truncate(name string) error {
	// Only what is known to be a regular file is truncated.
	f, err := d.open(name, unix.O_WRONLY|unix.O_CREAT, 0o666, unix.S_IFREG)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(0)
}
