package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"pintle/internal/engine"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                          "plain",
		"tab\there":                      "tab\there",
		"grüße 日本 🚪":                     "grüße 日本 🚪",
		"\x1b[31mred\x1b[0m":             "red",
		"\x1b]0;title\x07text":           "text",
		"\x1b]8;;http://x\x1b\\link":     "link",
		"\x1bP+q\x1b\\dcs":               "dcs",
		"\x1bc reset":                    " reset",
		"\x1b(B charset":                 " charset",
		"\u009b31mc1":                    "c1",
		"\x9b31m":                        "\uFFFD31m",
		"two\r\nlines":                   "two lines",
		"bell\a back\b del\x7f nul\x00.": "bell back del nul.",
		"\x1b]0;no end":                  "0;no end",
		"\u202egpj.exe":                  "gpj.exe",
		"\x1b":                           "",
		"\x1b\x1b[31m[31m":               "[31m",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzClean keeps the promise that nothing from outside reaches a terminal as a
// control sequence: no control character but tab is left, whatever went in.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[31mred", "\x1b]0;t\x07", "\x9b31m", "\u009d0;t\u009c", "\xff\xfe", "a\tb\nc\rd", "\u202e", "\x1b\x1b[[31m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := clean(in)
		if !utf8.ValidString(got) {
			t.Errorf("clean(%q) = %q is not UTF-8", in, got)
		}
		for _, r := range got {
			if r != '\t' && unicode.IsControl(r) || reorders(r) {
				t.Errorf("clean(%q) = %q has %U", in, got, r)
			}
		}
		if again := clean(got); again != got {
			t.Errorf("clean(%q) = %q, and again %q", in, got, again)
		}
		if printable := strings.IndexFunc(in, func(r rune) bool { return !unicode.IsGraphic(r) || r == utf8.RuneError }) < 0; printable && got != in {
			t.Errorf("clean(%q) = %q changed printable text", in, got)
		}
	})
}

// FuzzEncode keeps the same promise for -o json and -o yaml, and that what is read back is what was written.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"plain", "a\tb\nc\rd", "\x1b[31mred", "\u009b31m\x7f", "\u202e", "\xff", "- x: [", "null", "1e3", "\u2028", "'\"", " pad ", "🚪"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		in = strings.ToValidUTF8(in, "\uFFFD") // as encoding/json has it
		for format, write := range map[string]func(*strings.Builder) error{
			"json": func(b *strings.Builder) error { return writeJSON(b, engine.Status{Because: in}, "  ") },
			"yaml": func(b *strings.Builder) error { return writeYAML(b, engine.Status{Because: in}) },
		} {
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.String() {
				if r != '\n' && unicode.IsControl(r) || reorders(r) {
					t.Errorf("%s of %q has %U:\n%q", format, in, r, b.String())
				}
			}
			var back engine.Status
			var err error
			if format == "json" {
				err = json.Unmarshal([]byte(b.String()), &back)
			} else {
				err = yaml.Unmarshal([]byte(b.String()), &back)
			}
			if err != nil || back.Because != in {
				t.Errorf("%s of %q was read back as %q, %v:\n%s", format, in, back.Because, err, b.String())
			}
		}
	})
}
