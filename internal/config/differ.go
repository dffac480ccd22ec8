package config

import (
	"reflect"
	"slices"

	"pintle/internal/unit"
)

// part is what one key of the configuration makes of a unit.
type part struct {
	key string
	of  func(*unit.Spec) any
	// oneshot is the key's name for a oneshot, where that is another.
	oneshot string
}

// parts are all parts of a unit. The reason of a switch is none: it names a line, and
// lines move.
var parts = []part{
	{key: "name", of: func(s *unit.Spec) any { return s.Name }},
	{key: "kind", of: func(s *unit.Spec) any { return s.Kind }},
	{key: "enabled", of: func(s *unit.Spec) any { return s.Enabled.On }},
	{key: "command", of: func(s *unit.Spec) any { return s.Command }, oneshot: "up"},
	{key: "down", of: func(s *unit.Spec) any { return s.Down }},
	{key: "user", of: func(s *unit.Spec) any { return s.User }},
	{key: "environment", of: func(s *unit.Spec) any { return s.Environment }},
	{key: "env_file", of: func(s *unit.Spec) any { return s.EnvFiles }},
	{key: "working_dir", of: func(s *unit.Spec) any { return s.WorkingDir }},
	{key: "umask", of: func(s *unit.Spec) any { return s.Attributes.Umask }},
	{key: "ulimits", of: func(s *unit.Spec) any { return s.Attributes.Limits }},
	{key: "nice", of: func(s *unit.Spec) any { return s.Attributes.Nice }},
	{key: "oom_score_adj", of: func(s *unit.Spec) any { return s.Attributes.OOMScoreAdj }},
	{key: "no_new_privileges", of: func(s *unit.Spec) any { return s.Attributes.NoNewPrivileges }},
	{key: "capabilities", of: func(s *unit.Spec) any { return s.Attributes.Capabilities }},
	{key: "ambient_capabilities", of: func(s *unit.Spec) any { return s.Attributes.AmbientCapabilities }},
	{key: "depends_on", of: func(s *unit.Spec) any { return s.DependsOn }},
	{key: "restart", of: func(s *unit.Spec) any { return s.Restart }},
	{key: "exit_codes", of: func(s *unit.Spec) any { return s.ExitRules }},
	{key: "backoff", of: func(s *unit.Spec) any { return s.Backoff }},
	{key: "stable_after", of: func(s *unit.Spec) any { return s.StableAfter }},
	{key: "give_up", of: func(s *unit.Spec) any { return s.GiveUp }, oneshot: "retries"},
	{key: "on_failure", of: func(s *unit.Spec) any { return s.OnFailure }, oneshot: "required"},
	{key: "required", of: func(s *unit.Spec) any { return s.Required }},
	{key: "readiness", of: func(s *unit.Spec) any { return s.Readiness }},
	{key: "start_timeout", of: func(s *unit.Spec) any { return s.StartTimeout }, oneshot: "timeout"},
	{key: "liveness", of: func(s *unit.Spec) any { return s.Liveness }},
	{key: "watchdog", of: func(s *unit.Spec) any { return s.Watchdog }},
	{key: "on_hang", of: func(s *unit.Spec) any { return s.OnHang }},
	{key: "stop_signal", of: func(s *unit.Spec) any { return s.Stop.Signals }},
	{key: "stop_command", of: func(s *unit.Spec) any { return s.Stop.Command }},
	{key: "stop_target", of: func(s *unit.Spec) any { return s.Stop.Target }},
	{key: "stop_grace_period", of: func(s *unit.Spec) any { return s.Stop.Grace }},
	{key: "stop_grace_max", of: func(s *unit.Spec) any { return s.Stop.GraceMax }},
	{key: "instances.exclusive", of: func(s *unit.Spec) any { return s.Exclusive }},
	{key: "log", of: func(s *unit.Spec) any { return s.Log }},
	{key: "labels", of: func(s *unit.Spec) any { return s.Labels }},
}

// Keys names the keys of the configuration in which two units differ, sorted and as
// the kind of b has them. Both are of this package's making, or of a template's.
func Keys(a, b *unit.Spec) []string {
	var keys []string
	for _, p := range parts {
		if alike(p.of(a), p.of(b)) {
			continue
		}
		key := p.key
		if p.oneshot != "" && b.Kind == unit.Oneshot {
			key = p.oneshot
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// alike compares by content; a map without entries is as none.
func alike(x, y any) bool {
	v, w := reflect.ValueOf(x), reflect.ValueOf(y)
	return v.Kind() == reflect.Map && v.Len() == 0 && w.Len() == 0 || reflect.DeepEqual(x, y)
}
