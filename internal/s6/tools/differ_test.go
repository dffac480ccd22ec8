package tools

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain makes the test binary what pintle is: called by the name of a tool, it is that tool.
func TestMain(m *testing.M) {
	if code, found := Run(os.Args); found {
		syscall.Exit(code) // and not os.Exit, before which the race detector sleeps
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // trials wait most of the time, and need no CPU for that
		panic(err)
	}
	os.Exit(m.Run())
}

// trial is one command line that s6's own tool and ours are given alike, each in a directory of its own.
type trial struct {
	name  string
	args  []string
	stdin string
	env   []string          // added to PATH
	files map[string]string // made before, by path; a path that ends in "/" is a directory
	links map[string]string
	// before is a shell command that prepares the directory.
	before string
	// under is a shell command line that ends in "$@", which is the tool with its arguments.
	under string
	as    *syscall.Credential
	// tree compares what the directory holds afterwards.
	tree bool
	// differs is the answer of ours where it is meant to be another one, and says why.
	differs *difference
	// exact has labels and stamps compared, too.
	exact bool
	// clean makes alike what cannot be, beside labels and stamps.
	clean *regexp.Regexp
}

type difference struct {
	why            string
	stdout, stderr string
	code           int
	tree           []string
}

// outcome is what a trial is judged by.
type outcome struct {
	Stdout, Stderr string
	Code           int
	Tree           []string
}

// overtaken tells whether the real tool gave up because the machine was too busy for its helper, s6-ftrigrd.
func (o outcome) overtaken() bool {
	return strings.Contains(o.Stderr, "ftrigr_startf") ||
		strings.Contains(o.Stderr, "unable to subscribe to events") && strings.Contains(o.Stderr, "Connection timed out")
}

const patience = 60 * time.Second

// compare runs the trials with both tools and holds ours to the real one.
func compare(t *testing.T, tool string, trials []trial) {
	t.Helper()
	real, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("s6 is not installed here: %v", err)
	}
	compareWith(t, tool, real, trials)
}

// compareWith is compare where the real tool is elsewhere.
func compareWith(t *testing.T, tool, real string, trials []trial) {
	t.Helper()
	if len(trials) < 15 {
		t.Errorf("%s has %d trials, which is not enough to know it by", tool, len(trials))
	}
	ours := linkTools(t)
	for _, c := range trials {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.as != nil && os.Getuid() != 0 {
				t.Skip("only root can be somebody else")
			}
			var theirs, mine outcome
			for range 5 {
				real, ours := c.start(t, real), c.start(t, filepath.Join(ours, tool))
				if theirs, mine = <-real, <-ours; !theirs.overtaken() {
					break
				}
			}
			if c.differs == nil {
				if diff := cmp.Diff(theirs, mine); diff != "" {
					t.Errorf("the real one is -, ours is +:\n%s", diff)
				}
				return
			}
			want := outcome{Stdout: c.differs.stdout, Stderr: c.differs.stderr, Code: c.differs.code, Tree: c.differs.tree}
			if diff := cmp.Diff(want, mine); diff != "" {
				t.Errorf("ours is not what it is meant to be (%s):\n%s", c.differs.why, diff)
			}
			if cmp.Equal(theirs, mine) {
				t.Errorf("the real one does the same, so this is no difference: %s", c.differs.why)
			}
		})
	}
}

// linkTools is a directory with the test binary under the name of each tool, for all users.
func linkTools(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := openDir(t)
	copied := filepath.Join(dir, "binary")
	if out, err := exec.Command("cp", self, copied).CombinedOutput(); err != nil {
		t.Fatalf("cannot copy the test binary: %v: %s", err, out)
	}
	for _, name := range Names() {
		if err := os.Link(copied, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// openDir is a temporary directory that other users may enter, too.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for up := dir; up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			break // it is not ours
		}
	}
	return dir
}

// start runs the trial beside whatever else is done. Where it cannot be run, which is a failure of the test, there is no outcome.
func (c trial) start(t *testing.T, tool string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		defer close(done)
		done <- c.run(t, tool)
	}()
	return done
}

func (c trial) run(t *testing.T, tool string) outcome {
	t.Helper()
	dir := openDir(t)
	c.prepare(t, dir)
	args := append([]string{tool}, c.args...)
	if c.under != "" {
		args = append([]string{"/bin/sh", "-c", c.under, "sh"}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "GORACE=atexit_sleep_ms=0"}, c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	if c.tree { // a file is read in the same pieces by both
		input := filepath.Join(t.TempDir(), "stdin")
		if err := os.WriteFile(input, []byte(c.stdin), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(input)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		cmd.Stdin = file
	}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.as != nil {
		if err := os.Chown(dir, int(c.as.Uid), int(c.as.Gid)); err != nil {
			t.Fatalf("cannot give the directory away: %v", err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	}
	cmd.WaitDelay = patience // for what it leaves behind with its output
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	o := outcome{Stdout: c.plain(stdout.String(), dir, tool), Stderr: c.plain(stderr.String(), dir, tool), Code: cmd.ProcessState.ExitCode()}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		o.Code = 128 + int(status.Signal())
	}
	if c.tree {
		o.Tree = c.list(t, dir, tool)
	}
	return o
}

func (c trial) prepare(t *testing.T, dir string) {
	t.Helper()
	for path, text := range c.files {
		path = filepath.Join(dir, path) + strings.Repeat("/", strings.Count(path[len(path)-1:], "/"))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "/") {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, to := range c.links {
		if err := os.Symlink(to, filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	if c.before != "" {
		cmd := exec.Command("/bin/sh", "-c", c.before)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cannot prepare: %v: %s", err, out)
		}
	}
}

var (
	labels = regexp.MustCompile(`@[0-9a-f]{24}`)
	stamps = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}`)
)

// plain is text without what is different each time.
func (c trial) plain(text, dir, tool string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	text = strings.ReplaceAll(text, tool, "TOOL")
	if !c.exact {
		text = stamps.ReplaceAllString(labels.ReplaceAllString(text, "@LABEL"), "STAMP")
	}
	if c.clean != nil {
		text = c.clean.ReplaceAllString(text, "CLEANED")
	}
	return text
}

func shortened(text string) string {
	if len(text) > 300 {
		text = text[:100] + "…" + text[len(text)-100:]
	}
	return fmt.Sprintf("%q", text)
}

// list is each file with its mode, its size and, where it is short, what it holds. Archives are numbered by their age.
func (c trial) list(t *testing.T, dir, tool string) []string {
	t.Helper()
	var all []string
	archives := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if labels.MatchString(name) {
			archives[filepath.Dir(name)]++
			name = labels.ReplaceAllString(name, fmt.Sprintf("@%d", archives[filepath.Dir(name)]))
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %v", name, info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			shown := c.plain(string(text), dir, tool)
			line += fmt.Sprintf(" %d", len(shown))
			line += " " + shortened(shown)
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
