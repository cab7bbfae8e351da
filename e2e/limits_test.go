package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newPidsCgroup makes a cgroup, of either version, that limits the number of
// processes and threads in it.
func newPidsCgroup(t *testing.T, limit int) string {
	t.Helper()
	needRoot(t)
	parent := "/sys/fs/cgroup/pids"
	if _, err := os.Stat(parent); err != nil {
		parent = "/sys/fs/cgroup"
		// Where it is enabled already this changes nothing.
		os.WriteFile(parent+"/cgroup.subtree_control", []byte("+pids"), 0o644)
	}
	cgroup, err := os.MkdirTemp(parent, "exeunt-e2e-")
	if err != nil {
		lack(t, fmt.Sprintf("no pids cgroup: %v", err))
	}
	t.Cleanup(func() {
		poll(t, "the cgroup is empty", func() bool { return syscall.Rmdir(cgroup) == nil })
	})
	if _, err := os.Stat(filepath.Join(cgroup, "pids.max")); err != nil {
		lack(t, fmt.Sprintf("no pids cgroup: %v", err))
	}
	setLimit(t, cgroup, limit)
	return cgroup
}

func setLimit(t *testing.T, cgroup string, limit int) {
	t.Helper()
	if err := os.WriteFile(cgroup+"/pids.max", []byte(fmt.Sprint(limit)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// intact fails the test if the init's runtime gave up.
func (s *space) intact() {
	s.t.Helper()
	for _, cry := range []string{"fatal error", "panic", "goroutine ", "newosproc"} {
		if strings.Contains(s.Out.String(), cry) {
			s.t.Errorf("the runtime gave up: %q", cry)
		}
	}
}

func TestRefusedForkIsAClearError(t *testing.T) {
	t.Parallel()
	cgroup := newPidsCgroup(t, 100)
	release := filepath.Join(t.TempDir(), "release")
	if err := syscall.Mkfifo(release, 0o600); err != nil {
		t.Fatal(err)
	}
	hook := fmt.Sprintf(`sh -c "echo starting; read line < %s"`, release)
	s := begin(t, options{cgroup: cgroup}, exeunt, "--grace-period", "5s", "--hook-timeout", "20s",
		"--pre-start", hook, "--", "true")
	s.Out.await("starting")
	setLimit(t, cgroup, 1)
	// The hook succeeds, so main is next.
	if err := os.WriteFile(release, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(bound); code != 125 {
		t.Errorf("exit code %d, want 125", code)
	}
	s.intact()
	ordered(t, s.Out.String(), `cannot start`, syscall.EAGAIN.Error())
}

// A process limit that is tight from the start ends in one of two ways: the
// program runs, or a clear error: below 10 there is no room for the threads that
// the Go runtime and exeunt start with, before there is a program.
func TestTightProcessLimitIsNoAbort(t *testing.T) {
	t.Parallel()
	need(t, "true")
	for _, limit := range []int{2, 5, 7, 8, 9, 10, 11, 12, 16, 20} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			s := begin(t, options{cgroup: newPidsCgroup(t, limit)}, under("5s", "true")...)
			code := s.wait(bound)
			s.intact()
			if code != 0 && code != 125 {
				t.Errorf("exit code %d, want 0 or 125", code)
			}
			if code == 125 && !strings.Contains(s.Out.String(), "cannot start") {
				t.Error("it does not say why")
			}
		})
	}
}

func TestCrowdAtTheProcessLimitIsStopped(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	s := begin(t, options{cgroup: newPidsCgroup(t, 60)}, under("5s", "python3", "testdata/crowd.py")...)
	s.Out.await("app: refused")
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 128+15 {
		t.Errorf("exit code %d, want 143", code)
	}
	s.intact()
	s.took(told, 0, 3*time.Second)
}
