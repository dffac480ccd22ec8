package reference_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pintle/test/dockertest"
)

// The reference container keeps what each gateway writes in files of its profile, as today's does (B107): hermes' own,
// set aside at 1 MB, ten of them, each line once and in order. Another life of the container goes on in the same file.
func TestGatewaysKeepTheirOutputInFiles(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	const directory = "/opt/data/logs/gateways/default"
	succeeds(t, c.Exec("hermes", "sh", "-c", "echo HERMES_GATEWAY_FLOOD=12MB >gateway.conf"))
	succeeds(t, pintle(c, "hermes", "start", "gateway@default"))
	says := func(text string, times int) {
		t.Helper()
		dockertest.Eventually(t, soon, func() (bool, string) {
			r := c.Exec("hermes", "grep", "-cE", "^[0-9-]{10}T[0-9:]{8}\\.[0-9]{6}Z (out|err) "+text, directory+"/current")
			return strings.TrimSpace(r.Stdout) == fmt.Sprint(times), r.String()
		}, "the file says as often: "+text)
	}
	says("gateway default: ready$", 1)
	says("flood default 0000120000 ", 1)
	files := strings.Split(strings.TrimSpace(succeeds(t, c.Exec("", "sh", "-c", "cd "+directory+" && stat -c '%u:%g %a %s %n' *"))), "\n")
	if len(files) != 11 || !strings.HasSuffix(files[10], " current") {
		t.Errorf("the files are %q", files)
	}
	for _, file := range files {
		var size int
		if _, err := fmt.Sscanf(file, "10000:10000 640 %d ", &size); err != nil || size > 1_000_000 {
			t.Errorf("%v: there is %s", err, file)
		}
	}
	// The numbers of all lines that are kept, the first and the last, and how many do not follow the one before.
	count := succeeds(t, c.Exec("hermes", "sh", "-c", "cd "+directory+` && cat *.log current | awk '$3 == "flood" { if (!first) first = $5+0; else if ($5+0 != last+1) wrong++; last = $5+0; n++ } END { print first, last, n, wrong+0 }'`))
	var first, last, n, wrong int
	if _, err := fmt.Sscan(count, &first, &last, &n, &wrong); err != nil || last != 120_000 || n != last-first+1 || wrong != 0 || n < 70_000 {
		t.Errorf("%v: of the lines there are %d, from %d to %d, and %d do not follow the one before", err, n, first, last, wrong)
	}

	succeeds(t, c.Exec("hermes", "rm", "gateway.conf"))
	c.Restart()
	answers(t, c)
	says("gateway default: ready$", 2)
	if s := succeeds(t, pintle(c, "hermes", "status")); strings.Contains(s, "in memory only") {
		t.Errorf("the status says %s", s)
	}
}

// What README.md shows of the logs is what they show.
func TestReadmesLogs(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
	succeeds(t, pintle(c, "hermes", "restart", "gateway@coder"))
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, ok := strings.Cut(string(readme), "$ docker exec -u hermes agent pintle logs --run -1 --tail 2 gateway@coder\n")
	if shown, _, _ = strings.Cut(shown, "$"); !ok {
		t.Fatal("README.md shows something else")
	}
	sorted := func(text string) []string { // one is from stdout, one from stderr: either may be read first
		return slices.Sorted(strings.Lines(text))
	}
	dockertest.Eventually(t, soon, func() (bool, string) {
		r := pintle(c, "hermes", "logs", "--run", "-1", "--tail", "2", "gateway@coder")
		return r.Code == 0 && slices.Equal(sorted(r.Stdout), sorted(shown)), r.String()
	}, fmt.Sprintf("it shows %q", shown))
}
