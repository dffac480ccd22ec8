package drive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"pintle/internal/account"
	"pintle/internal/process"
)

// Permit lets a user control services that are root's: see their states, control them and wait for them. dirs are
// service directories, or directories of some, such as s6-overlay's /run/s6-rc/servicedirs; of those the ones that are
// s6's own are left alone. Each gets its group: supervise is 0710, supervise/control 0660, event 03730.
//
// They stay root's. To own supervise is to exchange what s6-supervise writes there as root. No symlink is followed, so a
// directory of somebody else's leads nowhere.
//
// say hears of each what became of it; one that cannot be permitted keeps no other from it.
func Permit(user string, dirs []string, say func(line string)) error {
	id, err := process.Resolve(account.Database{}, user)
	if err != nil {
		return fmt.Errorf("cannot permit anything: %w", err)
	}
	failed := 0
	done := func(path string, err error) {
		if err != nil {
			failed++
			say(fmt.Sprintf("cannot permit %s to control %s: %v", id.Name, path, cause(err)))
			return
		}
		say(fmt.Sprintf("%s may control %s", id.Name, path))
	}
	for _, dir := range dirs {
		services, err := permittable(dir)
		if err != nil {
			done(dir, err)
			continue
		}
		for _, service := range services {
			if err := permit(service, id.GID); !errors.Is(err, errInternal) {
				done(service, err)
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("cannot permit everything: %d directories could not be done", failed)
	}
	return nil
}

// permittable are the services that a directory is, or has. Links in it count where only root could have made them.
func permittable(dir string) ([]string, error) {
	if isDir(filepath.Join(dir, "supervise")) {
		return []string{dir}, nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	trusted := info.Sys().(*syscall.Stat_t).Uid == 0 && info.Mode().Perm()&0o022 == 0
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var services []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && (trusted || e.IsDir()) && isDir(filepath.Join(dir, name, "supervise")) {
			services = append(services, filepath.Join(dir, name))
		}
	}
	slices.Sort(services)
	return services, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// errInternal: the service is s6's own, by whatever name.
var errInternal = errors.New("it is one of s6's own services")

// permit does it to a service, and to its logger.
func permit(service string, gid int) error {
	f, err := os.OpenFile(service, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	place, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return err
	}
	for _, name := range []string{filepath.Base(place), filepath.Base(service)} {
		if internal(name) || strings.HasPrefix(name, "s6-linux-") || strings.HasPrefix(name, ".") {
			return errInternal
		}
	}
	if err := permitIn(int(f.Fd()), gid); err != nil {
		return err
	}
	log, err := unix.Openat(int(f.Fd()), "log", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) || err == unix.ENOTDIR || err == unix.ELOOP {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(log)
	if err := permitIn(log, gid); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("its log: %w", err)
	}
	return nil
}

func permitIn(dir, gid int) error {
	supervise, err := give(dir, "supervise", unix.S_IFDIR, 0o710, gid)
	if err != nil {
		return err
	}
	defer unix.Close(supervise)
	for _, thing := range []struct {
		at     int
		name   string
		format uint32
		mode   uint32
	}{{supervise, "control", unix.S_IFIFO, 0o660}, {dir, "event", unix.S_IFDIR, 0o3730}} {
		fd, err := give(thing.at, thing.name, thing.format, thing.mode, gid)
		if err != nil {
			return err
		}
		_ = unix.Close(fd)
	}
	return nil
}

// give sets group and mode of what is called name, by its descriptor, which it returns: it must be of that type, and,
// being no directory, have no second name.
func give(at int, name string, format, mode uint32, gid int) (fd int, err error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if fd, err = unix.Openat(at, name, flags, 0); err != nil {
		return -1, fmt.Errorf("%s: %w", name, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != format || format != unix.S_IFDIR && st.Nlink > 1:
		err = errors.New("it is not what an s6-supervise makes")
	default:
		// Its group first: that may take the set-group-ID bit away.
		if err = unix.Fchown(fd, -1, gid); err == nil {
			err = unix.Fchmod(fd, mode)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("%s: %w", name, err)
	}
	return fd, nil
}
