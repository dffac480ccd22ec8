package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"pintle/internal/unit"
)

// TestBecause: every reason that package unit declares has a clause, so that nobody is shown a constant.
func TestBecause(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../unit/state.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if n++; Because(unit.Reason(text)) == "" {
			t.Errorf("%s has no clause", spec.Names[0])
		}
		return true
	})
	if n != len(clauses) {
		t.Errorf("%d reasons are declared, and %d have clauses", n, len(clauses))
	}
	if got := Because("unheard-of"); got != "" {
		t.Errorf("a reason that nobody knows: %q", got)
	}
}
