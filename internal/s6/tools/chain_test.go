package tools

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// environment prints the variables that come from files.
var environment = []string{"sh", "-c", `env -u PWD -u GORACE -0 | sort -z | tr '\000\n\t\r' '|NTR'`}

func envOf(args ...string) []string { return append(args, environment...) }

// TestEnvdir: s6-envdir makes the same variables of the same files.
func TestEnvdir(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"e/PLAIN": "value\n", "e/NONL": "value", "e/EMPTY": "", "e/NEWLINE": "\n", "e/TRAIL": "value \t\r\n", "e/LINES": "one \ntwo\n\n",
		"e/NUL": "a\x00b\n", "e/.hidden": "x", "e/with=sign": "x", "e/LONG": strings.Repeat("x", 5000), "e/GONE": "", "e/LEAD": "  x",
	}
	has := []string{"GONE=1", "PLAIN=0", "KEPT=2"}
	one := func(text string) map[string]string { return map[string]string{"e/X": text} }
	compare(t, "s6-envdir", []trial{
		{name: "all", args: envOf("e"), files: files, env: has},
		{name: "untrimmed", args: envOf("-n", "e"), files: files, env: has},
		{name: "whole", args: envOf("-f", "e"), files: files, env: has},
		{name: "whole and untrimmed", args: envOf("-fn", "e"), files: files, env: has},
		{name: "null character", args: envOf("-c", "+", "e"), files: files},
		{name: "no null character", args: envOf("-c", "", "e"), files: files},
		{name: "null character of two", args: envOf("-c+-", "e"), files: files},
		{name: "long", args: envOf("-Lf", "e"), files: files, env: has},
		{name: "long, as in s6-overlay", args: envOf("-Lfn", "e"), files: files, env: has},
		{name: "long lines", args: envOf("-L", "e"), files: one(strings.Repeat("x", 5000) + "\ny")},
		{name: "long line without an end", args: envOf("-L", "e"), files: one("value"), differs: &difference{
			why:    "the real one loses the value, and only with -L without -f and -n",
			stdout: "PATH=/usr/local/bin:/usr/bin:/bin|X=value|",
		}},
		{name: "long untrimmed line without an end", args: envOf("-Ln", "e"), files: one("value ")},
		{name: "only newlines, whole", args: envOf("-f", "e"), files: one("\n\n")},
		{name: "limit", args: envOf("-f", "e"), files: one(strings.Repeat("x", 4094) + "\nz")},
		{name: "missing", args: envOf("nosuch")},
		{name: "missing, tolerated", args: envOf("-I", "nosuch"), env: has},
		{name: "missing, tolerated, then not", args: envOf("-I", "-i", "nosuch"), env: has},
		{name: "no directory", args: envOf("-I", "f"), files: map[string]string{"f": ""}},
		{name: "directory in it", args: envOf("e"), files: map[string]string{"e/sub/": ""}},
		{name: "dangling link in it", args: envOf("-I", "e"), files: map[string]string{"e/": ""}, links: map[string]string{"e/X": "nosuch"}},
		{name: "link in it", args: envOf("e"), files: map[string]string{"e/": "", "v": "1"}, links: map[string]string{"e/X": "../v"}},
		{name: "unreadable", args: envOf("e"), files: one("1"), before: "chmod 0 e/X; chmod 755 e", as: nobodyElse},
		{name: "PATH is the caller's", args: []string{"e", "sh", "-c", "echo $PATH"}, files: map[string]string{"e/PATH": "/nosuch"}},
		{name: "no program", args: []string{"e"}, files: files},
		{name: "program that may not be executed, then none", args: []string{"e", "f"}, files: map[string]string{"e/": "", "x/f": ""}, env: []string{"PATH=x:/usr/bin:/bin"}},
		{name: "program that may not be executed, then one", args: []string{"e", "true"}, files: map[string]string{"e/": "", "x/true": ""}, env: []string{"PATH=x:/usr/bin:/bin"}},
		{name: "folder that is a file, then one", args: []string{"e", "true"}, files: map[string]string{"e/": "", "x": ""}, env: []string{"PATH=x:/usr/bin:/bin"}},
		{name: "program of no format, then one", args: []string{"e", "true"}, files: map[string]string{"e/": "", "x/true": "?"}, before: "chmod 755 x/true", env: []string{"PATH=x:/usr/bin:/bin"}},
		{name: "empty folders on PATH", args: []string{"e", "f"}, files: map[string]string{"e/": "", "f": "?"}, before: "chmod 755 f", env: []string{"PATH=::/nosuch:"}},
		{name: "no PATH", args: []string{"e", "true"}, files: map[string]string{"e/": ""}, under: `unset PATH; exec "$@"`},
		{name: "program without a name", args: []string{"e", ""}, files: map[string]string{"e/": ""}},
		{name: "nothing"},
		{name: "unknown option", args: envOf("-x", "e")},
		{name: "missing value", args: []string{"-c"}},
		{name: "missing program", args: []string{"e", "nosuchprogram"}, files: files},
	})
}

// limits prints the limits, soft and hard.
const limits = `cat /proc/self/limits | tr -s ' '`

func limited(args ...string) []string { return append(args, "sh", "-c", limits) }

// TestSoftlimit: s6-softlimit sets the same limits.
func TestSoftlimit(t *testing.T) {
	t.Parallel()
	low := `ulimit -S -n 100; ulimit -H -n 200; exec "$@"`
	compare(t, "s6-softlimit", []trial{
		{name: "files", args: limited("-o", "50")},
		{name: "files over the hard limit", args: limited("-o", "500"), under: low},
		{name: "files to the hard limit", args: limited("-o", "="), under: low},
		{name: "hard files", args: limited("-h", "-o", "150"), under: low},
		{name: "hard files under the soft ones", args: limited("-h", "-o", "50"), under: low},
		{name: "both for files", args: limited("-H", "-o", "150"), under: low},
		{name: "nothing, so all as it was", args: limited(), under: low},
		{name: "core", args: limited("-c", "0")},
		{name: "core to the hard limit", args: limited("-c", "=")},
		{name: "data", args: limited("-d", "1000000000")},
		{name: "file size", args: limited("-f", "1000000")},
		{name: "locked", args: limited("-l", "4096")},
		{name: "memory", args: limited("-m", "4000000000")},
		{name: "memory twice", args: limited("-m", "5000000000", "-d", "4000000000")},
		{name: "processes", args: limited("-p", "5000")},
		{name: "resident", args: limited("-r", "1000000000")},
		{name: "stack", args: limited("-s", "1000000")},
		{name: "time", args: limited("-t", "100")},
		{name: "address space", args: limited("-a", "4000000000")},
		{name: "no number", args: limited("-o", "x")},
		{name: "signed", args: limited("-o", "-1")},
		{name: "empty", args: limited("-o", "")},
		{name: "too large", args: limited("-o", "18446744073709551616")},
		{name: "unknown option", args: limited("-x", "-o", "50")},
		{name: "long option", args: limited("--foo", "-o", "50")},
		{name: "missing value", args: []string{"-o"}},
		{name: "no program", args: []string{"-o", "50"}},
		{name: "all"},
		{name: "missing program", args: []string{"-o", "50", "nosuchprogram"}},
		{name: "unlimited as nobody", args: limited("-H", "-o", "="), under: low, as: nobodyElse},
	})
}

// TestSetsid: s6-setsid makes the same sessions and groups, and fails alike.
func TestSetsid(t *testing.T) {
	t.Parallel()
	where := []string{"sh", "-c", `set -- $(cat /proc/$$/stat); test $1 = $5 && echo group; test $1 = $6 && echo session; echo end`}
	in := func(args ...string) []string { return append(args, where...) }
	leader := `exec setsid -w "$@"`
	fork := `"$@"; echo $?` // the tool is no leader of a group
	forked := `script -qec "$*; true" /dev/null </dev/null`
	look := map[string]string{"w": `#!/bin/sh
set -- $(cat /proc/$$/stat); test $1 = $5 && echo group; test $1 = $6 && echo session; test $1 = $8 && echo foreground; echo end
`}
	compare(t, "s6-setsid", []trial{
		{name: "session away from a terminal", args: []string{"./w"}, files: look, before: "chmod 755 w", under: forked},
		{name: "background on a terminal", args: []string{"-b", "./w"}, files: look, before: "chmod 755 w", under: forked},
		{name: "session", args: in(), under: fork},
		{name: "session said", args: in("-s"), under: fork},
		{name: "background", args: in("-b"), under: fork},
		{name: "foreground without a terminal", args: in("-f"), under: fork},
		{name: "foreground, insisting", args: in("-f", "-i"), under: fork},
		{name: "foreground, quiet", args: in("-f", "-q"), under: fork},
		{name: "grab without a terminal", args: in("-g"), under: fork},
		{name: "grab, insisting", args: in("-gi"), under: fork},
		{name: "session of a leader", args: in(), under: leader},
		{name: "session of a leader, insisting", args: in("-i"), under: leader},
		{name: "session of a leader, quiet", args: in("-q"), under: leader},
		{name: "group of a leader", args: in("-b"), under: leader},
		{name: "group of a leader, insisting", args: in("-bi"), under: leader},
		{name: "insisting, then not", args: in("-i", "-I"), under: leader},
		{name: "other terminal", args: in("-f", "-d", "9"), under: fork},
		{name: "terminal that is no number", args: in("-d", "x")},
		{name: "no program", args: []string{"-s"}},
		{name: "nothing"},
		{name: "unknown option", args: in("-x")},
		{name: "missing program", args: []string{"nosuchprogram"}},
		{name: "ignored SIGTTOU", args: []string{"-gq", "grep", "SigIgn", "/proc/self/status"}, under: fork},
	})
}

// TestSetsidGrabs: s6-setsid -g takes a terminal from the background, where the real one never comes to an end.
func TestSetsidGrabs(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("script"); err != nil {
		t.Skipf("script(1), which makes a terminal, is not installed here: %v", err)
	}
	c := trial{
		args:   []string{"-g", "./w"},
		files:  map[string]string{"w": "#!/bin/sh\nset -- $(cat /proc/$$/stat); test $1 = $5 && echo group; test $1 = $8 && echo foreground\n"},
		before: "chmod 755 w", under: `script -qec "$*; true" /dev/null </dev/null`,
	}
	ours := linkTools(t)
	if diff := cmp.Diff(outcome{Stdout: "group\r\nforeground\r\n"}, c.run(t, filepath.Join(ours, "s6-setsid"))); diff != "" {
		t.Error(diff)
	}
}

// TestSetlock: s6-setlock locks as the real one, against real ones.
func TestSetlock(t *testing.T) {
	t.Parallel()
	ok := func(args ...string) []string { return append(args, "sh", "-c", "echo got; s6-setlock -n L echo free") }
	held := `mkfifo go; s6-setlock L sh -c 'echo >go; exec sleep 300' & read x <go; "$@"; c=$?; kill $!; exit $c`
	shared := `mkfifo go; s6-setlock -r L sh -c 'echo >go; exec sleep 300' & read x <go; "$@"; c=$?; kill $!; exit $c`
	compare(t, "s6-setlock", []trial{
		{name: "free", args: ok("L")},
		{name: "free, not waiting", args: ok("-n", "L")},
		{name: "free, waiting", args: ok("-N", "L")},
		{name: "free, shared", args: ok("-r", "L")},
		{name: "free, for a while", args: []string{"-t", "20000", "L", "echo", "got"}},
		{name: "held", args: ok("-n", "L"), under: held},
		{name: "held, shared wanted", args: ok("-rn", "L"), under: held},
		{name: "shared, shared wanted", args: []string{"-rn", "L", "echo", "got"}, under: shared},
		{name: "shared, exclusive wanted", args: ok("-n", "-w", "L"), under: shared},
		{name: "held too long", args: ok("-t", "100", "L"), under: held},
		{name: "held too long, shared wanted", args: ok("-r", "-t", "100", "L"), under: held},
		{name: "freed while waiting", args: []string{"L", "echo", "got"},
			under: `mkfifo go; s6-setlock L sh -c 'echo >go; exec sleep 1' & read x <go; "$@"`},
		{name: "freed while waiting for a while", args: []string{"-t", "30000", "L", "echo", "got"},
			under: `mkfifo go; s6-setlock L sh -c 'echo >go; exec sleep 1' & read x <go; "$@"`},
		{name: "no directory", args: ok("nosuch/L")},
		{name: "no directory, shared", args: ok("-r", "nosuch/L")},
		{name: "directory", args: ok("-r", ".")},
		{name: "directory, exclusive", args: ok(".")},
		{name: "no number", args: ok("-t", "x", "L")},
		{name: "no program", args: []string{"L"}},
		{name: "nothing"},
		{name: "unknown option", args: ok("-x", "L")},
		{name: "missing program", args: []string{"L", "nosuchprogram"}},
		{name: "what is made", args: []string{"L", "true"}, tree: true},
		{name: "what is made, shared", args: []string{"-r", "L", "true"}, tree: true},
	})
}

// TestTai64n: s6-tai64n stamps the same lines.
func TestTai64n(t *testing.T) {
	t.Parallel()
	compare(t, "s6-tai64n", []trial{
		{name: "lines", stdin: "a\nb\n"},
		{name: "no end", stdin: "a\nb"},
		{name: "nothing"},
		{name: "empty lines", stdin: "\n\n"},
		{name: "NUL", stdin: "a\x00b\n"},
		{name: "stamped already", stdin: "@400000000000000a00000000 a\n"},
		{name: "long", stdin: strings.Repeat("x", 20000) + "\nb\n"},
		{name: "very long", stdin: strings.Repeat("x", 200000)},
		{name: "many", stdin: strings.Repeat("line\n", 5000)},
		{name: "exactly a buffer", stdin: strings.Repeat("x", 8191) + "\n"},
		{name: "a buffer and one", stdin: strings.Repeat("x", 8192) + "\n"},
		{name: "carriage returns", stdin: "a\r\nb\r\n"},
		{name: "not text", stdin: "\xff\xfe\n"},
		{name: "arguments", args: []string{"-x", "y"}, stdin: "a\n"},
		{name: "nobody reads", stdin: strings.Repeat("line\n", 100000), under: `("$@"; echo $? >&2) | true`},
		{name: "stdin closed", under: `"$@" <&-`, differs: &difference{why: "Go has /dev/null in the place of a standard descriptor that is closed"}},
		{name: "stdin a directory", under: `"$@" </`},
		{name: "full", stdin: "a\n", under: `"$@" >/dev/full`, differs: &difference{
			why: "the real one says that it cannot read", code: 111, stderr: "s6-tai64n: fatal: unable to write to stdout: No space left on device\n",
		}},
	})
}

// TestTai64nlocal: s6-tai64nlocal turns the same labels into the same times.
func TestTai64nlocal(t *testing.T) {
	t.Parallel()
	const label = "@400000006000000012345678"
	trials := []trial{
		{name: "label", stdin: label + " x\n"},
		{name: "in Greenwich", args: []string{"-g"}, stdin: label + " x\n"},
		{name: "elsewhere", stdin: label + " x\n", env: []string{"TZ=America/New_York"}},
		{name: "in summer", stdin: "@400000006100000012345678 x\n", env: []string{"TZ=Europe/Berlin"}},
		{name: "elsewhere, in Greenwich", args: []string{"-g"}, stdin: label + " x\n", env: []string{"TZ=America/New_York"}},
		{name: "nowhere", stdin: label + " x\n", env: []string{"TZ=No/Such"}},
		{name: "label alone", stdin: label + "\n"},
		{name: "label alone without an end", stdin: label},
		{name: "label and one", stdin: label + "x"},
		{name: "no label", stdin: "x\nlonger than a label, but none\n"},
		{name: "nearly a label", stdin: "@40000000600000001234567g x\n@40000000600000001234567 xyz\n"},
		{name: "capitals", stdin: "@40000000600000001234ABCD x\n"},
		{name: "too many nanoseconds", stdin: "@4000000060000000ffffffff x\n"},
		{name: "few nanoseconds", stdin: "@400000006000000000000001 x\n"},
		{name: "the epoch", args: []string{"-g"}, stdin: "@400000000000000a00000000 x\n@400000000000000900000000 x\n@400000000000000b00000000 x\n"},
		{name: "leap seconds", args: []string{"-g"}, stdin: "@40000000586846a300000000 x\n@40000000586846a400000000 x\n@40000000586846a500000000 x\n"},
		{name: "first leap second", args: []string{"-g"}, stdin: "@4000000004b2580900000000 x\n@4000000004b2580a00000000 x\n@4000000004b2580b00000000 x\n"},
		{name: "leap second in Berlin", stdin: "@40000000586846a400000000 x\n", env: []string{"TZ=Europe/Berlin"}},
		{name: "far times", args: []string{"-g"}, stdin: "@000000000000000000000000 x\n@3fffffffffffffff00000000 x\n@7fffffffffffffff00000000 x\n@ffffffffffffffff00000000 x\n"},
		{name: "the year 9999", args: []string{"-g"}, stdin: "@4000003afff4417f00000000 x\n"},
		{name: "nothing"},
		{name: "unknown option", args: []string{"-x"}},
		{name: "arguments", args: []string{"x", "-x"}, stdin: label + " x\n"},
	}
	for i := range trials {
		trials[i].exact = true
	}
	compare(t, "s6-tai64nlocal", trials)
}

// TestStampsAreOfNow: the stamps of s6-log and s6-tai64n are the time at which a line was read, the same in both ways to write it.
func TestStampsAreOfNow(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("s6-tai64nlocal"); err != nil {
		t.Skipf("s6 is not installed here: %v", err)
	}
	ours := linkTools(t)
	const second = "2006-01-02 15:04:05.000000000"
	before := time.Now().UTC()
	for tool, c := range map[string]trial{
		"s6-log":    {args: []string{"t", "T", "1"}, stdin: "x\n", exact: true, under: `"$@" | s6-tai64nlocal -g`, env: []string{"TZ=UTC"}},
		"s6-tai64n": {stdin: "x\n", exact: true, under: `"$@" | s6-tai64nlocal -g`},
	} {
		got := c.run(t, filepath.Join(ours, tool))
		times := stamps.FindAllString(got.Stdout, -1)
		if len(times) == 0 || tool == "s6-log" && (len(times) != 2 || got.Stdout != times[0]+" "+times[0]+"  x\n") || tool == "s6-tai64n" && got.Stdout != times[0]+" x\n" {
			t.Errorf("%s wrote %q", tool, got.Stdout)
			continue
		}
		if at, err := time.Parse(second, times[0]); err != nil || at.Before(before) || at.After(time.Now().UTC()) {
			t.Errorf("%s says that it is %v at %v", tool, times[0], before)
		}
	}
}
