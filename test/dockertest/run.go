package dockertest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Options say how a container is run.
type Options struct {
	// Image is what runs; empty means the reference image.
	Image string
	// Flags are docker run's own, such as "--read-only", "-e", "A=1".
	Flags []string
	// Stdin is fed to a foreground container; nil means that it gets none.
	Stdin io.Reader
	// Deadline ends a foreground container, and fails the test; 0 means 60 s.
	// For Start it bounds each method that waits.
	Deadline time.Duration
	// Rows and Cols are the size of Tty's terminal; 0 means 24 and 80.
	Rows, Cols uint16
}

func (o Options) deadline() time.Duration {
	if o.Deadline == 0 {
		return time.Minute
	}
	return o.Deadline
}

// Result is what became of a command.
type Result struct {
	Stdout, Stderr string
	Code           int
	Duration       time.Duration // as the docker command's user sees it
}

// String shows the result for a failing test's message.
func (r Result) String() string {
	return fmt.Sprintf("exit code %d after %v\nstdout: %s\nstderr: %s",
		r.Code, r.Duration.Round(time.Millisecond), indent(r.Stdout), indent(r.Stderr))
}

// Run runs a container in the foreground (docker run --rm) and returns when it
// has ended. That Docker cannot run it at all (its code 125) fails the test.
func Run(t testing.TB, o Options, args ...string) Result {
	t.Helper()
	e, name, argv := prepare(t, o, "--rm", args)
	if o.Stdin != nil {
		argv = append([]string{argv[0], "-i"}, argv[1:]...)
	}
	ended := false
	defer func() {
		if !ended { // the test has failed and is on its way out
			e.remove(name)
		}
	}()
	r := e.run(t, o.deadline(), o.Stdin, argv...)
	ended = true
	if r.Code == 125 && strings.HasPrefix(r.Stderr, "docker: ") {
		t.Fatalf("docker cannot run the container: %s", r.Stderr)
	}
	return r
}

// Docker runs any docker command on the test's engine.
func Docker(t testing.TB, args ...string) Result {
	t.Helper()
	return require(t).run(t, commandDeadline, nil, args...)
}

// Command returns any docker command on the test's engine, not yet started, for
// tests that need its pipes. It is killed when ctx ends.
func Command(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return require(t).command(ctx, args...)
}

// prepare returns the engine, a container name and the arguments of docker run.
func prepare(t testing.TB, o Options, flag string, args []string) (*engine, string, []string) {
	t.Helper()
	e := require(t)
	if o.Image == "" {
		o.Image = Reference(t)
	}
	name := "pintle-test-" + strings.ToLower(rand.Text()[:12])
	argv := []string{"run", flag, "--name", name, "--label", label + "=" + strconv.Itoa(os.Getpid())}
	argv = append(argv, o.Flags...)
	argv = append(argv, o.Image)
	return e, name, append(argv, args...)
}

// run runs a docker command to its end. Its exit code is the test's business;
// that it cannot be run, or does not end in time, fails the test.
func (e *engine) run(t testing.TB, deadline time.Duration, stdin io.Reader, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := e.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(start)}
	if ctx.Err() != nil {
		t.Fatalf("docker %s: no end after %v\n%s", strings.Join(args, " "), deadline, r)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return r
}

// remove removes a container, its processes and its anonymous volumes, if it
// is still there. Where Docker is about to do it, because of --rm, it waits for that.
func (e *engine) remove(name string) error {
	for end := time.Now().Add(commandDeadline); ; time.Sleep(50 * time.Millisecond) {
		_, err := e.output(commandDeadline, "rm", "-f", "-v", name)
		switch {
		case err == nil, strings.Contains(strings.ToLower(err.Error()), "no such container"):
			return nil
		case !strings.Contains(err.Error(), "already in progress"), time.Now().After(end):
			return err
		}
	}
}

// indent sets a text of several lines off from what is before it.
func indent(text string) string {
	text = strings.TrimRight(text, "\n")
	if !strings.Contains(text, "\n") {
		return text
	}
	return "\n\t" + strings.ReplaceAll(text, "\n", "\n\t")
}
