package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroup is the directory of one cgroup (cgroups(7), version 2); empty for none.
type cgroup string

func (g cgroup) file(name string) string { return filepath.Join(string(g), name) }

// write sets one of the cgroup's files. It makes none: a kernel that lacks one says so.
func (g cgroup) write(name, value string) error {
	f, err := os.OpenFile(g.file(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// within visits the cgroup and all that are in it, the innermost first.
func (g cgroup) within(visit func(cgroup)) {
	entries, _ := os.ReadDir(string(g))
	for _, e := range entries {
		if e.IsDir() {
			cgroup(g.file(e.Name())).within(visit)
		}
	}
	visit(g)
}

// pids lists the processes in the cgroup and in those within it. A number may be anybody's by the time that it is used.
func (g cgroup) pids() []int {
	var pids []int
	g.within(func(g cgroup) {
		procs, _ := os.ReadFile(g.file("cgroup.procs"))
		for field := range strings.FieldsSeq(string(procs)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 { // 0 is who has no number in this PID namespace
				pids = append(pids, pid)
			}
		}
	})
	return pids
}

// populated tells whether any process is in the cgroup or in one within it. In doubt there is.
func (g cgroup) populated() bool {
	events, err := os.ReadFile(g.file("cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return false
	}
	return err != nil || !strings.Contains(string(events), "populated 0\n")
}

// kill sends SIGKILL to all of it at once, also to what is being forked. Linux before 5.14 can't.
func (g cgroup) kill() error { return g.write("cgroup.kill", "1") }

// freeze keeps all of it from running, and so from forking; it can still be killed.
func (g cgroup) freeze() error { return g.write("cgroup.freeze", "1") }

// remove removes the cgroup and all within it, as far as they are empty.
func (g cgroup) remove() error {
	var err error
	g.within(func(g cgroup) { err = unix.Rmdir(string(g)) })
	if err == unix.ENOENT {
		return nil
	}
	return err
}
