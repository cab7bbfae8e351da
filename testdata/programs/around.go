package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// become replaces this program by another.
func become(args []string) int {
	if len(args) == 0 {
		return fail(errors.New("no program given"))
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return fail(err)
	}
	return fail(syscall.Exec(path, args, os.Environ()))
}

func masked(args []string) int {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return fail(err)
	}
	runtime.LockOSThread()
	var set unix.Sigset_t
	set.Val[0] = 1 << (n - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
		return fail(err)
	}
	return become(args[1:])
}

func rlimit(args []string) int {
	soft, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return fail(err)
	}
	limit := syscall.Rlimit{Cur: soft, Max: 2 * soft}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fail(err)
	}
	return become(args[1:])
}

// noPIDNS runs in a user namespace of its own, whose limit it may set.
func noPIDNS(args []string) int {
	if os.Getenv("NOPIDNS") == "" {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Args[0] = "nopidns"
		cmd.Env = append(os.Environ(), "NOPIDNS=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			Pdeathsig:   syscall.SIGKILL,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		runtime.LockOSThread()
		if err := cmd.Run(); cmd.ProcessState == nil {
			return fail(err)
		}
		return cmd.ProcessState.ExitCode()
	}
	if err := os.WriteFile("/proc/sys/user/max_pid_namespaces", []byte("0"), 0); err != nil {
		return fail(err)
	}
	return become(args)
}

// outer forwards what a terminal or a runtime would send, and when its child
// has ended it names every process that is left, itself not counted.
func outer(args []string) int {
	got := make(chan os.Signal, 64)
	signal.Notify(got, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return fail(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-got:
			_ = cmd.Process.Signal(s)
		case <-ended:
			for _, name := range living() {
				fmt.Println("left behind:", name)
			}
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
				return 128 + int(status.Signal())
			}
			return cmd.ProcessState.ExitCode()
		}
	}
}

// living is everybody of this PID namespace but us, zombies not counted.
func living() []string {
	var names []string
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, err := os.ReadFile(file)
		end := bytes.LastIndexByte(stat, ')')
		if err != nil || end < 0 || bytes.HasPrefix(stat, []byte(strconv.Itoa(os.Getpid())+" ")) {
			continue
		}
		if state := stat[end+2]; state != 'Z' && state != 'X' {
			names = append(names, string(stat[:end+1]))
		}
	}
	return names
}
