package drive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"pintle/internal/account"
	"pintle/internal/process"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// LaunchRole is the word by which a run script asks pintle to make a run of its process.
const LaunchRole = "s6-launch"

// maxEnvFile is the longest file of variables that is read.
const maxEnvFile = 1 << 20

// launch is what Launch does before it executes the command.
type launch struct {
	user, containerEnvironment, directory, umask string
	files                                        []unit.EnvFile
	set                                          []string
	command                                      []string
}

// Launch becomes a user, reads files of variables with that user's rights, and executes a command:
//
//	[--user U] [--container-environment D] [--env-file F | --optional-env-file F]… [--set KEY=VALUE]…
//	[--directory D] [--umask M] -- COMMAND…
//
// All of that is here and not in a script, because a shell has variables of its own that it lets nobody set, or not to
// anything (bash's UID, OPTIND), and ends where a container has one of that name. Of the variables the later ones count.
// Who is not root stays who he is, as everywhere in pintle. It returns only an error.
func Launch(args []string, environ []string) error {
	l, err := readLaunch(args)
	if err != nil {
		return fmt.Errorf("cannot launch anything: %w", err)
	}
	if err := l.execute(environ); err != nil {
		return fmt.Errorf("cannot launch %s: %w", l.command[0], err)
	}
	return nil
}

func readLaunch(args []string) (l launch, err error) {
	for len(args) > 1 && args[0] != "--" {
		value := args[1]
		switch args[0] {
		case "--user":
			l.user = value
		case "--container-environment":
			l.containerEnvironment = value
		case "--env-file", "--optional-env-file":
			l.files = append(l.files, unit.EnvFile{Path: value, Optional: args[0] != "--env-file"})
		case "--set":
			l.set = append(l.set, value)
		case "--directory":
			l.directory = value
		case "--umask":
			l.umask = value
		default:
			return l, fmt.Errorf("there is no option %q", args[0])
		}
		args = args[2:]
	}
	if len(args) < 2 {
		return l, errors.New("there is no command")
	}
	l.command = args[1:]
	return l, nil
}

func (l *launch) execute(environ []string) error {
	env := variables{}
	env.set(environ)
	if l.containerEnvironment != "" {
		env.load(l.containerEnvironment)
	}
	id := process.Self(account.Database{})
	if l.user != "" && os.Geteuid() == 0 {
		var err error
		if id, err = process.Resolve(account.Database{}, l.user); err != nil {
			return err
		}
		if err := become(id.UID, id.GID, id.Groups); err != nil {
			return err
		}
		env["HOME"], env["USER"], env["LOGNAME"] = id.Home, id.Name, id.Name
	}
	for _, f := range l.files {
		data, err := trust.ReadForeign(f.Path, os.Geteuid(), maxEnvFile)
		if errors.Is(err, fs.ErrNotExist) && f.Optional {
			continue
		}
		var entries []string
		if err == nil {
			entries, err = unit.ParseEnvFile(data)
		}
		if err != nil { // not by way of %w: that a file is missing is not that the command is
			return fmt.Errorf("env_file %s: %v", f.Path, err)
		}
		env.set(entries)
	}
	if l.directory != "" {
		env["PWD"] = l.directory
	}
	env.set(l.set)
	if l.umask != "" {
		mask, err := strconv.ParseUint(l.umask, 8, 32)
		if err != nil {
			return fmt.Errorf("the umask %q is no octal number", l.umask)
		}
		syscall.Umask(int(mask))
	}
	if l.directory != "" {
		if err := os.Chdir(l.directory); err != nil {
			return fmt.Errorf("its directory: %v", cause(err))
		}
	}
	list := env.list()
	path, err := process.LookPath(l.command[0], process.PathOf(list), l.directory, &id)
	if err != nil {
		return err
	}
	if err := process.DefaultSignals(); err != nil {
		return err
	}
	return syscall.Exec(path, l.command, list)
}

// variables are an environment.
type variables map[string]string

func (v variables) set(entries []string) {
	for _, entry := range entries {
		if key, value, ok := strings.Cut(entry, "="); ok {
			v[key] = value
		}
	}
}

// load takes over what s6-overlay keeps of the container's environment, a file for each variable, as its with-contenv
// does: the whole file is the value, an empty one is none, and what no variable can have in it is a newline.
func (v variables) load(directory string) {
	entries, _ := os.ReadDir(directory) // without s6-overlay there is none
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || strings.Contains(name, "=") {
			continue
		}
		data, err := trust.ReadForeign(directory+"/"+name, os.Geteuid(), maxEnvFile)
		switch {
		case err != nil:
		case len(data) == 0:
			delete(v, name)
		default:
			v[name] = strings.ReplaceAll(string(data), "\x00", "\n")
		}
	}
}

func (v variables) list() []string {
	list := make([]string, 0, len(v))
	for key, value := range v {
		list = append(list, key+"="+value)
	}
	return list
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
	if e, ok := errors.AsType[*process.ExecError](err); ok {
		return e.Code
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
