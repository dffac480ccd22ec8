package cli

import (
	"strings"
	"testing"
	"testing/synctest"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// odd are names that no unit of ours can have; what writes a graph need not know that.
var odd = []unit.Name{`q"uote`, `back\`, `\"both\\"`, "subgraph", "end", "a b", "<b>html</b>", "x;#&amp;`", "\x1b[2Jevil\nlines", "grüße", `\N`, ""}

// TestGraph keeps the promises of graph about arrows, labels and colours.
func TestGraph(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := wired()
		f.units["web"].DependsOn[0].Condition = unit.OnDone
		f.units["main"].DependsOn[0].RestartWith = true
		for format, file := range map[string]string{"dot": "graph.dot", "mermaid": "graph.mmd"} {
			got := pintle(t, f, "graph", "-o", format)
			if got.code != 0 || got.stderr != "" {
				t.Errorf("got %+v", got)
			}
			golden(t, file, got.stdout)
		}
		if got, dot := pintle(t, f, "graph"), pintle(t, f, "graph", "-o", "dot"); got != dot {
			t.Error("dot is not what comes when nothing is asked for")
		}
	})
}

// TestGraphOfOddNames keeps the promise that any name is quoted: read back, it is the name that it was.
func TestGraphOfOddNames(t *testing.T) {
	t.Parallel()
	var units []engine.Status
	for _, name := range odd {
		units = append(units, engine.Status{Name: name, State: "odd\"state", DependsOn: []engine.Dependency{{On: odd[0], Condition: `con"dition\`}}})
	}
	var b strings.Builder
	writeDot(&b, units)
	nodes, edges := 0, 0
	for line := range strings.Lines(b.String()) {
		words := dotWords(t, line)
		switch {
		case len(words) == 2: // name, label
			want := clean(string(odd[nodes]))
			if label := strings.ReplaceAll(words[1], "&amp;", "&"); words[0] != want || label != want+"\n"+`odd"state` {
				t.Errorf("node %d is %q, want %q", nodes, words, want)
			}
			nodes++
		case len(words) == 3: // from, to, label
			if words[0] != clean(string(odd[edges])) || words[1] != odd0 || words[2] != `con"dition\` {
				t.Errorf("edge %d is %q", edges, words)
			}
			edges++
		}
	}
	if nodes != len(odd) || edges != len(odd) {
		t.Errorf("%d nodes and %d edges of %d in\n%s", nodes, edges, len(odd), b.String())
	}

	b.Reset()
	writeMermaid(&b, units)
	for line := range strings.Lines(b.String()) {
		if n := strings.Count(line, `"`); n != 0 && n != 2 || strings.ContainsAny(line, "`\x1b") {
			t.Errorf("a line that is not quoted: %s", line)
		}
	}
}

const odd0 = `q"uote`

// dotWords is the quoted strings of a line, as Graphviz reads a name and a label, without those of colours and styles.
func dotWords(t *testing.T, line string) []string {
	t.Helper()
	if strings.HasPrefix(line, "  node ") {
		return nil
	}
	var words []string
	for rest := line; ; {
		start := strings.IndexByte(rest, '"')
		if start < 0 {
			return words
		}
		var word strings.Builder
		i := start + 1
		for ; i < len(rest) && rest[i] != '"'; i++ {
			if rest[i] != '\\' {
				word.WriteByte(rest[i])
				continue
			}
			i++
			switch rest[i] {
			case 'n':
				word.WriteByte('\n')
			case '\\', '"':
				word.WriteByte(rest[i])
			default:
				t.Fatalf("an escape that means something else in %s", line)
			}
		}
		if i >= len(rest) {
			t.Fatalf("a string without an end in %s", line)
		}
		words = append(words, word.String())
		rest = rest[i+1:]
	}
}
