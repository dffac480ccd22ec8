package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pintle/internal/engine"
)

var someChanges = []engine.Change{
	{Kind: engine.ChangeEdit, Keys: []string{"stop_timeout"}, Effect: "it holds from now on"},
	{Name: "web", Kind: engine.ChangeAdd, Effect: "it is started"},
	{Name: "old", Kind: engine.ChangeRemove},
	{Name: "db", Kind: engine.ChangeEdit, Keys: []string{"command", "environment"}, Effect: "its run is \x1b[2Jreplaced"},
}

const changeLines = `~ (container)  stop_timeout  it holds from now on
+ web          it is started
- old
~ db           command, environment  its run is replaced
`

// TestReload keeps the promises about what is asked, what each change looks like, and which code it ends with.
func TestReload(t *testing.T) {
	t.Parallel()
	invalid := engine.Errorf(engine.Invalid, "pintle.yaml:3:1: unknown key \"x\"\npintle.yaml:9:5: \x1b[2Jno such unit")
	said := "pintle: pintle.yaml:3:1: unknown key \"x\"\npintle: pintle.yaml:9:5: no such unit\n"
	denied := engine.Errorf(engine.Denied, "cannot reload the configuration: uid 5 may not: only root may")
	stopping := engine.Errorf(engine.Conflict, "cannot reload the configuration: the container is stopping")
	for _, tt := range []struct {
		args    string
		changes []engine.Change
		err     error
		want    result
	}{
		{"reload", someChanges, nil, result{0, changeLines + "4 changes have begun: 1 added, 1 removed, 2 changed. 'pintle status' shows what comes of it.\n", ""}},
		{"reload", someChanges[1:2], nil, result{0, "+ web  it is started\n1 change has begun: 1 added. 'pintle status' shows what comes of it.\n", ""}},
		{"reload", nil, nil, result{0, "Nothing differs from the configuration.\n", ""}},
		{"reload -o json", nil, nil, result{0, "[]\n", ""}},
		{"reload", nil, invalid, result{1, "", said + "pintle: nothing was changed\n"}},
		{"reload", nil, denied, result{77, "", "pintle: cannot reload the configuration: uid 5 may not: only root may\n"}},
		{"reload", nil, stopping, result{1, "", "pintle: cannot reload the configuration: the container is stopping\n"}},
		{"reload --dry-run", someChanges, nil, result{0, changeLines + "A reload would make 4 changes: 1 added, 1 removed, 2 changed. Nothing was changed.\n", ""}},
		{"reload --dry-run", nil, invalid, result{1, "", said + "pintle: nothing was changed\n"}},
		{"diff", someChanges, nil, result{1, changeLines + "A reload would make 4 changes: 1 added, 1 removed, 2 changed. Nothing was changed.\n", ""}},
		{"diff", nil, nil, result{0, "Nothing differs from the configuration.\n", ""}},
		{"diff -o json", nil, nil, result{0, "[]\n", ""}},
		{"diff", []engine.Change{{Name: "x", Kind: "rename"}}, nil, result{1, "? x\nA reload would make 1 change: 1 otherwise. Nothing was changed.\n", ""}},
		{"diff", nil, invalid, result{2, "", said}},
		{"diff", nil, denied, result{77, "", "pintle: cannot reload the configuration: uid 5 may not: only root may\n"}},
		{"diff", nil, stopping, result{2, "", "pintle: cannot reload the configuration: the container is stopping\n"}},
	} {
		f := some()
		f.changes = tt.changes
		if tt.err != nil {
			f.refuse["reload"] = tt.err
		}
		if got := pintle(t, f, strings.Fields(tt.args)...); got != tt.want {
			t.Errorf("pintle %s: got %d\n%s%s\nwant %d\n%s%s", tt.args, got.code, got.stdout, got.stderr, tt.want.code, tt.want.stdout, tt.want.stderr)
		}
		dry := !strings.HasPrefix(tt.args, "reload") || strings.Contains(tt.args, "--dry-run")
		if !slices.Equal(f.reloads, []engine.ReloadRequest{{DryRun: dry}}) {
			t.Errorf("pintle %s asked for %+v", tt.args, f.reloads)
		}
	}
}

// TestReloadJSON: the JSON is an array of the engine's own changes.
func TestReloadJSON(t *testing.T) {
	t.Parallel()
	for args, code := range map[string]int{"reload -o json": 0, "diff -o json": 1} {
		f := some()
		f.changes = someChanges
		got := pintle(t, f, strings.Fields(args)...)
		var changes []engine.Change
		if err := json.Unmarshal([]byte(got.stdout), &changes); err != nil || got.code != code || !cmp.Equal(changes, someChanges) {
			t.Errorf("%s: got %+v, %v", args, got, err)
		}
	}
}
