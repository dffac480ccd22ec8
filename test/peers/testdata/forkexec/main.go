// Forkexec is the least that a Go program can be measured by: it does nothing but fork and exec, or nothing at all.
package main

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

// main is called as "forkexec sleep" or as "forkexec N PROGRAM [ARGS]"; a %i among ARGS is the number of the child.
func main() {
	if os.Args[1] == "sleep" {
		time.Sleep(1000 * time.Hour)
	}
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(100)
	}
	for i := range n {
		args := append([]string{}, os.Args[2:]...)
		for j := range args {
			if args[j] == "%i" {
				args[j] = strconv.Itoa(i)
			}
		}
		_, err := syscall.ForkExec(args[0], args, &syscall.ProcAttr{
			Env: syscall.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
		})
		if err != nil {
			os.Exit(111)
		}
	}
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			return
		}
	}
}
