package cli

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// needing is a unit that depends on others: "db", "+db" for one that is there already.
func needing(name unit.Name, state unit.State, condition unit.Condition, others ...string) engine.Status {
	s := at(name, state, 1)
	s.Reason = unit.Asked
	for _, o := range others {
		on, met := strings.CutPrefix(o, "+")
		s.DependsOn = append(s.DependsOn, engine.Dependency{On: unit.Name(on), Condition: condition, Met: met})
	}
	return s
}

// wired is a container whose units depend on one another, in a circle too.
func wired() *fake {
	seed := needing("seed", unit.Done, unit.OnStarted, "+db")
	seed.Kind = unit.Oneshot
	web := needing("web", unit.Waiting, unit.OnReady, "+db", "cache", "nosuch")
	web.Because = "waiting for cache to be ready"
	web.DependsOn[1].RestartWith, web.DependsOn[2].Optional = true, true
	main := needing("main", unit.Up, unit.OnStarted, "web", "+seed")
	main.Kind = unit.Main
	return newFake(main, web, seed, needing("db", unit.Up, ""), needing("cache", unit.Backoff, unit.OnStarted, "+db"),
		needing("a", unit.Waiting, unit.OnReady, "b"), needing("b", unit.Waiting, unit.OnReady, "c", "b"), needing("c", unit.Waiting, unit.OnReady, "a"))
}

// TestTree keeps the promises of status --tree: each unit in full once, circles end, ASCII where Unicode cannot be
// shown, and other formats as they are.
func TestTree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		restricted := wired()
		for _, s := range restricted.units {
			*s = engine.Status{Name: s.Name, Kind: s.Kind, State: s.State, Desired: s.Desired, Since: s.Since, Reason: s.Reason, Restricted: true}
		}
		mixed := wired()
		*mixed.units["db"] = engine.Status{Name: "db", State: unit.Up, Reason: unit.Asked, Restricted: true}
		var b strings.Builder
		show := func(title string, f *fake, environ []string, args ...string) {
			change := terminal(0, append(environ, "NO_COLOR=1")...)
			if environ == nil {
				change = nil
			}
			got := pintleWith(t, f, change, args...)
			fmt.Fprintf(&b, "# %s: pintle %s (%d)\n%s%s\n", title, strings.Join(args, " "), got.code, got.stdout, got.stderr)
		}
		show("all, into a pipe", wired(), nil, "status", "--tree")
		show("a terminal", wired(), []string{"LANG=C.UTF-8"}, "status", "--tree", "main")
		show("a terminal without UTF-8", wired(), []string{"LANG=C.UTF-8", "LC_ALL=C"}, "status", "--tree", "main")
		show("more than one", wired(), []string{"LC_CTYPE=de_DE.utf8"}, "status", "--tree", "cache", "web")
		show("a part of a circle", wired(), nil, "status", "--tree", "b")
		show("a stranger", restricted, nil, "status", "--tree")
		show("some are hidden", mixed, nil, "status", "--tree", "web", "db")
		show("no match", wired(), nil, "status", "--tree", "x*")
		show("more", wired(), nil, "status", "-o", "wide", "web", "db")
		golden(t, "tree.golden", b.String())

		plain, tree := pintle(t, wired(), "status", "-o", "json"), pintle(t, wired(), "status", "--tree", "-o", "json")
		if plain != tree || plain.code != 0 {
			t.Errorf("JSON differs with --tree:\n%s\n%s", plain.stdout, tree.stdout)
		}
		if got := pintle(t, wired(), "status", "--tree", "--watch"); got.code != exitUsage {
			t.Errorf("got %+v", got)
		}
	})
}
