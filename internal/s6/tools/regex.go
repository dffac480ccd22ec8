package tools

import (
	"errors"
	"math"
)

// pattern is an extended regular expression of POSIX, as s6-log selects lines by: of bytes, as in the C locale that s6-log
// has, with glibc's answers where POSIX leaves them open. It says only whether a line matches, in a time that grows with
// the line's length and no faster. References back are not in it.
//
// Go's regexp has other expressions, of characters, and costs a tool's start half a millisecond.
type pattern struct{ program []instruction }

// What an instruction does.
const (
	opByte   = iota // goes on if the next byte is in set
	opFork          // goes on at next and at other
	opAssert        // goes on if what assertion says is so here
	opMatch         // has found it
)

type instruction struct {
	op          int
	set         byteSet
	assertion   byte // one of ^ $ b B < >
	next, other int
}

type byteSet [4]uint64

func (s *byteSet) add(c byte)      { s[c/64] |= 1 << (c % 64) }
func (s *byteSet) has(c byte) bool { return s[c/64]&(1<<(c%64)) != 0 }

func (s *byteSet) invert() {
	for i := range s {
		s[i] = ^s[i]
	}
}

var (
	errPattern = errors.New("invalid regular expression")
	// errLarge is what regcomp(3) says as REG_ESPACE.
	errLarge = errors.New("regular expression too large")
)

// maxProgram bounds what repetitions in repetitions can make of an expression.
const maxProgram = 1 << 18

func compilePattern(text string) (*pattern, error) {
	p := parser{text: text}
	tree, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	var out pattern
	if err := out.emit(tree); err != nil {
		return nil, err
	}
	out.program = append(out.program, instruction{op: opMatch})
	return &out, nil
}

// emit adds what a tree does; after it the program goes on with what is added next.
func (p *pattern) emit(n *node) error {
	if len(p.program) > maxProgram {
		return errLarge
	}
	at := len(p.program)
	switch n.kind {
	case kindByte:
		p.program = append(p.program, instruction{op: opByte, set: n.set, next: at + 1})
	case kindAssert:
		p.program = append(p.program, instruction{op: opAssert, assertion: n.assertion, next: at + 1})
	case kindSequence:
		for _, kid := range n.kids {
			if err := p.emit(kid); err != nil {
				return err
			}
		}
	case kindChoice:
		return p.emitChoice(n.kids)
	case kindRepeat:
		return p.emitRepeat(n)
	}
	return nil
}

func (p *pattern) emitChoice(kids []*node) error {
	var ends []int
	for i, kid := range kids {
		fork := len(p.program)
		last := i == len(kids)-1
		if !last {
			p.program = append(p.program, instruction{op: opFork, next: fork + 1})
		}
		if err := p.emit(kid); err != nil {
			return err
		}
		if last {
			break
		}
		ends = append(ends, len(p.program))
		p.program = append(p.program, instruction{op: opFork})
		p.program[fork].other = len(p.program)
	}
	for _, end := range ends {
		p.program[end].next, p.program[end].other = len(p.program), len(p.program)
	}
	return nil
}

func (p *pattern) emitRepeat(n *node) error {
	for range n.least {
		if err := p.emit(n.kids[0]); err != nil {
			return err
		}
	}
	if n.most == math.MaxUint32 {
		fork := len(p.program)
		p.program = append(p.program, instruction{op: opFork, next: fork + 1})
		err := p.emit(n.kids[0])
		p.program = append(p.program, instruction{op: opFork, next: fork, other: fork})
		p.program[fork].other = len(p.program)
		return err
	}
	var forks []int
	for range n.most - n.least {
		fork := len(p.program)
		forks = append(forks, fork)
		p.program = append(p.program, instruction{op: opFork, next: fork + 1})
		if err := p.emit(n.kids[0]); err != nil {
			return err
		}
	}
	for _, fork := range forks {
		p.program[fork].other = len(p.program)
	}
	return nil
}

// matches goes through the line once, with all places of the program that it may be at.
func (p *pattern) matches(line []byte) bool {
	m := matching{p: p, line: line, seen: make([]int, len(p.program))}
	var places, following []int
	for at := 0; ; at++ {
		m.at = at
		places = m.reach(places, 0)
		if m.found {
			return true
		}
		if at == len(line) {
			return false
		}
		following = following[:0]
		m.at = at + 1
		for _, place := range places {
			if i := &p.program[place]; i.set.has(line[at]) {
				following = m.reach(following, i.next)
			}
		}
		places, following = following, places
	}
}

// matching is one line on its way through a program.
type matching struct {
	p     *pattern
	line  []byte
	at    int   // how many bytes have been taken
	seen  []int // for each place, at+1 of when it was last reached
	stack []int
	found bool
}

// reach adds the places that wait for a byte, as they can be reached from one place without any.
func (m *matching) reach(places []int, from int) []int {
	m.stack = append(m.stack[:0], from)
	for len(m.stack) > 0 {
		place := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if m.seen[place] == m.at+1 {
			continue
		}
		m.seen[place] = m.at + 1
		switch i := &m.p.program[place]; i.op {
		case opByte:
			places = append(places, place)
		case opFork:
			m.stack = append(m.stack, i.other, i.next)
		case opAssert:
			if m.holds(i.assertion) {
				m.stack = append(m.stack, i.next)
			}
		case opMatch:
			m.found = true
		}
	}
	return places
}

func (m *matching) holds(assertion byte) bool {
	before := m.at > 0 && word.has(m.line[m.at-1])
	after := m.at < len(m.line) && word.has(m.line[m.at])
	switch assertion {
	case '^':
		return m.at == 0
	case '$':
		return m.at == len(m.line)
	case 'b':
		return before != after
	case 'B':
		return before == after
	case '<':
		return !before && after
	}
	return before && !after
}

// word is what a word is of: letters, digits and the underscore.
var word = byteSet{'0' / 64: 0x3ff << ('0' % 64), 'A' / 64: (1<<26-1)<<('A'%64) | 1<<('_'%64) | (1<<26-1)<<('a'%64)}

// inClass tells whether c is in a class of POSIX's, in the C locale. Known is false for a name that is no class.
func inClass(name string, c byte) (in, known bool) {
	lower, upper, digit := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9'
	graph := c > ' ' && c < 0x7f
	switch name {
	case "alnum":
		return lower || upper || digit, true
	case "alpha":
		return lower || upper, true
	case "blank":
		return c == ' ' || c == '\t', true
	case "cntrl":
		return c < ' ' || c == 0x7f, true
	case "digit":
		return digit, true
	case "graph":
		return graph, true
	case "lower":
		return lower, true
	case "print":
		return graph || c == ' ', true
	case "punct":
		return graph && !lower && !upper && !digit, true
	case "space":
		return c == ' ' || c >= '\t' && c <= '\r', true
	case "upper":
		return upper, true
	case "xdigit":
		return digit || oneOf(c, "abcdefABCDEF"), true
	}
	return false, false
}
