package tools

import (
	"math"
)

// The kinds of node in the tree of an expression.
const (
	kindSequence = iota // of kids; of none, it is empty
	kindChoice          // of kids
	kindRepeat          // of one kid
	kindByte
	kindAssert
)

type node struct {
	kind        int
	kids        []*node
	set         byteSet
	assertion   byte
	least, most uint32 // most is math.MaxUint32 where there is no bound
}

// parser takes an expression apart, by recursive descent.
type parser struct {
	text  string
	at    int
	depth int // of parentheses
}

func (p *parser) more() bool { return p.at < len(p.text) }

// alternatives is branches between "|", up to the end or the parenthesis that ends this depth.
func (p *parser) alternatives() (*node, error) {
	choice := &node{kind: kindChoice}
	for {
		branch, err := p.branch()
		if err != nil {
			return nil, err
		}
		choice.kids = append(choice.kids, branch)
		if !p.more() || p.text[p.at] != '|' {
			return choice, nil
		}
		p.at++
	}
}

func (p *parser) branch() (*node, error) {
	sequence := &node{kind: kindSequence}
	for p.more() {
		c := p.text[p.at]
		if c == '|' || c == ')' && p.depth > 0 {
			break
		}
		atom, err := p.atom()
		for err == nil && atom.kind != kindAssert && p.more() {
			repeated := &node{kind: kindRepeat, kids: []*node{atom}}
			found := false
			if found, err = p.repetition(repeated); !found {
				break
			}
			atom = repeated
		}
		if err != nil {
			return nil, err
		}
		sequence.kids = append(sequence.kids, atom)
	}
	return sequence, nil
}

func single(c byte) *node {
	n := &node{kind: kindByte}
	n.set.add(c)
	return n
}

func (p *parser) atom() (*node, error) {
	c := p.text[p.at]
	p.at++
	switch c {
	case '*', '+', '?', '{':
		return nil, errPattern // there is nothing to repeat
	case '^', '$':
		return &node{kind: kindAssert, assertion: c}, nil
	case '.':
		n := &node{kind: kindByte}
		n.set.invert()
		return n, nil
	case '[':
		return p.bracket()
	case '(':
		p.depth++
		n, err := p.alternatives()
		if err != nil || !p.more() {
			return nil, errPattern
		}
		p.depth--
		p.at++
		return n, nil
	case '\\':
		return p.escape()
	}
	return single(c), nil
}

// escape is a character after a backslash: glibc gives some of them a meaning.
func (p *parser) escape() (*node, error) {
	if !p.more() {
		return nil, errPattern
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case 'w', 'W', 's', 'S':
		n := &node{kind: kindByte, set: word}
		if c == 's' || c == 'S' {
			n.set = byteSet{}
			n.set.addClass("space")
		}
		if c == 'W' || c == 'S' {
			n.set.invert()
		}
		return n, nil
	case 'b', 'B', '<', '>':
		return &node{kind: kindAssert, assertion: c}, nil
	case '`':
		return &node{kind: kindAssert, assertion: '^'}, nil
	case '\'':
		return &node{kind: kindAssert, assertion: '$'}, nil
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return nil, errPattern
	}
	return single(c), nil
}

func (s *byteSet) addClass(name string) (known bool) {
	for c := range 256 {
		in, ok := inClass(name, byte(c))
		if !ok {
			return false
		}
		if in {
			s.add(byte(c))
		}
	}
	return true
}

// repetition is "*", "+", "?" or an interval, if there is one.
func (p *parser) repetition(n *node) (found bool, err error) {
	n.most = math.MaxUint32
	switch p.text[p.at] {
	case '*':
	case '+':
		n.least = 1
	case '?':
		n.most = 1
	case '{':
		return true, p.interval(n)
	default:
		return false, nil
	}
	p.at++
	return true, nil
}

// interval is "{m}", "{m,}", "{,n}" or "{m,n}".
func (p *parser) interval(n *node) error {
	const most = 0x7fff // RE_DUP_MAX
	inside, _, closed := cut(p.text[p.at+1:], "}")
	if !closed {
		return errPattern
	}
	p.at += len(inside) + 2
	low, high, ranged := cut(inside, ",")
	ok := ranged && low == ""
	if !ok {
		n.least, ok = uint32Of(low)
	}
	switch {
	case !ok:
		return errPattern
	case !ranged:
		n.most = n.least
	case high != "":
		if n.most, ok = uint32Of(high); !ok || n.most < n.least || n.most > most {
			return errPattern
		}
	}
	if n.least > most {
		return errPattern
	}
	return nil
}

// bracket is what follows "[": characters, ranges and classes; a backslash is a character there.
func (p *parser) bracket() (*node, error) {
	n := &node{kind: kindByte}
	inverted := hasPrefix(p.text[p.at:], "^")
	if inverted {
		p.at++
	}
	for first := true; ; first = false {
		if !p.more() {
			return nil, errPattern
		}
		if p.text[p.at] == ']' && !first {
			break
		}
		if err := p.members(&n.set, first); err != nil {
			return nil, err
		}
	}
	p.at++
	if inverted {
		n.set.invert()
	}
	return n, nil
}

// members adds a class, a range or a character. A hyphen that ends no range stands first or last, as glibc has it.
func (p *parser) members(set *byteSet, first bool) error {
	if rest, ok := cutPrefix(p.text[p.at:], "[:"); ok {
		name, _, closed := cut(rest, ":]")
		if !closed || !set.addClass(name) {
			return errPattern
		}
		if p.at += len(name) + 4; p.hyphen() {
			return errPattern
		}
		return nil
	}
	if p.hyphen() && !first {
		return errPattern
	}
	low, err := p.member()
	if err != nil {
		return err
	}
	high := low
	if p.hyphen() {
		p.at++
		if high, err = p.member(); err != nil || high < low {
			return errPattern
		}
	}
	for c := int(low); c <= int(high); c++ {
		set.add(byte(c))
	}
	return nil
}

// hyphen tells whether a hyphen comes that is not the last in the bracket.
func (p *parser) hyphen() bool {
	rest := p.text[p.at:]
	return len(rest) > 1 && rest[0] == '-' && rest[1] != ']'
}

// member is one character of a bracket, which may stand as "[.c.]" or "[=c=]".
func (p *parser) member() (byte, error) {
	if rest := p.text[p.at:]; len(rest) > 1 && rest[0] == '[' && (rest[1] == '.' || rest[1] == '=') {
		if len(rest) < 5 || rest[3] != rest[1] || rest[4] != ']' {
			return 0, errPattern
		}
		p.at += 5
		return rest[2], nil
	}
	c := p.text[p.at]
	p.at++
	return c, nil
}
