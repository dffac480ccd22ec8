package cli

import (
	"cmp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// table lays out rows of text in columns. The zero value has no rows yet.
type table struct {
	// colour shows the state word in colour; width cuts lines at that many columns, 0 does not.
	colour bool
	width  int
	wide   bool
	// widths are the columns' so far: rows that are printed later keep to them where they can.
	widths []int
}

// header names the columns; row has them in the same order.
func (t *table) header() []string {
	if t.wide {
		return []string{"NAME", "KIND", "STATE", "DESIRED", "PID", "RUN", "SINCE", "FAILURES", "READY-BY", "DEPENDS", "LAST", "LABELS", "WHY"}
	}
	return []string{"NAME", "STATE", "DESIRED", "PID", "SINCE", "FAILURES", "WHY"}
}

// row is a unit's cells. What the asker may not see, and what there is not, is "-".
func (t *table) row(s engine.Status, now time.Time) []string {
	since := ""
	if !s.Since.IsZero() {
		since = unit.Span(now.Sub(s.Since))
	}
	failures := strconv.Itoa(s.Failures)
	if s.Restricted {
		failures = ""
	}
	name, state, desired, pid, why := string(s.Name), string(s.State), s.Desired, number(s.PID), because(s)
	if !t.wide {
		return []string{name, state, desired, pid, since, failures, why}
	}
	depends := ""
	if len(s.DependsOn) > 0 {
		depends = needs(s.DependsOn)
	}
	last := ""
	if s.Last != nil {
		last = s.Last.Exit.String()
	}
	return []string{name, string(s.Kind), state, desired, pid, number(int(s.Run)), since, failures,
		s.ReadyBy, depends, last, labels(s.Labels), why}
}

// number is n, or nothing for none.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// lines lays out the units, and the header where it is wanted.
func (t *table) lines(units []engine.Status, now time.Time, header bool) string {
	var rows [][]string
	for _, s := range units {
		rows = append(rows, t.row(s, now))
	}
	return t.layOut(t.header(), rows, header)
}

// layOut makes lines of rows whose cells are from anywhere. names are the columns', shown where header is set.
func (t *table) layOut(names []string, rows [][]string, header bool) string {
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cmp.Or(strings.ReplaceAll(clean(cell), "\t", " "), "-")
		}
	}
	if header {
		rows = append([][]string{names}, rows...)
	}
	if t.widths == nil {
		t.widths = make([]int, len(names))
	}
	for _, row := range rows {
		for i, cell := range row {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		left := t.width
		for i, cell := range row {
			last := i == len(row)-1
			text := cell
			if !last {
				text += strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell)+2)
			}
			if t.width > 0 {
				text = cut(text, left)
				left -= utf8.RuneCountInString(text)
			}
			if names[i] == "STATE" && t.colour && !(header && n == 0) {
				text = strings.Replace(text, cell, coloured(unit.State(cell)), 1)
			}
			b.WriteString(text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// cut shortens text to n columns.
func cut(text string, n int) string {
	switch runes := []rune(text); {
	case len(runes) <= n:
		return text
	case n < 1:
		return ""
	default:
		return string(runes[:n-1]) + "…"
	}
}

// coloured is the only place that makes colour (ECMA-48, SGR): green is up, red
// is failed, yellow is everything between and beside.
func coloured(s unit.State) string {
	code := "33"
	switch s {
	case unit.Up:
		code = "32"
	case unit.Failed:
		code = "31"
	}
	return "\x1b[" + code + "m" + string(s) + "\x1b[0m"
}

// wantsColour follows no-color.org: a terminal that is not told otherwise.
func (a *app) wantsColour() bool {
	return a.StdoutIsTerminal && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}
