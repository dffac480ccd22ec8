package peers

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The measures of a chart, in pixels. Widths of text are guessed, on the wide side: who draws it has fonts of its own.
const (
	chartWidth  = 820.0
	chartEdge   = 24.0
	chartRow    = 30.0
	chartBar    = 16.0
	chartGlyph  = 7.3 // a letter's width at the size of labels
	chartTitle  = 74  // letters in a line of the title
	chartSmall  = 6.4 // a letter's width in what is small
	chartTicks  = 6   // about so many marks along an axis
	chartLogFor = 20  // where the largest is more than so many times the smallest, the axis is logarithmic
)

// chartStyle has the colours for light and dark. The chart has its own ground, because a page may be light where its reader's
// preference is dark.
const chartStyle = `
  text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px; fill: #1f2328;
    paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
  .ground { fill: #ffffff; stroke: #d1d9e0; }
  .title { font-size: 17px; font-weight: 600; }
  .what { font-weight: 600; }
  .small { font-size: 11.5px; fill: #59636e; }
  .own { font-weight: 700; }
  .bar { fill: #afb8c1; }
  .bar.limit { fill: #d8dee4; stroke: #afb8c1; }
  .bar.own { fill: #0969da; }
  .whisker { stroke: #424a53; stroke-width: 1.4; fill: none; }
  .grid { stroke: #e4e8ec; }
  .zero { stroke: #8c959f; }
  .goal { stroke: #1a7f37; stroke-width: 1.8; stroke-dasharray: 5 4; }
  .goal.missed { stroke: #cf222e; }
  text.goal, text.goal.missed { stroke: #ffffff; stroke-width: 4px; stroke-dasharray: none; fill: #1a7f37; font-size: 11.5px; font-weight: 600; }
  text.goal.missed { fill: #cf222e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; stroke: #0d1117; }
    .ground { fill: #0d1117; stroke: #3d444d; }
    .small { fill: #9198a1; }
    .bar { fill: #59636e; }
    .bar.limit { fill: #2a313c; stroke: #59636e; }
    .bar.own { fill: #4493f8; }
    .whisker { stroke: #c9d1d9; }
    .grid { stroke: #21262d; }
    .zero { stroke: #6e7681; }
    .goal { stroke: #3fb950; }
    .goal.missed { stroke: #f85149; }
    text.goal, text.goal.missed { stroke: #0d1117; fill: #3fb950; }
    text.goal.missed { fill: #f85149; }
  }
`

// chart draws an answer: one panel for each thing that it asks for, in each a bar for each peer, as long as the median, with a
// whisker from the least to the most.
func chart(a answer) string {
	var body strings.Builder
	y := chartEdge + 8
	for _, line := range wrapped(a.title, chartTitle) {
		y += 10
		text(&body, chartEdge, y, "title", "start", line)
		y += 14
	}
	for _, p := range panels(a) {
		y = p.draw(&body, y+8)
	}
	height := y + chartEdge - 8

	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%[1]g" height="%g" role="img" aria-labelledby="title desc">`+"\n",
		chartWidth, height, height)
	fmt.Fprintf(&out, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n<style>%s</style>\n", escaped(a.title), escaped(inWords(a)), chartStyle)
	fmt.Fprintf(&out, `<rect class="ground" x="0.5" y="0.5" width="%g" height="%g" rx="8"/>`+"\n", chartWidth-1, height-1)
	return out.String() + body.String() + "</svg>\n"
}

// inWords is the chart for who does not see it.
func inWords(a answer) string {
	var all []string
	for _, f := range a.figures {
		who := f.peer
		if f.what != "" {
			who += ", " + f.what
		}
		all = append(all, fmt.Sprintf("%s: %s", who, quantity(f.median(), f.unit)))
	}
	return "Medians. " + strings.Join(all, "; ") + "."
}

// panel is what is compared with one another: the figures of one thing.
type panel struct {
	what, unit string
	figures    []figure
	bounds     []bound
	mixed      bool // each figure is of a thing of its own: there is nothing else to compare it with
}

// bound is a goal as a place on a panel's axis: pintle's median is to be on its good side.
type bound struct {
	goal  goal
	at    float64
	above bool // it is the good side of it that is above
}

// panels are an answer's figures by what they are of, in the order of their first ones. Things that have but one figure each stand
// together, one after the other.
func panels(a answer) []panel {
	var things []panel
	for _, f := range a.figures {
		i := slices.IndexFunc(things, func(p panel) bool { return p.what == f.what && p.unit == f.unit })
		if i < 0 {
			i = len(things)
			things = append(things, panel{what: f.what, unit: f.unit})
		}
		things[i].figures = append(things[i].figures, f)
	}
	var all []panel
	for _, p := range things {
		if last := len(all) - 1; last >= 0 && p.unit == all[last].unit && len(p.figures) == 1 && (all[last].mixed || len(all[last].figures) == 1) {
			all[last].what, all[last].mixed = "", true
			all[last].figures = append(all[last].figures, p.figures...)
		} else {
			all = append(all, p)
		}
	}
	for _, g := range a.goals {
		for i := range all {
			if b, ok := all[i].place(g); ok {
				all[i].bounds = append(all[i].bounds, b)
				break
			}
		}
	}
	return all
}

// label is how a figure is called within its panel.
func (p panel) label(f figure) string {
	if p.mixed && f.what != "" {
		return f.peer + ", " + f.what
	}
	return f.peer
}

// named returns a peer's figure.
func (p panel) named(peer string) (figure, bool) {
	i := slices.IndexFunc(p.figures, func(f figure) bool { return f.peer == peer })
	if i < 0 {
		return figure{}, false
	}
	return p.figures[i], true
}

// limit is the figure that the others are held against, if the panel has one: the first, unless that is pintle's.
func (p panel) limit() (figure, bool) { return p.figures[0], p.figures[0].peer != pintle.name }

// place finds where a goal's bound is on the panel's axis. What the goal got is pintle's median, or how many times another peer's
// that is, or how far beyond it, or the other way round. A goal of another kind, such as one about a 99th percentile, has no place.
func (p panel) place(g goal) (bound, bool) {
	own, ok := p.named(pintle.name)
	if !ok {
		return bound{}, false
	}
	is := func(got float64) bool { return math.Abs(got-g.got) <= 1e-9*math.Abs(got) }
	to, more := max(g.atMost, g.atLeast), g.atLeast != 0
	if is(own.median()) {
		return bound{g, to, more}, true
	}
	for _, f := range p.figures {
		switch m := f.median(); {
		case f.peer == pintle.name:
		case m != 0 && is(own.median()/m):
			return bound{g, to * m, more}, true
		case is(own.median() - m):
			return bound{g, to + m, more}, true
		case own.median() != 0 && to != 0 && is(m/own.median()):
			return bound{g, m / to, !more}, true
		}
	}
	return bound{}, false
}

// draw draws the panel from y downwards and returns where it ends.
func (p panel) draw(out *strings.Builder, y float64) float64 {
	labels, values := 0.0, 0.0
	all := make([]float64, 0, 4*len(p.figures))
	for _, f := range p.figures {
		labels = max(labels, chartGlyph*float64(len([]rune(p.label(f)))))
		values = max(values, chartGlyph*float64(len([]rune(quantity(f.median(), p.unit)))))
		all = append(all, f.median())
	}
	for _, b := range p.bounds {
		all = append(all, b.at)
	}
	x := axisOf(all, p.withSpread(all), chartEdge+labels+12, chartWidth-chartEdge-values-12)

	y += 14
	what := p.what
	if x.logarithmic {
		what = strings.TrimPrefix(what+", on a logarithmic scale", ", ")
	}
	if what != "" {
		text(out, chartEdge, y, "what", "start", what)
		y += 8
	}
	y += 6 + float64(len(p.bounds))*16
	top := y
	bottom := top + chartRow*float64(len(p.figures))
	for _, tick := range x.ticks {
		class := "grid"
		if tick == 0 {
			class = "zero"
		}
		line(out, class, x.at(tick), top, x.at(tick), bottom)
		text(out, x.at(tick), bottom+16, "small", "middle", mark(tick, p.unit))
	}
	for i, f := range p.figures {
		p.drawBar(out, x, f, top+chartRow*(float64(i)+0.5))
	}
	for i, b := range p.bounds {
		p.drawGoal(out, x, b, top-float64(16*i), bottom)
	}
	for i, f := range p.figures { // on top of what is drawn across them
		class, y := "", top+chartRow*(float64(i)+0.5)+4.5
		if f.peer == pintle.name {
			class = "own"
		}
		text(out, x.from-12, y, class, "end", p.label(f))
		text(out, x.at(max(f.most(), x.base()))+8, y, class, "start", quantity(f.median(), p.unit))
	}
	return bottom + 26
}

// withSpread adds to the values what the whiskers need. Where the few worst measures would leave no room to tell the medians from
// one another, they are left out, and drawBar says so.
func (p panel) withSpread(values []float64) []float64 {
	whole, most := slices.Clone(values), slices.Clone(values)
	for _, f := range p.figures {
		whole = append(whole, f.least(), f.most())
		most = append(most, f.quantile(0.1), f.quantile(0.9))
	}
	if slices.Max(whole)-min(0, slices.Min(whole)) > 2*(slices.Max(most)-min(0, slices.Min(most))) {
		return most
	}
	return whole
}

// drawBar draws a peer's bar and whisker around y.
func (p panel) drawBar(out *strings.Builder, x axis, f figure, y float64) {
	class := "bar"
	if first, ok := p.limit(); f.peer == pintle.name {
		class = "bar own"
	} else if ok && p.label(first) == p.label(f) {
		class = "bar limit"
	}
	from, to := x.at(x.base()), x.at(f.median())
	fmt.Fprintf(out, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%g" rx="2"/>`+"\n",
		class, min(from, to), y-chartBar/2, math.Abs(to-from), chartBar)
	// An end is a stroke across, or the head of an arrow where the measure is beyond the axis.
	least, most := "m0 -4v8m0 -4", "m0 -4v8"
	if f.least() < x.low && f.median() > x.low {
		least = "m5 -4l-5 4l5 4m-5 -4"
	}
	if f.most() > x.high {
		most = "m-5 -4l5 4l-5 4"
	}
	fmt.Fprintf(out, `<path class="whisker" d="M%.1f %.1f%sH%.1f%s"/>`+"\n", x.at(f.least()), y, least, x.at(f.most()), most)
}

// drawGoal draws a bound as a line through all bars, with its label on top.
func (p panel) drawGoal(out *strings.Builder, x axis, b bound, top, bottom float64) {
	class, label := "goal", "goal: at most "
	if b.above {
		label = "goal: at least "
	}
	label += mark(b.at, p.unit)
	if !b.goal.reached() {
		class += " missed"
		label += ", missed"
	}
	at := x.at(b.at)
	line(out, class, at, top-5, at, bottom)
	half := chartSmall * float64(len([]rune(label))) / 2
	text(out, min(max(at, chartEdge+half), chartWidth-chartEdge-half), top-9, class, "middle", label)
}

// axis is from where to where values are drawn.
type axis struct {
	from, to    float64 // in pixels
	low, high   float64 // in the values' unit
	logarithmic bool
	ticks       []float64
}

// axisOf makes an axis for medians and bounds on which all values have room, as far as a logarithm can be taken of them.
func axisOf(medians, values []float64, from, to float64) axis {
	x := axis{from: from, to: to, low: min(0, slices.Min(values)), high: max(0, slices.Max(values))}
	if x.high == x.low {
		x.high = x.low + 1
	}
	least := leastAbove(0, medians)
	x.logarithmic = slices.Min(medians) >= 0 && slices.Max(medians) > chartLogFor*least
	if x.logarithmic {
		x.low = below(leastAbove(least/4, values)) // so that the least has a bar too
		steps := []float64{1, 2, 5}
		if x.high/x.low > 2000 {
			steps = steps[:1]
		}
		for power := math.Pow(10, math.Floor(math.Log10(x.low))); power <= x.high; power *= 10 {
			for _, step := range steps {
				if t := step * power; t >= x.low*0.999 && t <= x.high*1.001 {
					x.ticks = append(x.ticks, t)
				}
			}
		}
		return x
	}
	step := niceStep((x.high - x.low) / chartTicks)
	for i := math.Ceil(x.low / step); i*step <= x.high*1.001; i++ {
		x.ticks = append(x.ticks, i*step)
	}
	return x
}

// leastAbove is the least of the values that are greater than a bound; infinite where none is.
func leastAbove(bound float64, values []float64) float64 {
	least := math.Inf(1)
	for _, v := range values {
		if v > bound {
			least = min(least, v)
		}
	}
	return least
}

// base is where bars begin.
func (x axis) base() float64 {
	if x.logarithmic {
		return x.low
	}
	return 0
}

// at is where on the axis a value is; what is beyond it is at its end.
func (x axis) at(v float64) float64 {
	part := (v - x.low) / (x.high - x.low)
	if x.logarithmic {
		part = math.Log(max(v, x.low)/x.low) / math.Log(x.high/x.low)
	}
	return x.from + min(max(part, 0), 1)*(x.to-x.from)
}

// niceStep is the least of 1, 2, 5 times a power of ten that is at least so much.
func niceStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, step := range []float64{1, 2, 5} {
		if step*power >= least {
			return step * power
		}
	}
	return 10 * power
}

// below is the greatest of 1, 2, 5 times a power of ten that is at most two thirds of v.
func below(v float64) float64 {
	v /= 1.5
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{5, 2} {
		if step*power <= v {
			return step * power
		}
	}
	return power
}

func line(out *strings.Builder, class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(out, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func text(out *strings.Builder, x, y float64, class, anchor, s string) {
	fmt.Fprintf(out, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, escaped(s))
}

func escaped(s string) string {
	var out strings.Builder
	xml.EscapeText(&out, []byte(s)) // a Builder takes everything
	return out.String()
}

// wrapped breaks a text into lines of at most so many letters, between words.
func wrapped(s string, letters int) []string {
	var lines []string
	for _, word := range strings.Fields(s) {
		last := len(lines) - 1
		if last >= 0 && len([]rune(lines[last]))+1+len([]rune(word)) <= letters {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
