package peers

import (
	"fmt"
	"time"

	"pintle/test/dockertest"
)

// dockerRun: what an init costs a container.
func dockerRun(w *workshop) answer {
	dockertest.Require(w)
	a := answer{
		id:    "docker-run",
		title: "What an init adds to docker run --rm IMAGE true",
		measured: "The time that the docker command takes for `docker run --rm --network none IMAGE true`. There is one image with all of them in it, " +
			"and only the entrypoint differs. Added is the difference to the bare image in the same round.",
	}
	c := newCargo()
	w.must(c.putFile("/usr/local/bin/pintle", w.program("pintle")))
	peers := []contained{
		{bareImage, nil, []string{"true"}},
		{pintle.name, []string{"--entrypoint", "pintle"}, []string{"init", "--", "true"}},
	}
	for _, init := range []struct{ peer, program string }{{"tini", "tini-static"}, {"dumb-init", "dumb-init"}, {"catatonit", "catatonit"}} {
		if w.has(init.peer, init.program) {
			w.must(c.program(init.program))
			peers = append(peers, contained{init.peer, []string{"--entrypoint", init.program}, []string{"--", "true"}})
		}
	}
	image := c.image(w)
	compare(w, &a, "docker run", peers, w.pick(81, 15, 1), func(p contained) (time.Duration, error) {
		r := dockertest.Run(w, p.in(image), p.args...)
		if r.Code != 0 {
			return 0, fmt.Errorf("true did not end with 0: %s", r)
		}
		return r.Duration, nil
	})
	own, _ := a.added(pintle.name)
	if tini, ok := a.added("tini"); ok {
		a.goals = append(a.goals, goal{what: "at most 10 ms more than what tini adds", got: own.median() - tini.median(), atMost: 10})
	}
	a.notes = append(a.notes, w.absent("tini", "dumb-init", "catatonit")...)
	return a
}
