package config

import (
	"testing"

	"pintle/internal/unit"
)

// BenchmarkKeys: a reload compares every unit in the supervisor's loop.
func BenchmarkKeys(b *testing.B) {
	spec := func(word string) *unit.Spec {
		return &unit.Spec{
			Name: "web", Kind: unit.Service, Enabled: unit.Switch{On: true}, Command: []string{"web", word},
			Environment: map[string]string{"A": "1", "B": "2"}, Readiness: &unit.Readiness{Check: unit.Check{TCP: "127.0.0.1:80"}},
			DependsOn: []unit.Dependency{{On: "db", Condition: unit.OnReady}}, ExitRules: unit.ExitRules{{Code: 78}: unit.VerdictFail},
		}
	}
	b.Run("same", func(b *testing.B) {
		was, is := spec("a"), spec("a")
		for b.Loop() {
			Keys(was, is)
		}
	})
	b.Run("edited", func(b *testing.B) {
		was, is := spec("a"), spec("b")
		for b.Loop() {
			Keys(was, is)
		}
	})
}
