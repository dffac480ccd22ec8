package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tasksOf are the directories of all threads of processes.
func tasksOf(pids []int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, pid := range pids {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
			for _, t := range tasks {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// fieldOf is the sum of the numbers that stand in a file of /proc behind any of some words.
func fieldOf(path string, words ...string) (sum int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		word, value, _ := strings.Cut(lines.Text(), ":")
		for _, w := range words {
			var n int64
			if word == w {
				if _, err := fmt.Sscan(value, &n); err != nil {
					return 0, fmt.Errorf("cannot read %s: %w", path, err)
				}
				sum += n
			}
		}
	}
	return sum, lines.Err()
}

// pssOf is the proportional set size of processes together, in MB.
func (w *workshop) pssOf(pids []int) (megabytes float64) {
	w.Helper()
	for _, pid := range pids {
		kilobytes, err := fieldOf(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) { // it has ended since it was listed
			continue
		}
		w.must(err)
		megabytes += float64(kilobytes) * 1024 / 1e6
	}
	return megabytes
}

// rssOf is the resident memory of one process, in MB.
func (w *workshop) rssOf(pid int) float64 {
	w.Helper()
	kilobytes, err := fieldOf(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
	w.must(err)
	return float64(kilobytes) * 1024 / 1e6
}

// switchesOf counts how often each thread was put on a processor, by its directory in /proc.
func switchesOf(pids []int) map[string]int64 {
	counts := map[string]int64{}
	for task := range tasksOf(pids) {
		if n, err := fieldOf(task+"/status", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"); err == nil {
			counts[task] = n
		}
	}
	return counts
}

// since is the difference of two counts, thread by thread, without those that did not move.
func since(before, after map[string]int64) (moved map[string]int64, sum int64) {
	moved = map[string]int64{}
	for task, n := range after {
		if d := n - before[task]; d > 0 {
			moved[task] = d
			sum += d
		}
	}
	return moved, sum
}

// settled says in words what settle waits for.
const settled = "once pintle has given back what only its start needed (after five seconds; the others have had one)"

// settle waits until a supervisor's memory is what it stays at.
func (w *workshop) settle(s supervisor) {
	wait := time.Second
	switch {
	case w.size == smoke:
		wait /= 10
	case s.name == pintle.name:
		wait = 6 * time.Second
	}
	time.Sleep(wait)
}
