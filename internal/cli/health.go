package cli

import (
	"context"
	"fmt"
	"strings"

	"pintle/internal/unit"

	"github.com/spf13/cobra"
)

const aboutHealth = `Say on one line whether the container is healthy, for Docker's HEALTHCHECK and
Kubernetes' exec probes.

  alive  the supervisor answers
  ready  and every unit that is wanted up is up, or has ended as it should; no oneshot
         has failed; and the container is not stopping

A unit that still waits or starts is not ready.

Exit codes: 0 healthy, 3 not healthy, 69 no supervisor answers. (Docker takes every
code but 0 for unhealthy, and reserves 2.)`

func (a *app) healthcheckCommand() *cobra.Command {
	var level string
	cmd := &cobra.Command{
		Use:               "healthcheck",
		Short:             "Say whether the container is healthy",
		Long:              aboutHealth,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              run(func(ctx context.Context, _ []string) error { return a.healthcheck(ctx, level) }),
	}
	addChoice(cmd, &level, "level", "", "how much must be well", "ready", "alive")
	return cmd
}

func (a *app) healthcheck(ctx context.Context, level string) error {
	eng, err := a.Connect()
	if err != nil {
		return err
	}
	info, err := eng.Info(ctx)
	if err != nil {
		return err
	}
	if level == "alive" {
		a.sayf("healthy: the supervisor answers (pid %d)", info.PID)
		return nil
	}
	all, err := eng.List(ctx)
	if err != nil {
		return err
	}
	var ill []string
	if info.Stopping {
		ill = append(ill, "the container is stopping")
	}
	up, finished := 0, 0
	for _, s := range all {
		switch {
		case s.State == unit.Up:
			up++
		case s.State == unit.Done:
			finished++
		case s.State == unit.Disabled:
		// What a oneshot was to do is not done, whoever wants what of it by now.
		case s.Desired == "up", s.Kind == unit.Oneshot && s.State == unit.Failed:
			ill = append(ill, fmt.Sprintf("%s is %s", s.Name, isNow(s)))
		}
	}
	if len(ill) > 0 {
		a.sayf("not healthy: %s", strings.Join(ill, "; "))
		return &failure{code: exitNotRunning}
	}
	text := plural(up, "unit") + " up"
	if finished > 0 {
		text += ", " + number(finished) + " done"
	}
	a.sayf("healthy: %s", text)
	return nil
}
