// Life is what the programs of the life tests are made of, where a shell can't do it.
//
//	life notify LINE...     say so to pintle: one message of these lines to $NOTIFY_SOCKET; then, as systemd-notify(1) does,
//	                        wait until it is taken, because whose a process was can't be told once it has ended
//	life send PATH LINE     the same to a socket of one's choice; fails where that is not allowed
//	life flood LINE         say so again and again, as fast as it is taken, until TERM; then print how often; a line that
//	                        ends with = gets a number that changes
//	life spin               do nothing of use with a whole processor, until TERM
//	life serve ADDRESS      answer HTTP there, say "serving ADDRESS", and end at TERM
//	life get PATH           print pintle's answer to GET PATH
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "life:", err)
		os.Exit(1)
	}
}

func run(verb string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch verb {
	case "notify":
		return errors.Join(send(os.Getenv("NOTIFY_SOCKET"), strings.Join(args, "\n")), barrier(os.Getenv("NOTIFY_SOCKET")))
	case "send":
		return send(args[0], args[1])
	case "flood":
		c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err != nil {
			return err
		}
		n := 0
		for ; ctx.Err() == nil; n++ {
			message := args[0]
			if strings.HasSuffix(message, "=") {
				message += strconv.Itoa(n)
			}
			if _, err := c.Write([]byte(message)); err != nil {
				return err
			}
		}
		fmt.Println("said", n)
		return nil
	case "spin":
		for ctx.Err() == nil {
		}
		return nil
	case "serve":
		l, err := net.Listen("tcp", args[0])
		if err != nil {
			return err
		}
		fmt.Println("serving", args[0])
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "well") }))
		<-ctx.Done()
		return nil
	case "get":
		client := http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", "/run/pintle/pintle.sock")
		}}}
		answer, err := client.Get("http://pintle" + args[0])
		if err != nil {
			return err
		}
		_, err = io.Copy(os.Stdout, answer.Body)
		return err
	}
	return errors.New("there is no such verb")
}

func send(path, message string) error {
	c, err := net.Dial("unixgram", path)
	if err == nil {
		_, err = c.Write([]byte(message))
	}
	return err
}

// barrier waits until all that was sent before is taken (sd_notify_barrier(3)).
func barrier(path string) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Sendmsg(socket, []byte("BARRIER=1"), syscall.UnixRights(int(write.Fd())), &syscall.SockaddrUnix{Name: path}, 0)
	}
	write.Close()
	if err == nil {
		_, err = io.ReadAll(read)
	}
	return err
}
