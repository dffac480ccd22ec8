package forward

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pintle/internal/unit"
)

// loki makes requests of logproto.PushRequest, which Loki's promtail sends, too. What has many values (run and number)
// is metadata of a line, not a label: each set of labels is a stream of its own there.
type loki struct{ labels []Label }

// The fields of the messages, by their numbers.
const (
	pushStreams = 1

	streamLabels  = 1
	streamEntries = 2

	entryTime     = 1
	entryText     = 2
	entryMetadata = 3

	timeSeconds   = 1
	timeNanos     = 2
	metadataName  = 1
	metadataValue = 2
)

// encode implements protocol.
func (k loki) encode(batch []entry) (body []byte, kind, compression string, err error) {
	type stream struct {
		unit   unit.Name
		stream string
	}
	var b []byte
	for _, group := range groups(batch, func(e *entry) stream { return stream{e.line.Unit, e.line.Stream} }) {
		// In the order of their time, as Loki would have it; a clock that was set back is no reason to lose lines.
		slices.SortStableFunc(group, func(x, y *entry) int { return int(min(max(x.nanos-y.nanos, -1), 1)) })
		s := appendString(nil, streamLabels, k.streamOf(group[0]))
		for _, e := range group {
			s = appendMessage(s, streamEntries, lokiEntry(e))
		}
		b = appendMessage(b, pushStreams, s)
	}
	// The block format; it is no Content-Encoding, but part of the protocol.
	return appendSnappy(nil, b), "application/x-protobuf", "", nil
}

// streamOf is the labels of a line, sorted, as a selector has them.
func (k loki) streamOf(e *entry) string {
	all := append([]Label{{"unit", string(e.line.Unit)}, {"stream", e.line.Stream}}, k.labels...)
	slices.SortFunc(all, func(x, y Label) int { return strings.Compare(x.Name, y.Name) })
	var pairs []string
	for _, l := range all {
		pairs = append(pairs, fmt.Sprintf("%s=%q", l.Name, strings.ToValidUTF8(l.Value, "\uFFFD")))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

func lokiEntry(e *entry) []byte {
	var at []byte
	at = appendNumber(at, timeSeconds, uint64(e.nanos/1e9))
	at = appendNumber(at, timeNanos, uint64(e.nanos%1e9))
	b := appendMessage(nil, entryTime, at)
	b = appendString(b, entryText, strings.ToValidUTF8(e.text(), "\uFFFD"))
	if e.lost == 0 {
		b = appendMetadata(b, "run", strconv.FormatUint(e.line.Run, 10))
		b = appendMetadata(b, "seq", strconv.FormatUint(e.line.Seq, 10))
	}
	if e.line.Partial {
		b = appendMetadata(b, "partial", "true")
	}
	return b
}

func appendMetadata(b []byte, name, value string) []byte {
	return appendMessage(b, entryMetadata, appendString(appendString(nil, metadataName, name), metadataValue, value))
}

// rejected implements protocol.
func (loki) rejected([]byte) (lines int, cause string) { return 0, "" }
