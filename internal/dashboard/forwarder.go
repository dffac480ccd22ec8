package dashboard

import (
	"context"
	"net"

	"pintle/internal/forward"
)

// ServeForwarder is Serve for what becomes of the lines that are forwarded to each target.
func ServeForwarder(ctx context.Context, l net.Listener, counters func() []forward.Counters) error {
	return serve(ctx, l, func(context.Context) ([]byte, error) { return forwarderMetrics(counters()), nil }, defaultTuning())
}

// forwarderMetrics are all there are of a forwarder.
func forwarderMetrics(targets []forward.Counters) []byte {
	p := &page{}
	each := func(name, kind, help string, value func(forward.Counters) float64) {
		p.family(name, kind, help)
		for _, c := range targets {
			p.sample(value(c), label{"target", c.Target})
		}
	}
	each("pintle_forward_sent_lines_total", counter, "Lines that have arrived at a target.",
		func(c forward.Counters) float64 { return float64(c.Sent) })
	each("pintle_forward_dropped_lines_total", counter, "Lines that will never arrive: the queue was full, or the target refused them.",
		func(c forward.Counters) float64 { return float64(c.Dropped) })
	each("pintle_forward_queued_lines", gauge, "Lines that wait, or are under way.",
		func(c forward.Counters) float64 { return float64(c.Queued) })
	each("pintle_forward_queued_bytes", gauge, "The memory that they take.",
		func(c forward.Counters) float64 { return float64(c.QueuedBytes) })
	each("pintle_forward_retries_total", counter, "Attempts to hand lines over that failed and are made again.",
		func(c forward.Counters) float64 { return float64(c.Retries) })
	p.family("pintle_forward_failing", gauge, "1 while the last attempt has failed; the unit's status has the cause.")
	for _, c := range targets {
		p.flag(c.Failing, label{"target", c.Target})
	}
	return p.b.Bytes()
}
