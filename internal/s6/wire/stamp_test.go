package wire

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Times in files are read back as they were, leap seconds or not.
func TestStampRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nano"))
		s := StampOf(at)
		if !s.Time().Equal(at) {
			t.Fatalf("%v became %v", at, s.Time())
		}
		if got, err := DecodeStamp(s.Append(nil)); got != s || err != nil {
			t.Fatalf("%v became %v, %v", s, got, err)
		}
		if got, ok := ScanLabel([]byte(s.Label() + " text")); got != s || !ok {
			t.Fatalf("%s became %v", s.Label(), got)
		}
	})
}

// TAI is ahead of UTC by ten seconds and the leap seconds so far.
func TestStampOf(t *testing.T) {
	t.Parallel()
	for unixTime, ahead := range map[int64]int64{-1: 10, 0: 10, 78796799: 10, 78796800: 11, 1483228799: 36, 1483228800: 37, 4000000000: 37} {
		if got := int64(StampOf(time.Unix(unixTime, 0)).Sec-1<<62) - unixTime; got != ahead {
			t.Errorf("at %d TAI is %d ahead, want %d", unixTime, got, ahead)
		}
	}
	s := Stamp{1<<62 + 1483228826 + 10, 0} // 2016-12-31 23:59:60
	if got, ok := s.AppendISO(nil, time.UTC); string(got) != "2016-12-31 23:59:60.000000000" || !ok {
		t.Errorf("a leap second is %s", got)
	}
	if d := (Stamp{100, 5}).Sub(Stamp{90, 6}); d != 9 {
		t.Errorf("%d seconds", d)
	}
	if d := (Stamp{90, 6}).Sub(Stamp{100, 5}); d != 0 {
		t.Errorf("%d seconds from the future", d)
	}
}

// lastYear is in the last year that s6 can write.
const lastYear = 67767976233532799 - 86400

// Stamps of any kind are written as s6-tai64nlocal writes them, by UTC and by the clocks of a place.
func TestLocalAsReal(t *testing.T) {
	t.Parallel()
	needReal(t)
	paris, err := time.LoadLocation("Europe/Paris")
	must(t, err)
	var stamps []Stamp
	for _, leap := range leaps {
		for around := range uint64(3) {
			stamps = append(stamps, Stamp{epoch + leap + offset - 1 + around, 123456789})
		}
	}
	for _, sec := range []uint64{0, 9, 10, epoch - 1, epoch, epoch + 9, epoch + 10, epoch + 11, epoch + 1<<31, epoch + 1<<32, epoch + 1<<40, epoch + lastYear, epoch + 1<<61, math.MaxUint64 - 1, math.MaxUint64} {
		for _, nano := range []uint32{0, 7, 999999999, 1000000000, math.MaxUint32} {
			stamps = append(stamps, Stamp{sec, nano})
		}
	}
	for range 2000 {
		stamps = append(stamps, StampOf(time.Unix(int64(uint32(len(stamps))*2654435761), int64(len(stamps)))))
	}
	var in, utc, local strings.Builder
	for _, s := range stamps {
		in.WriteString(s.Label() + " x\n")
		for b, place := range map[*strings.Builder]*time.Location{&utc: time.UTC, &local: paris} {
			iso, ok := s.AppendISO(nil, place)
			if !ok {
				iso = []byte(s.Label())
			}
			b.WriteString(string(iso) + " x\n")
		}
	}
	same(t, "s6-tai64nlocal -g", utc.String(), tool(t, in.String(), "s6-tai64nlocal", "-g").out)
	same(t, "s6-tai64nlocal", local.String(), tool(t, in.String(), "s6-tai64nlocal").out)
}

// same compares line by line.
func same(t *testing.T, what, ours, theirs string) {
	t.Helper()
	a, b := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	if len(a) != len(b) {
		t.Errorf("%s: %d lines, the real one has %d", what, len(a), len(b))
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Errorf("%s, line %d: %q, the real one has %q", what, i+1, a[i], b[i])
		}
	}
}

// What counts as a label is what s6-tai64nlocal takes for one.
func TestLabelAsReal(t *testing.T) {
	t.Parallel()
	needReal(t)
	label := StampOf(time.Unix(1700000000, 0)).Label()
	lines := []string{label + " x", label, strings.ToUpper(label) + "x", label[:24] + " x", label[:24] + "g x", "@" + label, " " + label, "", "@", label[1:] + " x", strings.Replace(label, "0", "O", 1) + " x", "x"}
	var ours strings.Builder
	for _, line := range lines {
		// The real one sees the newline too.
		if s, ok := ScanLabel([]byte(line)); ok {
			iso, _ := s.AppendISO(nil, time.UTC)
			line = string(iso) + line[LabelSize:]
		}
		ours.WriteString(line + "\n")
	}
	same(t, "labels", ours.String(), tool(t, strings.Join(lines, "\n")+"\n", "s6-tai64nlocal", "-g").out)
}

// What s6-tai64n writes is a label of about now.
func TestLabelOfReal(t *testing.T) {
	t.Parallel()
	needReal(t)
	before := time.Now()
	line := tool(t, "x\n", "s6-tai64n").out
	s, ok := ScanLabel([]byte(line))
	if at := s.Time(); !ok || at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("%q is %v", line, at)
	}
}

func FuzzScanLabel(f *testing.F) {
	f.Add([]byte("@40000000655491e900000000 x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := ScanLabel(b)
		if ok && s.Label() != strings.ToLower(string(b[:LabelSize])) {
			t.Errorf("%q became %s", b, s.Label())
		}
		if iso, ok := s.AppendISO(nil, time.UTC); ok && len(iso) < len("1970-01-01 00:00:00.000000000") {
			t.Errorf("%q", iso)
		}
		_ = s.Time()
	})
}
