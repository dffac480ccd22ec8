package dashboard

import (
	"slices"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// metrics are all there are, of one moment. What is one of a few (a state, a condition) has a series for each of them,
// so that an alert on it never waits for a series to come to be.
func metrics(info engine.Info, units []engine.Status) []byte {
	p := &page{}
	ofPintle(p, info)
	ofUnits(p, units)
	return p.b.Bytes()
}

// ofPintle writes what an engine says of itself.
func ofPintle(p *page, info engine.Info) {
	p.family("pintle_build_info", gauge, "1, with the version of the supervisor.")
	p.sample(1, label{"version", info.Version})

	p.family("pintle_start_time_seconds", gauge, "When the supervisor started, in seconds since 1970.")
	p.sample(seconds(info.Started))

	p.family("pintle_stopping", gauge, "1 once the container is on its way down.")
	p.flag(info.Stopping)

	p.family("pintle_state_durable", gauge, "1 while desired states are on disk; 0 while they are in memory only, or there is no state_directory.")
	p.flag(info.Durable)

	p.family("pintle_condition", gauge, "1 while something is not as it should be; pintle status has the cause.")
	codes := engine.ConditionCodes()
	for _, c := range info.Conditions {
		if !slices.Contains(codes, c.Code) { // of another version
			codes = append(codes, c.Code)
		}
	}
	for _, code := range codes {
		p.flag(slices.ContainsFunc(info.Conditions, func(c engine.Condition) bool { return c.Code == code }), label{"condition", string(code)})
	}

	if info.Life.Number > 0 {
		p.family("pintle_lives_total", counter, "Lives of the container, as its state directory counts them.")
		p.sample(float64(info.Life.Number))
	}
	if info.Life.Before != "" {
		p.family("pintle_previous_life_end", gauge, "1 for how the container's life before this one ended.")
		for _, end := range withUnknown(engine.LifeEnds, info.Life.Before) {
			p.flag(end == info.Life.Before, label{"end", string(end)})
		}
	}
}

// ofUnits writes what everybody may see of the units.
func ofUnits(p *page, units []engine.Status) {
	each := func(write func(engine.Status, label, label)) {
		for _, s := range units {
			write(s, label{"unit", string(s.Name)}, label{"kind", string(s.Kind)})
		}
	}
	p.family("pintle_unit_state", gauge, "1 for the state that a unit is in.")
	each(func(s engine.Status, name, kind label) {
		for _, state := range withUnknown(unit.States, s.State) {
			p.flag(state == s.State, name, kind, label{"state", string(state)})
		}
	})
	p.family("pintle_unit_reason", gauge, "1 for the reason why a unit is in its state.")
	each(func(s engine.Status, name, kind label) { p.sample(1, name, kind, label{"reason", string(s.Reason)}) })

	p.family("pintle_unit_desired_up", gauge, "1 where a unit is wanted up.")
	each(func(s engine.Status, name, kind label) { p.flag(s.Desired == "up", name, kind) })

	p.family("pintle_unit_state_timestamp_seconds", gauge, "When a unit came into its state, in seconds since 1970.")
	each(func(s engine.Status, name, kind label) { p.sample(seconds(s.Since), name, kind) })

	p.family("pintle_unit_runs_total", counter, "Runs of a unit that have begun since pintle started; each restart is one more.")
	each(func(s engine.Status, name, kind label) { p.sample(float64(s.Run), name, kind) })
}

// withUnknown is all, and also one that may be of another version.
func withUnknown[T comparable](all []T, one T) []T {
	if slices.Contains(all, one) {
		return all
	}
	return append(slices.Clone(all), one)
}

// seconds is a time as Prometheus has it; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
