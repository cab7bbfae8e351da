package reaper

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"exeunt/internal/entry"
	"exeunt/signals"
)

// These tests run in worlds of their own: the test binary starts itself as
// PID 1 of a fresh PID namespace, runs there the one test that asked for it,
// and everything in that world ends with it, at the latest at the deadline.

const (
	worldVar   = "REAPER_TEST_WORLD" // set inside a world
	stageVar   = "REAPER_TEST_STAGE" // set after a world has executed itself anew
	worldTime  = 60 * time.Second
	worldBegun = "the world has begun"
)

// A world says how a test's process is to be started.
type world struct {
	below   bool                        // as a child of PID 1 instead of PID 1 itself
	noProc  bool                        // without a /proc of its own
	root    bool                        // real root, for setuid(2); skipped where the test is not
	uid     int                         // who root of the world is outside; 0 is who runs the test
	observe func(t *testing.T, pid int) // outside; stdin ends after it
}

// in runs the body inside the world. Outside, it starts the world and fails if
// the body failed there.
func (w world) in(t *testing.T, body func(t *testing.T, r *Reaper)) {
	switch os.Getenv(worldVar) {
	case "":
		w.create(t)
	case "above":
		os.Exit(passOn())
	default:
		if !w.noProc && !w.below && os.Getenv(stageVar) == "" {
			mountProc(t)
		}
		if os.Getenv(stageVar) == "" {
			entry.Mask = 0 // it is that of a thread of the test's, whichever it was
		}
		println(worldBegun)
		runtime.LockOSThread() // a parent-death signal is bound to the thread
		r, err := New()
		signals.Next(time.Unix(1, 0), nil) // of children from before there is none
		if err != nil {
			t.Fatal(err)
		}
		body(t, r)
	}
}

func (w world) create(t *testing.T) {
	t.Helper()
	if w.root && os.Geteuid() != 0 {
		t.Skip("needs root to change users")
	}
	runtime.LockOSThread() // Pdeathsig is bound to it
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(context.Background(), worldTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout="+worldTime.String())
	value := "inside"
	if w.below {
		value = "above"
	}
	cmd.Env = append(os.Environ(), worldVar+"="+value, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if !w.root {
		uid := os.Getuid()
		if w.uid != 0 && uid == 0 {
			uid = w.uid
			// Or the test binary's own directory could not be entered.
			cmd.Path = readable(t)
			cmd.SysProcAttr.Credential = &syscall.Credential{NoSetGroups: true}
		}
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		if os.Getenv("CI") != "" {
			t.Fatalf("no namespaces here: %v", err)
		}
		t.Skipf("no namespaces here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if w.observe != nil {
		w.observe(t, cmd.Process.Pid)
	}
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil || !strings.Contains(output.String(), worldBegun) {
		t.Fatalf("in its world: %v\n%s", err, output.String())
	}
	if strings.Contains(output.String(), "--- SKIP") {
		t.Skip(output.String())
	}
}

// readable copies the test binary to where any user can execute it.
func readable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "reaper-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := dir + "/test"
	if err := errors.Join(os.WriteFile(path, binary, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// passOn is the PID 1 of a world whose test is below it.
func passOn() int {
	if err := proc(); err != nil {
		println(err.Error())
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), worldVar+"=inside")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		println(err.Error())
		return 1
	}
	return 0
}

func mountProc(t *testing.T) {
	t.Helper()
	if err := proc(); err != nil {
		t.Fatal(err)
	}
}

func proc() error {
	const private = syscall.MS_REC | syscall.MS_PRIVATE
	return errors.Join(syscall.Mount("none", "/", "", private, ""), syscall.Mount("proc", "/proc", "proc", 0, ""))
}

// again executes the test anew in its process, once, for what can only be
// changed from outside of a running program. It returns in the second life.
func again(t *testing.T, env ...string) {
	t.Helper()
	if os.Getenv(stageVar) != "" {
		return
	}
	err := syscall.Exec("/proc/self/exe", os.Args, append(env, stageVar+"=2", worldVar+"=inside", "PATH="+os.Getenv("PATH")))
	t.Fatal(err)
}

// start starts a command; without Env it gets ours.
func start(t *testing.T, r *Reaper, c *Command) int {
	t.Helper()
	if c.Env == nil {
		c.Env = Environ()
	}
	pid, err := r.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// collect reaps until pid is dead and returns its status. It drops the others.
func collect(t *testing.T, r *Reaper, pid int) Status {
	t.Helper()
	for {
		for exit := range r.Exited(64) {
			if exit.PID == pid {
				return exit.Status
			}
		}
		if r.Childless() {
			t.Fatalf("process %d has got lost", pid)
		}
		await(t)
	}
}

// await waits until somebody may have died.
func await(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if dead, _ := signals.Next(end, nil); dead {
			return
		}
	}
	t.Fatal("nobody died")
}

// output runs a command to its end and returns what it printed.
func output(t *testing.T, r *Reaper, c *Command) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout = write
	pid := start(t, r, c)
	_ = write.Close()
	text, err := io.ReadAll(read)
	_ = read.Close()
	if status := collect(t, r, pid); err != nil || status != 0 {
		t.Fatalf("%q ended with %d: %v\n%s", c.Args, status.Shell(), err, text)
	}
	return strings.TrimSuffix(string(text), "\n")
}

func shell(script string, args ...string) *Command {
	return &Command{Args: append([]string{"sh", "-c", script, "sh"}, args...)}
}

// wait polls for a condition that the kernel has no event for.
func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
