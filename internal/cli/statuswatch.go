package cli

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// redraw is how often a watched table on a terminal moves its clock on.
const redraw = time.Second

// watchStatus shows the units and then what changes, until ctx ends.
func (a *app) watchStatus(ctx context.Context, eng engine.Engine, c chooser, t *table, format string, shown []engine.Status) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tabular := format == "table" || t.wide
	onScreen := tabular && a.StdoutIsTerminal
	seen := map[unit.Name]engine.Status{}
	for _, s := range shown {
		seen[s.Name] = s
	}
	draw := func() {
		// home, then clear what is below: less flicker than clearing first
		a.sayf("\x1b[H\x1b[J%s", strings.TrimSuffix(t.lines(sorted(seen), now(), true), "\n"))
	}
	switch {
	case onScreen:
		draw()
	case tabular:
		if err := a.showUnits(t, format, shown); err != nil {
			return err
		}
	default:
		for _, s := range shown {
			if err := a.showChange(t, format, s); err != nil {
				return err
			}
		}
	}
	changes := make(chan engine.Status)
	ended := make(chan error, 1)
	go func() {
		for s, err := range eng.Watch(ctx) {
			if err != nil {
				ended <- err
				return
			}
			select {
			case changes <- s:
			case <-ctx.Done():
			}
		}
		ended <- errEnded()
	}()
	defer func() { cancel(); <-ended }()
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for a.out.err == nil {
		select {
		case s := <-changes:
			if before, ok := seen[s.Name]; !c.matches(s) && !s.Gone || ok && !changed(before, s) || !ok && s.Gone {
				continue
			}
			seen[s.Name] = s
			if s.Gone {
				delete(seen, s.Name)
			}
			if onScreen {
				draw()
			} else if err := a.showChange(t, format, s); err != nil {
				return err
			}
		case <-tick.C:
			if onScreen {
				draw()
			}
		case err := <-ended:
			ended <- nil // for the deferred wait
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// showChange writes one unit that changed, as one more row or document.
func (a *app) showChange(t *table, format string, s engine.Status) error {
	switch format {
	case "json":
		return writeJSON(a.out, s, "")
	case "yaml":
		a.sayf("---")
		return writeYAML(a.out, s)
	case "name":
		a.sayf("%s", clean(string(s.Name)))
		return nil
	}
	if s.Gone {
		s.State, s.Because, s.PID = "gone", "removed", 0
	}
	a.sayf("%s", strings.TrimSuffix(t.lines([]engine.Status{s}, now(), false), "\n"))
	return nil
}

// changed tells whether a row would read differently.
func changed(a, b engine.Status) bool {
	return a.State != b.State || a.Desired != b.Desired || a.PID != b.PID || a.Run != b.Run ||
		a.Failures != b.Failures || a.Because != b.Because || a.Gone != b.Gone || !slices.Equal(a.DependsOn, b.DependsOn)
}

// sorted is the units as List has them: by name, main first.
func sorted(units map[unit.Name]engine.Status) []engine.Status {
	return slices.SortedFunc(maps.Values(units), func(a, b engine.Status) int {
		switch {
		case a.Kind == unit.Main:
			return -1
		case b.Kind == unit.Main:
			return 1
		}
		return strings.Compare(string(a.Name), string(b.Name))
	})
}
