package tools

import (
	"errors"
	"math"
	"syscall"
)

// The kinds of action in a logging script.
const (
	toStdout = iota
	toStderr
	toStatus
	toDirectory
	toNowhere // what toStdout becomes once stdout fails
)

// action is what becomes of a line that was selected.
type action struct {
	kind       int
	tai, local bool   // the stamps before the line
	prefix     string // after the stamps, with its space
	limit      int    // of a line to stderr, or the size of a status file; 0 for none
	file       string // the status file
	dir        *logdir
}

// selection changes whether a line is selected. Without a pattern it selects those that nothing was done with yet.
type selection struct {
	add     bool
	pattern *pattern
}

// rule is selections, and what is then done with the line.
type rule struct {
	selections []selection
	actions    []*action
}

// script is the logging script of s6-log: rules that a line goes through one after the other.
type script struct {
	rules      []rule
	dirs       []*logdir
	tai, local bool // somebody wants a stamp
}

// problem is an end of s6-log with its code; what it was has been said.
type problem struct{ code int }

// check is the first look at a script: it finds what is no script before any directory is touched.
func (l *logger) check(words []string) (bad *problem) {
	acted, rules := false, 0
	for _, word := range words {
		first, alone := byte(0), len(word) == 1
		if word != "" {
			first = word[0]
		}
		switch first {
		case 'f', '+', '-':
			if first == 'f' && !alone {
				return l.syntax(word)
			}
			if acted {
				rules++
				acted = false
			}
		case 'n', 's', 'S', 'l', 'r', 'E', '^', 'p', '!', '?':
		case 't', 'T':
			if !alone {
				return l.syntax(word)
			}
		case '1', '2':
			if !alone {
				return l.syntax(word)
			}
			acted = true
		case '.', '/':
			acted = true
		case '=':
			if alone {
				return l.syntax(word)
			}
			acted = true
		default:
			return l.unrecognized(word)
		}
	}
	switch {
	case acted:
	case rules == 0:
		return &problem{l.fatal(exitUsage, "no action directive specified")}
	case l.verbosity > 0:
		l.warn("ignoring extraneous non-action directives")
	}
	return nil
}

func (l *logger) syntax(word string) *problem {
	return &problem{l.fatal(exitUsage, "syntax error at directive: "+word)}
}

func (l *logger) unrecognized(word string) *problem {
	return &problem{l.fatal(exitUsage, "unrecognized directive: "+word)}
}

// settings are the directives that hold for all actions after them.
type settings struct {
	next   action // stamps and prefix
	alert  uint32
	status uint32
	dir    dirSettings
}

// read makes the script, and opens its directories as it meets them.
func (l *logger) read(words []string) *problem {
	s := settings{alert: 200, status: 1001, dir: dirSettings{size: 99999, keep: 10, tolerance: 2000, retry: 2000}}
	var r rule
	for _, word := range words {
		switch word[0] {
		case 'f', '+', '-':
			selected := selection{add: word[0] == '+'}
			if word[0] != 'f' {
				p, err := compilePattern(word[1:])
				if errors.Is(err, errLarge) {
					return &problem{l.fatal(exitSystem, "unable to initialize script: "+strerror(syscall.ENOMEM))}
				}
				if err != nil {
					return l.unrecognized(word)
				}
				selected.pattern = p
			}
			if len(r.actions) > 0 {
				l.rules = append(l.rules, r)
				r = rule{}
			}
			r.selections = append(r.selections, selected)
		case '1', '2', '=', '.', '/':
			a := s.next
			s.next.tai, s.next.local = false, false
			l.tai, l.local = l.tai || a.tai, l.local || a.local
			if bad := l.target(&a, word, s); bad != nil {
				return bad
			}
			r.actions = append(r.actions, &a)
		default:
			if bad := s.change(l, word); bad != nil {
				return bad
			}
		}
	}
	if len(r.actions) > 0 {
		l.rules = append(l.rules, r)
	}
	return nil
}

// target completes an action with where it writes.
func (l *logger) target(a *action, word string, s settings) *problem {
	switch word[0] {
	case '1':
		a.kind = toStdout
	case '2':
		a.kind, a.limit = toStderr, int(s.alert)
	case '=':
		a.kind, a.limit, a.file = toStatus, int(s.status), word[1:]
	default:
		dir, bad := l.openDir(word, s.dir)
		if bad != nil {
			return bad
		}
		l.dirs = append(l.dirs, dir)
		a.kind, a.dir = toDirectory, dir
	}
	return nil
}

// change takes in a directive that acts on none.
func (s *settings) change(l *logger, word string) *problem {
	value, ok := word[1:], true
	switch word[0] {
	case 'n':
		s.dir.keep, ok = uint32Of(value)
	case 's':
		s.dir.size, ok = uint32Of(value)
		s.dir.size = min(max(s.dir.size, 4096), 268435455)
	case 'S':
		s.dir.total, ok = number(value, math.MaxUint64)
	case 'l':
		s.dir.tolerance, ok = uint32Of(value)
		if ok && s.dir.tolerance > s.dir.size/2 {
			return &problem{l.fatal(exitUsage, "directive "+word+" conflicts with previous s directive")}
		}
	case 'r':
		s.dir.retry, ok = uint32Of(value)
	case 'E':
		s.alert, ok = uint32Of(value)
	case '^':
		s.status, ok = uint32Of(value)
	case 'p':
		s.next.prefix = ""
		if value != "" {
			s.next.prefix = value + " "
		}
	case '!', '?':
		s.dir.processor, s.dir.shell = value, word[0] == '?'
	case 't':
		s.next.tai = true
	case 'T':
		s.next.local = true
	}
	if !ok {
		return l.unrecognized(word)
	}
	return nil
}
