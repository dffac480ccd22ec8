package peers

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestChart: what is drawn is XML, has every peer and its figure, and nothing of it is outside.
func TestChart(t *testing.T) {
	t.Parallel()
	for _, a := range madeUp() {
		if len(a.figures) == 0 {
			continue
		}
		svg := chart(a)
		if to := os.Getenv("PINTLE_PEERS_CHARTS"); to != "" { // to look at them
			if err := os.WriteFile(to+"/"+a.id+".svg", []byte(svg), 0o644); err != nil {
				t.Error(err)
			}
		}
		texts, err := drawn(svg)
		if err != nil {
			t.Errorf("%s: %v\n%s", a.id, err, svg)
		}
		for _, f := range a.figures {
			label := f.peer
			if a.id == "create" {
				label += ", " + f.what
			}
			for _, want := range []string{label, quantity(f.median(), f.unit)} {
				if !strings.Contains(texts, "\n"+want+"\n") {
					t.Errorf("%s: %q is not drawn, but %s", a.id, want, texts)
				}
			}
		}
		if missed := strings.Contains(texts, "missed"); missed != (a.id == "memory") {
			t.Errorf("%s: a missed goal is drawn: %v", a.id, missed)
		}
		if logarithmic := strings.Contains(texts, "logarithmic scale"); logarithmic != (a.id == "start") {
			t.Errorf("%s: it is logarithmic: %v", a.id, logarithmic)
		}
	}
}

// drawn returns the lines of text in a chart. That one leaves the chart, or that it is no XML, is an error.
func drawn(svg string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(svg))
	texts := "\n"
	var in, anchor string
	var x float64
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return texts, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			in = token.Name.Local
			for _, attribute := range token.Attr {
				switch attribute.Name.Local {
				case "x", "x1", "x2", "width":
					v, err := strconv.ParseFloat(attribute.Value, 64)
					if err != nil || v < 0 || v > chartWidth {
						return texts, errors.New("outside: " + in + " " + attribute.Name.Local + "=" + attribute.Value)
					}
					if attribute.Name.Local == "x" {
						x = v
					}
				case "text-anchor":
					anchor = attribute.Value
				}
			}
		case xml.EndElement:
			in = ""
		case xml.CharData:
			if in != "text" {
				continue
			}
			texts += string(token) + "\n"
			from, width := x, chartSmall*float64(len([]rune(string(token))))
			switch anchor {
			case "middle":
				from -= width / 2
			case "end":
				from -= width
			}
			if from < 0 || from+width > chartWidth {
				return texts, errors.New("outside: " + string(token))
			}
		}
	}
}

// TestChartsOfOddFigures: nothing but zeros, one measure, a peer that took none of it.
func TestChartsOfOddFigures(t *testing.T) {
	t.Parallel()
	for _, samples := range [][]float64{{0}, {0, 0}, {-5}, {1e-9}, {1e12}, {0, 1e6}} {
		a := answer{id: "odd", title: strings.Repeat("long words ", 30), figures: []figure{
			{peer: "pintle", unit: "a second", samples: samples},
			{peer: "a peer with quite a long name", unit: "a second", samples: []float64{0}},
		}}
		if texts, err := drawn(chart(a)); err != nil || strings.Contains(texts, "NaN") {
			t.Errorf("%v: %v: %s", samples, err, texts)
		}
	}
}

// TestAxis: it is logarithmic where the medians are far apart, also when some measure is below zero.
func TestAxis(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		medians, values []float64
		logarithmic     bool
		low             float64
	}{
		{[]float64{6.5, 28, 1958}, []float64{-1, 6.5, 28, 1958, 4030}, true, 2},
		{[]float64{6.5, 28, 100}, []float64{6.5, 28, 100, 4030}, false, 0},
		{[]float64{-2, 100}, []float64{-5, 100}, false, -5},
		{[]float64{0, 10, 900}, []float64{0, 0.01, 10, 900}, true, 5},
	} {
		if got := axisOf(x.medians, x.values, 0, 100); got.logarithmic != x.logarithmic || got.low != x.low {
			t.Errorf("%v: %+v", x.medians, got)
		}
	}
}

// TestPlaceOfAGoal: where a goal has a place on the axis, pintle's median is on the right side of it exactly if it is reached.
func TestPlaceOfAGoal(t *testing.T) {
	t.Parallel()
	p := panel{figures: []figure{{peer: "bare", samples: []float64{10}}, {peer: "pintle", samples: []float64{24}}}}
	for _, g := range []struct {
		goal  goal
		at    float64
		above bool
		ok    bool
	}{
		{goal{got: 24, atMost: 25}, 25, false, true},
		{goal{got: 24, atLeast: 25}, 25, true, true},
		{goal{got: 2.4, atMost: 3}, 30, false, true},
		{goal{got: 14, atMost: 12}, 22, false, true},
		{goal{got: 10.0 / 24, atLeast: 0.5}, 20, false, true},
		{goal{got: 7.7, atMost: 10}, 0, false, false}, // of something else
	} {
		b, ok := p.place(g.goal)
		if b.at != g.at || b.above != g.above || ok != g.ok {
			t.Errorf("%+v is at %+v, %v; want %+v", g.goal, b, ok, g)
		}
		if good := (24 <= b.at) != b.above || b.at == 24; ok && good != g.goal.reached() {
			t.Errorf("%+v: pintle is on the good side: %v", g.goal, good)
		}
	}
}
