package logs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"pintle/internal/engine"
	"pintle/internal/unit"
)

// quiet is the part of a process in which 1,000 units have both streams captured, and files in the directory of its
// argument. It prints the bytes that all that holds: at first, and once each stream has said one line.
func quiet() error {
	const units = 1000
	limit := unix.Rlimit{Cur: 5*units + 100, Max: 5*units + 100}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	names, dirs, writers := make([]unit.Name, units), make([]string, units), make([][2]int, units)
	for i := range units {
		names[i], dirs[i] = journalName(i), filepath.Join(os.Args[1], string(journalName(i)))
	}
	before := memory()
	b := NewBook(Options{})
	for i := range units {
		j := b.Journal(names[i])
		j.Configure(Output{File: &File{Directory: dirs[i], Size: 1 << 20, Keep: 10, UID: os.Geteuid()}})
		for k, stream := range []string{engine.Stdout, engine.Stderr} {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
				return err
			}
			writers[i][k] = p[1]
			j.Capture(1, stream, os.NewFile(uintptr(p[0]), "pipe"))
		}
	}
	fresh := memory() - before
	said := []byte("hello\n")
	for i, both := range writers {
		for _, w := range both {
			if _, err := unix.Write(w, said); err != nil {
				return err
			}
		}
		for len(b.Journal(names[i]).Tail(2)) < 2 {
			runtime.Gosched()
		}
		for there := 0; there < 2; runtime.Gosched() {
			file, _ := os.ReadFile(dirs[i] + "/current") // it will be there
			there = bytes.Count(file, said)
		}
	}
	used := memory() - before
	fmt.Println(fresh, used)
	for _, both := range writers {
		unix.Close(both[0])
		unix.Close(both[1])
	}
	return b.Close(context.Background())
}

// memory is what the heap, the stacks and the runtime's own tables (pollers among them) hold.
func memory() int {
	for range 3 { // pools and stacks give way in a second collection
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse + m.MSpanInuse + m.OtherSys)
}
