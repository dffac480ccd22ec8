package peers

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"pintle/test/dockertest"
)

// dockerServices are how many services are beside main in what docker stop stops.
const dockerServices = 20

// dockerStop: how long docker stop takes for main and well-behaved services, beside one well-behaved process and no init.
func dockerStop(w *workshop) answer {
	dockertest.Require(w)
	a := answer{
		id:    "docker-stop",
		title: fmt.Sprintf("What a supervisor and %d services add to docker stop", dockerServices),
		measured: fmt.Sprintf("The time that `docker stop` takes for a container with a main program and %d services, each of which ends at once on "+
			"SIGTERM. Added is the difference, in the same round, to the bare image with one such process and no init.", dockerServices),
	}
	c := newCargo()
	peers := stopPeers(w, &a, c)
	image := c.image(w)
	compare(w, &a, "docker stop", peers, w.pick(21, 7, 1), func(p contained) (time.Duration, error) {
		processes := dockerServices + 1
		if p.peer == bareImage {
			processes = 1
		}
		return stopOne(w, image, p, processes)
	})
	own, _ := a.added(pintle.name)
	a.goals = append(a.goals, goal{what: "less than 50 ms more than the bare image", got: own.median(), atMost: 50})
	a.notes = append(a.notes,
		"s6 and supervisord have no main program: theirs is one more service.",
		"runit is not here: on SIGTERM `runsvdir` ends and leaves its services to the kernel's SIGKILL; on SIGHUP it tells them to end, and waits for none.")
	a.notes = append(a.notes, w.absent("s6", "supervisord")...)
	return a
}

// stopOne starts a container, waits until so many processes of the service run, and returns how long docker stop takes. That
// anything had to be killed is an error: then somebody's patience was measured.
func stopOne(w *workshop, image string, p contained, processes int) (time.Duration, error) {
	c := dockertest.Start(w, p.in(image), p.args...)
	defer dockertest.Docker(w, "rm", "-f", c.Name) // at the question's end there would be a hundred of them
	for end := now() + patience; ; {
		if !c.Running() {
			stdout, stderr := c.Logs()
			return 0, fmt.Errorf("the container has ended: %s", stdout+stderr)
		}
		// The kernel's word, which is the same for everybody. Who ps finds has its handler before ps itself has ended.
		up := 0
		for _, process := range c.Top() {
			if process.Args == obedientPath {
				up++
			}
		}
		if up == processes {
			break
		}
		if now() > end {
			return 0, fmt.Errorf("%d of %d services run after %v", up, processes, patience)
		}
	}
	code, took := c.Stop("-t", "30")
	if code == 128+9 {
		return 0, fmt.Errorf("docker stop killed it after %v", took)
	}
	return took, nil
}

// obedientPath is where the well-behaved service is in the image.
const obedientPath = "/usr/local/bin/obedient"

// stopPeers puts into the image what each peer needs there, and returns how it is started.
func stopPeers(w *workshop, a *answer, c *cargo) []contained {
	obedient := filepath.Join(w.bin, "obedient")
	w.run(exec.Command("gcc", "-static", "-O2", "-Wall", "-Werror", "-o", obedient, "testdata/obedient.c"))
	w.must(c.putFile(obedientPath, obedient))
	w.must(c.putFile("/usr/local/bin/pintle", w.program("pintle")))
	peers := []contained{
		{bareImage, []string{"--entrypoint", obedientPath}, nil},
		{pintle.name, []string{"--entrypoint", "pintle"}, []string{"init"}},
	}
	config := "main: {command: [" + obedientPath + "]}\nservices:\n"
	programs := "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=/run/supervisord.pid\n"
	for i := range dockerServices + 1 {
		name := "s" + itoa(i)
		if i > 0 { // the first is main
			config += fmt.Sprintf("  %s: {command: [%s]}\n", name, obedientPath)
		}
		programs += fmt.Sprintf("[program:%s]\ncommand=%s\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n", name, obedientPath)
		w.must(c.put("/srv/s6/"+name+"/run", 0o755, []byte("#!/bin/sh\nexec "+obedientPath+"\n")))
	}
	w.must(c.put("/etc/pintle/pintle.yaml", 0o644, []byte(config)))
	w.must(c.put("/etc/supervisord.conf", 0o644, []byte(programs)))
	if w.has(s6.name, "s6-svscan", "s6-supervise") {
		w.must(errors.Join(c.program("s6-svscan"), c.program("s6-supervise")))
		peers = append(peers, contained{s6.name, []string{"--entrypoint", "s6-svscan"}, []string{"/srv/s6"}})
	}
	if w.size == quick {
		a.notes = append(a.notes, "supervisord, which takes seconds, is left out of a quick run.")
	} else if w.has(supervisord.name, "supervisord") {
		w.must(c.supervisord())
		peers = append(peers, contained{supervisord.name, []string{"--entrypoint", "supervisord"}, []string{"-c", "/etc/supervisord.conf"}})
	}
	return peers
}
