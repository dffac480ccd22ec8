package tools

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// numbered is n lines of about 60 bytes.
func numbered(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "line %06d %s\n", i, strings.Repeat("x", 45))
	}
	return s.String()
}

// TestLogLines: s6-log selects, stamps, cuts and writes the same lines.
func TestLogLines(t *testing.T) {
	t.Parallel()
	const some = "alpha\nbeta\ngamma 1\n\n+plus\n"
	compare(t, "s6-log", []trial{
		{name: "stdout", args: []string{"1"}, stdin: some},
		{name: "stderr", args: []string{"2"}, stdin: some},
		{name: "both", args: []string{"1", "2"}, stdin: some},
		{name: "stamps", args: []string{"t", "1", "T", "1", "t", "T", "1", "1"}, stdin: some},
		{name: "stamped alerts", args: []string{"t", "T", "pfoo", "2"}, stdin: some},
		{name: "prefix", args: []string{"pfoo bar", "1", "p", "1"}, stdin: some},
		{name: "select", args: []string{"-", "+a", "1"}, stdin: some},
		{name: "deselect", args: []string{"-a", "1"}, stdin: some},
		{name: "select after deselect", args: []string{"-", "+^alpha", "+1$", "1"}, stdin: some},
		{name: "state is carried", args: []string{"-beta", "1", "+beta", "2"}, stdin: some},
		{name: "fallback", args: []string{"-", "+beta", "1", "f", "2"}, stdin: some},
		{name: "fallback twice", args: []string{"-", "+beta", "1", "f", "2", "f", "pnever", "1"}, stdin: some},
		{name: "empty line", args: []string{"-", "+^$", "T", "1"}, stdin: some},
		{name: "plus", args: []string{"-", `+^\+`, "1"}, stdin: some},
		{name: "alert length", args: []string{"E10", "2"}, stdin: "123456789\n1234567890123\n12345678901234\n"},
		{name: "alert without length", args: []string{"E0", "2"}, stdin: strings.Repeat("x", 300) + "\n"},
		{name: "alert of the usual length", args: []string{"2"}, stdin: strings.Repeat("x", 203) + "\n" + strings.Repeat("x", 204) + "\n"},
		{name: "NUL", args: []string{"1"}, stdin: "a\x00b\nc\x00"},
		{name: "long line", args: []string{"1"}, stdin: strings.Repeat("x", 8192) + "\n" + strings.Repeat("y", 8193) + "\n"},
		{name: "limit", args: []string{"-l", "100", "1"}, stdin: strings.Repeat("x", 100) + "\n" + strings.Repeat("y", 250) + "\nz\n"},
		{name: "least limit", args: []string{"-l", "3", "1"}, stdin: strings.Repeat("x", 100) + "\n"},
		{name: "no limit", args: []string{"-l", "0", "1"}, stdin: strings.Repeat("x", 30000) + "\n"},
		{name: "no limit that is no number", args: []string{"-l", "x", "1"}},
		{name: "last line", args: []string{"1"}, stdin: "a\nb", differs: &difference{
			why: "the real one loses a last line that has no end", stdout: "a\nb\n",
		}},
		{name: "no input", args: []string{"1"}},
		{name: "nothing"},
		{name: "options only", args: []string{"-q", "--"}},
		{name: "no action", args: []string{"n5"}},
		{name: "no such directive", args: []string{"x", "1"}},
		{name: "empty directive", args: []string{"", "1"}},
		{name: "text after a stamp", args: []string{"tx", "1"}},
		{name: "text after stdout", args: []string{"1x"}},
		{name: "text after stderr", args: []string{"21"}},
		{name: "text after fallback", args: []string{"fx", "1"}},
		{name: "status without a file", args: []string{"="}},
		{name: "directives after the last action", args: []string{"1", "n5"}, stdin: some},
		{name: "selection after the last action", args: []string{"1", "+x"}, stdin: some},
		{name: "selection after the last action, quiet", args: []string{"-q", "1", "+x", "n1"}, stdin: some},
		{name: "no number", args: []string{"nx", "1"}},
		{name: "negative number", args: []string{"s-1", "1"}},
		{name: "tolerance too large", args: []string{"s8192", "l4097", "1"}},
		{name: "tolerance, then size", args: []string{"l4097", "s8192", "1"}, stdin: some},
		{name: "wrong expression", args: []string{"--", "+(", "1"}},
		{name: "later directives", args: []string{"R30", "1"}},
		{name: "option -t", args: []string{"-t", "30", "1"}},
		{name: "notification", args: []string{"-d", "7", "1"}, stdin: some, under: `exec 7>ready; "$@"; cat ready; echo end`},
		{name: "notification too low", args: []string{"-d", "2", "1"}},
		{name: "notification not open", args: []string{"-d", "9", "1"}},
		{name: "notification not open, low", args: []string{"-d", "3", "1"}, under: `exec "$@" 3>&- 4>&- 5>&-`},
		{name: "notification not open, next", args: []string{"-d", "4", "1"}, under: `exec "$@" 3>&- 4>&- 5>&-`},
		{name: "notification that is no number", args: []string{"-d", "x", "1"}},
		{name: "unknown option", args: []string{"-x", "1"}},
		{name: "long option", args: []string{"--foo", "1"}},
		{name: "missing value", args: []string{"-l"}},
		{name: "script that begins with a dash", args: []string{"--", "-beta", "1"}, stdin: some},
		{name: "nobody reads", args: []string{"-b", "1"}, stdin: numbered(20000), under: `("$@"; echo $? >&2) | true`},
		{name: "slow reader", args: []string{"-b", "1"}, stdin: numbered(20000), under: `"$@" | (sleep 1; md5sum)`},
		{name: "slow reader, not waited for", args: []string{"1"}, stdin: numbered(20000), under: `"$@" | (sleep 1; md5sum)`},
		{name: "stdin a directory", args: []string{"1"}, under: `"$@" </`},
		{name: "stdin a directory, quiet", args: []string{"-q", "1"}, under: `"$@" </`},
		{name: "verbose", args: []string{"-v", "1"}, stdin: some},
	})
}

// TestLogEnds: signals end s6-log as they end the real one, after the line in hand.
func TestLogEnds(t *testing.T) {
	t.Parallel()
	// signalled writes $1, has the signal $2 sent once that is in the log, and writes the rest.
	signalled := func(sig, before, after string) string {
		return `mkfifo in; "$@" <in & p=$!; exec 9>in
printf '` + before + `' >&9; i=0
until [ -s d/current ] || [ $i -gt 3000 ]; do sleep .01; i=$((i+1)); done
kill -` + sig + ` $p; sleep .3; printf '` + after + `' >&9 2>/dev/null; exec 9>&-; wait $p; echo $?; cat d/current`
	}
	compare(t, "s6-log", []trial{
		{name: "TERM", args: []string{"./d"}, under: signalled("TERM", `a\n`, ``)},
		{name: "HUP", args: []string{"./d"}, under: signalled("HUP", `a\n`, ``)},
		{name: "TERM within a line", args: []string{"./d"}, under: signalled("TERM", `a\nb`, `c\nd\n`)},
		{name: "TERM within a line that does not end", args: []string{"./d"}, under: signalled("TERM", `a\nb`, `c`)},
		{name: "HUP within a line", args: []string{"./d"}, under: signalled("HUP", `a\nb`, `c\nd\n`)},
		{name: "TERM within a long line", args: []string{"-l", "50", "./d"}, under: signalled("TERM", `a\nb`, strings.Repeat("c", 60)+`\nd\n`)},
		{name: "TERM within a long line, quiet", args: []string{"-q", "-l", "50", "./d"}, under: signalled("TERM", `a\nb`, strings.Repeat("c", 60)+`\nd\n`)},
		{name: "TERM, protected", args: []string{"-p", "./d"}, under: signalled("TERM", `a\nb`, `c\nd\n`)},
		{name: "HUP, protected", args: []string{"-p", "./d"}, under: signalled("HUP", `a\nb`, `c\nd\n`)},
		{name: "ALRM", args: []string{"./d"}, under: signalled("ALRM", `a\n`, `b\n`), tree: true},
		{name: "ALRM within a line", args: []string{"./d"}, under: signalled("ALRM", `a\nb`, `c\n`), tree: true},
		{name: "ALRM with nothing to rotate", args: []string{"./d", "./e"}, under: signalled("ALRM", `a\n`, `b\n`), tree: true},
		{name: "INT", args: []string{"./d"}, under: strings.Replace(signalled("INT", `a\n`, ``), `"$@" <in`, `sh -c 'trap - INT; exec "$@"' sh "$@" <in`, 1), clean: regexp.MustCompile(`.*`)},
		{name: "USR1", args: []string{"./d"}, under: signalled("USR1", `a\n`, ``)},
		{name: "PIPE", args: []string{"./d"}, under: signalled("PIPE", `a\n`, `b\n`)},
	})
}

// TestLogDirectories: after the same lines a directory of s6-log holds the same files with the same modes and contents, also
// where a run before it ended badly.
func TestLogDirectories(t *testing.T) {
	t.Parallel()
	const label, older = "@400000006000000000000000", "@400000005000000000000000"
	full := numbered(8000)
	twice := &difference{
		why: "the real one gives both archives the same name, and never starts again without help",
		tree: []string{
			". drwxr-xr-x", "d drwxr-xr-x", `d/@1.u -rw-r--r-- 2 "a\n"`, `d/@2.u -rw-r--r-- 2 "b\n"`, `d/current -rwxr--r-- 2 "c\n"`,
			`d/lock -rw-r--r-- 0 ""`, `d/state -rw-r--r-- 0 ""`,
		},
	}
	modes := func(commands string) string { return "umask 022; " + commands }
	compare(t, "s6-log", []trial{
		{name: "small", args: []string{"./d"}, stdin: "a\nb\n", tree: true},
		{name: "stamped", args: []string{"T", "./d", "t", "./e"}, stdin: "a\nb\n", tree: true},
		{name: "umask", args: []string{"./d"}, stdin: "a\n", tree: true, under: `umask 077; exec "$@"`},
		{name: "rotated", args: []string{"./d"}, stdin: full, tree: true},
		{name: "few archives", args: []string{"n2", "s20000", "./d"}, stdin: full, tree: true},
		{name: "no archives", args: []string{"n0", "s20000", "./d"}, stdin: full, tree: true},
		{name: "many archives", args: []string{"n1000", "s4096", "l0", "./d"}, stdin: full, tree: true},
		{name: "smaller than the least", args: []string{"s1", "l0", "./d"}, stdin: full, tree: true},
		{name: "total", args: []string{"S50000", "s20000", "./d"}, stdin: full, tree: true},
		{name: "no tolerance", args: []string{"l0", "s20000", "./d"}, stdin: full, tree: true},
		{name: "much tolerance", args: []string{"s20000", "l10000", "./d"}, stdin: full, tree: true},
		{name: "long lines", args: []string{"s4096", "l2000", "./d"}, stdin: strings.Repeat(strings.Repeat("y", 3000)+"\n", 20), tree: true},
		{name: "two directories", args: []string{"s20000", "./d", "-", "+[05]0 ", "n3", "./e"}, stdin: full, tree: true},
		{name: "goes on", args: []string{"./d"}, stdin: "b\n", tree: true,
			files: map[string]string{"d/current": "a\n", "d/state": "s"}, before: modes("chmod 744 d/current")},
		{name: "goes on beyond the size", args: []string{"s4096", "./d"}, stdin: "b\n", tree: true,
			files: map[string]string{"d/current": strings.Repeat("a\n", 3000)}, before: modes("chmod 744 d/current")},
		{name: "ended badly", args: []string{"./d"}, stdin: "b\n", tree: true, files: map[string]string{"d/current": "a\n", "d/state": "s", "d/newstate": "n"}},
		{name: "ended badly, empty", args: []string{"./d"}, stdin: "b\n", tree: true, files: map[string]string{"d/current": ""}},
		{name: "ended badly while rotating", args: []string{"./d"}, stdin: "c\n", tree: true, files: map[string]string{"d/previous": "a\n", "d/current": "b\n"}, differs: twice},
		{name: "ended badly while processing", args: []string{"./d"}, stdin: "c\n", tree: true,
			files: map[string]string{"d/previous": "a\n", "d/processed": "A", "d/current": "b\n"}, differs: twice},
		{name: "ended badly after processing", args: []string{"./d"}, stdin: "c\n", tree: true,
			files: map[string]string{"d/previous": "a\n", "d/processed": "A\n", "d/current": ""}, before: modes("chmod 744 d/processed")},
		{name: "archived already", args: []string{"./d"}, stdin: "c\n", tree: true,
			files: map[string]string{"d/previous": "a\n"}, before: modes("chmod 744 d/previous; ln d/previous d/" + label + ".s")},
		{name: "old archives", args: []string{"n2", "./d"}, stdin: "c\n", tree: true,
			files: map[string]string{"d/" + label + ".s": "1", "d/" + older + ".u": "2", "d/" + label + ".x": "3", "d/@4.s": "4", "d/current": "b\n"}},
		{name: "old archives stay until there is a new one", args: []string{"n1", "./d"}, stdin: "c\n", tree: true,
			files: map[string]string{"d/" + label + ".s": "1", "d/" + older + ".s": "2", "d/current": ""}, before: modes("chmod 744 d/current")},
		{name: "busy", args: []string{"./d"}, stdin: "a\n",
			under: `mkfifo go; s6-log ./d <go & exec 9>go; until [ -e d/state ]; do sleep .01; done; "$@"; echo $?; exec 9>&-; wait`},
		{name: "no parent", args: []string{"./x/d"}, stdin: "a\n"},
		{name: "file", args: []string{"./f"}, stdin: "a\n", files: map[string]string{"f": ""}},
		{name: "no right", args: []string{"./d"}, stdin: "a\n", before: "mkdir d; chmod 755 d", as: nobodyElse},
		{name: "current is a directory", args: []string{"./d"}, stdin: "a\n", files: map[string]string{"d/current/": ""}, before: "chmod 644 d/current"},
		{name: "directory before a mistake", args: []string{"./d", "nx", "1"}, tree: true},
		{name: "status", args: []string{"=f"}, stdin: "a\nbc\n", tree: true},
		{name: "status of a size", args: []string{"^5", "=f"}, stdin: "a\nbcdefgh\n", tree: true},
		{name: "status of a size that fits", args: []string{"^5", "t", "=f"}, stdin: "abcd\n", tree: true},
		{name: "status without a size", args: []string{"^0", "=f"}, stdin: "a\nbc\n", tree: true},
		{name: "status that cannot be written", args: []string{"=x/f", "1"}, stdin: "a\n"},
		{name: "status that cannot be written, quiet", args: []string{"-q", "=x/f", "1"}, stdin: "a\n"},
	})
}

// TestLogProcessors: what s6-log has a program make of a full file is archived as by the real one, and its failures are
// repeated alike.
func TestLogProcessors(t *testing.T) {
	t.Parallel()
	full := numbered(3000)
	again := regexp.MustCompile(`(s6-log: warning: processor \w+ in ./d\n)+`)
	compare(t, "s6-log", []trial{
		{name: "shell", args: []string{"-b", "n100", "s20000", "?tr a-z A-Z", "./d"}, stdin: full, tree: true},
		{name: "execline", args: []string{"-b", "n100", "s20000", "!tr a-z A-Z", "./d"}, stdin: full, tree: true},
		{name: "execline with blocks", args: []string{"-b", "n100", "s20000", "!if { echo first } cat", "./d"}, stdin: full, tree: true, env: []string{"PATH=/usr/lib/execline/bin:/usr/bin:/bin"}},
		{name: "compressed", args: []string{"-b", "n100", "s20000", "!gzip -nq9", "./d"}, stdin: full, tree: true},
		{name: "state", args: []string{"-b", "n100", "s20000", `?read n <&4; n=$((n+1)); echo $n >&5; echo run $n; cat`, "./d"}, stdin: full, tree: true, under: `exec 3</dev/null 4</dev/null; exec "$@"`},
		{name: "state without use", args: []string{"-b", "s20000", `?wc -c`, "./d"}, stdin: full, tree: true},
		{name: "only for one", args: []string{"-b", "n100", "s20000", "?wc -l", "./d", "?", "./e"}, stdin: full, tree: true},
		{name: "few archives", args: []string{"-b", "n2", "s20000", "?wc -l", "./d"}, stdin: full, tree: true},
		{name: "total", args: []string{"-b", "S8", "n100", "s20000", "?wc -l", "./d"}, stdin: full, tree: true},
		{name: "not waited for", args: []string{"n100", "s100000", "?sleep .2; wc -l", "./d"}, stdin: full, tree: true},
		{name: "where it runs", args: []string{"-b", "n100", "s20000", `?basename "$PWD"; ls; id -u; cat >/dev/null`, "./d"}, stdin: full, tree: true},
		{name: "its alerts", args: []string{"n100", "s100000", `?cat >/dev/null; echo alarm >&2`, "./d"}, stdin: full, tree: true},
		{name: "fails, then not", args: []string{"r50", "n100", "s100000", `?cat; test -e ../x || { >../x; exit 1; }`, "./d"}, stdin: full, tree: true},
		{name: "crashes, then not", args: []string{"r50", "n100", "s100000", `?cat; test -e ../x || { >../x; kill -9 $$; }`, "./d"}, stdin: full, tree: true},
		{name: "fails, quiet", args: []string{"-q", "r50", "n100", "s100000", `?cat; test -e ../x || { >../x; exit 1; }`, "./d"}, stdin: full, tree: true},
		{name: "fails for a while", args: []string{"r10", "n100", "s100000", `?cat; test -e ../y || { echo >../y; exit 1; }`, "./d"}, stdin: full, tree: true, clean: again},
		{name: "is not there at first", args: []string{"r200", "n100", "s100000", `!../late`, "./d"}, stdin: full, clean: regexp.MustCompile(`(.*\n)+`),
			under: `"$@" & sleep 1; printf '#!/bin/sh\ncat\n' >tmp; chmod 755 tmp; mv tmp late; wait; ls d | wc -l`},
		{name: "environment", args: []string{"n100", "s100000", `?echo $A; cat >/dev/null`, "./d"}, env: []string{"A=17"}, stdin: full, tree: true},
		{name: "descriptors", args: []string{"n100", "s100000", `?for n in 3 4 5; do test -e /proc/$$/fd/$n && echo $n; done; cat >/dev/null`, "./d"}, stdin: full, tree: true, differs: &difference{
			why: "the real one hands on its own descriptors, and 5 is closed where that number was free", tree: []string{
				". drwxr-xr-x", `d drwx------`, `d/@1.s -rwxr--r-- 4 "4\n5\n"`, `d/current -rwxr--r-- 75748 ` + shortened(full[len(full)-75748:]),
				`d/lock -rw-r--r-- 0 ""`, `d/state -rw-r--r-- 0 ""`,
			},
		}},
	})
}
