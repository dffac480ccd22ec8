package reference_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pintle/test/dockertest"
)

// The life tests show what a configuration says of starts, ends and stops, each
// with a configuration of its own in place of the reference's.

// lifeProgram is the program testdata/life.
var lifeProgram = sync.OnceValues(func() (string, error) { return buildProgram("life") })

// buildProgram builds a program of testdata and returns it; with an error, what the compiler said.
func buildProgram(name string) (string, error) {
	dir, err := os.MkdirTemp("", "pintle-"+name+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), "./testdata/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return string(out), err
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	return string(text), err
}

// lifeImage is the reference image with the program life, and with
// configurations by their names; the first line of a YAML text may be a newline.
func lifeImage(t *testing.T, configs map[string]string) string {
	t.Helper()
	dockertest.Require(t)
	program, err := lifeProgram()
	if err != nil {
		t.Fatalf("cannot build testdata/life: %v\n%s", err, program)
	}
	files := map[string]string{"bin/life": program}
	for name, text := range configs {
		files["cases/"+name+".yaml"] = text
	}
	return dockertest.Derive(t, "FROM reference\nCOPY bin /usr/local/bin\nCOPY cases /etc/pintle/cases\nRUN chmod 0755 /usr/local/bin/life\n", files)
}

// lifeOptions runs an image with one of its configurations.
func lifeOptions(image, config string, flags ...string) dockertest.Options {
	return dockertest.Options{Image: image, Flags: append([]string{"-e", "PINTLE_CONFIG=/etc/pintle/cases/" + config + ".yaml"}, flags...)}
}

// lifeLacks fails the test where a text has what nobody may see in it.
func lifeLacks(t *testing.T, what, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s has %q in it:\n%s", what, secret, text)
		}
	}
}

// lifeInOrder fails the test unless the text has all of the lines, each once, in this order.
func lifeInOrder(t *testing.T, text string, lines ...string) {
	t.Helper()
	at := -1
	for _, line := range lines {
		next := strings.Index(text, line)
		if next <= at || strings.Count(text, line) != 1 {
			t.Errorf("want %q once, and in this order:\n%s", lines, text)
			return
		}
		at = next
	}
}
