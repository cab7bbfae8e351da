// Package recipes runs the servers of Debian's packages under exeunt with
// something in flight when the stop begins, and checks that it is finished.
// Beside each stands its control: the same server, without what exeunt does
// for it, has to lose, so that the test is known to notice. Those of node, npm
// and celery are in the package above.
//
// The tests need root, for fresh namespaces. What a machine lacks is skipped,
// and is a failure where CI is set.
package recipes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bound is how long anything may take that has no figure of its own.
const bound = 30 * time.Second

var (
	exeunt string // the init under test: $E2E_EXEUNT, else built from this repository
	shared string // a folder for what tests share
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if shared, err = os.MkdirTemp("", "exeunt-recipes-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(shared)
	if exeunt = os.Getenv("E2E_EXEUNT"); exeunt != "" {
		return m.Run()
	}
	exeunt = filepath.Join(shared, "exeunt")
	arguments := []string{"build", "-C", "../..", "-o", exeunt}
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" { // as it is released
		arguments = append(arguments, "-ldflags", "-E exeunt/internal/lean.start")
	}
	build := exec.Command("go", append(arguments, ".")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build exeunt: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// need skips the test where one of the programs is missing, and fails it in CI.
func need(t *testing.T, programs ...string) {
	t.Helper()
	lack := func(what string) {
		if os.Getenv("CI") != "" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	if os.Geteuid() != 0 {
		lack("root is needed for a PID namespace")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			lack(program + " is not installed")
		}
	}
}

// environment is the test's own, where Debian's programs come first: what they
// are written in ("env python3") has to be Debian's as well.
func environment() []string {
	return append(os.Environ(), "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:"+os.Getenv("PATH"))
}

// folder is a new one that a server's own user may look into.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A space is a fresh PID and mount namespace, and what runs as its PID 1. It is
// what a container is to the init, and needs no image. Files are the host's.
type space struct {
	t     *testing.T
	PID   int // PID 1's number out here
	Out   *transcript
	first *exec.Cmd
	over  chan struct{} // closed when PID 1 is gone, and all it printed is in Out
	ended time.Time
}

// options of a space. The zero value has no network but the host's.
type options struct {
	network *network
	env     []string // added to the test's own
	dir     string
	setup   string // shell commands, for mounts, before PID 1 is what it is to be
}

// begin starts argv as PID 1. The space ends with the test at the latest.
func begin(t *testing.T, o options, argv ...string) *space {
	t.Helper()
	s := &space{t: t, Out: newTranscript(t), over: make(chan struct{})}
	// The shell is PID 1 first, and becomes argv.
	enter := "set -e; mount --make-rprivate /; mount -t proc proc /proc\n" + o.setup + "\nexec \"$@\""
	s.first = exec.Command("sh", append([]string{"-c", enter, "sh"}, argv...)...)
	s.first.Dir = o.dir
	s.first.Env = append(environment(), o.env...)
	s.first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
	}
	output := s.Out.pipe()
	s.first.Stdout, s.first.Stderr = output, output
	err := o.network.start(s.first)
	output.Close()
	if err != nil {
		t.Fatalf("cannot start %q: %v", argv, err)
	}
	s.PID = s.first.Process.Pid
	go func() {
		defer close(s.over)
		s.first.Wait()
		s.ended = time.Now()
		<-s.Out.ended // nobody in the namespace has outlived PID 1
	}()
	t.Cleanup(func() {
		s.first.Process.Kill() // PID 1 takes all of its namespace with it
		<-s.over
		if t.Failed() {
			t.Logf("%q printed:\n%s", strings.Join(argv, " "), s.Out)
		}
	})
	return s
}

// send sends PID 1 a signal from outside, as a container runtime does, and
// returns the time just before.
func (s *space) send(sig syscall.Signal) time.Time {
	s.t.Helper()
	at := time.Now()
	if err := s.first.Process.Signal(sig); err != nil {
		s.t.Fatalf("cannot send %v: %v", sig, err)
	}
	return at
}

// wait waits until PID 1 is gone and returns its exit code, 128+n for a signal.
func (s *space) wait(within time.Duration) int {
	s.t.Helper()
	select {
	case <-s.over:
	case <-time.After(within):
		s.t.Fatalf("still there after %v", within)
	}
	status := s.first.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// took fails the test unless PID 1 ended within limits after at.
func (s *space) took(at time.Time, least, most time.Duration) {
	s.t.Helper()
	if took := s.ended.Sub(at); took < least || took > most {
		s.t.Errorf("ended %v after it was told, want %v to %v", took, least, most)
	}
}
