package supervisor

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"pintle/internal/account"
	"pintle/internal/lifecycle"
	"pintle/internal/process"
	"pintle/internal/trust"
	"pintle/internal/unit"
)

// spawn executes a unit's command as a new run; it is a worker, and of the record
// it reads only what never changes. However it fails, the run has then ended:
// with a code as a shell gives it, and a sentence, which is in its log too.
func (s *Supervisor) spawn(u *record, spec *unit.Spec, command []string, number uint64) {
	err := s.execute(u, spec, command, number)
	if err == nil {
		return
	}
	if spec.Kind != unit.Main {
		s.o.Logs.Journal(spec.Name).Note(number, err.Error())
	}
	code := 126
	if e, ok := errors.AsType[*process.ExecError](err); ok {
		code = e.Code
	}
	s.happened(u, lifecycle.Event{
		Kind: lifecycle.SpawnFailed, Run: number, Exit: unit.Exit{Code: code}, Err: err.Error(),
	})
}

func (s *Supervisor) execute(u *record, spec *unit.Spec, command []string, number uint64) error {
	l, err := s.launch(spec, command, number)
	if err != nil {
		return err
	}
	if r := spec.Readiness; r != nil && r.FD > 0 {
		read, write, err := process.Pipe()
		if err != nil {
			return err
		}
		defer write.Close()
		l.More = map[int]*os.File{r.FD: write}
		s.entrust(u, number, read, func() { u.ready = read })
	}
	if talks(spec) && (s.o.RunDirectory != "" || mustTalk(spec)) {
		if err := s.giveSocket(u, number, &l); err != nil {
			return err
		}
	}
	hooks := Hooks{
		Started: func(r Run) { s.spawned(u, number, r) },
		Exited: func(e unit.Exit, used unit.Usage) {
			s.do(func(s *Supervisor) {
				if u.life.Run == number {
					u.books.used = used
				}
				s.step(u, lifecycle.Event{Kind: lifecycle.Exited, Run: number, Exit: e})
			})
		},
	}
	if spec.Kind == unit.Main {
		l.Files = [3]*os.File{os.Stdin, os.Stdout, os.Stderr}
		l.Terminal = s.o.Terminal
		l.Journal = nil
	}
	_, err = s.o.Kernel.Start(l, hooks)
	return err
}

// giveSocket makes the socket on which a run talks to pintle, and tells the run.
func (s *Supervisor) giveSocket(u *record, number uint64, l *Launch) error {
	path := s.notifySocket()
	if path == "" {
		return errors.New("cannot give it a NOTIFY_SOCKET: there is no place for one, see pintle status")
	}
	socket, err := s.o.Kernel.Listen(path, l.Identity.UID)
	if err != nil {
		return err
	}
	l.Env = append(l.Env, "NOTIFY_SOCKET="+path)
	s.entrust(u, number, socket, func() {
		u.socket = socket
		go s.listen(u, number, socket)
	})
	return nil
}

// entrust gives the loop what a run needs; what comes too late is closed.
func (s *Supervisor) entrust(u *record, number uint64, thing io.Closer, take func()) {
	taken := s.do(func(*Supervisor) {
		if u.life.Run == number && u.life.Alive() {
			take()
		} else {
			_ = thing.Close() // nobody has it
		}
	})
	if !taken {
		_ = thing.Close()
	}
}

// launch makes what is executed of a unit's command, or of another command that
// belongs to a run of it.
func (s *Supervisor) launch(spec *unit.Spec, command []string, number uint64) (Launch, error) {
	id, err := s.identity(spec.User)
	if err != nil {
		return Launch{}, err
	}
	environ, err := s.environment(spec, number, id)
	if err != nil {
		return Launch{}, err
	}
	s.conceal(environ)
	path, err := process.LookPath(command[0], process.PathOf(environ), spec.WorkingDir, id)
	if err != nil {
		return Launch{}, err
	}
	return Launch{
		Command: process.Command{
			Path: path, Args: command, Env: environ, Dir: spec.WorkingDir, Identity: id, Attributes: spec.Attributes,
			Unit: spec.Name, Number: number,
		},
		Journal: s.o.Logs.Journal(spec.Name),
	}, nil
}

// Identity is who a unit with this user runs as. Where pintle is not root there
// is only one answer, itself: it can switch to nobody, and a container that was
// started as some user (docker run --user) means all of it to run as that user.
func Identity(accounts account.Database, user string) (*process.Identity, error) {
	self := process.Self(accounts)
	if user == "" || self.UID != 0 {
		return &self, nil
	}
	id, err := process.Resolve(accounts, user)
	if err != nil {
		return nil, err
	}
	return &id, nil
}

// identity is the same for this supervisor, which looks itself up once.
func (s *Supervisor) identity(user string) (*process.Identity, error) {
	if user == "" {
		return s.self(), nil
	}
	return Identity(s.o.Accounts, user)
}

// environment is the whole environment, but for the mark, of everything that is
// executed for a run, sorted: the container's, then what a change of user changes
// (as login(1) has it), then what the unit declares, in files and itself, then
// what pintle says of the run.
func (s *Supervisor) environment(spec *unit.Spec, run uint64, id *process.Identity) ([]string, error) {
	over := map[string]string{} // what is otherwise than in the container's
	if id.UID != os.Geteuid() {
		over["HOME"], over["USER"], over["LOGNAME"] = id.Home, id.Name, id.Name
	}
	for _, file := range spec.EnvFiles {
		entries, err := readEnvFile(file, id)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if key, value, ok := strings.Cut(entry, "="); ok {
				over[key] = value
			}
		}
	}
	maps.Copy(over, spec.Environment)
	s.introduce(over, spec, run)
	return s.environ.with(over), nil
}

// environ are the variables of an environment, sorted by their names, each once. Most runs have most of the container's, so those
// are sorted once for all.
type environ []variable

type variable struct{ name, entry string }

// newEnviron takes entries as environ(7) has them; of two with one name the last counts.
func newEnviron(entries []string) environ {
	last := map[string]string{}
	for _, entry := range entries {
		if name, _, ok := strings.Cut(entry, "="); ok {
			last[name] = entry
		}
	}
	list := make(environ, 0, len(last))
	for _, name := range slices.Sorted(maps.Keys(last)) {
		list = append(list, variable{name, last[name]})
	}
	return list
}

// absent is the value of a variable that is to be none. No value has a zero byte.
const absent = "\x00"

// with is the environment with other values for some variables.
func (e environ) with(over map[string]string) []string {
	list := make([]string, 0, len(e)+len(over)+1) // and NOTIFY_SOCKET
	add := func(name string) {
		if value := over[name]; value != absent {
			list = append(list, name+"="+value)
		}
	}
	names := slices.Sorted(maps.Keys(over))
	for _, v := range e {
		for len(names) > 0 && names[0] < v.name {
			add(names[0])
			names = names[1:]
		}
		if len(names) > 0 && names[0] == v.name {
			continue // it is added before the next one, or below
		}
		list = append(list, v.entry)
	}
	for _, name := range names {
		add(name)
	}
	return list
}

// introduce says of a run what it may want to know. What a pintle or a service
// manager outside this container said to pintle is not the run's, but main's.
func (s *Supervisor) introduce(env map[string]string, spec *unit.Spec, run uint64) {
	for _, name := range []string{"PINTLE_MARK", "PINTLE_TEMPLATE", "PINTLE_INSTANCE", "PINTLE_STOP_FILE", "PINTLE_MAIN_PID", "PINTLE_FENCE"} {
		env[name] = absent // of a run of an outer pintle
	}
	env["PINTLE_UNIT"], env["PINTLE_RUN"] = string(spec.Name), strconv.FormatUint(run, 10)
	if spec.Name.Template() != "" {
		env["PINTLE_TEMPLATE"], env["PINTLE_INSTANCE"] = spec.Name.Template(), spec.Name.Instance()
	}
	if fence := s.fence(spec); fence > 0 {
		env["PINTLE_FENCE"] = strconv.FormatUint(fence, 10)
	}
	env["PINTLE_STOP_GRACE"] = strconv.FormatFloat(spec.Stop.Grace.Seconds(), 'f', -1, 64)
	if file := s.stopFile(spec.Name, run); file != "" {
		env["PINTLE_STOP_FILE"] = file
	}
	if spec.Kind == unit.Main {
		return
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		env[name] = absent
	}
	if spec.Watchdog > 0 {
		env["WATCHDOG_USEC"] = strconv.FormatInt(spec.Watchdog.Microseconds(), 10)
	}
}

// maxEnvFile is the longest file of variables that is read; execve(2) takes no more than a few MiB anyway.
const maxEnvFile = 1 << 20

// readEnvFile reads a file of variables. One that only root can have written is
// read as pintle, since it may hold what the user must not read in the file; any
// other with the user's own rights, so that nobody can have a link followed that
// he could not follow himself. What runs with pintle's own rights takes variables
// from no such file: LD_PRELOAD is one.
func readEnvFile(file unit.EnvFile, id *process.Identity) ([]string, error) {
	data, err := trust.ReadFile(file.Path, os.Geteuid())
	if err != nil && id.UID != 0 && id.UID != os.Geteuid() {
		data, err = process.ReadFileAs(id, file.Path, maxEnvFile)
	}
	switch {
	case errors.Is(err, os.ErrNotExist) && file.Optional:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot use env_file: %w", err)
	}
	entries, err := unit.ParseEnvFile(data)
	if err != nil {
		return nil, fmt.Errorf("cannot use env_file %s: %w", file.Path, err)
	}
	return entries, nil
}
