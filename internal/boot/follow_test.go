package boot

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// sinceBoot is a time that all processes of the machine share, in nanoseconds.
func sinceBoot() (int64, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano(), err
}

// tellTheTime writes a line with the time at which it is written, 500 in a second.
func tellTheTime() error {
	tick := time.NewTicker(2 * time.Millisecond)
	for {
		<-tick.C
		now, err := sinceBoot()
		if err == nil {
			_, err = fmt.Println(now)
		}
		if err != nil {
			return err
		}
	}
}

// BenchmarkFollow: from a service's write of a line to its arrival at who follows that service's output over the socket, as
// `pintle logs -f` does, 99 in 100 take less than 2 ms. 200 other services say nothing meanwhile.
func BenchmarkFollow(b *testing.B) {
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "main: {command: [sleep, infinity]}\nservices:\n  clock: {command: [%s, %s, tell-the-time]}\n", os.Args[0], roleName)
	for i := range 200 {
		fmt.Fprintf(&yaml, "  quiet%d: {command: [sleep, infinity]}\n", i)
	}
	p := start(b, yaml.String())
	go io.Copy(io.Discard, p.stdout)
	client := p.client(b)
	p.until(b, "all services up", func() bool {
		list, err := client.List(b.Context())
		up := 0
		for _, s := range list {
			if s.State == "up" {
				up++
			}
		}
		return err == nil && up >= 201
	})
	var delays []float64
	b.ResetTimer()
	for l, err := range client.Logs(b.Context(), engine.LogRequest{Name: "clock", Follow: true}) {
		if err != nil {
			b.Fatal(err)
		}
		now, err := sinceBoot()
		if err != nil {
			b.Fatal(err)
		}
		wrote, err := strconv.ParseInt(l.Text, 10, 64)
		if err != nil {
			continue // pintle's own word
		}
		if delays = append(delays, float64(now-wrote)/1e6); len(delays) >= b.N {
			break
		}
	}
	b.StopTimer()
	slices.Sort(delays)
	b.ReportMetric(delays[len(delays)/2], "p50-ms")
	b.ReportMetric(delays[len(delays)*99/100], "p99-ms")
}
