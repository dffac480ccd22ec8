package cli

import (
	"context"

	"github.com/spf13/cobra"

	"pintle/internal/s6/install"
)

const aboutInstall = `Make the tools of s6 in a directory, such as /command or /usr/bin, as links to pintle:
hard ones, or symbolic ones where the directory is in another file system. What calls
s6-setuidgid, s6-log and the others by their names finds pintle then.

What is there and is not pintle's stays, and then nothing is changed, unless --force
is given. Doing it again changes nothing.`

func (a *app) installCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "install-s6 DIR",
		Short: "Make the tools of s6 in a directory, as links to pintle",
		Long:  aboutInstall,
		Args:  needsOne("directory"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: run(func(_ context.Context, args []string) error { return a.install(args[0], force) }),
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace what is not pintle's, too")
	return cmd
}

func (a *app) install(dir string, force bool) error {
	done, err := install.Install(install.Options{Dir: dir, Force: force})
	if err != nil {
		return err
	}
	switch made, kept := len(done.Made), len(done.Kept); {
	case made == 0:
		a.sayf("all %s of s6's are in %s already", plural(kept, "tool"), clean(dir))
	case kept == 0:
		a.sayf("made %s of s6's in %s", plural(made, "tool"), clean(dir))
	default:
		a.sayf("made %s of s6's in %s; %d were there already", plural(made, "tool"), clean(dir), kept)
	}
	return nil
}
