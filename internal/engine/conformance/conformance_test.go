package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/api"
	"pintle/internal/engine"
	"pintle/internal/engine/conformance"
	"pintle/internal/logs"
	"pintle/internal/process"
	"pintle/internal/s6/drive"
	"pintle/internal/s6/wire"
	"pintle/internal/store"
	"pintle/internal/supervisor"
	"pintle/internal/unit"
)

// TestMain lets a copy of this test binary be the exec step of a run, and what a run script of s6's begins with.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == drive.LaunchRole {
		err := drive.Launch(os.Args[2:], os.Environ())
		fmt.Fprintln(os.Stderr, err)
		os.Exit(drive.LaunchCode(err))
	}
	if process.IsExecStep(os.Args) {
		os.Exit(process.ExecStep(os.Args, os.Stderr))
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		fmt.Fprintf(os.Stderr, "these are tests, and can't do %q\n", os.Args[1:])
		os.Exit(125) // or each run of a test would be all tests again
	}
	os.Exit(m.Run())
}

// aloneVariable names the test that this process was started for.
const aloneVariable = "PINTLE_CONFORMANCE_TEST_ALONE"

// alone runs a test's body in a process of its own, because there may be one reaper in a process.
func alone(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		body(t)
		return
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.timeout=4m")
	cmd.Env = append(os.Environ(), aloneVariable+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// native is pintle's own supervisor.
func native(t *testing.T, templates []unit.Template) engine.Engine {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	kernel, err := process.New(process.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	book := logs.NewBook(logs.Options{})
	kept, _ := store.Open(store.Options{Directory: t.TempDir() + "/state", UID: os.Geteuid()})
	s := supervisor.New(supervisor.Options{
		Templates: templates, Kernel: supervisor.NewKernel(kernel), Logs: book, Store: kept, Log: log,
		Environ: []string{"PATH=" + os.Getenv("PATH"), "LANG=C"},
	})
	t.Cleanup(func() {
		s.Halt()
		s.Hurry()
		<-s.Idle()
		s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), conformance.Patience)
		defer cancel()
		if err := errors.Join(kept.Close(ctx), book.Close(ctx)); err != nil {
			t.Error(err)
		}
		kernel.Close()
	})
	s.Boot()
	return s
}

// overSocket is the same, as its clients have it.
func overSocket(t *testing.T, templates []unit.Template) engine.Engine {
	t.Helper()
	path := t.TempDir() + "/socket"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := api.NewServer(api.Options{Engine: native(t, templates), UID: os.Geteuid()})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	client, err := api.Dial(t.Context(), api.DialOptions{Getenv: func(key string) string {
		return map[string]string{"PINTLE_SOCKET": path}[key]
	}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// s6 is a tree of Debian's own s6.
func s6(t *testing.T, templates []unit.Template) engine.Engine {
	t.Helper()
	scan := t.TempDir()
	svscan := exec.Command("s6-svscan", scan)
	svscan.Dir = "/"
	if err := svscan.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = svscan.Process.Signal(unix.SIGQUIT)
		_ = svscan.Wait()
	})
	d, err := wire.Open(scan)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for deadline := time.Now().Add(conformance.Patience); d.ControlScan("") != nil; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("s6-svscan does not listen")
		}
	}
	tree, err := drive.Open(drive.Options{
		Scan: scan, Templates: templates, StateDirectory: t.TempDir() + "/state", Self: os.Args[0], Patience: conformance.Patience,
		Actor: unit.Actor{Kind: "peer", UID: uint32(os.Geteuid()), PID: int32(os.Getpid())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tree.Close)
	return tree
}

// TestNative: the supervisor keeps what every engine promises.
func TestNative(t *testing.T) {
	alone(t, func(t *testing.T) { conformance.Run(t, native) })
}

// TestSocket: so does its client, over the socket.
func TestSocket(t *testing.T) {
	alone(t, func(t *testing.T) { conformance.Run(t, overSocket) })
}

// TestS6: so does a tree of s6's own, driven by pintle.
func TestS6(t *testing.T) {
	if _, err := exec.LookPath("s6-svscan"); err != nil {
		t.Skip("Debian's package s6 is not installed")
	}
	alone(t, func(t *testing.T) { conformance.Run(t, s6) })
}
