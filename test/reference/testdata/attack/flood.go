package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A manner is how a connection of a flood behaves until it is closed: it returns then, or when stop is.
type manner struct {
	name string
	have func(c net.Conn, stop <-chan struct{})
}

var manners = []manner{
	{"idle", func(c net.Conn, _ <-chan struct{}) { io.Copy(io.Discard, c) }},
	{"half a head", func(c net.Conn, _ <-chan struct{}) {
		io.WriteString(c, "GET /v1/units HTTP/1.1\r\nHost: x\r\nX: ")
		io.Copy(io.Discard, c)
	}},
	{"half a body", func(c net.Conn, _ <-chan struct{}) {
		io.WriteString(c, "PUT /v1/units/gateway@coder HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"down\":")
		io.Copy(io.Discard, c)
	}},
	{"a body of 1 GB", func(c net.Conn, _ <-chan struct{}) {
		fmt.Fprintf(c, "PUT /v1/units/gateway@coder HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{\"down\":", 1<<30)
		n, _ := io.Copy(c, io.LimitReader(spaces{}, 1<<30))
		sent.Add(n)
	}},
	{"a chunked body of 1 GB", func(c net.Conn, _ <-chan struct{}) {
		fmt.Fprintf(c, "POST /v1/units/gateway@coder/signal HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n{", 1<<30)
		n, _ := io.Copy(c, io.LimitReader(spaces{}, 1<<30))
		sent.Add(n)
	}},
	{"a watch byte by byte", slowly("GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")},
	{"a log byte by byte", slowly("GET /v1/units/gateway@coder/logs?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")},
	{"a status byte by byte", slowly("GET /v1/units/gateway@coder HTTP/1.1\r\nHost: x\r\n\r\n")},
	{"a watch that nobody reads", func(c net.Conn, stop <-chan struct{}) {
		io.WriteString(c, "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
		<-stop
	}},
	{"many requests whose answers nobody reads", func(c net.Conn, stop <-chan struct{}) {
		io.Copy(c, io.LimitReader(repeated("GET /v1/units HTTP/1.1\r\nHost: x\r\n\r\n"), 1<<30))
	}},
}

var sent atomic.Int64 // bytes of bodies

// slowly reads what is answered a byte at a time.
func slowly(request string) func(net.Conn, <-chan struct{}) {
	return func(c net.Conn, stop <-chan struct{}) {
		io.WriteString(c, request)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for one := make([]byte, 1); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if _, err := c.Read(one); err != nil {
				return
			}
		}
	}
}

// flood has n connections at a time, or tries to: one that is closed is made again.
func flood(n int, ended <-chan os.Signal) error {
	stop := make(chan struct{})
	counts := make([]atomic.Int64, len(manners))
	var tried, over sync.WaitGroup
	tried.Add(n)
	for i := range n {
		over.Go(func() {
			first := sync.OnceFunc(tried.Done)
			defer first()
			for m := i; ; m++ {
				if c, err := net.Dial("unix", socket); err == nil {
					first()
					done := make(chan struct{})
					go func() {
						select {
						case <-stop:
							c.Close()
						case <-done:
						}
					}()
					manners[m%len(manners)].have(c, stop)
					close(done)
					c.Close()
					counts[m%len(manners)].Add(1)
				}
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
				}
				first()
			}
		})
	}
	tried.Wait()
	fmt.Println("flooding")
	<-ended
	close(stop)
	over.Wait()
	var said []string
	for i := range manners {
		said = append(said, fmt.Sprintf("%s: %d", manners[i].name, counts[i].Load()))
	}
	fmt.Printf("flooded with %d bytes of bodies; %s\n", sent.Load(), strings.Join(said, ", "))
	return nil
}

// spaces is white space without end.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// repeated is one text without end, in whole copies.
type repeated string

func (r repeated) Read(b []byte) (int, error) {
	n := 0
	for n+len(r) <= len(b) {
		n += copy(b[n:], r)
	}
	return n, nil
}
