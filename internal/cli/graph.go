package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

const aboutGraph = `Write what depends on what as a graph, for Graphviz or for Mermaid:

  pintle graph | dot -Tsvg > units.svg

An arrow goes from a unit to what it needs, with the condition on it: dashed where the
other need only have started, bold where the unit restarts with it. A unit's colour is
its state. Who may see names and states only gets no arrows.`

func (a *app) graphCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               "graph",
		Short:             "Write what depends on what as a graph",
		Long:              aboutGraph,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              run(func(ctx context.Context, _ []string) error { return a.graph(ctx, format) }),
	}
	addChoice(cmd, &format, "output", "o", "the language of the graph", "dot", "mermaid")
	return cmd
}

func (a *app) graph(ctx context.Context, format string) error {
	eng, err := a.Connect()
	if err != nil {
		return err
	}
	all, err := eng.List(ctx)
	if err != nil {
		return err
	}
	if format == "mermaid" {
		writeMermaid(a.out, all)
	} else {
		writeDot(a.out, all)
	}
	return nil
}

// fills are the colours of the states: pale, so that black text can be read on them.
var fills = map[unit.State]string{
	unit.Disabled: "#eeeeee",
	unit.Down:     "#dddddd",
	unit.Waiting:  "#fff3bf",
	unit.Starting: "#ffec99",
	unit.Up:       "#b2f2bb",
	unit.Stopping: "#ffd8a8",
	unit.Backoff:  "#ffc078",
	unit.Failed:   "#ffa8a8",
	unit.Done:     "#c5e1f5",
}

// absent is what a unit that others need, and that there is not, has in place of a state.
const absent = "not there"

// absentees are the names that units depend on and no unit has.
func absentees(all []engine.Status) []unit.Name {
	known := map[unit.Name]bool{}
	for _, s := range all {
		known[s.Name] = true
	}
	var names []unit.Name
	for _, s := range all {
		for _, d := range s.DependsOn {
			if !known[d.On] {
				known[d.On] = true
				names = append(names, d.On)
			}
		}
	}
	return names
}

// writeDot writes Graphviz' language (graphviz.org/doc/info/lang.html).
func writeDot(w io.Writer, all []engine.Status) {
	fmt.Fprint(w, "digraph pintle {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\"];\n")
	for _, s := range all {
		fmt.Fprintf(w, "  %s [label=%s", dotQuote(string(s.Name)), dotLabel(string(s.Name), string(s.State)))
		if fill, ok := fills[s.State]; ok {
			fmt.Fprintf(w, ", fillcolor=%q", fill)
		}
		fmt.Fprintln(w, "];")
	}
	for _, name := range absentees(all) {
		fmt.Fprintf(w, "  %s [label=%s, style=dashed];\n", dotQuote(string(name)), dotLabel(string(name), absent))
	}
	for _, s := range all {
		for _, d := range s.DependsOn {
			fmt.Fprintf(w, "  %s -> %s [label=%s%s];\n", dotQuote(string(s.Name)), dotQuote(string(d.On)), dotLabel(condition(d)), dotStyle(d))
		}
	}
	fmt.Fprintln(w, "}")
}

func dotStyle(d engine.Dependency) string {
	switch {
	case d.Condition == unit.OnStarted && d.RestartWith:
		return `, style="dashed,bold"`
	case d.Condition == unit.OnStarted:
		return ", style=dashed"
	case d.RestartWith:
		return ", style=bold"
	}
	return ""
}

// dotQuote makes a string. In a label a backslash begins an escape, and in every string it can hide the quote that ends
// it; so it is doubled in names and labels alike.
func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(s)) + `"`
}

// dotLabel makes a label of lines. Unlike in a name, an ampersand there begins an entity.
func dotLabel(lines ...string) string {
	var texts []string
	for _, l := range lines {
		quoted := dotQuote(strings.ReplaceAll(l, "&", "&amp;"))
		texts = append(texts, quoted[1:len(quoted)-1])
	}
	return `"` + strings.Join(texts, `\n`) + `"`
}

// writeMermaid writes a flowchart (mermaid.js.org/syntax/flowchart.html). A name there may be anything but a node's
// identifier, so that nodes are numbered.
func writeMermaid(w io.Writer, all []engine.Status) {
	fmt.Fprintln(w, "flowchart LR")
	nodes, used := map[unit.Name]string{}, map[unit.State]bool{}
	node := func(name unit.Name, state, class string) {
		nodes[name] = fmt.Sprintf("u%d", len(nodes))
		fmt.Fprintf(w, "  %s[\"%s<br/>%s\"]%s\n", nodes[name], mermaidText(string(name)), mermaidText(state), class)
	}
	for _, s := range all {
		class := ""
		if _, ok := fills[s.State]; ok {
			class, used[s.State] = ":::"+string(s.State), true
		}
		node(s.Name, string(s.State), class)
	}
	for _, name := range absentees(all) {
		node(name, absent, "")
	}
	for _, s := range all {
		for _, d := range s.DependsOn {
			fmt.Fprintf(w, "  %s %s|\"%s\"| %s\n", nodes[s.Name], mermaidArrow(d), mermaidText(condition(d)), nodes[d.On])
		}
	}
	for _, state := range unit.States {
		if used[state] {
			fmt.Fprintf(w, "  classDef %s fill:%s\n", state, fills[state])
		}
	}
}

// mermaidArrow is bold where both would be right: there is no arrow that is dashed too, and the label has the condition.
func mermaidArrow(d engine.Dependency) string {
	switch {
	case d.RestartWith:
		return "==>"
	case d.Condition == unit.OnStarted:
		return "-.->"
	}
	return "-->"
}

// mermaidText writes what has a meaning within quotes as an entity code.
func mermaidText(s string) string {
	return strings.NewReplacer("#", "#35;", `"`, "#quot;", "&", "#amp;", "<", "#lt;", ">", "#gt;", "`", "#96;").Replace(clean(s))
}
