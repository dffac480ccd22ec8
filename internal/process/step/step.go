// Package step is what most runs need between the fork and their program: a process that becomes another user, in a
// working directory, and executes the program. It is pintle's own binary, executed once more, and this part of it runs
// before the rest is initialised (see cmd/pintle/early), because every start of a unit with a user pays for it. What goes wrong
// is explained by package process, once the rest is there.
//
// It imports no more than those packages do that are initialised first; a test holds the list.
package step

import (
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// Name is argv[0] of such a process.
const Name = "pintle-become"

// Step is what it does.
type Step struct {
	User User
	// Called is the user's name, for errors.
	Called string
	// Channel is the descriptor on which a step that fails says why. It closes when the program is executed.
	Channel int
	// In is the descriptor of the working directory; 0 where that is Dir, which may be "" for pintle's own.
	In   int
	Dir  string
	Path string
	Args []string
}

// before is how many words stand before the program's own.
const before = 9

// Words are the arguments that the step is executed with.
func (s *Step) Words() []string {
	groups := ""
	for _, g := range s.User.Groups {
		groups += strconv.Itoa(g) + ","
	}
	return append([]string{
		Name, strconv.Itoa(s.User.UID), strconv.Itoa(s.User.GID), groups, s.Called, strconv.Itoa(s.Channel), strconv.Itoa(s.In), s.Dir, s.Path,
	}, s.Args...)
}

// Read undoes Words; it tells whether these are such.
func Read(words []string) (s Step, ok bool) {
	if len(words) <= before || words[0] != Name {
		return Step{}, false
	}
	ok = true
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		ok = ok && err == nil
		return n
	}
	s = Step{
		User:   User{UID: number(words[1]), GID: number(words[2])},
		Called: words[4], Channel: number(words[5]), In: number(words[6]), Dir: words[7], Path: words[8], Args: words[before:],
	}
	for list := words[3]; list != ""; {
		end := 0
		for end < len(list) && list[end] != ',' {
			end++
		}
		s.User.Groups = append(s.User.Groups, number(list[:end]))
		list = list[min(end+1, len(list)):]
	}
	return s, ok
}

// became is set once this thread is the user's. It is read and written by the main thread alone.
var became bool

// Became tells whether Run has got that far before it failed.
func Became() bool { return became }

// Run carries out a step. It returns where these words are none, or where it fails; the goroutine is then locked to its
// thread, which may be the user's.
func Run(words []string) {
	s, ok := Read(words)
	if !ok {
		return
	}
	runtime.LockOSThread() // this thread's signal mask and credentials are the program's
	syscall.CloseOnExec(s.Channel)
	if s.User.Become() != nil {
		return
	}
	became = true
	if s.Enter() == nil {
		_ = syscall.Exec(s.Path, s.Args, syscall.Environ())
	}
}

// Enter makes the working directory this process's.
func (s *Step) Enter() error {
	switch {
	case s.In != 0:
		syscall.CloseOnExec(s.In)
		return syscall.Fchdir(s.In)
	case s.Dir != "":
		return syscall.Chdir(s.Dir)
	}
	return nil
}

// User is who a thread becomes. Credentials belong to a thread (credentials(7)): Go's syscall.Setgroups and its like
// change those of all threads; the functions here change the calling one alone, to which the goroutine must be locked. That
// is what a process needs that executes something from this thread, or throws the thread away.
type User struct {
	UID, GID int
	Groups   []int // supplementary ones; all that it has
}

// Become makes this thread one of the user's, for good.
func (u User) Become() error {
	err := SetGroups(u.Groups)
	if err == nil {
		err = SetAll(syscall.SYS_SETRESGID, u.GID)
	}
	if err == nil {
		err = SetAll(syscall.SYS_SETRESUID, u.UID)
	}
	return err
}

// SetAll is setresuid(2) or setresgid(2) with one id for the real, the effective and the saved one.
func SetAll(call uintptr, id int) error {
	if _, _, errno := syscall.RawSyscall(call, uintptr(id), uintptr(id), uintptr(id)); errno != 0 {
		return errno
	}
	return nil
}

// SetGroups is setgroups(2).
func SetGroups(groups []int) error {
	list := make([]uint32, len(groups)+1) // one more, so that there is a first one to point to
	for i, g := range groups {
		list[i] = uint32(g)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0); errno != 0 {
		return errno
	}
	return nil
}
