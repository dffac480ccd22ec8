package cli

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"pintle/internal/dashboard"
)

const aboutDashboard = `Serve the container's metrics over HTTP, in the Prometheus text format at /metrics,
until it is told to end (SIGTERM). It shows what everybody may see who reaches
pintle's socket, and needs no rights: run it as a service, as a user like nobody.

Who reaches its address may read it: to listen on more than the container's own
loopback is to be said (--listen :9180).`

func (a *app) dashboardCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:               "dashboard",
		Short:             "Serve metrics over HTTP",
		Long:              aboutDashboard,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              run(func(ctx context.Context, _ []string) error { return a.dashboard(ctx, address) }),
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:9180", "the TCP address, host:port")
	return cmd
}

func (a *app) dashboard(ctx context.Context, address string) error {
	eng, err := a.Connect()
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot serve metrics: %w", err)
	}
	a.sayf("metrics are at http://%s/metrics", l.Addr())
	if err := dashboard.Serve(ctx, l, eng); err != nil {
		return fmt.Errorf("cannot serve metrics: %w", err)
	}
	return nil
}
