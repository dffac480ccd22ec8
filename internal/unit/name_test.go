package unit

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// bad is a list of what no name may be, in either of its parts.
var bad = []string{
	"", ".", "..", "../x", "a/b", "/", "-a", "_a", ".hidden", "a b", "a\n", "\n", "a\x00", "a%2f", "a?b", "a#b", "ä", "a\xff", "a:b", `a\b`,
}

// TestNames: what may be a name, and what its parts are.
func TestNames(t *testing.T) {
	t.Parallel()
	for in, parts := range map[string][2]string{
		"main": {}, "a": {}, "0": {}, "A-b_c.d": {}, "a..b": {}, "a.": {},
		"gateway@coder": {"gateway", "coder"}, "g@0": {"g", "0"}, "main@x": {"main", "x"},
		strings.Repeat("x", maxName): {}, "a@" + strings.Repeat("x", maxName-2): {"a", strings.Repeat("x", maxName-2)},
	} {
		n, err := ParseName(in)
		if err != nil || string(n) != in {
			t.Errorf("%q: %q, %v", in, n, err)
		}
		if n.Template() != parts[0] || n.Instance() != parts[1] {
			t.Errorf("%q: template %q, instance %q", in, n.Template(), n.Instance())
		}
		if parts[0] == "" {
			continue
		}
		if joined, err := InstanceName(parts[0], parts[1]); err != nil || joined != n {
			t.Errorf("%q: joined again %q, %v", in, joined, err)
		}
	}
	refused := []string{strings.Repeat("x", maxName+1), "a@" + strings.Repeat("x", maxName-1), "a@b@c", "@", "@@"}
	for _, b := range bad {
		refused = append(refused, b, b+"@a", "a@"+b)
	}
	for _, in := range refused {
		n, err := ParseName(in)
		if err == nil {
			t.Errorf("%q is accepted", in)
			continue
		}
		if n != "" {
			t.Errorf("%q: refused, but also %q", in, n)
		}
		if text := err.Error(); !strings.HasPrefix(text, "cannot use name ") || strings.ContainsAny(text, "\n\x00") || len(text) > 400 {
			t.Errorf("%q: the refusal reads %q", in, text)
		}
	}
}

// FuzzName: whatever parses is a file name, also with a suffix, and one segment of a URL, as it is.
func FuzzName(f *testing.F) {
	for _, s := range append([]string{"main", "gateway@coder", "a..b", "A@0", "a@b@c", strings.Repeat("x", 300)}, bad...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		switch {
		case string(n) != s:
			t.Errorf("%q became %q", s, n)
		case len(n) > maxName:
			t.Errorf("%q is %d bytes long", s, len(n))
		case filepath.Base(s) != s || !filepath.IsLocal(s):
			t.Errorf("%q is no file name", s)
		case strings.HasPrefix(s, ".") || strings.HasPrefix(s, "-") || strings.HasPrefix(n.Instance(), "."):
			t.Errorf("%q begins with what a name must not begin with", s)
		case url.PathEscape(s) != s:
			t.Errorf("%q is %q in a URL", s, url.PathEscape(s))
		case n.Template() != "" && string(n) != n.Template()+"@"+n.Instance():
			t.Errorf("%q has the parts %q and %q", s, n.Template(), n.Instance())
		}
	})
}

// TestNamePatterns: a pattern is matched by whole names only, however it is written.
func TestNamePatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, yes, no string }{
		{"[a-z]+", "abc", "abc1"},
		{"[a-z]+", "abc", "1abc"},
		{"a|b", "b", "ab"},
		{"a|b", "a", "ax"},
		{"^a$", "a", "aa"},
		{"(?i)a", "A", "AA"},
		{"(?m)a$", "a", "a\nb"},
		{"(?s).", "x", "xx"},
		{"a*?", "aaa", "aab"},
	} {
		p, err := ParseNamePattern(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if p.String() != c.expr {
			t.Errorf("%s reads %s", c.expr, p)
		}
		if err := p.Check(c.yes); err != nil {
			t.Errorf("%s: %q: %v", c.expr, c.yes, err)
		}
		if err := p.Check(c.no); err == nil || !strings.Contains(err.Error(), c.expr) {
			t.Errorf("%s: %q: %v", c.expr, c.no, err)
		}
	}
	// The last two are no expressions, and would undo the anchors if they were only pasted between them.
	for _, expr := range []string{"[", "(", `a\`, "a{2,1}", "a)|(?:b", ")|("} {
		if _, err := ParseNamePattern(expr); err == nil || !strings.HasPrefix(err.Error(), "cannot use name pattern ") {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

// TestDefaultNamePattern: the zero pattern is the default.
func TestDefaultNamePattern(t *testing.T) {
	t.Parallel()
	written, err := ParseNamePattern(DefaultNamePattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []NamePattern{{}, written} {
		for name, ok := range map[string]bool{
			"coder": true, "0-_": true, strings.Repeat("x", 63): true,
			"Coder": false, "": false, "a.b": false, "-a": false, strings.Repeat("x", 64): false, "a\n": false,
		} {
			if err := p.Check(name); (err == nil) != ok {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	if (NamePattern{}).String() != "[a-z0-9][a-z0-9_-]{0,62}" {
		t.Errorf("it reads %s", NamePattern{})
	}
}
