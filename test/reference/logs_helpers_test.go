package reference_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pintle/internal/engine"
	"pintle/test/dockertest"
)

// The tests of logs have units that write what a test tells them to, and when.

// talkProgram is a service that does what it is told at the pipe /talk/NAME: a verb and its argument on each line. The pipe
// is that of all its runs; what is told between two of them waits for the next.
const talkProgram = `#!/bin/sh
mkfifo "/talk/$1" 2>/dev/null
exec 3<>"/talk/$1"
while read -r verb rest <&3; do
	case $verb in
	out) echo "$rest" ;;
	err) echo "$rest" >&2 ;;
	half) printf %s "$rest" ;;
	bytes) printf "$rest" ;;
	log) logger -t "$1" "$rest" ;;
	flood) perl -e 'printf "%s %08d %s\n", $ARGV[0], $_, "." x 80 for 1 .. $ARGV[1]' $rest ;;
	await) until test -e "$rest"; do sleep 0.01; done ;;
	exit) exit "$rest" ;;
	esac
done
`

// logsImage is the reference image with the program talk, and with configurations by their names, as lifeOptions runs them.
func logsImage(t *testing.T, configs map[string]string) string {
	t.Helper()
	files := map[string]string{"bin/talk": talkProgram}
	for name, text := range configs {
		files["cases/"+name+".yaml"] = text
	}
	return dockertest.Derive(t, "FROM reference\nCOPY bin /usr/local/bin\nCOPY cases /etc/pintle/cases\n"+
		"RUN chmod 0755 /usr/local/bin/talk && install -d -m 0777 /talk\n", files)
}

// tell has a unit that runs talk do something.
func tell(t *testing.T, c *dockertest.Container, name, what string) {
	t.Helper()
	pipe := name[strings.Index(name, "@")+1:]
	succeeds(t, c.Exec("0", "timeout", "30", "sh", "-c", `until test -p "$0"; do sleep 0.01; done; printf "%s\n" "$1" >"$0"`, "/talk/"+pipe, what))
}

// utter has a unit write lines on its standard output, one after the other, and returns when pintle has them.
func utter(t *testing.T, c *dockertest.Container, name string, lines ...string) {
	t.Helper()
	pipe := name[strings.Index(name, "@")+1:]
	succeeds(t, c.Exec("0", append([]string{"timeout", "60", "sh", "-c", `pipe=$0 unit=$1; shift; until test -p "$pipe"; do sleep 0.01; done
for line; do echo "out $line" >"$pipe"; until pintle logs --tail 1 "$unit" | grep -qxF -e "$line"; do :; done; done`, "/talk/" + pipe, name}, lines...)...))
}

// A logLine is a line as pintle logs -o json prints it.
type logLine struct {
	engine.Line
	Cursor string
}

// readLogs returns what pintle logs shows root.
func readLogs(t *testing.T, c *dockertest.Container, args ...string) []logLine {
	t.Helper()
	return logLines(t, succeeds(t, pintle(c, "0", append([]string{"logs", "-o", "json"}, args...)...)))
}

// logLines reads what pintle logs -o json has printed.
func logLines(t *testing.T, text string) (lines []logLine) {
	t.Helper()
	s := bufio.NewScanner(strings.NewReader(text))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var l logLine
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%v: %s", err, s.Text())
		}
		lines = append(lines, l)
	}
	return lines
}

// wrote is what lines say that units wrote themselves, without pintle's words, each as "UNIT TEXT".
func wrote(lines []logLine) string {
	var texts []string
	for _, l := range lines {
		if l.Stream != "pintle" {
			texts = append(texts, string(l.Unit)+" "+l.Text)
		}
	}
	return strings.Join(texts, "\n")
}

// flooded tells of the lines of a flood in a text, which may be among others, how many there are, and whether they are
// those from one number up to another, each once and in order.
func flooded(text, word string, from, to int) error {
	next, wrong := from, 0
	for line := range strings.Lines(text) {
		var n int
		at := strings.LastIndex(line, word+" ")
		if at < 0 {
			continue
		}
		if _, err := fmt.Sscanf(line[at+len(word):], " %08d ", &n); err != nil {
			continue
		}
		if n != next {
			wrong++
		}
		next = n + 1
	}
	if wrong > 0 || next != to+1 {
		return fmt.Errorf("%d lines of %s are not those that should follow, and the last is %d instead of %d", wrong, word, next-1, to)
	}
	return nil
}
