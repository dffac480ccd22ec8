package prepare

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// This file keeps the bugs of a system that was run on another supervisor from
// coming back: each test has the number and the story of one (docs/bug-classes.md).

// hung mounts a file system there that answers nothing, as one whose server is gone
// does, until the test is over.
func (h *house) hung(name string) {
	h.t.Helper()
	h.mkdir(name, hermit)
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		h.t.Skip("skipped: no FUSE here: ", err)
	}
	h.t.Cleanup(func() { _ = unix.Close(server) }) // whoever asks is told that it is gone
	if err := unix.Mount("hung", h.dir+"/"+name, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)); err != nil {
		h.t.Skip("skipped: cannot mount here: ", err)
	}
	h.t.Cleanup(func() { must(h.t, unix.Unmount(h.dir+"/"+name, unix.MNT_DETACH)) })
}

// TestU72: what gave a user his uid walked through his home, and stood still for ever
// where something was mounted in it that did not answer. Here ids are two lines in two files,
// and a repair asks nothing of another mount.
func TestU72(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("vol/a", "", 0)
	h.write("vol/z", "", 0)
	h.hung("vol/m")
	plan := tree(h.vol)
	plan.Users = []unit.PreparedUser{{Name: "hermit", UID: 1000, GID: 1000, Home: h.vol}}
	done := make(chan Result, 1)
	go func() { done <- Run(plan, h.opts) }()
	select {
	case r := <-done:
		if len(r.Problems) > 0 {
			t.Errorf("the problems are %+v", r.Problems)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for a mount that does not answer")
	}
	h.is("vol/a", "1000:1000 0644")
	h.is("vol/z", "1000:1000 0644")
}
