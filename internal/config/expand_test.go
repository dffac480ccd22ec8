package config

import (
	"strings"
	"testing"
)

var expansionEnv = []string{"A=a", "EMPTY=", "DOLLAR=${A}", "BRACE=}", "A=second", "PATH_=/x:/y", "_1=u"}

// The grammar that expand.go states.
func TestExpand(t *testing.T) {
	t.Parallel()
	env := newEnvironment(expansionEnv)
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"${A}", "a"},
		{"x${A}y${A}z", "xayaz"},
		{"${_1}", "u"},
		{"${EMPTY}", ""},
		{"${EMPTY:-d}", "d"},
		{"${A:-d}", "a"},
		{"${NOPE:-}", ""},
		{"${NOPE:-d}", "d"},
		{"${NOPE:-d e\n\"f\"}", "d e\n\"f\""},
		{"${NOPE:-${NO:-10000}}", "10000"},
		{"${NOPE:-${A:-10000}}", "a"},
		{"${NOPE:-x${A}y}z", "xayz"},
		{"${NOPE:-:-}", ":-"},
		{"${NOPE:-{}", "{"},
		{"${NOPE:-{}}", "{}"},
		{"${A:?m}", "a"},
		{"${A:-${NOPE}}", "a"}, // what is not used need not be set
		{"${A:-${NOPE:?m}}", "a"},
		{"$$", "$"},
		{"$${A}", "${A}"},
		{"$$$${A}$$", "$${A}$"},
		{"$$${A}", "$a"},
		{"${NOPE:-$$}", "$"},
		{"${DOLLAR}", "${A}"}, // a value is not expanded again
		{"${NOPE:-${BRACE}}", "}"},
		{"{A}", "{A}"},
		{"é${A}é", "éaé"},
	}
	for _, test := range tests {
		if got, _, err := env.expand(test.in); err != nil || got != test.want {
			t.Errorf("%q expands to %q, %v; want %q", test.in, got, err, test.want)
		}
	}
}

// What does not expand is an error at its dollar sign.
func TestExpandErrors(t *testing.T) {
	t.Parallel()
	env := newEnvironment(expansionEnv)
	tests := []struct {
		in     string
		offset int
		want   string
	}{
		{"a ${NOPE}", 2, "cannot expand ${NOPE}: NOPE is not set; write ${NOPE:-default} to allow that"},
		{"${NOPE:-${NO}}", 8, "cannot expand ${NO}: NO is not set; write ${NO:-default} to allow that"},
		{"${NOPE:?it is ${A}}", 0, "cannot expand ${NOPE}: it is ${A}"},
		{"${EMPTY:?}", 0, "cannot expand ${EMPTY}: EMPTY is needed"},
		{"${A", 0, "cannot expand ${A: its } is missing"},
		{"${A:-x", 0, "cannot expand ${A: its } is missing"},
		{"${A:-${A}", 0, "cannot expand ${A: its } is missing"},
		{"x${", 1, "cannot expand ${: its } is missing"},
		{"${}", 0, "cannot expand ${…}: a variable's name has letters, digits and _, and begins with no digit"},
		{"${:-a}", 0, "cannot expand ${…}: a variable's name has letters, digits and _, and begins with no digit"},
		{"${1}", 0, "cannot expand ${…}: a variable's name has letters, digits and _, and begins with no digit"},
		{"${A-b}", 0, "cannot expand ${A…}: after the name comes }, :-default} or :?message}"},
		{"${A b}", 0, "cannot expand ${A…}: after the name comes }, :-default} or :?message}"},
		{"${A:+b}", 0, "cannot expand ${A…}: after the name comes }, :-default} or :?message}"},
		{"$A", 0, "cannot expand $: write $$ for a dollar sign, or ${NAME} for a variable"},
		{"a$", 1, "cannot expand $: write $$ for a dollar sign, or ${NAME} for a variable"},
		{"${A:-$}", 5, "cannot expand $: write $$ for a dollar sign, or ${NAME} for a variable"},
		{strings.Repeat("${X:-", 20), 80, "cannot expand ${: more than 16 are nested"},
	}
	for _, test := range tests {
		_, _, err := env.expand(test.in)
		if err == nil || err.message != test.want || err.offset != test.offset {
			t.Errorf("%q: got %+v, want %d %s", test.in, err, test.offset, test.want)
		}
	}
}

// A short value cannot fill the memory by naming a long variable often.
func TestExpandIsBounded(t *testing.T) {
	t.Parallel()
	env := newEnvironment([]string{"LONG=" + strings.Repeat("x", 100_000)})
	if _, _, err := env.expand(strings.Repeat("${LONG}", 100)); err == nil {
		t.Error("a value of ten million bytes is allowed")
	}
}

// No text makes expansion fail in an unforeseen way; an error points into the text and prints no value.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"${A}", "${B:-${A}}", "${B:?m}", "$$", "${", "${A:-", "a}b", "${EMPTY:-$${A}}"} {
		f.Add(seed)
	}
	env := newEnvironment([]string{"A=\x01secret", "EMPTY="})
	f.Fuzz(func(t *testing.T, text string) {
		out, used, err := env.expand(text)
		switch {
		case err != nil && (err.offset < 0 || err.offset > len(text)):
			t.Errorf("error at %d of %d bytes", err.offset, len(text))
		case err != nil && strings.Contains(err.message, "\x01secret"):
			t.Errorf("the error prints a value: %q", err.message)
		case err == nil && !strings.Contains(text, "$") && out != text:
			t.Errorf("%q became %q", text, out)
		case err == nil && len(used) == 0 && strings.Contains(text, "${") && !strings.Contains(text, "$$"):
			t.Errorf("%q consulted no variable", text)
		}
		if again, _, err := env.expand(strings.ReplaceAll(text, "$", "$$")); err != nil || again != text {
			t.Errorf("%q does not survive escaping: %q, %v", text, again, err)
		}
	})
}
