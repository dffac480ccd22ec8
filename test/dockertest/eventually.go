package dockertest

import (
	"testing"
	"time"
)

// Eventually waits until cond holds, asking again and again, and fails the test
// with the last state that cond told when it does not hold in time. what is
// said in the words of a wait: "the dashboard is up".
func Eventually(t testing.TB, deadline time.Duration, cond func() (ok bool, state string), what string) {
	t.Helper()
	const first, longest = 5 * time.Millisecond, 100 * time.Millisecond
	end := time.Now().Add(deadline)
	for pause := first; ; pause = min(2*pause, longest) {
		late := time.Now().After(end) // so that one question is asked after the end
		ok, state := cond()
		if ok {
			return
		}
		if late {
			t.Fatalf("not so after %v: %s; last seen: %s", deadline, what, state)
		}
		time.Sleep(pause)
	}
}
