package lifecycle

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/unit"
)

var update = flag.Bool("update", false, "write docs/lifecycle.md anew")

// TestTheTablePage holds docs/lifecycle.md to what the machine does. With -update it writes the page.
func TestTheTablePage(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "lifecycle.md")
	page := thePage(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), page); diff != "" {
		t.Errorf("%s is not what the machine does; go test ./internal/lifecycle -run TestTheTablePage -update writes it (-have +want):\n%s", file, diff)
	}
}

const pageHead = `<!-- Written by go test ./internal/lifecycle -run TestTheTablePage -update. Do not edit. -->

# A unit's life

A unit is in one of nine states, and says why. What happens to it (somebody asks for something, a process ends, a timer
fires) is an **event**; each is answered by a next state and by **effects**, which the supervisor carries out. This page
was found by exploring the machine: every unit that can come to be was given every event that can happen to it. An event
of an old run, and a timer that was armed anew since, change nothing in any state, and are not on this page.

## States

| state | what is so |
|---|---|
`

const pageTable = `
## Every event in every state

A cell has the states that may follow, each with its effects. Those in brackets depend on the unit's declaration, on how
it ended, and on whether there is a hurry. A timer among the effects is started. "Noted" means that the unit remembers
it. A dash means that the event changes nothing: the wish is fulfilled already, or the event is about something that is
over.

`

func thePage(t *testing.T) string {
	x := explore()
	events, effects, clocks := words(t, "lifecycle.go", "EventKind"), words(t, "lifecycle.go", "EffectKind"), words(t, "lifecycle.go", "Timer")
	states, reasons := words(t, "../unit/state.go", "State"), words(t, "../unit/state.go", "Reason")
	var b strings.Builder
	b.WriteString(pageHead)
	for _, w := range states {
		fmt.Fprintf(&b, "| **%s** | %s |\n", strings.ToLower(w.names), w.text)
	}
	b.WriteString("\n## From state to state\n\n```mermaid\nstateDiagram-v2\n    [*] --> down\n    [*] --> disabled\n")
	for _, from := range unit.States {
		for _, to := range unit.States {
			if by := x.by(from, to); from != to && len(by) > 0 {
				fmt.Fprintf(&b, "    %s --> %s : %s\n", from, to, strings.Join(by, ", "))
			}
		}
	}
	b.WriteString("```\n")
	b.WriteString(pageTable)
	b.WriteString("| event |")
	for _, s := range unit.States {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(unit.States)) + "\n")
	for _, e := range rows() {
		fmt.Fprintf(&b, "| **%s** |", e)
		for _, s := range unit.States {
			fmt.Fprintf(&b, " %s |", x.cells[s][e].cell(s))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## Events\n\n")
	for _, w := range events {
		fmt.Fprintf(&b, "- %s\n", w.sentence())
	}
	b.WriteString("\n## Effects\n\n")
	for _, w := range effects {
		fmt.Fprintf(&b, "- %s\n", w.sentence())
	}
	b.WriteString("\n## Timers\n\n| timer | when it fires |\n|---|---|\n")
	for i, w := range clocks {
		fmt.Fprintf(&b, "| **%s** | %s |\n", Timer(i), w.text)
	}
	b.WriteString("\n## Reasons\n\n| reason | what it means | seen in |\n|---|---|---|\n")
	for _, w := range reasons {
		r := unit.Reason(w.value)
		_, text, _ := strings.Cut(w.text, ": ")
		var in []string
		for _, s := range unit.States {
			if x.reasons[r][s] {
				in = append(in, string(s))
			}
		}
		if len(in) == 0 {
			in = []string{"whatever the wish leads to that says so"}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r, text, strings.Join(in, ", "))
	}
	return b.String()
}

// rows are the events' names in their order, timers at the end.
func rows() []string {
	var list []string
	for k := range Expired {
		list = append(list, k.String())
	}
	for t := range timers {
		list = append(list, eventName(Event{Kind: Expired, Timer: t}))
	}
	return list
}

// by lists the events that lead from one state to another.
func (x *explored) by(from, to unit.State) []string {
	var list []string
	for _, e := range rows() {
		if c := x.cells[from][e]; c != nil && c.to[to] != nil {
			list = append(list, e)
		}
	}
	return list
}

// cell is what an event does in a state, in words.
func (c *outcomes) cell(from unit.State) string {
	if c == nil || len(c.to) == 0 {
		return "—"
	}
	var parts []string
	for _, to := range unit.States {
		o := c.to[to]
		if o == nil {
			continue
		}
		part, says := "→ **"+string(to)+"**", o.says()
		switch {
		case to == from && says == "":
			part = "noted"
		case to == from:
			part = "stays: " + says
		case says != "":
			part += ": " + says
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "<br>")
}

// says lists effects, those in brackets that are not always there.
func (o *outcome) says() string {
	var always, maybe []string
	for k := range Arm {
		if n := o.effects[k.String()]; n == o.times {
			always = append(always, k.String())
		} else if n > 0 {
			maybe = append(maybe, k.String())
		}
	}
	for t := range timers {
		name := effectName(Effect{Kind: Arm, Timer: t})
		if n := o.effects[name]; n == o.times {
			always = append(always, name)
		} else if n > 0 {
			maybe = append(maybe, name)
		}
	}
	s := strings.Join(always, ", ")
	if len(maybe) > 0 {
		s = strings.TrimSpace(s + " (" + strings.Join(maybe, ", ") + ")")
	}
	return s
}

// word is one or more constants and their comment.
type word struct{ names, value, text string }

// sentence is the comment with the names in it made bold.
func (w word) sentence() string {
	s := w.text
	for _, n := range strings.Split(w.names, ", ") {
		s = regexp.MustCompile(`\b`+n+`\b`).ReplaceAllString(s, "**$0**")
	}
	return s
}

// fields are the names of fields in comments, as a reader of the page knows them.
var (
	fields     = regexp.MustCompile(`(Event|Effect)\.(\w+)`)
	fieldNames = map[string]string{"Event.After": "so much", "Event.Err": "error", "Effect.After": "its time", "Effect.Serial": "its number"}
)

// words are a block of constants with their comments; constants without one of their own belong to those above.
func words(t *testing.T, file, kind string) []word {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var list []word
	for _, d := range parsed.Decls {
		block, ok := d.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		first, ok := block.Specs[0].(*ast.ValueSpec)
		if id, isID := first.Type.(*ast.Ident); !ok || !isID || id.Name != kind {
			continue
		}
		for _, s := range block.Specs {
			v := s.(*ast.ValueSpec)
			text := v.Doc.Text()
			if text == "" {
				text = v.Comment.Text()
			}
			text = fields.ReplaceAllStringFunc(strings.Join(strings.Fields(text), " "), func(f string) string {
				_, name, _ := strings.Cut(f, ".")
				if said, ok := fieldNames[f]; ok {
					return said
				}
				return "its " + strings.ToLower(name)
			})
			text = strings.ReplaceAll(text, ". its", ". Its")
			name := v.Names[0].Name
			if !ast.IsExported(name) {
				continue
			}
			if text == "" && len(list) > 0 {
				list[len(list)-1].names += ", " + name
				continue
			}
			w := word{names: name, text: text}
			if len(v.Values) == 1 {
				if l, ok := v.Values[0].(*ast.BasicLit); ok {
					w.value = strings.Trim(l.Value, `"`)
				}
			}
			list = append(list, w)
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s has no constants of type %s", file, kind)
	}
	return list
}

// TestThePageHasEverything: each reason and state that the machine shows is in its list.
func TestThePageHasEverything(t *testing.T) {
	t.Parallel()
	listed := words(t, "../unit/state.go", "Reason")
	for r := range explore().reasons {
		if !slices.ContainsFunc(listed, func(w word) bool { return w.value == string(r) }) {
			t.Errorf("nothing says what %q means", r)
		}
	}
}
