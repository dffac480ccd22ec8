package process

import (
	"os"
	"slices"
	"testing"
)

// TestSendersOf: whose a process is can still be told when pintle has reaped it, and of one that nobody saw, which runs
// of its user there are; of one that is there and belongs to none it is nobody's.
func TestSendersOf(t *testing.T) {
	inBothForms(t, container, func(w *world) {
		t := w.t
		w.mu.Lock()
		w.senders = true
		w.mu.Unlock()
		lasting := w.start(hostile.does("fork [ say child sleep ] say leader sleep"))
		theirs := w.start(victim.does("say leader sleep"))
		lasting.hears("leader")
		theirs.hears("leader")
		one := func(what string, pid int, want *Run) {
			t.Helper()
			if got := w.SendersOf(pid, 4242); !slices.Equal(got, []*Run{want}) {
				t.Errorf("%s: %v, not %v", what, got, want)
			}
		}
		one("a leader", lasting.pid, lasting.Run)
		one("a child", lasting.hears("child").pid, lasting.Run)

		gone := w.start(hostile.does("fork [ fork [ say orphan exit 0 ] exit 0 ] zombies 1 say leader exit 0"))
		orphan := gone.hears("orphan")
		gone.ends()
		one("a leader that was reaped", gone.pid, gone.Run)
		eventually(t, "the orphan is reaped", func() bool { _, ok := readAny(orphan.pid); return !ok })
		one("an orphan that was reaped", orphan.pid, gone.Run)

		const nobody = 1 << 22 // no process has this number
		for uid, want := range map[int][]*Run{lasting.uid: {gone.Run, lasting.Run}, theirs.uid: {theirs.Run}, 4242: nil} {
			got := w.SendersOf(nobody, uint32(uid))
			others := slices.ContainsFunc(got, func(r *Run) bool { return !slices.Contains(want, r) })
			if others || len(got) != len(want) {
				t.Errorf("of uid %d there are %v, not %v", uid, got, want)
			}
		}
		if got := w.SendersOf(os.Getpid(), uint32(lasting.uid)); got != nil {
			t.Errorf("pintle itself belongs to %v", got)
		}
	})
}
