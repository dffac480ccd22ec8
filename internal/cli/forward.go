package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"pintle/internal/dashboard"
	"pintle/internal/engine"
	"pintle/internal/forward"
	"pintle/internal/unit"
)

const aboutForward = `Send what units write on, until it is told to end (SIGTERM): of the units that are named,
or of all, also of those that come later; but never of the unit that it is itself.

URL is syslog+udp://host:514, syslog+tcp://host:514, syslog+unix:///path,
otlp+http://host:4318, loki+http://host:3100, or the last two with +https. Each target
has a queue of its own: one that is down holds up no other, and while it is, its oldest
lines make room when its queue is full. With --cursors, the next one goes on where this
one was; without, it begins with all lines that are kept.

What gives access is best taken from the environment, because everybody sees a command
line: --header Authorization=env:LOKI_AUTH. OTEL_EXPORTER_OTLP_HEADERS counts, too.

It reads lines as the user that it runs as: log.readers says who may read those of all.`

// forwardFlags are the flags of forward.
type forwardFlags struct {
	to, headers, labels, except []string
	queue, cursors, ca, listen  string
}

func (a *app) forwardCommand() *cobra.Command {
	var f forwardFlags
	cmd := &cobra.Command{
		Use:               "forward --to URL [NAME…]",
		Short:             "Send what units write to syslog, OTLP or Loki",
		Long:              aboutForward,
		ValidArgsFunction: a.completeNames,
		RunE:              run(func(ctx context.Context, args []string) error { return a.forward(ctx, args, &f) }),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.to, "to", nil, "the `URL` of a target; several get the same lines")
	flags.StringArrayVar(&f.except, "exclude", nil, "a `NAME` or pattern whose lines are not sent")
	flags.StringVar(&f.queue, "queue", "16MiB", "the memory for the lines of each target")
	flags.StringVar(&f.cursors, "cursors", "", "the `FILE` that tells where to go on")
	flags.StringArrayVar(&f.labels, "label", nil, "a `NAME=VALUE` to go with each line (Loki and OTLP)")
	flags.StringArrayVar(&f.headers, "header", nil, "a `NAME=VALUE` of requests; VALUE is env:VARIABLE, or itself (Loki and OTLP)")
	flags.StringVar(&f.ca, "ca-file", "", "the `FILE` of authorities to know https targets by, instead of the system's")
	flags.StringVar(&f.listen, "listen", "", "serve counters as metrics at this TCP `address`")
	return cmd
}

func (a *app) forward(ctx context.Context, args []string, f *forwardFlags) error {
	o, err := a.forwardOptions(args, f)
	if err != nil {
		return engine.Errorf(engine.Invalid, "%v", err)
	}
	if o.Engine, err = a.Connect(); err != nil {
		return err
	}
	var l net.Listener
	if f.listen != "" {
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", f.listen); err != nil {
			return fmt.Errorf("cannot serve metrics: %w", err)
		}
		defer l.Close()
	}
	fw, err := forward.New(o)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	var server sync.WaitGroup
	defer server.Wait()
	defer stop()
	if l != nil {
		a.sayf("metrics are at http://%s/metrics", l.Addr())
		server.Go(func() {
			if err := dashboard.ServeForwarder(serving, l, fw.Counters); err != nil {
				a.complain(fmt.Errorf("cannot serve metrics: %w", err))
			}
		})
	}
	for _, t := range o.Targets {
		a.sayf("forwarding to %s", t.Name)
	}
	return fw.Run(ctx)
}

// forwardOptions are what words and flags ask for, all but the engine.
func (a *app) forwardOptions(args []string, f *forwardFlags) (forward.Options, error) {
	o := forward.Options{
		Cursors: f.cursors, Self: unit.Name(a.getenv("PINTLE_UNIT")), NotifySocket: a.getenv("NOTIFY_SOCKET"),
		Say: func(text string) { a.complain(errors.New(text)) },
	}
	chosen, err := newChooser(args, nil)
	if err != nil {
		return o, err
	}
	except, err := newChooser(f.except, nil)
	if err != nil {
		return o, err
	}
	o.Match = func(s engine.Status) bool {
		return chosen.matches(s) && (len(f.except) == 0 || !except.matches(s))
	}
	if o.Queue, err = parseBytes(f.queue); err != nil {
		return o, fmt.Errorf("cannot have a queue of %q: %w", f.queue, err)
	}
	if o.Queue < forward.MinQueue {
		return o, fmt.Errorf("cannot have a queue of %q: it is at least %d KiB", f.queue, forward.MinQueue>>10)
	}
	if o.Host, err = os.Hostname(); err != nil {
		return o, fmt.Errorf("cannot tell which host this is: %w", err)
	}
	o.Targets, err = a.forwardTargets(f)
	return o, err
}

func (a *app) forwardTargets(f *forwardFlags) ([]forward.Target, error) {
	if len(f.to) == 0 {
		return nil, errors.New("cannot forward: it needs a target, --to URL")
	}
	header, err := a.headers(f.headers)
	if err != nil {
		return nil, err
	}
	var labels []forward.Label
	for _, text := range f.labels {
		l, err := forward.ParseLabel(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(labels, func(other forward.Label) bool { return other.Name == l.Name }) {
			return nil, fmt.Errorf("cannot use label %q: it is there twice", text)
		}
		labels = append(labels, l)
	}
	var roots *x509.CertPool
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("cannot read the authorities: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot read the authorities in %s: there is no certificate in PEM", f.ca)
		}
	}
	var all []forward.Target
	for _, text := range f.to {
		t, err := forward.ParseTarget(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(other forward.Target) bool { return other.Name == t.Name }) {
			return nil, fmt.Errorf("cannot forward to %q: it is there twice", text)
		}
		t.Labels, t.Roots, t.Header = labels, roots, header
		if t.Protocol == "otlp" {
			if t.Header, err = a.withOTEL(header); err != nil {
				return nil, err
			}
		}
		all = append(all, t)
	}
	return all, nil
}

// headers reads those of --header; what stands in the environment is taken from there.
func (a *app) headers(texts []string) (http.Header, error) {
	all := http.Header{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || !headerName(name) {
			return nil, fmt.Errorf("cannot use header %q: it is written name=value, or name=env:VARIABLE", name)
		}
		if variable, ok := strings.CutPrefix(value, "env:"); ok {
			if value = a.getenv(variable); value == "" {
				return nil, fmt.Errorf("cannot use header %s: the variable %s is not set", name, variable)
			}
		}
		value = strings.TrimSpace(value) // a secret from a file often has a newline
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, fmt.Errorf("cannot use header %s: its value has control characters", name)
		}
		all.Set(name, value)
	}
	return all, nil
}

func headerName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// withOTEL adds what OpenTelemetry's own variables say to the headers; those of --header count more.
func (a *app) withOTEL(header http.Header) (http.Header, error) {
	all := http.Header{}
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_LOGS_HEADERS"} {
		for pair := range strings.SplitSeq(a.getenv(variable), ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			name, value, ok := strings.Cut(pair, "=")
			name = strings.TrimSpace(name)
			value, err := url.PathUnescape(strings.TrimSpace(value))
			if !ok || err != nil || !headerName(name) || strings.ContainsAny(value, "\r\n\x00") {
				return nil, fmt.Errorf("cannot use %s: it is written name=value,name=value, and values may have %%XX", variable)
			}
			all.Set(name, value)
		}
	}
	for name, values := range header {
		all[name] = values
	}
	return all, nil
}

// parseBytes reads a number of bytes: 65536, 64KiB, 64kB.
func parseBytes(text string) (int64, error) {
	units := map[string]int64{
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
	digits := strings.TrimRight(text, "BKMGikb")
	factor, known := units[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n < 0 || n > (1<<62)/factor {
		return 0, errors.New("it is written 16MiB, 500kB or 1000000")
	}
	return n * factor, nil
}
