package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"pintle/internal/unit"
)

const (
	suffix = ".json"
	// maxRecord is the largest file that is taken for a record, in bytes; pintle writes some hundred.
	maxRecord = 64 << 10
)

// document is a record as its file has it. Keys that are not known are passed over,
// so that an older pintle can read what a newer one wrote.
type document struct {
	Unit       string     `json:"unit"`
	Desired    string     `json:"desired"`
	Generation uint64     `json:"generation"`
	Time       time.Time  `json:"time"`
	Actor      unit.Actor `json:"actor"`
	Anew       bool       `json:"anew,omitempty"`
	Discovered bool       `json:"discovered,omitempty"`
	Gone       time.Time  `json:"gone,omitzero"`
}

// fileName is where a unit's record is, in the state directory.
func fileName(name unit.Name) string { return intentsDir + "/" + string(name) + suffix }

func encode(r Record) ([]byte, error) {
	text, err := json.Marshal(document{
		Unit:       string(r.Unit),
		Desired:    r.Intent.Desired(),
		Generation: r.Intent.Generation,
		Time:       r.Intent.Time,
		Actor:      r.Intent.Actor,
		Anew:       r.Intent.Anew,
		Discovered: r.Discovered,
		Gone:       r.Gone,
	})
	return append(text, '\n'), err
}

// decode is strict in all that decides something.
func decode(file string, text []byte) (Record, error) {
	name, err := unit.ParseName(strings.TrimSuffix(file, suffix))
	if err != nil {
		return Record{}, err
	}
	if len(text) > maxRecord {
		return Record{}, fmt.Errorf("it is larger than %d bytes", maxRecord)
	}
	if !utf8.Valid(text) { // package json would repair it
		return Record{}, errors.New("it is not UTF-8")
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return Record{}, err
	}
	if d.Unit != string(name) {
		return Record{}, fmt.Errorf("it is about %.60q", d.Unit)
	}
	if d.Desired != "up" && d.Desired != "down" {
		return Record{}, fmt.Errorf("desired is %.60q, which is neither up nor down", d.Desired)
	}
	return Record{Unit: name, Intent: unit.Intent{
		Up:         d.Desired == "up",
		Generation: d.Generation,
		Time:       d.Time,
		Actor:      d.Actor,
		Anew:       d.Anew,
	}, Discovered: d.Discovered, Gone: d.Gone}, nil
}
