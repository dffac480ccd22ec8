package reference_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pintle/internal/unit"
	"pintle/test/dockertest"
)

// frozenWay is a way in which an owner stands still, and goes on.
type frozenWay struct {
	name         string
	freeze, wake func(t *testing.T, c *dockertest.Container)
	runs         bool // its run does not stand still
}

var frozenWays = []frozenWay{
	{"docker pause",
		func(t *testing.T, c *dockertest.Container) { succeeds(t, dockertest.Docker(t, "pause", c.Name)) },
		func(t *testing.T, c *dockertest.Container) { succeeds(t, dockertest.Docker(t, "unpause", c.Name)) },
		false,
	},
	{"SIGSTOP of pintle and its run",
		func(t *testing.T, c *dockertest.Container) {
			c.Kill("STOP")
			succeeds(t, c.Exec("0", "sh", "-c", "kill -STOP -1")) // all but itself and the first process
		},
		func(t *testing.T, c *dockertest.Container) {
			succeeds(t, c.Exec("0", "sh", "-c", "kill -CONT -1"))
			c.Kill("CONT")
		},
		false,
	},
	{"SIGSTOP of pintle alone",
		func(_ *testing.T, c *dockertest.Container) { c.Kill("STOP") },
		func(_ *testing.T, c *dockertest.Container) { c.Kill("CONT") },
		true,
	},
}

// Nobody can end what runs in a frozen container. When it wakes after another has taken over, its run, which is deaf to
// TERM here, ends within the stated time; until then the fence in its hands is the older one; and neither a record nor an
// intent nor a lease of the new owner's is touched.
func TestFrozenOwnerEndsWhenItWakes(t *testing.T) {
	t.Parallel()
	dockertest.Require(t)
	var names []string
	for _, way := range frozenWays {
		names = append(names, way.name)
	}
	atOnce(t, names, func(t *testing.T, i int) {
		way, w := frozenWays[i], witness(t)
		alpha := w.boot("alpha", "-e", "HERMES_GATEWAY_IGNORE_TERM=1")
		w.follow()
		succeeds(t, pintle(alpha, "hermes", "start", shared))
		first := w.begins(0)
		beta := w.boot("beta")
		waitsFor(t, beta, first.host, int(first.fence))

		began := time.Now()
		way.freeze(t, alpha)
		second := w.begins(first.fence)
		took := second.at.Sub(began)
		t.Logf("taken over %.1f s after it was frozen", took.Seconds())
		if took > afterCrash+exclusiveSlack {
			t.Errorf("the take-over took %v, at most %v is stated", took, afterCrash)
		}
		// The new owner gets a wish, a run record and a lease that the frozen one knows nothing of.
		becomes(t, beta, shared, unit.Up)
		succeeds(t, pintle(beta, "hermes", "stop", shared))
		succeeds(t, pintle(beta, "hermes", "start", shared))
		third := w.begins(second.fence)
		up := becomes(t, beta, shared, unit.Up)
		kept := frozenFiles(t, beta)
		if last := w.last(first.fence); last.at.After(third.at) != way.runs {
			t.Errorf("the frozen run's last sign of life is %+v, the new owner's is %+v", last, third)
		}

		woke := time.Now()
		way.wake(t, alpha)
		waitsFor(t, alpha, third.host, int(third.fence))
		w.beats(third.fence, time.Now()) // so that all that was written before has been read
		last := w.last(first.fence)
		took = last.at.Sub(woke)
		t.Logf("the woken run has lived for %.1f s", took.Seconds())
		switch {
		case took <= 0 || last.fence >= third.fence || last.host != "alpha":
			t.Errorf("the woken run's last sign of life is %+v, after %v", last, took)
		case took > afterWaking+exclusiveSlack:
			t.Errorf("the woken run has lived for %v, at most %v is stated", took, afterWaking)
		}
		if _, is := find(alpha.Top(), "hermes gateway run --replace"); is {
			t.Error("the woken run has not ended")
		}

		if now := status(t, beta, shared); now.State != unit.Up || now.Run != up.Run || now.PID != up.PID {
			t.Errorf("the new owner's run was disturbed: it was %+v and is %+v", up, now)
		}
		now := frozenFiles(t, beta)
		for file, sum := range kept {
			if now[file] != sum {
				t.Errorf("the woken container has changed %s", file)
			}
			delete(now, file)
		}
		// That it runs nothing by the older fence any more it may say.
		delete(now, fmt.Sprintf("leases/%s.%d.released", shared, first.fence))
		if len(now) > 0 {
			t.Errorf("the woken container has written %v", now)
		}

		// What is asked of the new owner holds for the woken one too, which still wants what it wanted before.
		succeeds(t, pintle(beta, "hermes", "stop", shared))
		if down := becomes(t, alpha, shared, unit.Down); down.Run != 1 || down.Intent != status(t, beta, shared).Intent {
			t.Errorf("the woken one is %+v", down)
		}
	})
}

// frozenFiles are the checksums of what a volume keeps of leases, intents and runs, but for the hearts.
func frozenFiles(t *testing.T, c *dockertest.Container) map[string]string {
	t.Helper()
	out := succeeds(t, c.Exec("0", "sh", "-c", "cd .pintle && find intents leases runs -type f ! -name '*.heart' ! -name '.new-*' -exec sha256sum {} +"))
	files := map[string]string{}
	for line := range strings.Lines(out) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		files[file] = sum
	}
	for _, file := range []string{"intents/" + shared + ".json", "runs/" + shared + ".jsonl"} {
		if files[file] == "" {
			t.Fatalf("there is no %s: %s", file, out)
		}
	}
	return files
}
