package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// overlayScript is what with-contenv is in s6-overlay 3.1: it is run by execline and s6.
const overlayScript = `#!/usr/lib/execline/bin/execlineb -S0
ifelse
{
  importas -D 0 S6_KEEP_ENV S6_KEEP_ENV
  eltest 0${S6_KEEP_ENV} -eq 0
}
{
  emptyenv -p
  s6-envdir -Lfn -- /run/s6/container_environment
  exec
  $@
}
$@
`

// TestWithContenv: with-contenv runs a program with the environment that s6-overlay's would, found by the PATH that
// s6-overlay's would find it by.
func TestWithContenv(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("/usr/lib/execline/bin/eltest"); err != nil {
		t.Skipf("execline is not installed here: %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can have a /run of its own")
	}
	script := filepath.Join(openDir(t), "with-contenv")
	if err := os.WriteFile(script, []byte(overlayScript), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"e/A": "container", "e/EMPTY": "", "e/NEWLINE": "\n", "e/LINES": "one\ntwo", "e/HOME": "/root", "e/TERM": "xterm \n", "e/.x": "1",
		"bin/mine": "#!/bin/sh\necho mine\n", "x": "1",
	}
	own := []string{"PATH=/usr/lib/execline/bin:/usr/bin:/bin", "A=own", "B=own", "EMPTY=own"}
	elsewhere := map[string]string{"e/PATH": "bin:/usr/bin:/bin", "bin/mine": "#!/bin/sh\necho mine\n"}
	run := `unshare -m sh -c 'mount -t tmpfs none /run && mkdir -p /run/s6 && if [ -d e ]; then cp -r e /run/s6/container_environment; fi && exec "$@"' sh "$@"`
	keep := func(value string) []string { return append(append([]string{}, own...), "S6_KEEP_ENV="+value) }
	trials := []trial{
		{name: "container's", args: environment, files: files, env: own},
		{name: "no caller's", args: []string{"sh", "-c", "echo $B."}, files: files, env: own},
		{name: "PATH kept", args: []string{"sh", "-c", "echo $PATH"}, files: files, env: own},
		{name: "PATH of the container", args: []string{"mine"}, files: elsewhere, before: "chmod 755 bin/mine", env: own},
		{name: "PATH of the caller", args: []string{"mine"}, files: files, before: "chmod 755 bin/mine", env: append(own, "PATH=bin:"+own[0][5:])},
		{name: "keep nothing", args: environment, files: files, env: keep("")},
		{name: "keep 0", args: environment, files: files, env: keep("0")},
		{name: "keep 00", args: environment, files: files, env: keep("00")},
		{name: "keep 1", args: environment, files: files, env: keep("1")},
		{name: "keep 2", args: environment, files: files, env: keep("2")},
		{name: "keep, PATH of the caller", args: []string{"mine"}, files: elsewhere, before: "chmod 755 bin/mine", env: keep("1"), differs: &difference{
			why: "the real one is a script, and says ifelse", code: 127, stderr: "with-contenv: fatal: unable to exec mine: No such file or directory\n",
		}},
		{name: "nothing, kept", env: keep("1")},
		{name: "exit code", args: []string{"sh", "-c", "exit 7"}, files: files, env: own},
		{name: "no environment", args: environment, env: own},
		{name: "no environment, kept", args: environment, env: keep("1")},
		{name: "missing program", args: []string{"nosuchprogram"}, files: files, env: own},
		{name: "program that cannot be executed", args: []string{"/etc/passwd"}, files: files, env: own},
		{name: "nothing", files: files, env: own},
		{name: "directory in it", args: environment, files: map[string]string{"e/sub/": ""}, env: own},
		{name: "arguments with options", args: []string{"echo", "-n", "--", "x"}, files: files, env: own},
	}
	for i := range trials {
		trials[i].under = run
	}
	compareWith(t, "with-contenv", script, trials)
}
