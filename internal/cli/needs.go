package cli

import (
	"strings"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// needs is what a unit depends on, on one line: "db ready (met), cache started (not met)".
func needs(all []engine.Dependency) string {
	var texts []string
	for _, d := range all {
		marks := []string{met(d)}
		if d.RestartWith {
			marks = append(marks, "restarts with it")
		}
		if d.Optional {
			marks = append(marks, "optional")
		}
		texts = append(texts, string(d.On)+" "+string(d.Condition)+" ("+strings.Join(marks, ", ")+")")
	}
	return clean(strings.Join(texts, ", "))
}

func met(d engine.Dependency) string {
	if d.Met {
		return "met"
	}
	return "not met"
}

// condition is what an edge between two units asks for, as the configuration has it: "ready, restart_with".
func condition(d engine.Dependency) string {
	text := string(d.Condition)
	if d.RestartWith {
		text += ", restart_with"
	}
	if d.Optional {
		text += ", optional"
	}
	return clean(text)
}

// unmet is those dependencies that have not come to what they must.
func unmet(s engine.Status) []engine.Dependency {
	var all []engine.Dependency
	for _, d := range s.DependsOn {
		if !d.Met {
			all = append(all, d)
		}
	}
	return all
}

// afterThose is when the unmet dependencies are met, as a clause: "db is ready and seed is done".
func afterThose(s engine.Status) string {
	var texts []string
	for _, d := range unmet(s) {
		text := " is ready"
		switch d.Condition {
		case unit.OnStarted:
			text = " has been started"
		case unit.OnDone:
			text = " is done"
		}
		texts = append(texts, clean(string(d.On))+text)
	}
	if len(texts) == 0 {
		return "what it depends on has come to what it must"
	}
	return strings.Join(texts, " and ")
}
