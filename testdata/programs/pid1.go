package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cue is what to send, once, when a line appears.
type cue struct {
	line *regexp.Regexp
	send []syscall.Signal
}

// A containerRuntime is what starts PID 1 and sends it signals from outside.
type containerRuntime struct {
	mu   sync.Mutex
	cues []cue
	pid  int
}

// pid1 is used as: pid1 [-timeout D] [-on LINE SIGNAL,...]... COMMAND...
//
// It runs COMMAND as PID 1 of a fresh PID namespace and returns its exit code,
// 128+n for a signal. Each -on waits, after the one before it, for a line of
// the output that matches LINE. At the timeout the namespace is killed.
func pid1(args []string) int {
	timeout := 2 * time.Minute
	r := &containerRuntime{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		var err error
		switch {
		case args[0] == "-timeout" && len(args) > 2:
			timeout, err = time.ParseDuration(args[1])
			args = args[2:]
		case args[0] == "-on" && len(args) > 3:
			err = r.await(args[1], args[2])
			args = args[3:]
		default:
			err = fmt.Errorf("bad use: %q", args)
		}
		if err != nil {
			return fail(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "pid1-set"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	code, err := r.run(cmd, timeout)
	if err != nil {
		return fail(err)
	}
	return code
}

func (r *containerRuntime) await(line, send string) error {
	pattern, err := regexp.Compile(line)
	if err != nil {
		return err
	}
	c := cue{line: pattern}
	for name := range strings.SplitSeq(send, ",") {
		sig := unix.SignalNum("SIG" + name)
		if n, err := strconv.Atoi(name); err == nil {
			sig = syscall.Signal(n)
		}
		if sig == 0 {
			return fmt.Errorf("no signal %q", name)
		}
		c.send = append(c.send, sig)
	}
	r.cues = append(r.cues, c)
	return nil
}

func (r *containerRuntime) run(cmd *exec.Cmd, timeout time.Duration) (code int, err error) {
	runtime.LockOSThread() // for Pdeathsig
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	r.pid = cmd.Process.Pid
	r.mu.Unlock()
	overdue := false
	deadline := time.AfterFunc(timeout, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		overdue = true
		_ = syscall.Kill(r.pid, syscall.SIGKILL)
	})
	var copies sync.WaitGroup
	copies.Go(func() { r.copy(os.Stdout, stdout) })
	copies.Go(func() { r.copy(os.Stderr, stderr) })
	copies.Wait() // to the end of everybody who holds the output
	deadline.Stop()
	_ = cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch status := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case overdue:
		return 0, fmt.Errorf("not over after %v", timeout)
	case len(r.cues) > 0:
		return 0, fmt.Errorf("over before a line matched %q", r.cues[0].line)
	case status.Signaled():
		return 128 + int(status.Signal()), nil
	default:
		return status.ExitStatus(), nil
	}
}

// copy passes lines on and sends the signals that they are the cue for.
func (r *containerRuntime) copy(to io.Writer, from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		_, _ = io.WriteString(to, line)
		if err != nil {
			return
		}
		r.mu.Lock()
		if len(r.cues) > 0 && r.cues[0].line.MatchString(strings.TrimSuffix(line, "\n")) {
			for _, sig := range r.cues[0].send {
				_ = syscall.Kill(r.pid, sig)
			}
			r.cues = r.cues[1:]
		}
		r.mu.Unlock()
	}
}

// setStage is PID 1 for a moment: it mounts /proc and becomes its arguments.
func setStage(args []string) int {
	if os.Getpid() != 1 {
		return fail(errors.New("not PID 1"))
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fail(err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fail(err)
	}
	return become(args)
}
