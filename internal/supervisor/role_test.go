package supervisor

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/unit"
)

// A unit of a test often has to do what no shell can: to talk on its
// NOTIFY_SOCKET, to answer HTTP, to be signalled at the right moment. So the
// test binary itself is such a unit's program, when its first word is this one.
const roleName = "play-the-part"

// play is a unit's part, in words that are done one after the other:
//
//	exit N | sleep                 the last word of a part
//	write F T                      adds the line T to the file F
//	pid F                          adds its process number to the file F
//	say T                          writes the line T to standard output
//	until F                        waits until there is a file F
//	once F [ WORDS ]               plays WORDS if there is no file F yet, and makes it first
//	on SIG [ WORDS ]               plays WORDS when the signal comes
//	ignore SIG
//	notify M | notify-to P M       sends M, in which ; stands for a newline, to NOTIFY_SOCKET or to P
//	notify-big N                   sends N bytes with READY=1 among them, as far as they let themselves be sent
//	pings F                        sends WATCHDOG=1 all the time, until there is a file F
//	fd N T | close N               writes T, in which ; stands for a newline, to a descriptor, or closes it
//	tcp A | http A F               listens there; answers 200 there, and 500 while there is a file F
//	fork [ WORDS ] | daemon [ … ]  makes a child with a part of its own; in a session of its own
//	env F                          writes its environment to the file F
//	copy V F                       copies the file that the variable V names to the file F
//	print N                        writes N megabytes to standard output
func play(words []string) {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		arg := func() string {
			a := words[0]
			words = words[1:]
			return a
		}
		part := func() (inner []string) {
			inner, words = bracketed(words)
			return inner
		}
		if err := playWord(word, arg, part); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", word, err)
			syscall.Exit(99)
		}
	}
	syscall.Exit(0) // and not os.Exit, before which the race detector sleeps
}

func playWord(word string, arg func() string, part func() []string) (err error) {
	switch word {
	case "exit":
		syscall.Exit(number(arg()))
	case "sleep":
		select {}
	case "write":
		err = addLine(arg(), arg())
	case "pid":
		err = addLine(arg(), strconv.Itoa(os.Getpid()))
	case "say":
		_, err = fmt.Println(arg())
	case "until":
		untilThere(arg())
	case "once":
		file, inner := arg(), part()
		if f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o666); err == nil {
			f.Close()
			play(inner)
		}
	case "on":
		came := make(chan os.Signal, 1)
		signal.Notify(came, syscall.Signal(number(arg())))
		inner := part()
		go func() {
			<-came
			play(inner)
		}()
	case "ignore":
		signal.Ignore(syscall.Signal(number(arg())))
	case "notify":
		err = notifyTo(os.Getenv("NOTIFY_SOCKET"), arg())
	case "notify-to":
		err = notifyTo(arg(), arg())
	case "notify-big":
		_ = notifyTo(os.Getenv("NOTIFY_SOCKET"), "READY=1;X="+strings.Repeat("x", number(arg())))
	case "pings":
		for file := arg(); !there(file) && err == nil; time.Sleep(10 * time.Millisecond) {
			err = notifyTo(os.Getenv("NOTIFY_SOCKET"), "WATCHDOG=1")
		}
	case "fd":
		_, err = unix.Write(number(arg()), []byte(strings.ReplaceAll(arg(), ";", "\n")))
	case "close":
		err = unix.Close(number(arg()))
	case "tcp":
		_, err = net.Listen("tcp", arg())
	case "http":
		err = serveHTTP(arg(), arg())
	case "fork":
		err = fork(false, part())
	case "daemon":
		err = fork(true, part())
	case "env":
		err = addLine(arg(), strings.Join(slices.Sorted(slices.Values(os.Environ())), "\n"))
	case "copy":
		var text []byte
		if text, err = os.ReadFile(os.Getenv(arg())); err == nil {
			err = addLine(arg(), strings.TrimSpace(string(text)))
		}
	case "print":
		line := append(bytes.Repeat([]byte("x"), 1023), '\n')
		for range number(arg()) << 10 {
			_, err = os.Stdout.Write(line)
		}
	default:
		err = fmt.Errorf("no such word")
	}
	return err
}

// bracketed splits "[ a [ b ] ] c" into "a [ b ]" and "c".
func bracketed(words []string) (inner, rest []string) {
	depth := 0
	for i, w := range words {
		switch w {
		case "[":
			depth++
		case "]":
			if depth--; depth == 0 {
				return words[1:i], words[i+1:]
			}
		}
	}
	return words[1:], nil
}

func number(word string) int {
	if n, err := strconv.Atoi(word); err == nil {
		return n
	}
	return int(unix.SignalNum("SIG" + word))
}

// addLine adds a line to a file in one write, so that a reader never sees half of it.
func addLine(file, text string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.WriteString(f, text+"\n")
	return err
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func untilThere(file string) {
	for !there(file) {
		time.Sleep(2 * time.Millisecond)
	}
}

func notifyTo(path, message string) error {
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.WriteString(conn, strings.ReplaceAll(message, ";", "\n"))
	return err
}

func serveHTTP(address, broken string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if there(broken) {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
	}()
	return nil
}

func fork(session bool, words []string) error {
	_, err := syscall.ForkExec("/proc/self/exe", append([]string{os.Args[0], roleName}, words...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: session},
	})
	return err
}

// part is the command that plays these words. %s in them stands for the directory.
func part(directory, words string) []string {
	return append([]string{os.Args[0], roleName}, strings.Fields(strings.ReplaceAll(words, "%s", directory))...)
}

// player is a unit with a part to play.
func player(name unit.Name, directory, words string, change ...func(*unit.Spec)) unit.Spec {
	return service(name, "", append([]func(*unit.Spec){func(s *unit.Spec) { s.Command = part(directory, words) }}, change...)...)
}

// stage is a directory that every user may write to, with another in it for the runs' sockets and stop files.
func stage(t *testing.T) (directory, runs string) {
	t.Helper()
	directory = t.TempDir()
	for d := directory; d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	runs = filepath.Join(directory, "runs")
	if err := os.Mkdir(runs, 0o755); err != nil {
		t.Fatal(err)
	}
	return directory, runs
}

// newStagedWorld is a world whose files are in directory, and whose runs can talk.
func newStagedWorld(t *testing.T, directory, runs string, services ...unit.Spec) *world {
	t.Helper()
	w := newWorld(t, Options{Services: services, RunDirectory: runs})
	w.dir = directory
	return w
}

// program is a copy of this binary that every user may execute.
func program(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(path+"~", text, 0o755)
	}
	if err == nil {
		err = os.Chmod(path+"~", 0o755)
	}
	if err == nil {
		err = os.Rename(path+"~", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// make makes an empty file in the world's directory, for which some part waits.
func (w *world) make(name string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), nil, 0o666); err != nil {
		w.t.Fatal(err)
	}
}

// pidIn is the process number in a file in the world's directory.
func (w *world) pidIn(name string) int {
	w.t.Helper()
	pid, err := strconv.Atoi(w.untilFile(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

// linesIn counts the lines of a file in the world's directory.
func (w *world) linesIn(name string) int {
	text, _ := os.ReadFile(filepath.Join(w.dir, name))
	return bytes.Count(text, []byte("\n"))
}

// quick makes a unit's backoff short enough to wait for.
func quick(s *unit.Spec) {
	s.Backoff = unit.BackoffRule{Initial: 5 * time.Millisecond, Max: 20 * time.Millisecond, Factor: 2}
}

// grace sets a unit's grace period.
func grace(d time.Duration) func(*unit.Spec) {
	return func(s *unit.Spec) { s.Stop.Grace = d }
}

// on adds a dependency.
func on(name unit.Name, condition unit.Condition) func(*unit.Spec) {
	return func(s *unit.Spec) {
		s.DependsOn = append(s.DependsOn, unit.Dependency{On: name, Condition: condition})
	}
}

// untilLines waits until a file in the world's directory has so many lines.
func (w *world) untilLines(name string, n int) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); w.linesIn(name) < n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s has only %d lines of %d", name, w.linesIn(name), n)
		}
	}
}
