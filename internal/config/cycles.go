package config

import (
	"slices"
	"strings"
)

// graph is who depends on whom. Its nodes are units by name, "T@%i" for any instance
// of the template T, and the instances that some dependency names. Those that a
// template has in always need no nodes: what they depend on under their own name is
// what T@%i depends on under that of any.
type graph struct {
	// nodes are those that have edges of their own, in the order of adding.
	nodes []string
	edges map[string][]edge
	seen  map[string]progress
	// trail is the way from where the search began.
	trail []step
	// found has the cycles that were reported.
	found map[string]bool
	// hidden are the instances whose names are what variables hold.
	hidden map[string]bool
}

// edge is a dependency, as the file has it.
type edge struct {
	to, path string
	at       Position
}

// step is an edge on the way from a node.
type step struct {
	from string
	edge
}

// progress is how far the search for cycles has come with a node.
type progress uint8

const (
	unseen progress = iota
	underway
	searched
)

func newGraph() *graph {
	return &graph{edges: map[string][]edge{}, seen: map[string]progress{}, found: map[string]bool{}, hidden: map[string]bool{}}
}

// add enters what the node depends on.
func (g *graph) add(node, path string, on *dependency) {
	if g.edges[node] == nil {
		g.nodes = append(g.nodes, node)
	}
	g.edges[node] = append(g.edges[node], edge{on.text, path, on.at})
	if _, instance, ok := strings.Cut(on.text, "@"); ok && on.secret() {
		g.hidden[instance] = true
	}
}

// from lists the edges of a node; those of an instance are its template's.
func (g *graph) from(node string) []edge {
	template, instance, ok := strings.Cut(node, "@")
	if !ok || instance == anyInstance {
		return g.edges[node]
	}
	edges := slices.Clone(g.edges[template+"@"+anyInstance])
	for i := range edges {
		if follows, ok := strings.CutSuffix(edges[i].to, "@"+anyInstance); ok {
			edges[i].to = follows + "@" + instance
		}
	}
	return edges
}

// search reports every cycle that can be met from any node.
func (g *graph) search(a *assembler) {
	for _, node := range g.nodes {
		g.visit(a, node)
	}
}

// visit searches what a node depends on, and reports every cycle that it meets.
func (g *graph) visit(a *assembler, node string) {
	if g.seen[node] == searched {
		return
	}
	g.seen[node] = underway
	for _, e := range g.from(node) {
		g.trail = append(g.trail, step{node, e})
		if g.seen[e.to] == underway {
			start := slices.IndexFunc(g.trail, func(s step) bool { return s.from == e.to })
			g.report(a, slices.Clone(g.trail[start:]))
		} else {
			g.visit(a, e.to)
		}
		g.trail = g.trail[:len(g.trail)-1]
	}
	g.seen[node] = searched
}

// report says a cycle once, from the edge on that stands first. The same places in
// the file are the same cycle, whichever instances they are met with.
func (g *graph) report(a *assembler, cycle []step) {
	first := 0
	for i := range cycle {
		if a.compare(cycle[i].at, cycle[first].at) < 0 {
			first = i
		}
	}
	cycle = slices.Concat(cycle[first:], cycle[:first])
	places, words := "", g.shown(cycle[0].from)
	for _, s := range cycle {
		places += s.at.String() + " "
		words += " → " + g.shown(s.to)
	}
	if !g.found[places] {
		g.found[places] = true
		a.failf(cycle[0].at, "cannot use %s: it waits for itself: %s", cycle[0].path, words)
	}
}

// shown is a node as an error may have it.
func (g *graph) shown(node string) string {
	if template, instance, ok := strings.Cut(node, "@"); ok && g.hidden[instance] {
		return template + "@…"
	}
	return node
}
