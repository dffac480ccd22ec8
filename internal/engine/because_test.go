package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"testing"

	"pintle/internal/unit"
)

// TestBecause: every reason that package unit declares has a clause, so that nobody is shown a constant.
func TestBecause(t *testing.T) {
	t.Parallel()
	declared := constants(t, "../unit/state.go", "Reason")
	for name, text := range declared {
		if Because(unit.Reason(text)) == "" {
			t.Errorf("%s has no clause", name)
		}
	}
	if len(declared) != len(clauses) {
		t.Errorf("%d reasons are declared, and %d have clauses", len(declared), len(clauses))
	}
	if got := Because("unheard-of"); got != "" {
		t.Errorf("a reason that nobody knows: %q", got)
	}
}

// TestConditionCodes: every code that is declared is listed, is fit for a metric's label, and has a sentence for those
// who may know no more.
func TestConditionCodes(t *testing.T) {
	t.Parallel()
	declared := constants(t, "condition.go", "ConditionCode")
	for name, text := range declared {
		if ConditionCode(text).Sentence() == "" {
			t.Errorf("%s has no sentence", name)
		}
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(text) {
			t.Errorf("%s is %q", name, text)
		}
	}
	if n := len(ConditionCodes()); n == 0 || n != len(declared) {
		t.Errorf("%d codes are declared, and %d are listed", len(declared), n)
	}
	if got := ConditionCode("unheard-of").Sentence(); got != "" {
		t.Errorf("a code that nobody knows: %q", got)
	}
}

// constants are the constants of a type in a file, by their names.
func constants(t *testing.T, file, kind string) map[string]string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(tree, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.Ident); !ok || of.Name != kind {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found[spec.Names[0].Name] = text
		return true
	})
	return found
}
