// Command limit is the least that a program of Go can do as an init: it starts
// the program that follows "--", forwards signals, reaps, and ends with the
// program's code. Nothing is decided, nobody else is told or waited for, and what
// comes before the program runs is lost. The
// suite builds it by itself, and once more into exeunt's own package main, to show
// what a program costs of which nothing but the Go runtime and the
// initialization of what exeunt imports has run.
package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func init() {
	program := os.Args[slices.Index(os.Args, "--")+1:]
	pid, err := syscall.ForkExec(program[0], program, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		os.Exit(127)
	}
	// Before the fork it would cost the start of the app a millisecond or more.
	received := make(chan os.Signal, 64)
	signal.Notify(received, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for sig := range received {
			_ = syscall.Kill(pid, sig.(syscall.Signal))
		}
	}()
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case err != nil && err != syscall.EINTR:
			os.Exit(125)
		case ended == pid && status.Signaled():
			os.Exit(128 + int(status.Signal()))
		case ended == pid:
			os.Exit(status.ExitStatus())
		}
	}
}
