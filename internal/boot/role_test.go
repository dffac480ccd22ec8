package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/api"
	"pintle/internal/engine"
	"pintle/internal/unit"
)

// The test binary is a unit's program when its first word is this one: for what
// a shell can't do, and where there is none.
const roleName = "play-the-part"

// play is a unit's part:
//
//	sleep                for ever
//	tell-the-time        says the time again and again
//	until F C            waits until there is a file F, and ends with code C
//	restart-me F         has pintle restart the unit that it is, if there is no file F yet, and makes it first; then sleeps
//	enter D A…           executes A in the directory D as its root, which gets a /proc and a /dev/null
func play(words []string) int {
	var err error
	switch words[0] {
	case "sleep":
		select {}
	case "tell-the-time":
		err = tellTheTime()
	case "until":
		for !there(words[1]) {
			time.Sleep(2 * time.Millisecond)
		}
		var code int
		if _, err = fmt.Sscan(words[2], &code); err == nil {
			return code
		}
	case "restart-me":
		if err = restartMe(words[1]); err == nil {
			select {}
		}
	case "enter":
		err = enter(words[1], words[2:])
	}
	fmt.Fprintln(os.Stderr, words[0]+":", err)
	return 99
}

func restartMe(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil // it is the second run
	}
	f.Close()
	client, err := api.Dial(context.Background(), api.DialOptions{})
	if err != nil {
		return err
	}
	_, err = client.Restart(context.Background(), unit.Name(os.Getenv("PINTLE_UNIT")))
	return err
}

// enter makes a directory the root, in which there is nothing but what the test put there.
func enter(dir string, args []string) error {
	null := filepath.Join(dir, "dev/null")
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", filepath.Join(dir, "proc"), "proc", 0, ""); err != nil {
		return err
	}
	if err := unix.Mount("/dev/null", null, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Chroot(dir); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return unix.Exec(args[0], args, os.Environ())
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// self is this binary and a part, as the value of a command.
func self(words ...string) string {
	text, _ := json.Marshal(append([]string{os.Args[0], roleName}, words...))
	return string(text)
}

// shell is a script, as the value of a command.
func shell(script string) string {
	text, _ := json.Marshal([]string{"/bin/sh", "-c", script})
	return strings.ReplaceAll(string(text), "$", "$$") // it is the shell's
}

// obeys is a script that says in the directory that it is there, and on TERM that it ends.
func obeys(dir, name string) string {
	return shell(fmt.Sprintf("trap 'echo %[2]s >> %[1]s/order; exit 0' TERM; echo up > %[1]s/%[2]s; while :; do sleep 0.01; done", dir, name))
}

// client asks a pintle.
func (p *pintle) client(t testing.TB) *api.Client {
	t.Helper()
	directory := ""
	for _, entry := range p.Env {
		if dir, ok := strings.CutPrefix(entry, "PINTLE_RUNTIME_DIR="); ok {
			directory = dir
		}
	}
	var client *api.Client
	p.until(t, "pintle's socket", func() bool {
		var err error
		client, err = api.Dial(t.Context(), api.DialOptions{Getenv: func(key string) string {
			return map[string]string{"PINTLE_RUNTIME_DIR": directory}[key]
		}})
		return err == nil
	})
	t.Cleanup(client.Close)
	return client
}

// until waits for something that the test can only look for.
func (p *pintle) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s\n%s", what, &p.stderr)
		}
	}
}

// untilUnit waits until a unit is as judge wants it.
func (p *pintle) untilUnit(t *testing.T, name unit.Name, judge func(engine.Status) bool) engine.Status {
	t.Helper()
	client := p.client(t)
	var s engine.Status
	p.until(t, string(name), func() bool {
		var err error
		s, err = client.Get(t.Context(), name)
		return err == nil && judge(s)
	})
	return s
}

func is(state unit.State) func(engine.Status) bool {
	return func(s engine.Status) bool { return s.State == state }
}

// line is the text of a file once it has a whole line.
func (p *pintle) line(t *testing.T, file string) string {
	t.Helper()
	var text []byte
	p.until(t, file, func() bool {
		text, _ = os.ReadFile(file)
		return strings.HasSuffix(string(text), "\n")
	})
	return strings.TrimSpace(string(text))
}

// term asks a pintle to end.
func (p *pintle) term(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// says checks what a pintle has said.
func (p *pintle) says(t *testing.T, all ...string) {
	t.Helper()
	for _, text := range all {
		if !strings.Contains(p.stderr.String(), text) {
			t.Errorf("it did not say %q, but\n%s", text, &p.stderr)
		}
	}
}
