package forward

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// otlp makes requests of opentelemetry.proto.collector.logs.v1. The published Go types would register themselves in
// PID 1, too; the tests read with them what is written here.
type otlp struct {
	host   string
	labels []Label
}

// The fields of the messages, by their numbers.
const (
	requestResourceLogs = 1

	resourceLogsResource  = 1
	resourceLogsScopeLogs = 2
	resourceAttributes    = 1
	scopeLogsScope        = 1
	scopeLogsRecords      = 2
	scopeName             = 1

	recordTime         = 1
	recordSeverity     = 2
	recordSeverityText = 3
	recordBody         = 5
	recordAttributes   = 6
	recordObservedTime = 11

	keyValueKey   = 1
	keyValueValue = 2
	valueString   = 1
	valueBool     = 2
	valueInt      = 3
	valueBytes    = 7

	responsePartialSuccess = 1
	partialSuccessRejected = 1
	partialSuccessMessage  = 2
)

// severities are the numbers and words for those of syslog.
var severities = map[severity]struct {
	number uint64
	text   string
}{info: {9, "INFO"}, notice: {10, "INFO2"}, warning: {13, "WARN"}}

// encode implements protocol.
func (o otlp) encode(batch []entry) (body []byte, kind, compression string, err error) {
	var b []byte
	for _, group := range groups(batch, func(e *entry) unit.Name { return e.line.Unit }) {
		b = appendMessage(b, requestResourceLogs, o.resourceLogs(group))
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err = z.Write(b); err == nil {
		err = z.Close()
	}
	return zipped.Bytes(), "application/x-protobuf", "gzip", err
}

// groups are the entries of each key, in the order in which the keys come first.
func groups[K comparable](batch []entry, key func(*entry) K) [][]*entry {
	place := map[K]int{}
	var all [][]*entry
	for i := range batch {
		k := key(&batch[i])
		at, known := place[k]
		if !known {
			at = len(all)
			place[k] = at
			all = append(all, nil)
		}
		all[at] = append(all[at], &batch[i])
	}
	return all
}

// resourceLogs are the lines of one unit.
func (o otlp) resourceLogs(lines []*entry) []byte {
	var resource, scope []byte
	resource = appendAttribute(resource, resourceAttributes, "service.name", appendString(nil, valueString, string(lines[0].line.Unit)))
	if o.host != "" {
		resource = appendAttribute(resource, resourceAttributes, "host.name", appendString(nil, valueString, o.host))
	}
	for _, l := range o.labels {
		resource = appendAttribute(resource, resourceAttributes, l.Name, appendString(nil, valueString, l.Value))
	}
	scope = appendMessage(scope, scopeLogsScope, appendString(nil, scopeName, "pintle"))
	for _, e := range lines {
		scope = appendMessage(scope, scopeLogsRecords, o.record(e))
	}
	return appendMessage(appendMessage(nil, resourceLogsResource, resource), resourceLogsScopeLogs, scope)
}

// record is one line.
func (o otlp) record(e *entry) []byte {
	l, text := &e.line, e.text()
	var b []byte
	b = appendFixed(b, recordTime, uint64(e.nanos))
	b = appendFixed(b, recordObservedTime, uint64(e.nanos))
	s := severities[severityOf(l.Stream)]
	b = appendNumber(b, recordSeverity, s.number)
	b = appendString(b, recordSeverityText, s.text)
	body := appendString(nil, valueString, text)
	if !utf8.ValidString(text) {
		body = appendString(nil, valueBytes, text)
	}
	b = appendMessage(b, recordBody, body)
	name := "pintle.stream"
	if l.Stream == engine.Stdout || l.Stream == engine.Stderr {
		name = "log.iostream"
	}
	b = appendAttribute(b, recordAttributes, name, appendString(nil, valueString, l.Stream))
	if e.lost == 0 {
		// Two records of the same are one, wherever somebody looks for that: what was sent again.
		id := fmt.Sprintf("%s/%s/%d", o.host, l.Unit, l.Seq)
		b = appendAttribute(b, recordAttributes, "log.record.uid", appendString(nil, valueString, id))
		b = appendAttribute(b, recordAttributes, "pintle.run", appendNumber(nil, valueInt, l.Run))
		b = appendAttribute(b, recordAttributes, "pintle.seq", appendNumber(nil, valueInt, l.Seq))
	}
	if l.Partial {
		b = appendAttribute(b, recordAttributes, "pintle.partial", appendNumber(nil, valueBool, 1))
	}
	return b
}

// rejected implements protocol.
func (otlp) rejected(answer []byte) (lines int, cause string) {
	if strings.HasPrefix(strings.TrimSpace(string(answer)), "{") {
		return 0, "" // JSON, though it was asked in another format: 200 is all that is known
	}
	fields(answer, func(n, _ uint64, partial []byte) {
		if n != responsePartialSuccess {
			return
		}
		fields(partial, func(n, number uint64, text []byte) {
			switch n {
			case partialSuccessRejected:
				lines = int(min(number, 1<<31))
			case partialSuccessMessage:
				cause = strings.ToValidUTF8(string(text), "\uFFFD")
			}
		})
	})
	if cause == "" {
		cause = "it does not take " + strconv.Itoa(lines) + " of them, and does not say why"
	}
	return lines, cause
}

// appendAttribute appends a KeyValue.
func appendAttribute(b []byte, n uint64, key string, value []byte) []byte {
	return appendMessage(b, n, appendMessage(appendString(nil, keyValueKey, key), keyValueValue, value))
}
