package wire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"time"
)

// A Stamp is a TAI64N time: seconds as atomic clocks count them, leap seconds among them.
type Stamp struct {
	// Sec is 2^62 at the beginning of 1970, TAI.
	Sec  uint64
	Nano uint32
}

const (
	// StampSize is a Stamp's length in bytes, LabelSize that of its label.
	StampSize = 12
	LabelSize = 25

	epoch = 1 << 62
	// offset is what TAI was ahead of UTC before there were leap seconds.
	offset = 10
)

// leaps are the leap seconds, each counted as seconds since 1970 with the leap seconds before it. There has been none
// since 2016, and s6 knows no others either; one that is decided on belongs here.
var leaps = [...]uint64{
	78796800, 94694401, 126230402, 157766403, 189302404, 220924805, 252460806, 283996807, 315532808,
	362793609, 394329610, 425865611, 489024012, 567993613, 631152014, 662688015, 709948816, 741484817,
	773020818, 820454419, 867715220, 915148821, 1136073622, 1230768023, 1341100824, 1435708825, 1483228826,
}

// StampOf is the stamp of a time.
func StampOf(t time.Time) Stamp {
	s := epoch + uint64(t.Unix()) // wraps below zero for times before 1970, which is what is meant
	for _, leap := range leaps {
		if s < epoch+leap {
			break
		}
		s++
	}
	return Stamp{Sec: s + offset, Nano: uint32(t.Nanosecond())}
}

// utc is the stamp as seconds since 1970. A leap second counts as the second after it, and is told.
func (s Stamp) utc() (sec int64, leap bool) {
	t := s.Sec - offset
	passed := uint64(0)
	for _, l := range leaps {
		if t < epoch+l {
			break
		}
		if t == epoch+l {
			leap = true
		} else {
			passed++
		}
	}
	return int64(t - passed - epoch), leap
}

// Time is the stamp as a time. A leap second, which package time cannot tell, is the second after it.
func (s Stamp) Time() time.Time {
	sec, _ := s.utc()
	return time.Unix(sec, int64(s.Nano))
}

// Append appends the 12 bytes that a stamp has in files.
func (s Stamp) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, s.Sec), s.Nano)
}

// DecodeStamp reads the first 12 bytes of b.
func DecodeStamp(b []byte) (Stamp, error) {
	if len(b) < StampSize {
		return Stamp{}, fmt.Errorf("cannot read a time stamp: it has %d bytes, not %d", len(b), StampSize)
	}
	return Stamp{Sec: binary.BigEndian.Uint64(b), Nano: binary.BigEndian.Uint32(b[8:])}, nil
}

// Label is the stamp as a word: "@" and 24 digits.
func (s Stamp) Label() string {
	return string(s.AppendLabel(nil))
}

// AppendLabel appends the stamp's label.
func (s Stamp) AppendLabel(b []byte) []byte {
	var raw [StampSize]byte
	return hex.AppendEncode(append(b, '@'), s.Append(raw[:0]))
}

// ScanLabel reads the label that a line begins with, in digits of either case. There is none where ok is false.
func ScanLabel(line []byte) (s Stamp, ok bool) {
	if len(line) < LabelSize || line[0] != '@' {
		return Stamp{}, false
	}
	var raw [StampSize]byte
	if _, err := hex.Decode(raw[:], line[1:LabelSize]); err != nil {
		return Stamp{}, false
	}
	s, _ = DecodeStamp(raw[:])
	return s, true
}

// Sub is how long s is after earlier, in whole seconds as s6 prints them: none where the clock was set back.
func (s Stamp) Sub(earlier Stamp) uint64 {
	if s.Before(earlier) {
		return 0
	}
	d := s.Sec - earlier.Sec
	if s.Nano < earlier.Nano {
		d--
	}
	return d
}

// Before tells whether s is the earlier one.
func (s Stamp) Before(other Stamp) bool {
	return s.Sec < other.Sec || s.Sec == other.Sec && s.Nano < other.Nano
}

// AppendISO appends the time as s6-tai64nlocal and s6-log's T write it, 2026-11-23 14:02:11.123456789, by the clocks
// of a place. A leap second is second 60. There is no such form, and ok is false, for times
// before 1970, nor after the year 2147483647, where s6 writes nonsense.
func (s Stamp) AppendISO(b []byte, place *time.Location) (_ []byte, ok bool) {
	sec, leap := s.utc()
	if s.Sec < epoch+offset || sec < 0 || sec > 1<<56 {
		return b, false
	}
	if leap {
		sec--
	}
	t := time.Unix(sec, 0).In(place)
	if t.Year() > math.MaxInt32 {
		return b, false
	}
	second := t.Second()
	if leap {
		second++
	}
	nano := fmt.Sprintf("%09d", s.Nano)
	return fmt.Appendf(b, "%d-%02d-%02d %02d:%02d:%02d.%s", t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), second, nano[:9]), true
}
