package syslog

import (
	"bytes"
	"strconv"
)

// Message is what a datagram says.
type Message struct {
	// Facility and Severity are those of RFC 5424, 6.2.1.
	Facility, Severity int
	// Tag is who says it, as he calls himself: "cron[42]"; empty where he does not.
	Tag string
	// Text is the rest, as it was sent, with newlines where it has more lines than one.
	Text []byte
}

var (
	facilities = [24]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
	severities = [8]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
)

// usual is the priority of what has none: user.notice.
const usual = 1<<3 | 5

// Parse reads a datagram as syslog(3) and logger(1) send it: "<PRI>Mon dd hh:mm:ss tag[pid]: text" (RFC 3164), or
// "<PRI>1 TIME HOST TAG PID ID DATA text" (RFC 5424), or any part of the first. The time is not kept: when a line came
// is known. Nothing is refused: what can't be read is text. Newlines and zero bytes at the end are none of it.
func Parse(datagram []byte) Message {
	rest := bytes.TrimRight(datagram, "\n\x00")
	priority, rest := cutPriority(rest)
	m := Message{Facility: priority >> 3, Severity: priority & 7}
	if tag, text, ok := cutModern(rest); ok {
		m.Tag, m.Text = tag, text
		return m
	}
	m.Tag, m.Text = cutTag(cutTime(rest))
	return m
}

// cutPriority takes "<PRI>" off.
func cutPriority(data []byte) (priority int, rest []byte) {
	const most = len(facilities)<<3 - 1
	end := bytes.IndexByte(data[:min(len(data), len("<191>"))], '>')
	if end < 2 || data[0] != '<' || !digits(data[1:end]) {
		return usual, data
	}
	priority, err := strconv.Atoi(string(data[1:end]))
	if err != nil || priority > most {
		return usual, data
	}
	return priority, data[end+1:]
}

func digits(data []byte) bool {
	for _, c := range data {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(data) > 0
}

// cutTime takes "Mon dd hh:mm:ss " off.
func cutTime(data []byte) []byte {
	const form = "Aaa _0 00:00:00 "
	if len(data) < len(form) {
		return data
	}
	for i, want := range []byte(form) {
		c := data[i]
		digit := '0' <= c && c <= '9'
		switch {
		case want == 'A' && 'A' <= c && c <= 'Z':
		case want == 'a' && 'a' <= c && c <= 'z':
		case want == '0' && digit:
		case want == '_' && (digit || c == ' '):
		case want == c && want != 'A' && want != 'a' && want != '0' && want != '_':
		default:
			return data
		}
	}
	return data[len(form):]
}

// cutTag takes "tag[pid]: " off.
func cutTag(data []byte) (tag string, text []byte) {
	const most = 256
	for i, c := range data[:min(len(data), most)] {
		switch {
		case c == ':' && i > 0:
			return string(data[:i]), bytes.TrimPrefix(data[i+1:], []byte(" "))
		case c <= ' ' || c == ':' || c >= 0x7f:
			return "", data
		}
	}
	return "", data
}

// cutModern reads what stands behind the priority as RFC 5424 has it. What is to be known of the structured data stands
// before the text then.
func cutModern(data []byte) (tag string, text []byte, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte("1 "))
	if !ok {
		return "", nil, false
	}
	var field [5][]byte // time, host, tag, pid, id
	for i := range field {
		if field[i], rest, ok = bytes.Cut(rest, []byte(" ")); !ok || !printable(field[i]) {
			return "", nil, false
		}
	}
	if at := field[0]; string(at) != "-" && bytes.IndexByte(at, 'T') < 0 {
		return "", nil, false
	}
	none := []byte("-")
	if tag = string(field[2]); tag == "-" {
		tag = ""
	}
	if pid := field[3]; !bytes.Equal(pid, none) && tag != "" {
		tag += "[" + string(pid) + "]"
	}
	if after, no := bytes.CutPrefix(rest, none); no && (len(after) == 0 || after[0] == ' ') {
		rest = bytes.TrimPrefix(after, []byte(" "))
	} else if len(rest) == 0 || rest[0] != '[' {
		return "", nil, false
	}
	return tag, bytes.TrimPrefix(rest, []byte("\xef\xbb\xbf")), true
}

// printable tells whether a field is one: visible ASCII, and some.
func printable(field []byte) bool {
	for _, c := range field {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(field) > 0
}

// Line is the message as text: "facility.severity tag[pid]: text", and so for each line of it.
func (m Message) Line() []byte {
	head := facilities[m.Facility] + "." + severities[m.Severity] + " "
	if m.Tag != "" {
		head += m.Tag + ": "
	}
	var all []byte
	for i, line := range bytes.Split(m.Text, []byte("\n")) {
		if i > 0 {
			all = append(all, '\n')
		}
		all = append(append(all, head...), line...)
	}
	return all
}
