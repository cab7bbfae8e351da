package control

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"exeunt/reaper"
	"exeunt/supervisor"
)

// Some tests need a server in a process of its own: for its memory, or in other
// namespaces. The test binary is that process, called by the variable.
const stageVariable = "CONTROL_TEST_STAGE"

func TestMain(m *testing.M) {
	if where, staged := os.LookupEnv(stageVariable); staged {
		os.Exit(perform(where))
	}
	os.Exit(m.Run())
}

// perform serves until stdin ends. What it is told to mount hides what is there.
func perform(where string) int {
	runtime.GOMAXPROCS(2)
	fail := func(err error) int {
		fmt.Println(err)
		return 1
	}
	for _, folder := range strings.Fields(os.Getenv("CONTROL_TEST_READONLY")) {
		if err := syscall.Mount("none", folder, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
			return fail(fmt.Errorf("cannot mount on %q: %w", folder, err))
		}
	}
	if os.Getenv("CONTROL_TEST_NOPROC") != "" {
		if err := syscall.Unmount("/proc", syscall.MNT_DETACH); err != nil {
			return fail(err)
		}
	}
	if os.Getenv("CONTROL_TEST_NOBODY") != "" {
		if err := syscall.Setuid(65534); err != nil {
			return fail(err)
		}
	}
	if n, err := strconv.ParseUint(os.Getenv("CONTROL_TEST_NOFILE"), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			return fail(err)
		}
	}
	events := make(chan supervisor.Event, 64)
	name := os.Getenv("CONTROL_TEST_NAME")
	s, err := Open(Options{
		Control: where, Plan: plan(), Put: func(ev supervisor.Event) { events <- ev },
		Note: func(e supervisor.Entry) { fmt.Println("note:", e.Message+":", e.Err) },
	})
	if err != nil {
		return fail(err)
	}
	reaper.Prewarm(5)
	if s != nil {
		defer s.Close()
		go func() {
			for ev := range events {
				s.Answer(ev.(supervisor.Asked).Token, "", supervisor.Snapshot{Services: []supervisor.ServiceStatus{{Name: name}}})
			}
		}()
		for _, d := range s.doors {
			fmt.Println("serves:", d.path)
		}
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		// Each line has it ask by the rule, as anybody in its mount namespace would.
		call := Call{Order: supervisor.AskStatus, Out: os.Stdout, Err: os.Stdout}
		fmt.Println("code:", call.Run())
	}
	return 0
}

// A staged is such a process.
type staged struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	lines []string // until it was ready
}

// raise starts one; more is what its environment has besides.
func raise(t *testing.T, where string, attr *syscall.SysProcAttr, more ...string) *staged {
	t.Helper()
	s := &staged{t: t, cmd: exec.Command("/proc/self/exe")}
	s.cmd.Env = append(append(os.Environ(), stageVariable+"="+where, "GORACE=atexit_sleep_ms=0"), more...)
	s.cmd.SysProcAttr = attr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = s.in.Close()
		_ = s.cmd.Wait()
	})
	s.lines = s.until("ready")
	return s
}

// until is what it prints up to a line with that beginning.
func (s *staged) until(prefix string) (lines []string) {
	s.t.Helper()
	for s.out.Scan() {
		if strings.HasPrefix(s.out.Text(), prefix) {
			return append(lines, s.out.Text())
		}
		lines = append(lines, s.out.Text())
	}
	s.t.Fatalf("it ends before it says %q: %q", prefix, lines)
	return nil
}

// ask has it run exeunt status.
func (s *staged) ask() string {
	s.t.Helper()
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(s.until("code:"), "\n")
}

// status is a number of /proc/PID/status.
func (s *staged) status(name string) int {
	s.t.Helper()
	n, err := field(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}
