package tools

import (
	"strings"
	"testing"
)

// TestExpressions: s6-log selects lines by extended regular expressions as the real one's libc understands them.
func TestExpressions(t *testing.T) {
	t.Parallel()
	input := strings.Join([]string{
		"", "a", "b", "aa", "aaa", "aaaa", "ab", "abc", "abab", "ba", "A", "1", "12", "a1", "a b", " a", "a ", "\t", "a\tb", "-", "]", "[", "^", "$", "\\",
		"a.b", "axb", "a|b", "(a)", "()", ")", "(", "{", "}", "a{2}", "a{", "*", "a*", "+", "?", "ab+c", "_", "a_b", "foo bar", "foobar", "barfoo", "foo",
		"é", "aéb", "\xff", "a\xffb", "\x01", "\x7f", "x-y", "x]y", "colon:", "[:alpha:]", "abcabcabc", "aXbXc", "\\d", "d", "w", "tab", "n",
	}, "\n") + "\n"
	var trials []trial
	for _, e := range []string{
		"", "a", "^a", "a$", "^a$", "^$", "^", "$", ".", "..", "^.$", "^..$", "a*", "a+", "^a+$", "a?b", "^a?b?$", "ab|ba", "^(ab|ba)$", "^(ab)+$", "^(a|b)*$",
		"a|", "|a", "a||b", "()", "(a)(b)", "(((a)))", "(a", "a)", ")", "(", "*a", "+a", "?a", "(*a)", "a|*b", "^*", "^*a", "a**", "a+*", "a*?", "a{2}", "^a{2}$",
		"^a{2,}$", "^a{2,3}$", "^a{,2}$", "a{", "a{2", "a{x}", "a{2,1}", "a{2,x}", "{", "{2}", "a{0}", "^a{0}$", "(ab){2}", "^(ab){1,2}$", "a{32767}", "a{32768}",
		"[a]", "[^a]", "^[^a]$", "[a-c]", "[c-a]", "[]]", "[^]]", "^[^]]$", "[a-]", "[-a]", "[]-a]", "[a", "[", "[]", "[[]", "[\\]", `[\d]`, "[.]", "[*]", "[[:alpha:]]", "^[[:alpha:]]+$",
		"^[^[:alpha:]]+$", "[[:digit:][:space:]]", "[[:punct:]]", "[[:nosuch:]]", "[[:alpha:]", "[:alpha:]", "[[:cntrl:]]", "[[:blank:]]", "^[[:print:]]$", "^[[:graph:]]$",
		"[[:upper:]]", "[[:lower:]]", "[[:xdigit:]]", "[[:alnum:]]", "[[.a.]]", "[[=a=]]", "[[.-.]]", "[[.a.]-c]", "[[:digit:]-z]", "[a-b-c]",
		`\.`, `a\.b`, `\*`, `\(`, `\)`, `\{`, `\\`, `\`, `\a`, `\d`, `\n`, `\w`, `^\w+$`, `\W`, `\s`, `^\S+$`, `\bfoo\b`, `\Bfoo`, `\<foo`, `foo\>`, "\\`a", `a\'`, `\^`, `\$`, `\|`, `\+`, `\]`,
		"a^b", "a$b", "(^a)", "(a$)", "(^|b)a", "a(b|$)", "^^a", "a$$", "a.*b", "^a.b$", "foo.bar", "foo ?bar", "é", "^.{2}$", "a..b", "[é]", "^[\x80-\xff]+$", "\xff", "x-y", "x*y",
		"(a*)*", "(a*)+", "(a|b)*c", "((a|b)(c|d))?", "abc{2}", "(abc){3}", "[0-9]+", "^[0-9]{1,2}$", "b.", "(a)|(b)", "a|b|c", "(a|b|c){2}", "^(.)(.)$", `\1`, "[%--]", "[a--]", "[--/]", "[^-a]", "[^a-]", "[a-a]", "[[:digit:]-]", "[-[:digit:]]",
	} {
		trials = append(trials, trial{name: "=" + e, args: []string{"--", "-", "+" + e, "1"}, stdin: input})
	}
	for _, e := range []string{`(a)\1`, `(a)(b)\2\1`} {
		trials = append(trials, trial{name: "=" + e, args: []string{"--", "-", "+" + e, "1"}, stdin: input, differs: &difference{
			why: "references back are not in POSIX's expressions", code: 100, stderr: "s6-log: fatal: unrecognized directive: +" + e + "\n",
		}})
	}
	compare(t, "s6-log", trials)
}
