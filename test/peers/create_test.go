package peers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"pintle/internal/api"
	"pintle/internal/engine"
	"pintle/internal/unit"
)

// creatorVariable makes the test's program the client that creates instances.
const creatorVariable = "PINTLE_PEERS_CREATOR"

// An initialisation, since TestMain is about containers.
func init() {
	if os.Getenv(creatorVariable) != "" {
		os.Exit(creator())
	}
}

// creator creates, for each line "socket NAME" or "command NAME" of its standard input, an instance, by the socket that it
// keeps open or by pintle's own command; it answers with when it began. "remove NAME" removes one.
func creator() int {
	client, err := api.Dial(context.Background(), api.DialOptions{})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var how, name string
		if _, err := fmt.Sscan(lines.Text(), &how, &name); err != nil {
			return 2
		}
		began := now()
		switch how {
		case "socket":
			_, _, err = client.Create(context.Background(), engine.CreateRequest{Name: unit.Name(name)})
		case "command":
			err = exec.Command(os.Getenv(creatorVariable), "create", "--no-wait", name).Run()
		default:
			_, err = client.Remove(context.Background(), unit.Name(name))
		}
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println("began", int64(began))
	}
	return 0
}

// create: one more instance beside a thousand, made by who has no rights.
func create(w *workshop) answer {
	n := w.many()
	a := answer{
		id: "create", title: fmt.Sprintf("One more beside %d: create to running", n),
		measured: "From just before the request to the first instruction of the new instance. pintle is asked by uid 10000, over a socket that is open, or by its command, whose own start counts; the bare loop is asked through a pipe, and forks and execs; s6 has a directory made and is told to scan, by root, since nobody else can.",
	}
	dir, err := os.MkdirTemp(w.bin, "asked")
	w.must(err)
	bare := w.newFIFO(dir)
	read, write, err := os.Pipe()
	w.must(err)
	loop := exec.Command(w.program("bareloop"), "asked", "0", bare.path, w.program("service"), "x")
	loop.Stdin = read
	w.must(loop.Start())
	read.Close()
	w.Cleanup(func() {
		write.Close()
		_ = loop.Wait()
		bare.file.Close()
	})

	ours := w.start(pintle, plan{n: n})
	ours.next("started", n+1)
	ask := ours.newCreator()
	var theirs *cell
	if len(w.here(s6)) > 0 {
		theirs = w.start(s6, plan{n: n})
		theirs.next("started", n)
	}
	samples := map[string][]float64{}
	for i := range w.pick(250, 200, 4) {
		began := now()
		_, err := write.Write([]byte("x"))
		w.must(err)
		samples["bare"] = append(samples["bare"], ms(bare.next("started", 1)[0].at-began))

		for _, how := range []string{"socket", "command"} {
			if how == "command" && i%w.pick(2, 8, 2) != 0 {
				continue
			}
			name := fmt.Sprintf("s@%d", 100000+2*i+map[string]int{"socket": 0, "command": 1}[how])
			began = ask(how, name)
			samples[how] = append(samples[how], ms(ours.next("started", 1)[0].at-began))
			ask("remove", name)
		}
		if theirs != nil && i%w.pick(8, 20, 2) == 0 {
			service := filepath.Join(theirs.dir, "scan", "t"+itoa(i))
			began = now()
			s6Service(w, service, theirs.dir, theirs.path, n+i, plan{})
			w.run(exec.Command(w.program("s6-svscanctl"), "-a", filepath.Join(theirs.dir, "scan")))
			samples["s6"] = append(samples["s6"], ms(theirs.next("started", 1)[0].at-began))
		}
	}
	a.figures = []figure{
		{peer: bareLoop.name, unit: "ms", samples: samples["bare"]},
		{peer: pintle.name, what: "over the socket", unit: "ms", samples: samples["socket"]},
		{peer: pintle.name, what: "by its command", unit: "ms", samples: samples["command"]},
	}
	a.goals = []goal{{what: "p99 over the socket: at most 5 × the bare loop's", got: late(samples["socket"]) / late(samples["bare"]), atMost: 5}}
	if theirs != nil {
		a.figures = append(a.figures, figure{peer: s6.name, what: "make directory, scan", unit: "ms", samples: samples["s6"]})
		a.goals = append(a.goals, goal{what: "s6's recipe: at least 5 × slower than pintle's socket", got: middle(samples["s6"]) / middle(samples["socket"]), atLeast: 5})
	}
	a.notes = w.absent("s6")
	return a
}

// newCreator starts a creator as uid 10000 in the cell. What it returns asks it, and returns when it began.
func (c *cell) newCreator() func(how, name string) time.Duration {
	c.w.Helper()
	c.client() // pintle answers
	self, err := os.ReadFile("/proc/self/exe")
	c.w.must(err)
	program := filepath.Join(c.w.bin, "peers.test")
	c.w.must(os.WriteFile(program, self, 0o755))
	cmd := exec.Command("nsenter", "-t", itoa(c.pid), "-p", "-m", "-S", "10000", "-G", "10000", "-w"+c.dir, "--", program)
	cmd.Env = append(os.Environ(), creatorVariable+"="+c.w.program("pintle"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	c.w.must(err)
	out, err := cmd.StdoutPipe()
	c.w.must(err)
	c.w.must(cmd.Start())
	answers := bufio.NewReader(out)
	c.w.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return func(how, name string) time.Duration {
		c.w.Helper()
		_, err := io.WriteString(in, how+" "+name+"\n")
		c.w.must(err)
		line, err := answers.ReadString('\n')
		var began int64
		if err == nil {
			_, err = fmt.Sscanf(line, "began %d", &began)
		}
		if err != nil {
			c.w.Fatalf("cannot %s %s as uid 10000: %v: %s", how, name, err, line)
		}
		return time.Duration(began)
	}
}
