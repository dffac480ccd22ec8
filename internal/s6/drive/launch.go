package drive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"pintle/internal/account"
	"pintle/internal/process"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// LaunchRole is the word by which a run script asks pintle to become its user.
const LaunchRole = "s6-launch"

// maxEnvFile is the longest file of variables that is read.
const maxEnvFile = 1 << 20

// Launch becomes a user, reads files of variables with that user's rights, and executes a command:
//
//	[--user U] [--env-file F | --optional-env-file F]… -- COMMAND…
//
// Who is not root stays who he is, as everywhere in pintle. It returns only an error.
func Launch(args []string, environ []string) error {
	var (
		user  string
		files []unit.EnvFile
	)
	for len(args) > 1 && args[0] != "--" {
		switch args[0] {
		case "--user":
			user = args[1]
		case "--env-file", "--optional-env-file":
			files = append(files, unit.EnvFile{Path: args[1], Optional: args[0] != "--env-file"})
		default:
			return fmt.Errorf("cannot launch anything: there is no option %q", args[0])
		}
		args = args[2:]
	}
	if len(args) < 2 {
		return errors.New("cannot launch anything: there is no command")
	}
	command := args[1:]
	env := map[string]string{}
	set := func(entries []string) {
		for _, entry := range entries {
			if key, value, ok := strings.Cut(entry, "="); ok {
				env[key] = value
			}
		}
	}
	set(environ)
	if user != "" && os.Geteuid() == 0 {
		id, err := process.Resolve(account.Database{}, user)
		if err == nil {
			err = become(id.UID, id.GID, id.Groups)
		}
		if err != nil {
			return fmt.Errorf("cannot launch %s: %w", command[0], err)
		}
		env["HOME"], env["USER"], env["LOGNAME"] = id.Home, id.Name, id.Name
	}
	for _, f := range files {
		data, err := trust.ReadForeign(f.Path, os.Geteuid(), maxEnvFile)
		if errors.Is(err, fs.ErrNotExist) && f.Optional {
			continue
		}
		var entries []string
		if err == nil {
			entries, err = unit.ParseEnvFile(data)
		}
		if err != nil {
			return fmt.Errorf("cannot use env_file %s: %w", f.Path, err)
		}
		set(entries)
	}
	list := make([]string, 0, len(env))
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	return fmt.Errorf("cannot execute %s: %w", command[0], syscall.Exec(command[0], command, list))
}

// GiveUpRoot becomes the owner of a directory, where root works in one of somebody else's: what is done there is then
// done with the owner's rights, and a symlink of his leads nowhere that he could not go himself.
func GiveUpRoot(directory string) error {
	info, err := os.Stat(directory)
	if err != nil || os.Geteuid() != 0 {
		return nil // who opens it will say so
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid == 0 {
		return nil
	}
	id, err := process.Resolve(account.Database{}, fmt.Sprint(st.Uid))
	if err == nil {
		err = become(id.UID, id.GID, id.Groups)
	}
	if err != nil {
		return fmt.Errorf("cannot work in %s with the rights of its owner: %w", directory, err)
	}
	return nil
}

// Owner is the uid of whose a scan directory is.
func Owner(directory string) (string, error) {
	info, err := os.Stat(directory)
	if err != nil {
		return "", fmt.Errorf("cannot tell whose %s is: %w", directory, cause(err))
	}
	return fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid), nil
}

// LaunchCode is the exit code for an error of Launch's, as a shell has it.
func LaunchCode(err error) int {
	if errors.Is(err, fs.ErrNotExist) {
		return 127
	}
	return 126
}

// become makes the whole process another user's.
func become(uid, gid int, groups []int) error {
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("cannot set groups: %w", err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("cannot become group %d: %w", gid, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("cannot become uid %d: %w", uid, err)
	}
	return nil
}
