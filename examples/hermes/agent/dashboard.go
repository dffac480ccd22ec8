package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const page = "<!doctype html>\n<title>Hermes</title>\n<h1>Hermes</h1>\n<p>The dashboard of the stand-in.</p>\n"

// dashboard serves until TERM and then ends at once: it has nothing to drain.
func dashboard(_ home, args []string) (int, error) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGTERM, unix.SIGINT)

	flags := newFlags("dashboard")
	host := flags.String("host", "127.0.0.1", "")
	port := flags.Uint("port", 9119, "")
	flags.Bool("no-open", false, "") // it never opens a browser
	if err := parseFlags(flags, args, 0); err != nil {
		return 0, err
	}
	keys := keys{value: os.Getenv}
	code := keys.code("HERMES_DASHBOARD_EXIT")
	readyAfter := keys.duration("HERMES_DASHBOARD_READY_AFTER")
	if keys.err != nil {
		return 0, keys.err
	}
	if code != nil {
		return *code, nil
	}
	select {
	case <-ended:
		return 0, nil
	case <-time.After(readyAfter):
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	address, err := serve(*host, int(*port), mux)
	if err != nil {
		return 0, err
	}
	fmt.Printf("dashboard: listening on %s\n", address)
	<-ended
	return 0, nil
}

// serve answers until the process ends. It returns when connections are accepted, with the host as it was given and
// the port as it is, which differs for port 0.
func serve(host string, port int, h http.Handler) (address string, err error) {
	address = net.JoinHostPort(host, strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("cannot listen on %s: %w", address, cause(err))
	}
	server := http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	return net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port)), nil
}

// cause takes the operation and the address off a network error that is going to be told with both.
func cause(err error) error {
	if op, ok := err.(*net.OpError); ok {
		err = op.Err
	}
	if call, ok := err.(*os.SyscallError); ok {
		err = call.Err
	}
	return err
}
