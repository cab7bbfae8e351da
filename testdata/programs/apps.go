package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// deaf says what it gets of TERM and INT, and only KILL ends it.
func deaf([]string) int {
	got := make(chan os.Signal, 16)
	signal.Notify(got, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("ready")
	for s := range got {
		fmt.Println("got", int(s.(syscall.Signal)))
	}
	return 0
}

// slow says every signal it gets, and ends some time after the first TERM, INT
// or QUIT.
func slow(args []string) int {
	flags := flag.NewFlagSet("slow", flag.ExitOnError)
	takes := flags.Duration("d", 0, "how long it needs after the signal")
	code := flags.Int("code", 0, "exit code")
	ready := flags.String("ready", "ready", "what it prints once it can be signalled")
	stops := flags.Bool("stop", false, "stops itself at once")
	to := flags.String("to", "", "write to this file, not to stdout")
	say := flags.String("say", "", "what it prints to stdout then, whatever -to is")
	_ = flags.Parse(args)
	out := os.Stdout
	if *to != "" {
		var err error
		if out, err = os.OpenFile(*to, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			return fail(err)
		}
	}
	got := make(chan os.Signal, 64)
	signal.Notify(got)
	fmt.Fprintln(out, *ready)
	if *say != "" {
		fmt.Println(*say)
	}
	if *stops {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	var done <-chan time.Time
	for {
		select {
		case s := <-got:
			if s == syscall.SIGURG { // the runtime's own
				continue
			}
			fmt.Fprintln(out, "got", int(s.(syscall.Signal)))
			if done == nil && (s == syscall.SIGTERM || s == syscall.SIGINT || s == syscall.SIGQUIT) {
				done = time.After(*takes)
			}
		case <-done:
			fmt.Fprintln(out, "cleanup done")
			return *code
		}
	}
}

// daemon starts its arguments in a session of their own and ends. With -2 it
// is the child in between, so that they are nobody's child afterwards.
func daemon(args []string) int {
	between := len(args) > 0 && args[0] == "-2"
	cmd := exec.Command("/proc/self/exe", append([]string{"-2"}, args...)...)
	cmd.Args[0] = "daemon"
	if between {
		cmd = exec.Command(args[1], args[2:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	if !between {
		if err := cmd.Wait(); err != nil {
			return fail(err)
		}
	}
	return 0
}
