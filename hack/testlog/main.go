// Command testlog turns `go test -json` on standard input into what a person
// wants to read: a line for each package, all output of a test that failed, one
// line for each reason why tests were skipped, and a count at the end.
//
// It exits 1 when a test or a build failed, when no test ran at all, and, with
// PINTLE_TEST_NO_SKIP=1 in the environment, when one was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	strict := os.Getenv("PINTLE_TEST_NO_SKIP") == "1"
	ok, err := summarize(os.Stdin, os.Stdout, strict)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testlog:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// event is one line of go test -json; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of a build's output
	FailedBuild                   string
	Elapsed                       float64
}

// pkg is what is known of a package's tests while they run.
type pkg struct {
	output  map[string][]string // of each test that has not passed; "" is the package's own
	failed  []string            // tests, in order
	skipped map[string]int      // tests by reason
	reasons []string            // the reasons in order
	ran     int
}

// place is where t.Skip was called, which go test puts before the reason.
var place = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

func summarize(in io.Reader, out io.Writer, strict bool) (ok bool, err error) {
	var passed, failed, skipped int
	broken := false // a package failed, by its tests or without any
	packages := map[string]*pkg{}
	builds := map[string][]string{}

	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // not an event: go's own complaint
			continue
		}
		if e.Action == "build-output" {
			builds[e.ImportPath] = append(builds[e.ImportPath], e.Output)
			continue
		}
		if e.Package == "" {
			continue
		}
		p := packages[e.Package]
		if p == nil {
			p = &pkg{output: map[string][]string{}, skipped: map[string]int{}}
			packages[e.Package] = p
		}
		if e.Action == "output" {
			if !strings.HasPrefix(e.Output, "=== ") {
				p.output[e.Test] = append(p.output[e.Test], e.Output)
			}
			continue
		}
		if e.Test == "" {
			switch e.Action {
			case "pass", "fail", "skip":
				p.report(out, e, builds)
				broken = broken || e.Action == "fail"
				delete(packages, e.Package)
			}
			continue
		}
		switch e.Action {
		case "pass":
			passed++
			p.ran++
			delete(p.output, e.Test)
		case "fail":
			failed++
			p.ran++
			p.failed = append(p.failed, e.Test)
		case "skip":
			skipped++
			why := reason(p.output[e.Test])
			if p.skipped[why]++; p.skipped[why] == 1 {
				p.reasons = append(p.reasons, why)
			}
			delete(p.output, e.Test)
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("cannot read the tests' events: %w", err)
	}
	for name := range packages {
		fmt.Fprintf(out, "FAIL\t%s\tit never ended\n", name)
		broken = true
	}
	ok = !broken && failed == 0 && passed > 0 && (!strict || skipped == 0)
	if passed+failed == 0 {
		fmt.Fprintln(out, "no test ran")
	}
	if strict && skipped > 0 {
		fmt.Fprintln(out, "tests were skipped, and PINTLE_TEST_NO_SKIP=1 lets nothing be skipped")
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return ok, nil
}

// report prints a package that has ended.
func (p *pkg) report(out io.Writer, e event, builds map[string][]string) {
	for _, why := range p.reasons {
		fmt.Fprintf(out, "skip\t%s\t%d tests: %s\n", e.Package, p.skipped[why], why)
	}
	switch e.Action {
	case "skip":
		return // it has no test files
	case "pass":
		fmt.Fprintf(out, "ok  \t%s\t%.1fs\t%d tests\n", e.Package, e.Elapsed, p.ran)
		return
	}
	for _, text := range builds[e.FailedBuild] {
		fmt.Fprint(out, text)
	}
	for _, test := range p.failed {
		for _, text := range p.output[test] {
			fmt.Fprint(out, text)
		}
		delete(p.output, test)
	}
	own := p.output[""]
	delete(p.output, "")
	for _, texts := range p.output { // tests that did not end: a panic, a time-out
		for _, text := range texts {
			fmt.Fprint(out, text)
		}
	}
	for _, text := range own {
		fmt.Fprint(out, text) // ends with go test's own FAIL line
	}
}

// reason finds why a test was skipped in what it printed.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		if at := place.FindString(output[i]); at != "" {
			return strings.TrimSpace(strings.TrimPrefix(output[i], at))
		}
	}
	return "no reason given"
}
