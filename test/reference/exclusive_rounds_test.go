package reference_test

import (
	"crypto/rand"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pintle/test/dockertest"
)

// roundsSeed makes the tale of the rounds: another one tells another tale.
const roundsSeed = 4

// roundsEnd is a way in which an owner ends.
type roundsEnd struct {
	name  string
	clean bool // so that pintle can give its lease back
	again bool // it starts again by that
	by    func(t *testing.T, c *dockertest.Container)
}

var roundsEnds = []roundsEnd{
	{"SIGKILL of pintle", false, false, roundsKillPintle},
	{"docker kill", false, false, func(_ *testing.T, c *dockertest.Container) { c.Kill("KILL"); c.Wait() }},
	{"docker stop", true, false, func(_ *testing.T, c *dockertest.Container) { c.Stop() }},
	{"docker restart", true, true, func(_ *testing.T, c *dockertest.Container) { c.Restart() }},
}

// roundsCommand is pintle's command line in the containers.
const roundsCommand = "/init sleep infinity"

// roundsKillPintle kills pintle and nothing else, from the machine. Where it is not the first process, its runs are
// orphans until the container's init has noticed.
func roundsKillPintle(t *testing.T, c *dockertest.Container) {
	t.Helper()
	if p := processOf(t, c, roundsCommand); p.PID != 1 {
		c.Exec("0", "kill", "-KILL", fmt.Sprint(p.PID)) // its answer may be the container's end
	} else if err := syscall.Kill(c.HostPID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.Wait()
}

// roundsTimes are the take-over times of each way to end, from the command on that ended the owner.
type roundsTimes struct {
	mu    sync.Mutex
	times map[string][]time.Duration
}

func (r *roundsTimes) note(how string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times[how] = append(r.times[how], took)
}

func (r *roundsTimes) log(t *testing.T) {
	for _, how := range slices.Sorted(maps.Keys(r.times)) {
		took := slices.Sorted(slices.Values(r.times[how]))
		t.Logf("%-62s %2d times: min %4.1f s, median %4.1f s, max %4.1f s", how, len(took),
			took[0].Seconds(), took[len(took)/2].Seconds(), took[len(took)-1].Seconds())
	}
}

// Two containers on one volume: whichever way the owner's ends, and whichever of the two comes next, never do two runs of
// the gateway live at once, each has a higher fence than the one before, and nobody waits longer than is stated.
func TestNeverTwoOwners(t *testing.T) {
	t.Parallel()
	dockertest.Require(t)
	times := &roundsTimes{times: map[string][]time.Duration{}}
	const pairs = 5
	var names []string
	for i := range pairs {
		names = append(names, fmt.Sprintf("pair %d", i+1))
	}
	atOnce(t, names, func(t *testing.T, i int) {
		// Where pintle is not the first process, no container can prove that its own earlier life is over.
		roundsOfPair(t, times, mathrand.New(mathrand.NewPCG(roundsSeed, uint64(i))), i%2 == 0)
	})
	times.log(t)
}

// roundsOfPair plays the ten rounds of one pair: each way to end twice, and two more. Where a container can take its own
// leases back at once, pintle is its first process.
func roundsOfPair(t *testing.T, times *roundsTimes, dice *mathrand.Rand, takesBack bool) {
	t.Helper()
	var ends []roundsEnd
	for i := range 10 {
		ends = append(ends, roundsEnds[i%len(roundsEnds)])
	}
	dice.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })

	w := witness(t)
	defer w.wereAlone() // also where something was waited for in vain
	// The containers share a network, so that the kernel gives the address to one of them.
	flags := []string{"--network", "host", "-e", "HERMES_GATEWAY_ADDRESS=@pintle-test-" + strings.ToLower(rand.Text()[:12])}
	if !takesBack {
		flags = append(flags, "--init")
	}
	pair := map[string]*dockertest.Container{"alpha": w.boot("alpha", flags...)}
	w.follow()
	succeeds(t, pintle(pair["alpha"], "hermes", "start", shared))
	pair["beta"] = w.boot("beta", flags...)

	owner := w.begins(0)
	for round, end := range ends {
		ending, standby := pair["alpha"], pair["beta"]
		if owner.host == "beta" {
			ending, standby = standby, ending
		}
		waitsFor(t, standby, owner.host, int(owner.fence))
		soonAgain := end.again || dice.IntN(2) == 0
		how := end.name
		if !end.again && soonAgain {
			how += ", and started again at once"
			if !end.clean && !takesBack {
				how += ", under --init"
			}
		}
		began := time.Now()
		end.by(t, ending)
		if !end.again && soonAgain {
			ending.StartAgain()
		}
		next := w.begins(owner.fence)
		took := next.at.Sub(began)
		t.Logf("round %2d: %s of %s; %s follows %.1f s later, with fence %d", round+1, how, owner.host, next.host, took.Seconds(), next.fence)
		times.note(how, took)
		most := afterCrash
		if end.clean {
			most = afterStop
		}
		if took > most+exclusiveSlack {
			t.Errorf("round %d: the take-over took %v, at most %v is stated", round+1, took, most)
		}
		if !soonAgain {
			ending.StartAgain()
		}
		answers(t, ending)
		owner = next
	}
	w.beats(owner.fence, time.Now()) // so that all that was written before has been read
}
