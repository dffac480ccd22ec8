package tools

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
)

// input takes what there is to read.
func (l *logger) input() {
	if l.last {
		l.lastInput()
		return
	}
	var chunk [readSize]byte
	n, err := syscall.Read(0, chunk[:])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
	case err != nil || n == 0:
		if err != nil {
			l.complain(err, "read from stdin")
		}
		l.end()
		if len(l.line) > 0 { // the real one loses it
			l.process(l.line)
			l.line = nil
		}
	default:
		l.split(chunk[:n])
	}
}

// split cuts text into lines: at newlines and NULs, and where one grows longer than the limit.
func (l *logger) split(text []byte) {
	for len(text) > 0 {
		end := bytes.IndexAny(text, "\n\x00")
		part, rest, whole := text, []byte(nil), end >= 0
		if whole {
			part, rest = text[:end], text[end+1:]
		}
		if room := l.limit - len(l.line); l.limit > 0 && len(part) > room {
			part, rest, whole = text[:room], text[room:], true
		}
		if !whole {
			l.line = append(l.line, part...)
			return
		}
		if len(l.line) > 0 {
			part = append(l.line, part...)
			l.line = l.line[:0]
		}
		l.process(part)
		text = rest
	}
}

// lastInput reads what is left of the line in hand, byte by byte: what follows is the next reader's.
func (l *logger) lastInput() {
	for {
		var c [1]byte
		polled := []pollFd{{fd: 0, events: pollIn}}
		if n, err := poll(polled, 0); err != nil || n == 0 {
			return
		}
		n, err := syscall.Read(0, c[:])
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			return
		case err != nil || n == 0:
			if err != nil {
				l.complain(err, "read from stdin")
			}
		case c[0] != '\n':
			l.line = append(l.line, c[0])
			if l.limit == 0 || len(l.line) <= l.limit {
				continue
			}
			if l.verbosity > 0 {
				l.warn("input line too long, stopping before the end")
			}
		}
		if len(l.line) > 0 || n > 0 && err == nil {
			l.process(l.line)
			l.line = nil
		}
		l.end()
		return
	}
}

// process takes one line through the script.
func (l *logger) process(line []byte) {
	var tai, local string
	if l.tai || l.local {
		at := now()
		tai = at.label() + " "
		if text, ok := at.local(l.zone); ok {
			local = text + "  "
		}
	}
	selected, acted := true, false
	for _, r := range l.rules {
		for _, s := range r.selections {
			switch {
			case s.pattern == nil:
				selected = !acted
			case selected != s.add && s.pattern.matches(line):
				selected = s.add
			}
		}
		if !selected {
			continue
		}
		acted = true
		for _, a := range r.actions {
			head := ""
			if a.tai {
				head = tai
			}
			if a.local {
				head += local
			}
			l.act(a, head+a.prefix, line)
		}
	}
}

// act does one thing with one line.
func (l *logger) act(a *action, head string, line []byte) {
	switch a.kind {
	case toStdout:
		l.out = append(append(append(l.out, head...), line...), '\n')
	case toStderr:
		end := "\n"
		if a.limit > 0 && a.limit+3 < len(line) {
			line, end = line[:a.limit], "...\n"
		}
		_, _ = io.WriteString(l.stderr, l.name+": alert: "+head+string(line)+end) // there is nobody else to tell
	case toStatus:
		text := append(append([]byte(head), line...), '\n')
		if a.limit > 0 {
			text = append(text, bytes.Repeat([]byte("\n"), max(0, a.limit-len(text)))...)[:a.limit]
		}
		if err := replaceFile(a.file, text); err != nil {
			l.complain(err, "write status file "+a.file)
		}
	case toDirectory:
		a.dir.out = append(append(append(a.dir.out, head...), line...), '\n')
	}
}

// replaceFile puts a file in another's place, so that a reader finds the one or the other.
func replaceFile(path string, text []byte) error {
	err := os.WriteFile(path+".new", text, 0o666)
	if err == nil {
		err = syscall.Rename(path+".new", path)
	}
	if err != nil {
		_ = os.Remove(path + ".new") // there may be none
	}
	return err
}
