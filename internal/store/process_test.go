package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// The test binary run again with roleVar set plays a part in a process of its own.
const roleVar = "PINTLE_STORE_TEST_ROLE"

const hermit = 10000 // a service's user

func play(role, dir string) int {
	var err error
	switch role {
	case "putter":
		err = putForever(dir)
	case "putter once":
		s, _ := Open(Options{Directory: dir, UID: os.Geteuid()})
		err = errors.Join(put(s, record("a", true, 1)), s.Close(context.Background()))
	default:
		err = attack(role, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// command is the test binary in a role, as a user.
func command(binary, role, dir string, uid uint32) *exec.Cmd {
	cmd := exec.Command(binary, dir)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	if uid != uint32(os.Geteuid()) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	return cmd
}

// copyBinary puts the test binary where other users can execute it.
func copyBinary(t *testing.T, dir string) string {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	must(t, err)
	defer from.Close()
	to, err := os.OpenFile(dir+"/test", os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(to, from)
	must(t, errors.Join(err, to.Close(), os.Chmod(dir+"/test", 0o755)))
	return dir + "/test"
}

// putForever prints the generation of a unit's record each time that one is durable.
func putForever(dir string) error {
	s, records := Open(Options{Directory: dir, UID: os.Geteuid()})
	generation := uint64(1)
	if len(records) > 0 {
		generation = records[0].Intent.Generation
	}
	for ; ; generation++ {
		r := record("a", generation%2 == 0, generation)
		r.Intent.Actor.Command = strings.Repeat("x", int(generation%9)*1000)
		s.Put(record("b", true, generation), nil)
		if err := put(s, r); err != nil {
			return err
		}
		fmt.Println(generation)
	}
}

// Killed at any moment, pintle finds the last record that was reported durable,
// or a newer one; never a broken one, and never none.
func TestSurvivesKillAtAnyMoment(t *testing.T) {
	t.Parallel()
	for worker := range 4 {
		t.Run(strconv.Itoa(worker), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(scratch(t), "state")
			for range 30 {
				durable := runAndKill(t, dir)
				records := reopen(t, dir)
				if len(records) != 2 {
					t.Fatalf("%d records, want 2", len(records))
				}
				a := records[0].Intent
				if a.Generation < durable || a.Generation > durable+1 || a.Up != (a.Generation%2 == 0) {
					t.Fatalf("generation %d was reported durable, found %+v", durable, a)
				}
			}
		})
	}
}

// runAndKill returns the last generation that the killed process had reported.
func runAndKill(t *testing.T, dir string) uint64 {
	t.Helper()
	cmd := command("/proc/self/exe", "putter", dir, uint32(os.Geteuid()))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	kill := rand.IntN(4) + 1
	var last uint64
	for n := 1; lines.Scan(); n++ {
		last, err = strconv.ParseUint(lines.Text(), 10, 64)
		must(t, err)
		if n == kill {
			// Some way into the next write, which takes some thousand of these.
			for range rand.IntN(3000) {
				_, _ = unix.Getpgid(0)
			}
			must(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	if last == 0 {
		t.Fatal("nothing was ever durable")
	}
	return last
}

// attack is what the owner of the volume can do to the state directory in it.
func attack(how, vol string) error {
	state := vol + "/state"
	forge := func(dir string) error {
		return errors.Join(
			os.MkdirAll(dir+"/intents", 0o700),
			os.WriteFile(dir+"/intents/a.json", []byte(`{"unit":"a","desired":"up","generation":9}`), 0o600),
			os.WriteFile(dir+"/intents/forged.json", []byte(`{"unit":"forged","desired":"up","generation":9}`), 0o600),
		)
	}
	move := func() error { return os.Rename(state, vol+"/away") }
	switch how {
	case "symlink elsewhere":
		return errors.Join(move(), os.Symlink("../etc", state))
	case "symlink to forged":
		return errors.Join(move(), forge(vol+"/mine"), os.Symlink("mine", state))
	case "symlink to the moved":
		return errors.Join(move(), os.Symlink("away", state))
	case "forged":
		return errors.Join(move(), forge(state))
	case "forged, open to all":
		return errors.Join(move(), forge(state), os.Chmod(state, 0o777), os.Chmod(state+"/intents", 0o777))
	case "FIFO":
		return errors.Join(move(), unix.Mkfifo(state, 0o666))
	case "FIFOs inside":
		return errors.Join(move(), forge(state), unix.Mkfifo(state+"/intents/b.json", 0o666), os.Remove(state+"/intents/a.json"), unix.Mkfifo(state+"/intents/a.json", 0o666))
	case "file":
		return errors.Join(move(), os.WriteFile(state, []byte("{}"), 0o666))
	case "write inside":
		if err := os.WriteFile(state+"/intents/forged.json", nil, 0o600); err == nil {
			return errors.New("could write into the state directory")
		}
		if err := os.Rename(state+"/intents", vol+"/intents"); err == nil {
			return errors.New("could move the intents away")
		}
		return nil
	}
	return fmt.Errorf("no such role: %s", how)
}

// A service's user who owns the volume can hide the state directory. He cannot
// make pintle believe his own, write anywhere else, or hang.
func TestVolumeOwnerCannotForge(t *testing.T) {
	t.Parallel()
	needRoot(t)
	binary := copyBinary(t, scratch(t))
	for _, how := range []string{
		"symlink elsewhere", "symlink to forged", "symlink to the moved",
		"forged", "forged, open to all", "FIFO", "FIFOs inside", "file",
		"write inside",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := scratch(t)
			vol := dir + "/volume"
			must(t, os.Mkdir(dir+"/etc", 0o755)) // root's, with nothing in it
			must(t, os.Mkdir(vol, 0o755))
			must(t, os.Chown(vol, hermit, hermit))
			running, _ := open(t, vol+"/state")
			must(t, put(running, record("a", false, 1)))

			out, err := command(binary, how, vol, hermit).CombinedOutput()
			if err != nil {
				t.Fatalf("attack: %v: %s", err, out)
			}
			before := everything(t, vol)

			// The pintle that runs keeps to the directory that it has.
			must(t, put(running, record("a", false, 2)))
			must(t, running.Close(t.Context()))
			held := vol + "/away"
			if how == "write inside" { // the only one that moves nothing, because he cannot
				held = vol + "/state"
			}
			if text, err := os.ReadFile(held + "/intents/a.json"); err != nil || !strings.Contains(string(text), `"generation":2`) {
				t.Errorf("in the held directory: %q, %v", text, err)
			}

			// The next one is not deceived.
			next, records := open(t, vol+"/state")
			if how == "write inside" {
				wantRecords(t, records, record("a", false, 2))
				must(t, next.Close(t.Context()))
				return
			}
			wantRecords(t, records)
			wantFault(t, next, put(next, record("b", true, 1)), "cannot trust "+vol+"/state: ")
			_ = next.Close(t.Context())
			if after := everything(t, vol); after != before {
				t.Errorf("the volume changed from\n%sto\n%s", before, after)
			}
			if names, err := os.ReadDir(dir + "/etc"); err != nil || len(names) != 0 {
				t.Errorf("written elsewhere: %v, %v", names, err)
			}
		})
	}
}

// everything lists a directory tree, with owners and modes.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		}
		return err
	}))
	return b.String()
}

// An ordinary user keeps records where he may, and else is told why not.
func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := scratch(t)
	binary := copyBinary(t, dir)
	must(t, os.Mkdir(dir+"/home", 0o755))
	must(t, os.Chown(dir+"/home", 12345, 12345))
	if out, err := command(binary, "putter once", dir+"/home/state", 12345).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for state, want := range map[string]string{
		dir + "/state": "cannot open " + dir + "/state: permission denied",
		dir:            "cannot trust " + dir + ": " + dir + " belongs to uid 0, not to uid 12345",
	} {
		out, err := command(binary, "putter once", state, 12345).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s; want %q", err, out, want)
		}
	}
	// Root does not take over what was another's: it says so.
	s, records := open(t, dir+"/home/state")
	wantRecords(t, records)
	wantFault(t, s, put(s, record(unit.MainName, true, 1)), "belongs to uid 12345, not to root")
}
