// Package peers measures pintle beside what a user would pick instead, on one machine, in one run, alternating.
//
// TestPeers writes docs/benchmarks.md and a chart for each question. Every figure comes with its peers' figures of the same run:
// these machines are shared and noisy, so only ratios within one run say anything. Each figure is the median of at least
// seven measures.
package peers
