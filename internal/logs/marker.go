package logs

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"pintle/internal/engine"
)

// A marker is a line of a file that says of which run the line behind it is, and which one of the journal's. It is in
// front of the first line of a file and wherever a line is not the next one of the same run, so that every line that is
// read back has the number it was given.
//
//	2026-11-23T09:30:00.000000Z run 13, line 345 since 2026-11-23T09:24:10.123456Z
const markerForm = stampForm + " run 18446744073709551615, line 18446744073709551615 since " + stampForm

// appendMarker appends the marker of the place of lines, with the time of the first of them, and a newline.
func appendMarker(b, lines []byte, at place) []byte {
	b = append(b, lines[:min(len(stampForm), len(lines))]...)
	b = append(b, " run "...)
	b = strconv.AppendUint(b, at.run, 10)
	b = append(b, ", line "...)
	b = strconv.AppendUint(b, at.seq-at.began, 10)
	b = append(b, " since "...)
	b = time.UnixMicro(int64(min(at.began, lastMicro))).UTC().AppendFormat(b, stampForm)
	return append(b, '\n')
}

// lastMicro is the greatest time that a stamp can say.
var lastMicro = uint64(time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC).UnixMicro())

// cutMarker is the place that a line says to be that of the next one, where it is a marker.
func cutMarker(line []byte) (place, bool) {
	_, rest, ok := cutStamp(line)
	if !ok || !bytes.HasPrefix(rest, []byte("run ")) || len(rest) > len(markerForm) {
		return place{}, false
	}
	run, text, ok1 := strings.Cut(strings.TrimPrefix(string(rest), "run "), ", line ")
	number, since, ok2 := strings.Cut(text, " since ")
	began, after, ok3 := cutStamp([]byte(since + " "))
	r, err1 := strconv.ParseUint(run, 10, 64)
	n, err2 := strconv.ParseUint(number, 10, 64)
	if !ok1 || !ok2 || !ok3 || len(after) > 0 || err1 != nil || err2 != nil || began.UnixMicro() < 0 || n > math.MaxInt64 {
		return place{}, false
	}
	from := uint64(began.UnixMicro())
	return place{run: r, seq: from + n, began: from}, true
}

// streamsOf are the streams of the words that files have for them.
var streamsOf = map[string]string{"out": engine.Stdout, "err": engine.Stderr, Own: Own, "log": engine.Syslog}

// cutLine takes a line of a file apart: its time, its stream, whether no newline ended it, and its text. It returns ok
// false where it is not one that pintle has written.
func cutLine(line []byte) (at time.Time, stream string, partial bool, text []byte, ok bool) {
	at, rest, ok := cutStamp(line)
	if !ok {
		return at, "", false, nil, false
	}
	word, _, ok := bytes.Cut(rest[:min(len(rest), len(Own)+2)], []byte{' '})
	if !ok {
		return at, "", false, nil, false
	}
	text = rest[len(word)+1:]
	name, partial := bytes.CutSuffix(word, []byte{'+'})
	stream, ok = streamsOf[string(name)]
	return at, stream, partial, text, ok
}

// cutStamp takes the time in front of a line off it, and the space behind that.
func cutStamp(line []byte) (at time.Time, rest []byte, ok bool) {
	const n = len(stampForm)
	if len(line) <= n || line[n] != ' ' {
		return at, nil, false
	}
	var digits [n]int
	for i, c := range line[:n] {
		if stampForm[i] < '0' || stampForm[i] > '9' {
			if c != stampForm[i] {
				return at, nil, false
			}
			continue
		}
		if c < '0' || c > '9' {
			return at, nil, false
		}
		digits[i] = int(c - '0')
	}
	number := func(from, to int) (v int) {
		for _, d := range digits[from:to] {
			v = 10*v + d
		}
		return v
	}
	year, month, day, hour, minute, second := number(0, 4), number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)
	at = time.Date(year, time.Month(month), day, hour, minute, second, number(20, 26)*1000, time.UTC)
	if at.Month() != time.Month(month) || at.Day() != day || at.Hour() != hour || at.Minute() != minute || at.Second() != second {
		return time.Time{}, nil, false // there is no 31st of February
	}
	return at, line[n+1:], true
}
