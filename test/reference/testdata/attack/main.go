// Attack is what a program in the container could do to pintle's socket without
// pintle's own client: it sends bytes and shows what comes back.
//
//	attack send REQUEST...   each a Go string literal, on a connection of its own; prints each answer as one;
//	                         {1 MiB} stands for so many letters, more than an argument can hold
//	attack idle N            open N connections, say how many were opened, and keep them until TERM
//	attack name NAME         call itself so, ignore TERM, and stay
//	attack listen PATH       be a false pintle: accept connections at PATH and answer each with nonsense
//	attack storm PATH...     have other things stand where these are, all the time, until TERM (storm.go)
//	attack flood N           keep N connections busy with bad manners until TERM (flood.go)
//	attack meddle PID        try until TERM all that one process can do to another (meddle.go)
//
// Those that go on until TERM say in a line that they have begun, and in another what they did.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const socket = "/run/pintle/pintle.sock"

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run(verb string, args []string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	switch verb {
	case "send":
		for _, arg := range args {
			answer, err := send(arg)
			if err != nil {
				return err
			}
			fmt.Printf("%q\n", answer)
		}
		return nil
	case "idle":
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		open := 0
		for range n {
			if _, err := net.Dial("unix", socket); err == nil {
				open++
			}
		}
		fmt.Printf("opened %d\n", open)
	case "name":
		signal.Ignore(syscall.SIGTERM)
		if err := os.WriteFile("/proc/self/comm", []byte(args[0]), 0); err != nil {
			return err
		}
	case "storm":
		return storm(args, ended)
	case "flood":
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return flood(n, ended)
	case "meddle":
		pid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return meddle(pid, ended)
	case "listen":
		l, err := net.Listen("unix", args[0])
		if err != nil {
			return err
		}
		fmt.Println("listening")
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]\n")
			}
		}()
	}
	<-ended
	return nil
}

// send writes a request and reads what is answered until the server closes, or is silent for some time.
func send(literal string) (string, error) {
	request, err := strconv.Unquote(literal)
	if err != nil {
		return "", fmt.Errorf("%s: %w", literal, err)
	}
	request = strings.ReplaceAll(request, "{1 MiB}", strings.Repeat("x", 1<<20))
	c, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	go io.WriteString(c, request) // the server may close before it has read everything
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, _ := io.ReadAll(c)
	return string(answer), nil
}
