package logs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
)

// profileVariable names a file to which pintle's logger writes its profile: -cpuprofile is about the writers.
const profileVariable = "PINTLE_LOGS_TEST_PROFILE"

// beside are the loggers that are compared. A process of the first kind takes all pipes; the others need one for each.
var beside = []struct {
	name    string
	command func(dir string) *exec.Cmd // dir exists, and is empty
	stamp   string                     // the form of the time in front of a line
}{
	{"pintle", func(dir string) *exec.Cmd { return play("logger", dir) }, stampForm + " out"},
	{"s6-log", func(dir string) *exec.Cmd { return exec.Command("s6-log", "-b", "n10", "s1000000", "T", dir) }, "2006-01-02 15:04:05.999999999"},
	{"svlogd", func(dir string) *exec.Cmd { return exec.Command("svlogd", "-tt", dir) }, "2006-01-02_15:04:05.99999"},
}

// BenchmarkBesideOthers: pintle's logger gets through at least as many bytes in a second of CPU time as the better of
// s6-log and svlogd do, from the same writers, in turns, to the same file system, all with the time in front of each line and
// with 11 files of at most 1 MB. Lines are of 100 bytes; what is measured is what the loggers themselves take, in user and
// kernel, from their start to their end. One operation is all rounds of all loggers; the figures are medians of the rounds.
func BenchmarkBesideOthers(b *testing.B) {
	for _, l := range beside[1:] {
		if _, err := exec.LookPath(l.name); err != nil {
			b.Fatalf("cannot compare: %v: it is in Debian's packages s6 and runit", err)
		}
	}
	for _, scale := range []struct{ writers, bytes, rounds int }{
		{1, 200_000_000, 5},
		{200, 5_000_000, 3},
	} {
		b.Run(fmt.Sprintf("writers=%d", scale.writers), func(b *testing.B) {
			raiseFileLimit(b, uint64(2*scale.writers+100))
			input := numbered(scale.bytes)
			rates := map[string][]float64{}
			for b.Loop() {
				for range scale.rounds {
					for i, l := range beside {
						cpu := besideRound(b, i, scale.writers, input)
						rates[l.name] = append(rates[l.name], float64(scale.writers*scale.bytes)/1e6/cpu.Seconds())
					}
				}
			}
			own, best := 0.0, 0.0
			for _, l := range beside {
				slices.Sort(rates[l.name])
				median := rates[l.name][len(rates[l.name])/2]
				b.ReportMetric(median, l.name+"-MB/cpu-s")
				if l.name == "pintle" {
					own = median
				} else {
					best = max(best, median)
				}
			}
			b.ReportMetric(own/best, "of-the-best")
		})
	}
}

// besideRound has a logger take the same input from a number of writers, and returns the CPU time that it took.
func besideRound(b *testing.B, which, writers int, input []byte) (cpu time.Duration) {
	b.Helper()
	logger, dir := beside[which], scratch(b)
	defer os.RemoveAll(dir)
	var processes []*exec.Cmd
	var from, to []*os.File // the ends of the pipes
	var dirs []string
	for i := range writers {
		r, w := pipe(b)
		dirs, from, to = append(dirs, filepath.Join(dir, strconv.Itoa(i))), append(from, r), append(to, w)
		must(b, os.Mkdir(dirs[i], 0o755))
		if logger.name == "pintle" {
			if i == 0 {
				processes = append(processes, logger.command(dir))
			}
			processes[0].ExtraFiles = append(processes[0].ExtraFiles, r)
			continue
		}
		must(b, os.WriteFile(dirs[i]+"/config", []byte("s1000000\nn10\n"), 0o644)) // svlogd's
		one := logger.command(dirs[i])
		one.Stdin = r
		processes = append(processes, one)
	}
	for _, p := range processes {
		p.Stderr = os.Stderr
		must(b, p.Start())
	}
	for _, r := range from {
		r.Close() // a logger that dies is one that its writer hears of
	}
	var done sync.WaitGroup
	for _, w := range to {
		done.Go(func() {
			if _, err := w.Write(input); err != nil {
				b.Error(err)
			}
			w.Close()
		})
	}
	done.Wait()
	for _, p := range processes {
		must(b, p.Wait())
		cpu += p.ProcessState.UserTime() + p.ProcessState.SystemTime()
	}
	for _, dir := range dirs {
		sameEnd(b, dir, logger.stamp, input)
	}
	return cpu
}

// sameEnd sees to it that a logger has done the work: its files hold the input's last lines, each behind its time.
func sameEnd(b *testing.B, dir, stamp string, input []byte) {
	b.Helper()
	got, err := os.ReadFile(dir + "/current")
	must(b, err)
	older, err := filepath.Glob(dir + "/[@_2]*") // s6-log's, svlogd's, pintle's
	must(b, err)
	slices.Sort(older)
	if n := len(older); n > 10 || n < min(10, len(input)/1_000_000) {
		b.Fatalf("%d older files are in %s", n, dir)
	}
	if len(got) == 0 {
		got, err = os.ReadFile(older[len(older)-1])
		must(b, err)
	}
	last := bytes.TrimSuffix(got, []byte("\n"))
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	want := input[len(input)-len(hundred) : len(input)-1]
	at, ok := bytes.CutSuffix(last, append([]byte(" "), want...))
	if _, err := time.Parse(stamp, string(bytes.TrimSpace(at))); err != nil || !ok {
		b.Fatalf("%s/current ends with %q: %v", dir, last, err)
	}
}

// numbered is a number of bytes in lines of 100, each with its number.
func numbered(size int) []byte {
	input := make([]byte, 0, size)
	for i := 0; len(input) < size; i++ {
		input = fmt.Appendf(input, "%010d %s", i, hundred[11:])
	}
	return input
}

// logger is pintle's logger as a process: it takes what comes from all pipes that it was given, the descriptors from 3 on,
// each to a directory of its own in the one that its argument names.
func logger() error {
	if path := os.Getenv(profileVariable); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	dirs, err := os.ReadDir(os.Args[1])
	if err != nil {
		return err
	}
	b := NewBook(Options{})
	for i := range dirs {
		j := b.Journal(journalName(i))
		j.Configure(Output{File: &File{Directory: filepath.Join(os.Args[1], strconv.Itoa(i)), Size: 1_000_000, Keep: 10, UID: os.Geteuid()}})
		if err := unix.SetNonblock(3+i, true); err != nil {
			return err
		}
		j.Capture(1, engine.Stdout, os.NewFile(uintptr(3+i), "pipe"))
	}
	return b.Close(context.Background())
}
