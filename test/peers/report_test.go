package peers

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeReport writes the answers as a page with a chart for each: to docs where all was measured in full, and to bin what was
// quick or is a part, so that it never takes the place of better figures.
func writeReport(w *workshop, answers []answer) error {
	part := os.Getenv("PINTLE_PEERS_ONLY") != ""
	page := "../../bin/benchmarks.md"
	if w.size == full && !part && !w.Failed() {
		page = "../../docs/benchmarks.md"
	}
	if !part {
		var ids []string
		for _, q := range questions {
			ids = append(ids, q.id)
		}
		answers = complete(ids, answers)
	}
	return write(page, settingOf(w, answers), answers)
}

// complete puts a word in the place of each question that has no answer, because it was skipped or has failed.
func complete(questions []string, answers []answer) (all []answer) {
	for _, id := range questions {
		i := slices.IndexFunc(answers, func(a answer) bool { return a.id == id })
		if i < 0 {
			all = append(all, answer{id: id, title: id, measured: "This was not measured in this run."})
		} else {
			all = append(all, answers[i])
		}
	}
	return all
}

// write writes the page and, in the directory of its name beside it, the charts. Charts of questions that are no more go.
func write(page string, s setting, answers []answer) error {
	dir := strings.TrimSuffix(page, ".md")
	old, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	for _, o := range old {
		err = errors.Join(err, os.Remove(o))
	}
	err = errors.Join(err, os.MkdirAll(dir, 0o755), os.WriteFile(page, []byte(s.withoutNames(report(s, filepath.Base(dir), answers))), 0o644))
	for _, a := range answers {
		if len(a.figures) > 0 {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, a.id+".svg"), []byte(s.withoutNames(chart(a))), 0o644))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

// report is the page. Charts are in a directory beside it.
func report(s setting, charts string, answers []answer) string {
	var out strings.Builder
	out.WriteString("# Benchmarks\n\n")
	out.WriteString("<!-- Written by `make bench`: what is changed here is gone after the next. The text is in test/peers/report_test.go. -->\n\n")
	out.WriteString("Pintle beside what one would pick instead, on one machine, in one run. " + headline(answers) + "\n\n")
	if s.size != "full" {
		out.WriteString("**This was a " + s.size + " run**: fewer measures, smaller numbers. What it says is a hint, no figure.\n\n")
	}
	writeSummary(&out, answers)
	out.WriteString(methodText)
	writeSetting(&out, s)
	for _, a := range answers {
		writeAnswer(&out, charts, a)
	}
	out.WriteString(besideCodeText)
	return out.String()
}

// headline says how many goals are reached, and which are not.
func headline(answers []answer) string {
	var missed []string
	all := 0
	for _, a := range answers {
		for _, g := range a.goals {
			all++
			if !g.reached() {
				missed = append(missed, fmt.Sprintf("[%s](#%s)", g.what, a.id))
			}
		}
	}
	switch {
	case all == 0:
		return "No goal was measured in this run."
	case len(missed) == 0 && all == 1:
		return "The one goal of this run is reached."
	case len(missed) == 0 && all == 2:
		return "Both goals of this run are reached."
	case len(missed) == 0:
		return fmt.Sprintf("All %d goals are reached.", all)
	}
	return fmt.Sprintf("%d of %d goals are reached; missed: %s.", all-len(missed), all, strings.Join(missed, "; "))
}

func writeSummary(out *strings.Builder, answers []answer) {
	out.WriteString("| question | must reach | is | reached? |\n|---|---|---|---|\n")
	for _, a := range answers {
		if len(a.goals) == 0 {
			fmt.Fprintf(out, "| [%s](#%s) | – | – | %s |\n", inCell(a.title), a.id, either(len(a.figures) > 0, "no goal", "not measured"))
		}
		for i, g := range a.goals {
			question := ""
			if i == 0 {
				question = fmt.Sprintf("[%s](#%s)", inCell(a.title), a.id)
			}
			fmt.Fprintf(out, "| %s | %s | %s | %s |\n", question, inCell(g.what), quantity(g.got, g.terms()), either(g.reached(), "yes", "**MISSED**"))
		}
	}
	out.WriteString("\n")
}

const methodText = `## How it is measured

- All peers are measured in the same run, in turns: each does the same thing once, then each once more. What else the machine has
  to do hits them alike.
- What counts are ratios and differences within this run. Another machine has other milliseconds, and a figure of one run says
  nothing beside a figure of another.
- Each figure is a median, with the least and the most beside it; "× NAME" is how many times NAME's median it is. In the charts
  the bar is the median, and the whisker reaches from the least to the most; where it has an arrow it goes on beyond the chart.
- The limit, where there is one, is what cannot be done without: a loop in C that only forks and executes, or the image
  without any init. The goals are set by it and by the peers.
- All supervisors run the same programs as services, and each is configured as its manual says.

` + "`make bench` measures all of it again and writes this page. `make bench QUICK=1` takes three minutes, and `make bench ONLY=docker-stop`\nmeasures one question; " + `these write ` + "`bin/benchmarks.md`" + `.

`

func writeSetting(out *strings.Builder, s setting) {
	out.WriteString("## Machine and versions\n\n| | |\n|---|---|\n")
	for _, row := range s.machine {
		fmt.Fprintf(out, "| %s | %s |\n", inCell(row[0]), inCell(row[1]))
	}
	out.WriteString("\n")
	if len(s.versions) == 0 {
		return
	}
	out.WriteString("| peer | version |\n|---|---|\n")
	for _, row := range s.versions {
		fmt.Fprintf(out, "| %s | %s |\n", inCell(row[0]), inCell(row[1]))
	}
	out.WriteString("\n")
}

// writeAnswer writes a question's section: what was measured, whether the goals are reached, the chart, and a table for each thing.
func writeAnswer(out *strings.Builder, charts string, a answer) {
	// The anchor is the id: a title may be reworded, and what links here goes on.
	fmt.Fprintf(out, "<a id=\"%s\"></a>\n\n## %s\n\n%s\n\n", a.id, a.title, a.measured)
	for _, g := range a.goals {
		fmt.Fprintf(out, "- Goal: %s. It is %s: %s.\n", g.what, quantity(g.got, g.terms()), either(g.reached(), "reached", "**MISSED**"))
	}
	if len(a.goals) > 0 {
		out.WriteString("\n")
	}
	if len(a.figures) > 0 {
		fmt.Fprintf(out, "![%s](%s/%s.svg)\n\n", strings.NewReplacer("[", "(", "]", ")").Replace(a.title), charts, a.id)
	}
	for _, p := range panels(a) {
		writePanel(out, p)
	}
	for _, n := range a.notes {
		fmt.Fprintf(out, "- %s\n", n)
	}
	if len(a.notes) > 0 {
		out.WriteString("\n")
	}
}

// writePanel writes one thing's figures, each beside pintle's and beside the limit.
func writePanel(out *strings.Builder, p panel) {
	fmt.Fprintf(out, "| %s | median | least | most | measures |", cmp.Or(inCell(p.what), "peer"))
	rule := "|---|--:|--:|--:|--:|"
	var beside []figure
	if limit, ok := p.limit(); ok {
		beside = append(beside, limit)
	}
	if own, ok := p.named(pintle.name); ok {
		beside = append(beside, own)
	}
	for _, b := range beside {
		fmt.Fprintf(out, " × %s |", inCell(p.label(b)))
		rule += "--:|"
	}
	out.WriteString("\n" + rule + "\n")
	for _, f := range p.figures {
		name := inCell(p.label(f))
		if f.peer == pintle.name {
			name = "**" + name + "**"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %d |", name, quantity(f.median(), f.unit), quantity(f.least(), f.unit), quantity(f.most(), f.unit), len(f.samples))
		for _, b := range beside {
			fmt.Fprintf(out, " %s |", times(f.median(), b.median()))
		}
		out.WriteString("\n")
	}
	out.WriteString("\n")
}

// times is a ratio, where there is one.
func times(of, to float64) string {
	if to <= 0 || of < 0 {
		return "–"
	}
	return number(of / to)
}

// inCell is a text for a table.
func inCell(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "|", `\|`), "\n", " ") }

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// besideCodeText says how the benchmarks of functions are run; TestReportNamesBenchmarks holds it to those that there are.
const besideCodeText = "## Benchmarks of functions\n\n" +
	`What is called most has a Go benchmark beside its code. One is of use beside the same of another version, on the same machine, one after
the other, ten times each, with [benchstat](https://pkg.go.dev/golang.org/x/perf/cmd/benchstat) to tell what is noise:

` + "```sh" + `
go test -run '^$' -bench . -count 10 ./internal/lifecycle ./internal/process ./internal/supervisor ./internal/logs >old.txt
# the change
go test -run '^$' -bench . -count 10 ./internal/lifecycle ./internal/process ./internal/supervisor ./internal/logs >new.txt
go run golang.org/x/perf/cmd/benchstat@latest old.txt new.txt
` + "```" + `

| function | benchmark |
|---|---|
` + "| `lifecycle.Next`: what becomes of a unit at an event | `BenchmarkNext`, `BenchmarkIgnored`, `BenchmarkCrashes` in `internal/lifecycle` |\n" +
	"| a log line's way in, to a file, to a reader, to the console | `BenchmarkIntake`, `BenchmarkTake`, `BenchmarkFollow`, `BenchmarkConsole` in `internal/logs` |\n" +
	"| a snapshot of 1,000 units, and what a change costs its readers | `BenchmarkSnapshot1000`, `BenchmarkPublish10` in `internal/supervisor` |\n" +
	"| a start and a stop, through the loop; the stop of 1,000 | `BenchmarkStartStop`, `BenchmarkHalt1000` in `internal/supervisor` |\n" +
	"| fork and exec; lives of processes; who belongs to which run | `BenchmarkStart`, `BenchmarkLives`, `BenchmarkScan`, `BenchmarkCensus` in `internal/process` |\n" +
	"| what directories declare, when nothing has changed | `BenchmarkUnchanged1000` in `internal/discover` |\n" +
	"| the reference configuration, read | `BenchmarkReference` in `internal/config` |\n\n" +
	"`hack/bench` runs those, and pintle's logger beside s6-log and svlogd (`BenchmarkBesideOthers` in `internal/logs`).\n"
