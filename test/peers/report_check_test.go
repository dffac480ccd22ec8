package peers

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// madeUp are answers that have all that an answer can have.
func madeUp() []answer {
	return []answer{
		{
			id: "start", title: "Start of 1,000 services <all & ready>", measured: "From the command to all running.",
			figures: []figure{
				{peer: "bare loop", unit: "ms", samples: []float64{700, 720, 690, 710, 705, 730, 715}},
				{peer: "pintle", unit: "ms", samples: []float64{850, 870, 845, 860, 855, 900, 880}},
				{peer: "s6", unit: "ms", samples: []float64{2100, 2000, 2050, 2200, 2300, 1990, 2040}},
				{peer: "supervisord", unit: "ms", samples: []float64{41000, 40000, 42000, 40500, 43000, 41500, 41200}},
			},
			goals: []goal{{what: "at most 1.3 × the bare loop", got: 860.0 / 710, atMost: 1.3}},
			notes: []string{"catatonit supervises nothing."},
		},
		{
			id: "memory", title: "Memory", measured: "Proportional set size.",
			figures: []figure{
				{peer: "pintle", what: "1,000 services", unit: "MB", samples: []float64{31.2, 31.3, 30.9}},
				{peer: "s6", what: "1,000 services", unit: "MB", samples: []float64{55.2, 55.3, 55.9}},
				{peer: "pintle", what: "3 services", unit: "MB", samples: []float64{8.1}},
			},
			goals: []goal{
				{what: "under 25 MB", got: 31.2, atMost: 25},
				{what: "at least 1.5 × less than the best peer", got: 55.3 / 31.2, atLeast: 1.5},
			},
		},
		{
			id: "docker-run", title: "Docker", measured: "Added.",
			figures: []figure{
				{peer: "pintle", what: "added", unit: "ms", samples: []float64{-3, 4, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 6, 400}},
				{peer: "tini", what: "added", unit: "ms", samples: []float64{-8, -1.25, 10}},
			},
			goals: []goal{{what: "at most 10 ms more than tini", got: 5.75, atMost: 10}},
		},
		{
			id: "create", title: "Create", measured: "One more.",
			figures: []figure{
				{peer: "pintle", what: "over the socket", unit: "ms", samples: []float64{2, 3, 2.5}},
				{peer: "pintle", what: "by its command", unit: "ms", samples: []float64{8, 9, 8.5}},
				{peer: "s6", what: "make directory, scan", unit: "ms", samples: []float64{25, 26, 27}},
			},
			goals: []goal{{what: "s6's recipe: at least 5 × slower", got: 26 / 2.5, atLeast: 5}},
		},
		{id: "nothing", title: "Not to be measured here", measured: "No.", notes: []string{"There was no engine."}},
	}
}

// TestReport: the page says of each goal whether it is reached, names every peer, and every link of it leads somewhere.
func TestReport(t *testing.T) {
	t.Parallel()
	s := setting{
		size:     "full",
		machine:  [][2]string{{"processor", "a | b, 2 cores"}},
		versions: [][2]string{{"s6", "2.11"}},
		private:  []string{"house-7", "/home/somebody"},
	}
	answers := madeUp()
	answers[0].notes = append(answers[0].notes, "On house-7: cannot run /home/somebody/bin/x: no.")
	page := filepath.Join(t.TempDir(), "benchmarks.md")
	stale := filepath.Join(filepath.Dir(page), "benchmarks", "gone.svg")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(page, s, answers); err != nil {
		t.Fatal(err)
	}
	text := string(must(os.ReadFile(page)))
	for _, want := range []string{
		"4 of 5 goals are reached; missed: [under 25 MB](#memory).",
		"| [Memory](#memory) | under 25 MB | 31.2 MB | **MISSED** |",
		"|  | at least 1.5 × less than the best peer | 1.77 × | yes |",
		"| at most 1.3 × the bare loop | 1.21 × | yes |",
		"| at most 10 ms more than tini | 5.75 ms | yes |",
		"(#nothing) | – | – | not measured |",
		"| supervisord | 41.2 s | 40 s | 43 s | 7 | 58.0 | 47.9 |",
		"| **pintle** | 4.50 ms | −3 ms | 400 ms | 11 | 1 |",
		"| tini | −1.25 ms | −8 ms | 10 ms | 3 | – |",
		"| peer | median | least | most | measures | × pintle, over the socket |",
		"| s6, make directory, scan | 26 ms |",
		`a \| b, 2 cores`,
		"catatonit supervises nothing.",
		"On …: cannot run …: no.",
		"benchstat",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not have %q", want)
		}
	}
	if strings.Contains(text, "a hint") {
		t.Error("a full run is said to be none")
	}
	for _, m := range regexp.MustCompile(`\]\((#?)([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		switch {
		case strings.HasPrefix(m[2], "https:"):
		case m[1] == "#":
			if !strings.Contains(text, `<a id="`+m[2]+`">`) {
				t.Errorf("there is no #%s", m[2])
			}
		default:
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[2])); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("the chart of a question that is no more is still there")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestReportOfAQuickRun says that it is one.
func TestReportOfAQuickRun(t *testing.T) {
	t.Parallel()
	if page := report(setting{size: "quick"}, "benchmarks", nil); !strings.Contains(page, "This was a quick run") {
		t.Error(page)
	}
}

// TestReportOfWhatIsMissing: a question that could not be answered has its row, in its place.
func TestReportOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	page := report(setting{size: "full"}, "benchmarks", complete([]string{"docker-run", "start", "memory"}, madeUp()[:2]))
	run, start, memory := strings.Index(page, "| [docker-run](#docker-run) | – | – | not measured |"), strings.Index(page, "(#start) |"), strings.Index(page, "(#memory) |")
	if run < 0 || run > start || start > memory {
		t.Error(page)
	}
}

// TestReportNamesBenchmarks: those that the page tells a reader to run are there.
func TestReportNamesBenchmarks(t *testing.T) {
	t.Parallel()
	for _, row := range regexp.MustCompile("(?m)^.*in `(internal/[a-z]+)`.*$").FindAllStringSubmatch(besideCodeText, -1) {
		files := must(filepath.Glob("../../" + row[1] + "/*_test.go"))
		all := ""
		for _, f := range files {
			all += string(must(os.ReadFile(f)))
		}
		for _, name := range regexp.MustCompile("Benchmark[A-Za-z0-9]+").FindAllString(row[0], -1) {
			if !strings.Contains(all, "func "+name+"(b *testing.B)") {
				t.Errorf("there is no %s in %s", name, row[1])
			}
		}
	}
}

func TestQuantity(t *testing.T) {
	t.Parallel()
	for _, q := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0, "ms", "0 ms"}, {12.345, "ms", "12.3 ms"}, {1234, "ms", "1.23 s"}, {0.85, "ms", "850 µs"}, {999.7, "ms", "1.00 s"},
		{-28.9, "ms", "−28.9 ms"}, {-0.0001, "", "−0.000100"}, {65_000, "ms", "65 s"}, {300, "s", "300 s"}, {0.000_000_4, "s", "400 ns"},
		{25, "MB", "25 MB"}, {1288, "kB", "1.29 MB"}, {9.996, "MB", "10.0 MB"}, {1_234_567, "", "1,234,567"}, {123456, "a second", "123,456 a second"},
		{1.3, "×", "1.30 ×"}, {0.0123, "×", "0.0123 ×"}, {20, "", "20"},
	} {
		if got := quantity(q.value, q.unit); got != q.want {
			t.Errorf("quantity(%v, %q) = %q, want %q", q.value, q.unit, got, q.want)
		}
	}
}

// TestTerms: a goal's figure has the unit of the bound in its words.
func TestTerms(t *testing.T) {
	t.Parallel()
	for _, g := range []struct {
		goal goal
		want string
	}{
		{goal{what: "at most 1.3 × the bare loop", atMost: 1.3}, "×"},
		{goal{what: "1,000 services under 25 MB", atMost: 25}, "MB"},
		{goal{what: "at least 5 × slower", atLeast: 5}, "×"},
		{goal{what: "flat within 20 %", atMost: 20}, "%"},
		{goal{what: "at most 1 a second", atMost: 1}, ""},
		{goal{what: "ahead of every peer", atMost: 1}, ""},
	} {
		if got := g.goal.terms(); got != g.want {
			t.Errorf("%q: %q, want %q", g.goal.what, got, g.want)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
