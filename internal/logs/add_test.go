package logs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"pintle/internal/engine"
)

// What a process says on /dev/log is lines of its run, masked, in memory and in files, where they have the word log; and
// no journal is made for a unit that is not there any more.
func TestAdd(t *testing.T) {
	t.Parallel()
	b := masked(t, "hunter22")
	dir := filepath.Join(t.TempDir(), "log")
	j := b.Journal(name)
	j.Configure(Output{File: &File{Directory: dir, Size: 1 << 20, Keep: 1, UID: os.Geteuid()}})
	j.Add(3, engine.Syslog, []byte("user.info a: hunter22\nuser.info a: b"))
	closed(t, b)
	if got := texts(j.Tail(-1)); !slices.Equal(got, []string{"syslog: user.info a: ***", "syslog: user.info a: b"}) || j.Tail(1)[0].Run != 3 {
		t.Errorf("%q", got)
	}
	data, err := os.ReadFile(filepath.Join(dir, "current"))
	if err != nil || !regexp.MustCompile(`Z log user.info a: \*\*\*\n\S+Z log user.info a: b\n$`).Match(data) {
		t.Errorf("the file has %q, %v", data, err)
	}
	if b.Find(name) != j || b.Find("other") != nil {
		t.Error("Find finds another journal")
	}
	b.Forget(name)
	if b.Find(name) != nil {
		t.Error("a journal is found after it was forgotten")
	}
}
