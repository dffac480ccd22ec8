// Package internal_test holds what is true of the house as a whole.
package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the table of the house: which rooms the code of a room may enter.
// A room that is not here may enter none and be entered by none. Data flows from
// configuration through the supervisor to the engine's clients; nothing flows back.
var mayImport = map[string][]string{
	"cmd/pintle":         {"api", "boot", "cli", "config", "engine", "process", "s6/drive", "s6/wire", "unit"},
	"cmd/pintle/early":   {"boot/signals", "process/step", "s6/tools"},
	"internal/unit":      {},
	"internal/trust":     {},
	"internal/account":   {},
	"internal/lifecycle": {"unit"},
	"internal/engine":    {"unit"},
	// Tests for every engine there is; nobody but tests may enter.
	"internal/engine/conformance": {"engine", "unit"},
	"internal/config":             {"trust", "unit"},
	"internal/store":              {"engine", "trust", "unit"},
	"internal/logs":               {"engine", "trust", "unit"},
	"internal/process":            {"account", "process/step", "unit"},
	"internal/process/step":       {},
	"internal/datagram":           {},
	"internal/notify":             {"datagram"},
	"internal/syslog":             {"datagram"},
	"internal/probe":              {"unit"},
	"internal/prepare":            {"account", "trust", "unit"},
	"internal/discover":           {"trust", "unit"},
	"internal/supervisor":         {"account", "discover", "engine", "lifecycle", "logs", "notify", "probe", "process", "relay", "store", "syslog", "trust", "unit"},
	"internal/api":                {"account", "engine", "trust", "unit"},
	"internal/forward":            {"engine", "unit"},
	"internal/dashboard":          {"engine", "forward", "unit"},
	"internal/cli":                {"dashboard", "engine", "forward", "s6/install", "unit"},
	"internal/relay":              {"engine", "unit"},
	"internal/s6/wire":            {},
	"internal/s6/tools":           {},
	"internal/s6/install":         {"s6/tools"},
	"internal/s6/serve":           {"account", "engine", "logs", "process", "relay", "s6/wire", "trust", "unit"},
	"internal/boot/signals":       {},
	"internal/boot":               {"account", "api", "boot/signals", "config", "engine", "logs", "prepare", "process", "s6/serve", "s6/wire", "store", "supervisor", "trust", "unit"},
	"internal/s6/drive":           {"account", "discover", "engine", "process", "s6/wire", "store", "trust", "unit"},
}

// neverIn lists what some rooms must do without, because PID 1 or purity forbids it.
var neverIn = map[string][]string{
	"internal/unit":       {"os", "sync", "net"},
	"internal/lifecycle":  {"os", "sync", "net", "context"},
	"internal/supervisor": {"os/exec", "net/http"},
	"internal/process":    {"os/exec", "net/http"},
	"internal/datagram":   {"os/exec", "net/http"},
	"internal/notify":     {"os/exec", "net/http"},
	"internal/syslog":     {"os/exec", "net/http"},
	"internal/probe":      {"os/exec"},
	"internal/discover":   {"os/exec", "net/http"},
	"internal/s6/wire":    {"os/exec", "net/http", "sync", "context"},
	"internal/s6/drive":   {"os/exec", "net/http"},
	// A library that is linked is initialised in PID 1 too, whichever role a process has.
	"internal/dashboard": {"os/exec", "github.com/prometheus/client_golang/prometheus", "github.com/prometheus/client_golang/prometheus/promhttp", "github.com/prometheus/common/expfmt"},
	"internal/forward":   {"os/exec", "google.golang.org/protobuf/proto", "google.golang.org/protobuf/encoding/protowire", "github.com/klauspost/compress/s2"},
	"internal/boot":      {"os/exec", "github.com/spf13/cobra"},
	// What these need is initialised before a tool or a unit's program starts, and before them all that sorts before them: half of pintle.
	"internal/boot/signals": {"bufio", "encoding/binary", "fmt", "golang.org/x/sys/unix", "net", "os/exec", "path/filepath", "reflect", "regexp", "slices", "strings"},
	"internal/process/step": {"bufio", "encoding/binary", "fmt", "golang.org/x/sys/unix", "net", "os", "path/filepath", "reflect", "regexp", "slices", "strings"},
	"internal/s6/tools":     {"bufio", "encoding/binary", "fmt", "golang.org/x/sys/unix", "net", "os/exec", "path/filepath", "reflect", "regexp", "strings"},
}

// TestWhoMayImportWhom holds the code to the table.
func TestWhoMayImportWhom(t *testing.T) {
	t.Parallel()
	eachFile(t, func(room, path string, imports []string) {
		allowed, known := mayImport[room]
		if !known {
			t.Errorf("%s: the room %s is not in the table", path, room)
			return
		}
		for _, imported := range imports {
			if slices.Contains(neverIn[room], imported) {
				t.Errorf("%s imports %s, which %s must do without", path, imported, room)
			}
			other, ours := strings.CutPrefix(imported, "pintle/internal/")
			if ours && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s; %s may import only %v", path, other, room, allowed)
			}
		}
	})
}

// TestNothingKnowsTheCustomer: the reference customer is a configuration, not a case in the code.
func TestNothingKnowsTheCustomer(t *testing.T) {
	t.Parallel()
	eachFile(t, func(_, path string, _ []string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(text)), "hermes"+"_") || strings.Contains(string(text), `"hermes"`) {
			t.Errorf("%s knows the reference customer", path)
		}
	})
}

// TestNobodyEnds: only cmd may end the process; every other room returns an error.
func TestNobodyEnds(t *testing.T) {
	t.Parallel()
	eachFile(t, func(room, path string, _ []string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range []string{"os.Exit(", "log.Fatal", "panic("} {
			if strings.HasPrefix(room, "internal/") && strings.Contains(string(text), end) {
				t.Errorf("%s has %s…, which only cmd may", path, end)
			}
		}
	})
}

// eachFile visits the code of every room, without tests.
func eachFile(t *testing.T, visit func(room, path string, imports []string)) {
	t.Helper()
	for _, top := range []string{"../cmd", "."} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			var imports []string
			for _, i := range file.Imports {
				name, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				imports = append(imports, name)
			}
			absolute, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			root, err := filepath.Abs("..")
			if err != nil {
				return err
			}
			room, err := filepath.Rel(root, filepath.Dir(absolute))
			if err != nil {
				return err
			}
			visit(room, path, imports)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
