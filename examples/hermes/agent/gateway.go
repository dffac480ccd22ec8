package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// gatewayOptions are the keys of the package comment, by the same names.
type gatewayOptions struct {
	port       int
	readyAfter time.Duration
	drain      time.Duration
	termExit   *int
	ignoreTerm bool
	exit       *int
	exitAfter  time.Duration
	escape     int
	flood      int64
	witness    witness
}

func gateway(h home, args []string) (int, error) {
	ended := make(chan os.Signal, 1) // first of all: a signal from here on is a polite end
	signal.Notify(ended, unix.SIGTERM, unix.SIGINT)

	if len(args) == 0 {
		return 0, misuse("argument missing")
	}
	if args[0] != "run" {
		return 0, misuse("unknown command %q", "gateway "+args[0])
	}
	flags := newFlags("gateway run")
	replace := flags.Bool("replace", false, "") // go on beside another gateway instead of giving up
	if err := parseFlags(flags, args[1:], 0); err != nil {
		return 0, err
	}
	options, err := gatewayKeys(h)
	if err != nil {
		return 0, err
	}
	if options.ignoreTerm {
		signal.Ignore(unix.SIGTERM)
	}

	say := func(text string) { fmt.Printf("gateway %s: %s\n", h.profile, text) }
	release, err := claim(h)
	if err != nil && !*replace {
		return 0, fmt.Errorf("cannot start gateway %s: %w", h.profile, err)
	} else if err != nil {
		say(err.Error())
	}
	defer release()

	if err := options.witness.begin(); err != nil {
		return 0, fmt.Errorf("cannot start gateway %s: %w", h.profile, err)
	}
	defer options.witness.end()

	say(fmt.Sprintf("starting (pid %d)", os.Getpid()))
	code, reason, err := options.run(h.profile, say, ended)
	if err == nil {
		fmt.Fprintf(os.Stderr, "gateway %s: ended with %d: %s\n", h.profile, code, reason)
	}
	return code, err
}

// run is the gateway's life. It returns the code to end with and the reason for it.
func (o gatewayOptions) run(profile string, say func(string), ended <-chan os.Signal) (int, string, error) {
	ready := time.After(o.readyAfter)
	var exit <-chan time.Time // nil: never
	if o.exitAfter > 0 {
		exit = time.After(o.exitAfter)
	}

	for i := range o.escape {
		if err := startDetached("escapee", profile, strconv.Itoa(i+1)); err != nil {
			return 0, "", fmt.Errorf("cannot start escapee %d: %w", i+1, err)
		}
	}
	if err := flood(os.Stdout, profile, o.flood); err != nil {
		return 0, "", fmt.Errorf("cannot flood: %w", err)
	}
	if o.exit != nil && o.exitAfter == 0 {
		return *o.exit, "HERMES_GATEWAY_EXIT", nil
	}

	var draining atomic.Bool
	for {
		select {
		case <-ready:
			if o.port != 0 {
				if _, err := serve("127.0.0.1", o.port, health(&draining)); err != nil {
					return 0, "", err
				}
			}
			say("ready")
		case <-exit:
			return orZero(o.exit), "HERMES_GATEWAY_EXIT_AFTER", nil
		case s := <-ended:
			draining.Store(true)
			say("draining")
			time.Sleep(o.drain) // a second signal changes nothing
			say("drained")
			return orZero(o.termExit), unix.SignalName(s.(unix.Signal)), nil
		}
	}
}

func orZero(code *int) int {
	if code == nil {
		return 0
	}
	return *code
}

// health says ok until the gateway drains: it still answers then, but wants no more work.
func health(draining *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if draining.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	return mux
}

// flood writes size bytes as fast as they are taken, less what does not fill a line. The number in each line lets a
// reader prove that none was lost, doubled or torn.
func flood(w io.Writer, profile string, size int64) error {
	const length = 100
	out := bufio.NewWriter(w)
	for i := range size / length {
		text := fmt.Sprintf("flood %s %010d ", profile, i+1)
		if len(text) >= length {
			return errors.New("the profile's name does not fit into a line")
		}
		out.WriteString(text)
		out.WriteString(strings.Repeat(".", length-1-len(text)))
		out.WriteByte('\n')
	}
	return out.Flush()
}

// claim makes this process the one gateway of its profile, as far as the home lets it: gateway.pid holds the pid, and
// a lock, which the kernel takes away with the process, says whether the pid is still true. Without a home to write
// there is no claim and no error; an error says who has it. It never kills the other one.
func claim(h home) (release func(), err error) {
	release = func() {}
	dir, err := h.dir()
	if err != nil {
		return release, nil
	}
	path := filepath.Join(dir, "gateway.pid")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return release, nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		other, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return release, fmt.Errorf("another gateway of this profile is running (pid %s)", strings.TrimSpace(string(other)))
	}
	f.Truncate(0)
	fmt.Fprintln(f, os.Getpid())
	return func() {
		os.Remove(path)
		f.Close()
	}, nil
}

// gatewayKeys reads the environment and gateway.conf, which wins.
func gatewayKeys(h home) (gatewayOptions, error) {
	file, err := readGatewayConf(h)
	if err != nil {
		return gatewayOptions{}, err
	}
	k := keys{value: func(name string) string {
		value, ok := file[name]
		delete(file, name)
		if !ok {
			value = os.Getenv(name)
		}
		return value
	}}
	o := gatewayOptions{
		port:       k.number("HERMES_GATEWAY_PORT", 65535),
		readyAfter: k.duration("HERMES_GATEWAY_READY_AFTER"),
		drain:      k.duration("HERMES_GATEWAY_DRAIN"),
		termExit:   k.code("HERMES_GATEWAY_TERM_EXIT"),
		ignoreTerm: k.number("HERMES_GATEWAY_IGNORE_TERM", 1) == 1,
		exit:       k.code("HERMES_GATEWAY_EXIT"),
		exitAfter:  k.duration("HERMES_GATEWAY_EXIT_AFTER"),
		escape:     k.number("HERMES_GATEWAY_ESCAPE", 1000),
		flood:      k.size("HERMES_GATEWAY_FLOOD"),
		witness:    witness{address: k.value("HERMES_GATEWAY_ADDRESS"), journal: k.value("HERMES_GATEWAY_JOURNAL")},
	}
	// What is left was asked for by nobody. A misspelt key would make a test pass that tests nothing.
	for _, name := range slices.Sorted(maps.Keys(file)) {
		k.fail(name, errors.New("gateway.conf has no such key"))
	}
	return o, k.err
}

// readGatewayConf returns the entries of the profile's gateway.conf, none when there is no file.
func readGatewayConf(h home) (map[string]string, error) {
	dir, err := h.dir()
	if err != nil {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "gateway.conf"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("cannot read gateway.conf: %w", err)
	}
	entries := map[string]string{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("cannot read gateway.conf: line %d is not KEY=VALUE", number)
		}
		entries[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return entries, nil
}
