package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const bugPage = "../docs/bug-classes.md"

// bugRow is a row of the page: its number, its bug, and what keeps pintle from it.
var bugRow = regexp.MustCompile(`^\| U(\d+) \| (.+) \| (.+) \|$`)

// evidence is a folder, or a test in the folder that was named last.
var evidence = regexp.MustCompile("`((?:cmd|examples|internal|test)/[a-z0-9/]+)`|\\b(Test[A-Z]\\w*)")

// bugTest is the name of a test that keeps one bug away: TestU53AsPID1 is one of U53.
var bugTest = regexp.MustCompile(` TestU(\d+)([A-Z]\w*)?$`)

// TestBugClasses: every test that docs/bug-classes.md names is in the folder that it names, every bug has a test or a
// sentence, and no test of a bug's number is missing from the bug's row. So the page says what is so.
func TestBugClasses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(bugPage)
	if err != nil {
		t.Fatal(err)
	}
	tests := allTests(t)
	rows := map[int][]string{}
	last := 0
	for line := range strings.Lines(string(text)) {
		m := bugRow.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			if strings.HasPrefix(line, "| U") {
				t.Errorf("this is no row: %s", line)
			}
			continue
		}
		number, _ := strconv.Atoi(m[1])
		if number <= last {
			t.Errorf("U%d stands after U%d", number, last)
		}
		named := namedIn(m[3])
		last, rows[number] = number, named
		for _, one := range named {
			if !slices.Contains(tests, one) {
				t.Errorf("U%d: there is no test %s", number, one)
			}
		}
		if len(named) == 0 && !strings.HasSuffix(m[3], ".") {
			t.Errorf("U%d has neither a test nor a sentence: %s", number, m[3])
		}
	}
	for _, number := range []int{1, 2, 3, 4, 5, 6, 7, 8, 26, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 40, 42, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74} {
		if _, ok := rows[number]; !ok {
			t.Errorf("U%d is missing", number)
		}
	}
	for _, one := range tests {
		if m := bugTest.FindStringSubmatch(one); m != nil {
			if number, _ := strconv.Atoi(m[1]); !slices.Contains(rows[number], one) {
				t.Errorf("the row of U%d is without %s", number, one)
			}
		}
	}
}

// namedIn lists the tests that a text names, as "FOLDER TEST".
func namedIn(text string) (named []string) {
	folder := ""
	for _, m := range evidence.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			folder = m[1]
		} else {
			named = append(named, folder+" "+m[2])
		}
	}
	return named
}

// allTests lists every test there is, as namedIn does.
func allTests(t *testing.T) (tests []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel("..", filepath.Dir(path))
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests = append(tests, filepath.ToSlash(folder)+" "+f.Name.Name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
