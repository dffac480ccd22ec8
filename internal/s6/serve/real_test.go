package serve

import (
	"os"
	"strings"
	"testing"
)

// TestDebiansToolsDriveATree: a service that pintle supervises is one to s6's own tools: they see its state, wait for it,
// and have it be stopped, started, signalled and ended.
func TestDebiansToolsDriveATree(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{
		"web": {"run*": "echo begun; echo >&3; exec sleep 1000", "notification-fd": "3\n", "finish*": `echo "$@" >> finished`},
		"off": {"run*": "exec sleep 1000", "down": ""},
		"log": {"run*": "echo one; echo two; exec sleep 1000", "log/run*": "exec cat > lines"},
	})
	tr := grow(t, dir)
	for _, step := range []struct {
		tool, args string
		code       int
		says       string
	}{
		{"s6-svwait", "-U -t 20000 @web", 0, ""},
		{"s6-svok", "@web", 0, ""},
		{"s6-svstat", "-o up,wantedup,normallyup,ready @web", 0, "true true true true\n"},
		{"s6-svstat", "-o up,wantedup,normallyup,ready @off", 0, "false false false false\n"},
		{"s6-svc", "-wd -T 20000 -k @web", 0, ""},
		{"s6-svwait", "-U -t 20000 @web", 0, ""},
		{"s6-svstat", "-o exitcode,signal @web", 0, "-1 NA\n"},
		{"s6-svc", "-wD -T 20000 -d @web", 0, ""},
		{"s6-svstat", "-o up,wantedup,normallyup,exitcode,signal @web", 0, "false false true -1 SIGTERM\n"},
		{"s6-svc", "-wU -T 20000 -u @web", 0, ""},
		{"s6-svc", "-wu -T 20000 -u @off", 0, ""},
		{"s6-svstat", "-o up,wantedup,normallyup @off", 0, "true true false\n"},
		{"s6-svscanctl", "-a @", 0, ""},
	} {
		if out, code := tr.tool(t, step.tool, strings.Fields(step.args)...); code != step.code || out != step.says {
			t.Errorf("%s %s: code %d, %q; want %d, %q", step.tool, step.args, code, out, step.code, step.says)
		}
	}
	finished, err := os.ReadFile(dir + "/web/finished")
	if err != nil || string(finished) != "256 9 web\n256 15 web\n" {
		t.Errorf("finish got %q, %v", finished, err)
	}
	tr.until(t, "the logger has the lines", func() bool {
		lines, _ := os.ReadFile(dir + "/log/log/lines")
		return string(lines) == "one\ntwo\n"
	})
}
