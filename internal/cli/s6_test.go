package cli

import (
	"context"
	"slices"
	"strings"
	"testing"

	"pintle/internal/engine"
)

// s6Fake is a tree that is no tree.
type s6Fake struct {
	*fake
	scan string
}

func (f *s6Fake) Reconcile(_ context.Context, say func(string)) error {
	say("gateway@a: restored, up\x1b[2J")
	return nil
}

// TestEngine: --engine s6, or PINTLE_ENGINE, has every command go to the tree that --scandir names, and what is for such
// a tree alone is refused without it.
func TestEngine(t *testing.T) {
	t.Parallel()
	tree := &s6Fake{fake: some()}
	var permitted []string
	s6 := S6{
		Connect: func(scan string, say func(string)) (S6Tree, error) {
			tree.scan = scan
			say("template gateway: s6 can't do backoff")
			return tree, nil
		},
		Permit: func(user string, dirs []string, say func(string)) error {
			permitted = append([]string{user}, dirs...)
			return nil
		},
		Owner: func(scan string) (string, error) { return "owner of " + scan, nil },
		Scan:  "/run/service",
	}
	call := func(environ []string, args ...string) (code int, out, errs string) {
		var o, e strings.Builder
		code = Run(t.Context(), Options{
			Args: args, Stdout: &o, Stderr: &e, Environ: environ, S6: s6,
			Connect: func() (engine.Engine, error) { return nil, errEnded() },
		})
		return code, o.String(), e.String()
	}
	if code, out, errs := call(nil, "--engine", "s6", "list", "-o", "name"); code != 0 || !strings.Contains(out, "gateway@a\n") || errs != "pintle: template gateway: s6 can't do backoff\n" || tree.scan != "/run/service" {
		t.Errorf("%d %q %q %q", code, out, errs, tree.scan)
	}
	if code, out, _ := call([]string{"PINTLE_ENGINE=s6"}, "reconcile", "--scandir=/x"); code != 0 || out != "gateway@a: restored, up\n" || tree.scan != "/x" {
		t.Errorf("%d %q %q", code, out, tree.scan)
	}
	if code, _, errs := call(nil, "--engine=s6", "permit", "/a", "/b"); code != 0 || !slices.Equal(permitted, []string{"owner of /run/service", "/a", "/b"}) {
		t.Errorf("%d %q %q", code, errs, permitted)
	}
	if code, _, _ := call(nil, "--engine=s6", "permit", "--user", "me", "/a"); code != 0 || permitted[0] != "me" {
		t.Errorf("%d %q", code, permitted)
	}
	for _, args := range [][]string{{"reconcile"}, {"permit", "/a"}, {"--engine=other", "status"}, {"--engine=s6", "permit"}} {
		if code, _, errs := call(nil, args...); code != exitUsage {
			t.Errorf("%v: %d %q", args, code, errs)
		}
	}
	if code, _, _ := call(nil, "status"); code != exitUnavailable {
		t.Errorf("without it: %d", code)
	}
}
