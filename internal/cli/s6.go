package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"pintle/internal/engine"
)

// S6 is what the command line does to a tree of s6's.
type S6 struct {
	// Connect opens the tree that has this scan directory; say hears of what it cannot do of what is asked for.
	Connect func(scan string, say func(line string)) (S6Tree, error)
	// Permit lets a user control services that are root's.
	Permit func(user string, dirs []string, say func(line string)) error
	// Owner is who a scan directory belongs to, as Permit takes it.
	Owner func(scan string) (string, error)
	// Scan is the usual scan directory.
	Scan string
}

// S6Tree is a tree of s6's.
type S6Tree interface {
	engine.Engine
	// Reconcile makes the instances that there are to be and are not.
	Reconcile(ctx context.Context, say func(line string)) error
}

// The engines that there are.
const (
	nativeEngine = "pintle"
	s6Engine     = "s6"
)

// engineVariable says which engine is meant where nobody says, so that an image can.
const engineVariable = "PINTLE_ENGINE"

// addEngine declares which engine a command is for, and has Connect be that one's.
func (a *app) addEngine(root *cobra.Command) {
	var name, scan string
	name = nativeEngine
	if a.getenv(engineVariable) == s6Engine {
		name = s6Engine
	}
	root.PersistentFlags().Var(choice{&name, []string{nativeEngine, s6Engine}}, "engine", "what runs the units: pintle itself, or an s6-svscan in an image that keeps s6-overlay ($"+engineVariable+")")
	root.PersistentFlags().StringVar(&scan, "scandir", a.S6.Scan, "the scan `directory` of that s6-svscan")
	native := a.Connect
	a.Connect = func() (engine.Engine, error) {
		if name == nativeEngine {
			return native()
		}
		return a.connectS6(scan)
	}
	reconcile := a.reconcileCommand(&scan)
	permit := a.permitCommand(&scan)
	for _, cmd := range []*cobra.Command{reconcile, permit} {
		cmd.PreRunE = func(*cobra.Command, []string) error {
			if name != s6Engine {
				return errors.New("it is for --engine s6")
			}
			return nil
		}
		root.AddCommand(cmd)
	}
}

func (a *app) connectS6(scan string) (S6Tree, error) {
	return a.S6.Connect(scan, func(line string) { a.complain(errors.New(line)) })
}

func (a *app) reconcileCommand(scan *string) *cobra.Command {
	return &cobra.Command{
		Use:   "reconcile",
		Short: "With --engine s6: make the instances that there are to be",
		Long: `With --engine s6, at the container's start: make the instances that their templates
declare, that somebody has created, and that directories declare, each as it was
wanted last. What is there is left as it is. One that cannot be made keeps no other
from it; a line says what became of each, and the exit code is 1 where one failed.`,
		Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			tree, err := a.connectS6(*scan)
			if err != nil {
				return err
			}
			return tree.Reconcile(ctx, func(line string) { a.sayf("%s", clean(line)) })
		}),
	}
}

func (a *app) permitCommand(scan *string) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "permit DIR…",
		Short: "With --engine s6: let a user control services that are root's",
		Long: `With --engine s6, as root: let a user see, control and wait for services that are
root's. A DIR is a service directory, or a directory of some, such as
/run/s6-rc/servicedirs; those that are s6's own (s6rc-*, s6-linux-*) are left alone.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("it needs a DIR")
			}
			return nil
		},
		RunE: run(func(_ context.Context, args []string) error {
			if user == "" {
				owner, err := a.S6.Owner(*scan)
				if err != nil {
					return err
				}
				user = owner
			}
			return a.S6.Permit(user, args, func(line string) { a.sayf("%s", clean(line)) })
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "the `user`, by name or uid; by default who owns the scan directory")
	return cmd
}
