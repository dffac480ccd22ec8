package cli

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"pintle/internal/unit"
)

// cursor is how far lines were read: the number of the last line of each unit. Its text is opaque, and names the units
// and nothing else.
type cursor map[unit.Name]uint64

// cursorVersion begins every text; another layout would get another one.
const cursorVersion = "c1-"

var errNoCursor = errors.New("it is no cursor, as --show-cursor and -o json show them")

// String is the cursor as parseCursor reads it: for each unit, sorted, the length of its name, the name and the number.
func (c cursor) String() string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(c)) {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendUvarint(b, c[name])
	}
	return cursorVersion + base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor reads a cursor. It takes only what String writes, so that what was cut off or changed on its way is
// refused, rather than lines left out.
func parseCursor(text string) (cursor, error) {
	if len(text) < len(cursorVersion) || text[:len(cursorVersion)] != cursorVersion {
		return nil, errNoCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(text[len(cursorVersion):])
	if err != nil {
		return nil, errNoCursor
	}
	c := cursor{}
	for len(b) > 0 {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil, errNoCursor
		}
		name, err := unit.ParseName(string(b[n : n+int(length)]))
		b = b[n+int(length):]
		number, n := binary.Uvarint(b)
		if err != nil || n <= 0 || number == 0 {
			return nil, errNoCursor
		}
		c[name] = number
		b = b[n:]
	}
	if c.String() != text { // twice the same unit, another order, a number written longer than it is
		return nil, errNoCursor
	}
	return c, nil
}

// pass moves the cursor behind a line. Its number is smaller than the one before where pintle's clock was set back between
// two of its lives.
func (c cursor) pass(name unit.Name, seq uint64) { c[name] = seq }
