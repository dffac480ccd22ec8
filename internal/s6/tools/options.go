package tools

// options takes a command line apart as skalibs' subgetopt(3) does, also where that has oddities: an unknown
// option does not end the search, so a tool that passes over it finds those after it.
type options struct {
	args []string
	spec string // letters, each followed by a colon if it takes a value
	at   int    // the word in hand
	pos  int    // the letter in hand, in that word; 0 before the first
	arg  string // the value of the option that was found
}

// unknown stands for an option that there is not, or that has no value.
const unknown = '?'

func (c *call) parse() *options { return &options{args: c.args, spec: c.options} }

// rest is what follows the options, once next has said that there are no more.
func (o *options) rest() []string { return o.args[min(o.at, len(o.args)):] }

// next finds the next option.
func (o *options) next() (letter byte, ok bool) {
	o.arg = ""
	if o.at >= len(o.args) {
		return 0, false
	}
	if o.pos > 0 && o.pos == len(o.args[o.at]) {
		o.at++
		o.pos = 0
		if o.at >= len(o.args) {
			return 0, false
		}
	}
	word := o.args[o.at]
	if o.pos == 0 {
		switch {
		case word == "--":
			o.at++
			return 0, false
		case len(word) < 2 || word[0] != '-':
			return 0, false
		case word[1] == '-':
			o.pos++
			return unknown, true
		}
		o.pos++
	}
	letter = word[o.pos]
	o.pos++
	for i := 0; i < len(o.spec); i++ {
		if o.spec[i] == ':' || o.spec[i] != letter {
			continue
		}
		if i+1 < len(o.spec) && o.spec[i+1] == ':' {
			return o.value(letter, word)
		}
		return letter, true
	}
	return unknown, true
}

// value takes the rest of the word, or the next one.
func (o *options) value(letter byte, word string) (byte, bool) {
	o.arg = word[o.pos:]
	o.at++
	o.pos = 0
	if o.arg != "" {
		return letter, true
	}
	if o.at >= len(o.args) {
		return unknown, true
	}
	o.arg = o.args[o.at]
	o.at++
	return letter, true
}
