package drive

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pintle/internal/unit"
)

// sayAll has a copy of this test binary say where it is, its arguments and its environment.
const sayAll = "say-all"

// word is any bytes that a word of a program can have, with what a shell knows more often than by chance.
func word(r *rand.Rand) string {
	pieces := []string{"'", `"`, `\`, "$", "`", "\n", " ", "*", "$(id)", "${HOME}", ";", "#", "-", "=", "\x81", "\x88", "\xff", "é", "\t", "!", "~", "%"}
	var b strings.Builder
	for range r.IntN(12) {
		if r.IntN(2) == 0 {
			b.WriteString(pieces[r.IntN(len(pieces))])
		} else {
			b.WriteByte(byte(1 + r.IntN(255)))
		}
	}
	return b.String()
}

// TestAnyBytes: whatever bytes are in its arguments, its variables, their names and its directory, a run gets them as they
// were written, by any sh there is; also where the container has a variable that sh lets nobody set.
func TestAnyBytes(t *testing.T) {
	t.Parallel()
	program := self(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 6))
	rounds := 40
	for _, sh := range []string{"/bin/sh", "/bin/bash", "/bin/busybox"} {
		if _, err := os.Stat(sh); err != nil {
			continue
		}
		for range rounds {
			dir := t.TempDir() + "/" + strings.ReplaceAll("d"+word(r), "/", "_")
			must(t, os.MkdirAll(dir+"/container", 0o755))
			theirs := map[string]string{"UID": "5", "OPTIND": "x", "PPID": "no", "RANDOM_" + strings.NewReplacer("=", "", "/", "").Replace(word(r)): "v" + word(r)}
			for key, value := range theirs {
				must(t, os.WriteFile(dir+"/container/"+key, []byte(value), 0o644))
			}
			ours := map[string]string{"OWN": word(r), "BASHOPTS": word(r), "K" + strings.ReplaceAll(word(r), "=", ""): word(r)}
			args := []string{program, sayAll, word(r), word(r), "-" + word(r), ""}
			spec := &unit.Spec{Name: "gateway@a", Command: args, Environment: ours, WorkingDir: dir}
			files, _, err := render(spec, program)
			must(t, err)
			for _, f := range files {
				if f.path == "run" {
					text := strings.ReplaceAll(f.text, quote(containerEnvironment), quote(dir+"/container"))
					must(t, os.WriteFile(dir+"/script", []byte(text), 0o755))
				}
			}
			words := []string{sh, dir + "/script"}
			if sh == "/bin/busybox" {
				words = []string{sh, "sh", dir + "/script"}
			} else if sh == "/bin/bash" {
				words = []string{sh, "--posix", dir + "/script"}
			}
			var said bytes.Buffer
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Env, cmd.Stderr = []string{"PATH=" + os.Getenv("PATH")}, &said
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v: %s", sh, err, said.String())
			}
			first, environ, _ := strings.Cut(string(out), "\n")
			if want := fmt.Sprintf("%q %q", dir, args[2:]); first != want {
				t.Fatalf("%s: got %s\nwant %s", sh, first, want)
			}
			got := strings.Split(environ, "\x00")
			for _, all := range []map[string]string{theirs, ours} {
				for key, value := range all {
					if !slices.Contains(got, key+"="+value) {
						t.Errorf("%s: %q=%q is not in %q", sh, key, value, got)
					}
				}
			}
		}
	}
}

// TestNothingIsIgnored: a run begins with no signal ignored, also where s6-svscan was started with some (nohup(1)): a shell could
// never hear them.
func TestNothingIsIgnored(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", `trap "" HUP INT USR1; exec "$0" "$@"`, self(t), LaunchRole, "--", "grep", "SigIgn", "/proc/self/status")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Join(strings.Fields(string(out)), " ") != "SigIgn: 0000000000000000" {
		t.Errorf("%v: %s", err, out)
	}
}
