package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"pintle/internal/config"
	"pintle/internal/process"
	"pintle/internal/trust"
)

// overlayDirectory is where s6-overlay has what services and programs of its container look for: basedir, by which they find
// out that they run under it, and container_environment, which has a file for each variable.
const overlayDirectory = "/run/s6"

// layOverlay makes it. With s6-overlay everybody may read the environment; here only pintle's user and the group of who owns
// the services may, as there are secrets in many a container's; and nobody else may write there, who could have pintle write to any
// file.
func layOverlay(directory string, rule *config.S6, owner *process.Identity, environ []string) error {
	dir, err := trust.OpenDir(directory, os.Geteuid(), 0o755)
	if err != nil {
		return err
	}
	defer dir.Close()
	base, err := trust.OpenDirIn(dir, "basedir", os.Geteuid(), 0o755)
	if err != nil {
		return err
	}
	if err := base.Close(); err != nil || !rule.Environment {
		return err
	}
	if err := layEnvironment(dir, owner, environ); err != nil {
		return fmt.Errorf("cannot lay the container's environment: %w", err)
	}
	return nil
}

func layEnvironment(parent *os.File, owner *process.Identity, environ []string) error {
	dir, err := trust.OpenDirIn(parent, "container_environment", os.Geteuid(), 0o700)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := errors.Join(dir.Chown(-1, owner.GID), dir.Chmod(0o750)); err != nil {
		return err
	}
	var failed error
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if name == "" || strings.ContainsAny(name, "/") || strings.HasPrefix(name, ".") {
			continue // it would be no file's name, or none that s6-envdir reads
		}
		failed = errors.Join(failed, layVariable(dir, name, value))
	}
	return failed
}

func layVariable(dir *os.File, name, value string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("cannot create %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
