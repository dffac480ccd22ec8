package logs

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

var hundred = []byte(strings.Repeat("x", 99) + "\n")

// Intake of 100-byte lines through real pipes, from one and from 200 writers that share the bytes; a writer gives its
// pipe about as much as that holds. The time ends when every line is in its journal, and all are counted. The console,
// where there is one, takes everything at once.
func BenchmarkIntake(b *testing.B) {
	for _, console := range []io.Writer{nil, io.Discard} {
		for _, writers := range []int{1, 200} {
			b.Run(fmt.Sprintf("writers=%d/console=%v", writers, console != nil), func(b *testing.B) {
				raiseFileLimit(b, 2*200+100)
				const lines = 640
				chunk := bytes.Repeat(hundred, lines)
				book := newBook(b, Options{Console: console})
				var done sync.WaitGroup
				turns := make(chan bool)
				for i := range writers {
					r, w := pipe(b)
					book.Journal(journalName(i)).Capture(1, engine.Stdout, r)
					done.Go(func() {
						for range turns {
							if _, err := w.Write(chunk); err != nil {
								b.Error(err)
							}
						}
						w.Close()
					})
				}
				b.SetBytes(int64(len(chunk)))
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N { // not b.Loop: it stops the clock before the pipes are drained
					turns <- true
				}
				close(turns)
				done.Wait()
				closed(b, book)
				b.StopTimer()
				total := 0
				for i := range writers {
					j := book.Journal(journalName(i))
					for _, l := range j.Tail(1) {
						total += int(l.Seq - j.began)
					}
				}
				if total != b.N*lines {
					b.Errorf("%d lines arrived, %d were written", total, b.N*lines)
				}
			})
		}
	}
}

// What a chunk of 100-byte lines takes without the pipe.
func BenchmarkTake(b *testing.B) {
	j := NewBook(Options{}).Journal(name)
	var s splitter
	chunk := bytes.Repeat(hundred, 320)
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = j.take(&s, 1, engine.Stdout, chunk)
	}
}

// From a line's write to its arrival at a follower, with 200 quiet units beside: the mean, and what 99 in 100 stay under.
func BenchmarkFollow(b *testing.B) {
	raiseFileLimit(b, 2*200+100)
	book := newBook(b, Options{})
	for i := range 200 {
		r, _ := pipe(b)
		book.Journal(journalName(i)).Capture(1, engine.Stdout, r)
	}
	r, w := pipe(b)
	j := book.Journal(name)
	j.Capture(1, engine.Stdout, r)
	seen := make(chan bool)
	go func() {
		for range j.Read(b.Context(), engine.LogRequest{Follow: true}) {
			seen <- true
		}
	}()
	var delays []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := w.Write(hundred); err != nil {
			b.Fatal(err)
		}
		<-seen
		delays = append(delays, time.Since(began))
	}
	slices.Sort(delays)
	b.ReportMetric(float64(delays[len(delays)*99/100])/1e6, "p99-ms")
}

// What a 100-byte line takes to be shown in each format, on a console that takes everything at once. None is dropped: who
// adds them waits.
func BenchmarkConsole(b *testing.B) {
	for _, format := range []unit.ConsoleFormat{unit.ConsoleRaw, unit.ConsolePrefixed, unit.ConsoleJSON} {
		b.Run(string(format), func(b *testing.B) {
			c := newConsole(Options{Console: io.Discard, ConsoleFormat: format}, systemNow)
			ready := make(chan bool, 1)
			s := c.join(name, func() { ready <- true })
			s.configure("", true)
			l := consoleLine{run: 1, seq: 1, stream: engine.Stdout, text: hundred[:99]}
			b.ReportAllocs()
			for b.Loop() {
				if s.add(&l) {
					<-ready
				}
				l.seq++
			}
		})
	}
}
