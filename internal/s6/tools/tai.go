package tools

import "strconv"

// instant is a moment as TAI64N has it: seconds of atomic time since 1970, plus 2^62, and nanoseconds.
type instant struct {
	seconds uint64
	nano    uint32
}

const (
	taiEpoch    = 1 << 62
	taiOffset   = 10 // by which atomic time was ahead in 1970
	labelLength = 25
)

// leapSeconds are the leap seconds that have been: each is the atomic second that was inserted, since 1970 and without taiOffset.
var leapSeconds = [...]uint64{
	78796800, 94694401, 126230402, 157766403, 189302404, 220924805, 252460806, 283996807, 315532808,
	362793609, 394329610, 425865611, 489024012, 567993613, 631152014, 662688015, 709948816, 741484817,
	773020818, 820454419, 867715220, 915148821, 1136073622, 1230768023, 1341100824, 1435708825, 1483228826,
}

// fromUnix is the instant of a time in UTC.
func fromUnix(seconds int64, nano int64) instant {
	t := uint64(seconds)
	for _, leap := range leapSeconds {
		if seconds < 0 || t < leap {
			break
		}
		t++
	}
	return instant{t + taiOffset + taiEpoch, uint32(nano)}
}

// unix is the instant in UTC. A leap second is the one that follows, with leap set.
func (i instant) unix() (seconds int64, leap bool) {
	t := int64(i.seconds - taiOffset - taiEpoch)
	passed := int64(0)
	for _, l := range leapSeconds {
		if t <= int64(l) {
			return t - passed, t == int64(l)
		}
		passed++
	}
	return t - passed, false
}

// label is the instant as "@" and 24 hexadecimal digits.
func (i instant) label() string {
	const digits = "0123456789abcdef"
	text := [labelLength]byte{0: '@'}
	for at, seconds := 16, i.seconds; at > 0; at, seconds = at-1, seconds/16 {
		text[at] = digits[seconds%16]
	}
	for at, nano := labelLength-1, i.nano; at > 16; at, nano = at-1, nano/16 {
		text[at] = digits[nano%16]
	}
	return string(text[:])
}

// unpack reads the twelve bytes that an instant is in files.
func unpack(b []byte) (i instant) {
	for _, c := range b[:8] {
		i.seconds = i.seconds<<8 | uint64(c)
	}
	for _, c := range b[8:12] {
		i.nano = i.nano<<8 | uint32(c)
	}
	return i
}

// parseLabel reads the label that s begins with.
func parseLabel(s string) (instant, bool) {
	if len(s) < labelLength || s[0] != '@' {
		return instant{}, false
	}
	seconds, err := strconv.ParseUint(s[1:17], 16, 64)
	nano, err2 := strconv.ParseUint(s[17:labelLength], 16, 32)
	return instant{seconds, uint32(nano)}, err == nil && err2 == nil
}

func (i instant) before(j instant) bool {
	return i.seconds < j.seconds || i.seconds == j.seconds && i.nano < j.nano
}
