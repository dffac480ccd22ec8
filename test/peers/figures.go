package peers

import (
	"cmp"
	"slices"
)

// answer is what one question was found to be, in one run.
type answer struct {
	// id names the question's chart, docs/benchmarks/ID.svg; title is its headline; measured says in a sentence or two how.
	id, title, measured string
	// figures are the peers' in the order of the table: the limit first, then pintle, then the others.
	figures []figure
	// goals are what pintle must reach, each with what it did.
	goals []goal
	// notes are sentences below the table: who is missing and why, what a reader must know.
	notes []string
}

// figure is what one peer was found to take: several measures of one thing, alternating with the other peers' in the same run.
type figure struct {
	peer    string    // who, as in the table of versions
	what    string    // which of several things that the question asks for; empty where it is one
	unit    string    // ms, MB, s, a second, …
	samples []float64 // in that unit
}

// goal is a bound on pintle's figure, mostly relative to another one of the same run.
type goal struct {
	what   string  // "at most 1.3 × the bare loop"
	got    float64 // in the goal's own terms
	atMost float64 // 0 where there is no such bound
	// atLeast is the bound where more is better; 0 for none.
	atLeast float64
}

// reached tells whether the goal was.
func (g goal) reached() bool {
	return (g.atMost == 0 || g.got <= g.atMost) && (g.atLeast == 0 || g.got >= g.atLeast)
}

// median is the middle one of the samples; the mean of the middle two where their number is even.
func (f figure) median() float64 { return f.quantile(0.5) }

func (f figure) least() float64 { return slices.Min(f.samples) }
func (f figure) most() float64  { return slices.Max(f.samples) }

// quantile is the q-th quantile of the samples, between two of them in proportion.
func (f figure) quantile(q float64) float64 {
	sorted := slices.SortedFunc(slices.Values(f.samples), cmp.Compare)
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}
