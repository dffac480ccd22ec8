package cli

import (
	"slices"
	"strings"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// branches are what a tree is drawn with. All but again have the same width.
type branches struct{ fork, last, along, none, again string }

var (
	unicodeBranches = branches{"├─ ", "└─ ", "│  ", "   ", "… (above)"}
	asciiBranches   = branches{"|- ", "`- ", "|  ", "   ", "... (above)"}
)

// branches are Unicode's where a person looks at a terminal that can show them, and ASCII's elsewhere.
func (a *app) branches() branches {
	if a.StdoutIsTerminal && a.hasUTF8() {
		return unicodeBranches
	}
	return asciiBranches
}

// hasUTF8 tells whether the locale's characters are UTF-8's (locale(7): the first that is set counts).
func (a *app) hasUTF8() bool {
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := a.getenv(key); value != "" {
			value = strings.ToLower(value)
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}

var treeHeader = []string{"NAME", "STATE", "CONDITION", "MET", "WHY"}

// tree lays units out as a forest along their dependencies, as systemctl
// list-dependencies does: below a unit is what it needs. A unit has its row with
// all that is below it once; where it is needed again, only the edge is shown.
// So it ends, whatever depends on what.
type tree struct {
	branches
	all  map[unit.Name]engine.Status
	seen map[unit.Name]bool
	rows [][]string
}

// treeRows are the rows of the chosen units and of all that they need; all are the units there are.
func treeRows(chosen, all []engine.Status, b branches) [][]string {
	t := &tree{branches: b, all: map[unit.Name]engine.Status{}, seen: map[unit.Name]bool{}}
	for _, s := range all {
		t.all[s.Name] = s
	}
	needed := map[unit.Name]bool{}
	for _, s := range chosen {
		for _, d := range s.DependsOn {
			needed[d.On] = true
		}
	}
	for _, s := range chosen {
		if !needed[s.Name] {
			t.add(s, "", "")
		}
	}
	for _, s := range chosen { // what only a circle needs has no root
		if !t.seen[s.Name] {
			t.add(s, "", "")
		}
	}
	return t.rows
}

// add adds a root, or with the cells of an edge what stands at its end; branch stands before it, and indent before
// what is below it.
func (t *tree) add(s engine.Status, branch, indent string, edge ...string) {
	edge = append(edge, "", "")[:2]
	if t.seen[s.Name] {
		t.rows = append(t.rows, []string{branch + string(s.Name) + " " + t.again, string(s.State), edge[0], edge[1], ""})
		return
	}
	t.seen[s.Name] = true
	t.rows = append(t.rows, []string{branch + string(s.Name), string(s.State), edge[0], edge[1], because(s)})
	for i, d := range s.DependsOn {
		fork, along := t.fork, t.along
		if i == len(s.DependsOn)-1 {
			fork, along = t.last, t.none
		}
		needed, ok := t.all[d.On]
		if !ok {
			t.rows = append(t.rows, []string{indent + fork + string(d.On), "", condition(d), met(d), "there is no such unit"})
			continue
		}
		t.add(needed, indent+fork, indent+along, condition(d), met(d))
	}
}

// showTree writes the chosen units as a forest.
func (a *app) showTree(t *table, chosen, all []engine.Status) {
	a.sayf("%s", strings.TrimSuffix(t.layOut(treeHeader, treeRows(chosen, all, a.branches()), true), "\n"))
}

// hasTree tells whether there is something to be drawn: who may see names and states only is not told what depends on
// what.
func hasTree(units []engine.Status) bool {
	return slices.ContainsFunc(units, func(s engine.Status) bool { return !s.Restricted })
}
