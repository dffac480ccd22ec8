package reference_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"pintle/test/dockertest"
)

// The s6 tests have pintle stand in for s6, and use Debian's own programs of s6 and execline on it, as this machine has them.

// s6Programs are those that the image gets.
var s6Programs = []string{
	"s6-svc", "s6-svstat", "s6-svwait", "s6-svok", "s6-svscanctl", "s6-svlisten1", "s6-svdt", "s6-log", "s6-envdir", "s6-ftrigrd",
}

// s6Config has two scan directories: one that is hermes's, and one of root's own, which the image brings.
const s6Config = `
s6:
  scan: [/run/service, /etc/services]
  owner: hermes
  process_name: true
`

// s6WithContenv is s6-overlay's program of that name.
const s6WithContenv = `#!/usr/bin/execlineb -S0
emptyenv -p
s6-envdir -fn -- /run/s6/container_environment
exec $@
`

// s6Files are the programs and what they need of this machine, by their path in the image.
var s6Files = sync.OnceValues(func() (map[string]string, error) {
	var paths []string
	for _, name := range s6Programs {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	execline, err := filepath.Glob("/usr/lib/execline/bin/*")
	if err != nil {
		return nil, err
	}
	// execlineb itself is a script, which ldd takes for no program.
	if _, err := exec.LookPath("execlineb"); err != nil {
		return nil, err
	}
	programs := append(paths, execline...)
	libraries, err := exec.Command("ldd", programs...).Output()
	if err != nil {
		return nil, err
	}
	for _, m := range regexp.MustCompile(`=> (/\S*/lib(?:s6|skarnet|execline|nsss)\S*)`).FindAllStringSubmatch(string(libraries), -1) {
		programs = append(programs, m[1])
	}
	programs = append(programs, "/usr/bin/execlineb")
	files := map[string]string{}
	for _, path := range programs {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(path, "/usr/") {
			path = "/usr" + path // /lib leads there
		}
		files["s6"+path] = string(text)
	}
	return files, nil
})

// s6Image is the reference image with those programs, s6Config, root's service vault, the program testdata/attack, and what
// more lines of a Dockerfile make.
func s6Image(t *testing.T, more ...string) string {
	t.Helper()
	dockertest.Require(t)
	programs, err := s6Files()
	if err != nil {
		t.Skipf("skipped: s6 and execline of Debian are not here: %v", err)
	}
	attack, err := attackProgram()
	if err != nil {
		t.Fatalf("cannot build testdata/attack: %v\n%s", err, attack)
	}
	files := map[string]string{
		"conf.d/s6.yaml":     s6Config,
		"bin/attack":         attack,
		"bin/with-contenv":   s6WithContenv,
		"services/vault/run": "#!/bin/sh\nid -u >/root/ran\nexec sleep 1000001\n",
	}
	for name, text := range programs {
		files[name] = text
	}
	return dockertest.Derive(t, `FROM reference
COPY conf.d /etc/pintle/conf.d
COPY bin /usr/local/bin
COPY services /etc/services
COPY s6 /
RUN mkdir /command && ln -s /usr/local/bin/with-contenv /command/with-contenv \
 && chmod 0755 /usr/local/bin/attack /usr/local/bin/with-contenv /etc/services/vault/run /usr/bin/s6-* /usr/bin/execlineb /usr/lib/execline/bin/*
`+strings.Join(more, "\n"), files)
}

// s6Make has hermes make a service by a script that makes its files.
func s6Make(t *testing.T, c *dockertest.Container, name, script string) {
	t.Helper()
	succeeds(t, c.Exec("hermes", "sh", "-ec", `cd /run/service; mkdir ".$1"; cd ".$1"
		`+script+`
		cd ..; mv ".$1" "$1"; s6-svscanctl -a /run/service`, "sh", name))
}
