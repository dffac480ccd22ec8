package dashboard

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"pgregory.net/rapid"

	"pintle/internal/engine"
	"pintle/internal/forward"
	"pintle/internal/unit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleInfo and sampleUnits are a container with something of everything.
func sampleInfo() engine.Info {
	return engine.Info{
		Version: "1.2.3", PID: 1, Started: time.UnixMilli(1_700_000_000_250), ProcessSets: "sessions", Stopping: true, Durable: true,
		Life: engine.Life{Container: "alpha", Number: 7, Before: engine.LifeKilled},
		Conditions: []engine.Condition{
			{Code: engine.UnitFailed, Text: "a has failed"}, {Code: engine.UnitFailed, Text: "b has failed"}, {Code: engine.StateInMemory},
		},
	}
}

func sampleUnits() []engine.Status {
	since := time.UnixMilli(1_700_000_001_500)
	return []engine.Status{
		{Name: "main", Kind: unit.Main, State: unit.Up, Desired: "up", Since: since, Reason: unit.AtBoot, Run: 1},
		{Name: "dashboard", Kind: unit.Service, State: unit.Disabled, Desired: "down", Reason: unit.SwitchedOff},
		{Name: "gateway@coder", Kind: unit.Instance, State: unit.Waiting, Desired: "up", Since: since, Reason: unit.AwaitsLease, Run: 12},
	}
}

// TestMetrics: names, labels and values are what dashboards and alerts out there are made of, so that a change of
// one is a change of this file.
func TestMetrics(t *testing.T) {
	t.Parallel()
	got := metrics(sampleInfo(), sampleUnits())
	const golden = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	read(t, got)
}

// sampleCounters are two targets, one of which fails.
func sampleCounters() []forward.Counters {
	return []forward.Counters{
		{Target: "syslog+tcp://logs:514", Sent: 1200, Dropped: 3, Queued: 7, QueuedBytes: 1500, Retries: 2, LastError: "refused", Failing: true},
		{Target: "loki+http://loki:3100", Sent: 1210},
	}
}

// TestForwarderMetrics: so does each one of a forwarder, and they can be scraped.
func TestForwarderMetrics(t *testing.T) {
	t.Parallel()
	got := forwarderMetrics(sampleCounters())
	const golden = "testdata/forwarder.golden"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	read(t, got)
}

// TestThePage: docs/metrics.md has every metric and its labels, every condition and every end of a life, and no others.
func TestThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	all := read(t, metrics(sampleInfo(), sampleUnits()))
	maps.Copy(all, read(t, forwarderMetrics(sampleCounters())))
	for name, f := range all {
		var names []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, l.GetName())
		}
		if len(names) > 0 {
			name += "{" + strings.Join(names, ",") + "}"
		}
		want = append(want, name)
	}
	for _, code := range engine.ConditionCodes() {
		want = append(want, string(code))
		if row := fmt.Sprintf("| `%s` | %s |\n", code, code.Sentence()); !strings.Contains(string(page), row) {
			t.Errorf("the page has no %s", row)
		}
	}
	for _, end := range engine.LifeEnds {
		if !strings.Contains(string(page), "`"+string(end)+"`") {
			t.Errorf("the page has no end %s", end)
		}
	}
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		got = append(got, row[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the page's rows (-want +got):\n%s", diff)
	}
}

// TestMetricsKeepTheConventions: Prometheus' own linter has nothing to say, of a full and of an empty container.
func TestMetricsKeepTheConventions(t *testing.T) {
	t.Parallel()
	for _, text := range [][]byte{metrics(sampleInfo(), sampleUnits()), metrics(engine.Info{}, nil), forwarderMetrics(sampleCounters()), forwarderMetrics(nil)} {
		problems, err := promlint.New(bytes.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("%v, %v\n%s", problems, err, text)
		}
	}
}

// TestEachStateHasItsSeries: a state, a condition and an end are a set, one of which is 1, also where a newer pintle
// has one that this one does not know.
func TestEachStateHasItsSeries(t *testing.T) {
	t.Parallel()
	for _, state := range append([]unit.State{"newer"}, unit.States...) {
		families := read(t, metrics(engine.Info{}, []engine.Status{{Name: "a", Kind: unit.Service, State: state}}))
		isOne(t, families["pintle_unit_state"], "state", string(state), len(withUnknown(unit.States, state)))
	}
	codes := engine.ConditionCodes()
	for _, code := range append([]engine.ConditionCode{"newer"}, codes...) {
		families := read(t, metrics(engine.Info{Conditions: []engine.Condition{{Code: code}}}, nil))
		isOne(t, families["pintle_condition"], "condition", string(code), len(withUnknown(codes, code)))
	}
	for _, end := range append([]engine.LifeEnd{"newer"}, engine.LifeEnds...) {
		families := read(t, metrics(engine.Info{Life: engine.Life{Number: 2, Before: end}}, nil))
		isOne(t, families["pintle_previous_life_end"], "end", string(end), len(withUnknown(engine.LifeEnds, end)))
	}
	without := read(t, metrics(engine.Info{}, nil))
	for _, name := range []string{"pintle_previous_life_end", "pintle_lives_total"} {
		if without[name] != nil {
			t.Errorf("%s is there where lives are not counted: %v", name, without[name])
		}
	}
}

// isOne fails the test unless a family has n samples, and that with the label's value alone is 1, the others 0.
func isOne(t *testing.T, family *dto.MetricFamily, name, value string, n int) {
	t.Helper()
	if len(family.GetMetric()) != n {
		t.Errorf("%d samples, want %d: %v", len(family.GetMetric()), n, family)
	}
	ones := 0
	for _, m := range family.GetMetric() {
		if m.GetGauge().GetValue() == 1 {
			ones++
			if labels(m)[name] != value {
				t.Errorf("it is %v, want %s", m, value)
			}
		}
	}
	if ones != 1 {
		t.Errorf("%d of %s are 1: %v", ones, family.GetName(), family)
	}
}

// TestWhateverANameIs: what comes from elsewhere comes back from Prometheus' parser as it was, and makes no line of its own.
func TestWhateverANameIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		odd := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\\\"\n{}=, #\r\x00n"))),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		version, name, reason := odd.Draw(t, "version"), odd.Draw(t, "name"), odd.Draw(t, "reason")
		run := rapid.Uint64().Draw(t, "run")
		text := metrics(engine.Info{Version: version}, []engine.Status{
			{Name: unit.Name(name), Kind: unit.Service, State: unit.Up, Reason: unit.Reason(reason), Run: run},
		})
		families := read(t, text)
		whole := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
		if got := labels(families["pintle_build_info"].GetMetric()[0]); got["version"] != whole(version) {
			t.Fatalf("version %q came back as %q", version, got["version"])
		}
		if got := labels(families["pintle_unit_reason"].GetMetric()[0]); got["unit"] != whole(name) || got["reason"] != whole(reason) {
			t.Fatalf("unit %q, reason %q came back as %q", name, reason, got)
		}
		if got := families["pintle_unit_runs_total"].GetMetric()[0].GetCounter().GetValue(); got != float64(run) {
			t.Fatalf("%d runs came back as %v", run, got)
		}
	})
}

// read parses metrics as Prometheus does, and fails the test where that does not take them, or has a series twice.
func read(t rapid.TB, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("Prometheus' parser: %v\n%s", err, text)
	}
	for name, f := range families {
		seen := map[string]bool{}
		for _, m := range f.GetMetric() {
			series := fmt.Sprint(labels(m))
			if seen[series] {
				t.Fatalf("%s%s is there twice\n%s", name, series, text)
			}
			seen[series] = true
		}
	}
	return families
}

func labels(m *dto.Metric) map[string]string {
	all := map[string]string{}
	for _, l := range m.GetLabel() {
		all[l.GetName()] = l.GetValue()
	}
	return all
}
