package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A space is a fresh PID namespace whose PID 1 is the init under test. It is
// what a container is to the init, and needs no image. Files are the host's.
type space struct {
	t     *testing.T
	PID   int // PID 1's number out here
	Out   *transcript
	first *os.Process   // PID 1
	over  chan struct{} // closed when it is gone, and all it printed is in Out
	ended time.Time
	state *os.ProcessState
}

// options of a space. The zero value is what docker run gives: /dev/null on
// stdin, a pipe that is read on stdout and stderr.
type options struct {
	env    []string // added to the test's own
	dir    string
	tty    *os.File // controlling terminal, and stdin, stdout and stderr
	output *os.File // instead of the transcript
	closed []int    // descriptors that are closed
	cgroup string   // folder of a cgroup to be put in
}

// bound is how long anything may take that has no figure of its own.
const bound = 30 * time.Second

// The stage is this test binary as PID 1 of a new namespace, where it makes
// what SysProcAttr can't and becomes the init.
const stage = "e2e-stage"

// begin starts argv as PID 1. The space ends with the test at the latest.
func begin(t *testing.T, o options, argv ...string) *space {
	t.Helper()
	needRoot(t)
	s := &space{t: t, Out: newTranscript(t), over: make(chan struct{})}
	command := exec.Command("/proc/self/exe", argv...)
	command.Args[0] = stage
	command.Dir = o.dir
	command.Env = append(environment(), o.env...)
	command.Env = append(command.Env, "E2E_CLOSED="+strings.Trim(fmt.Sprint(o.closed), "[]"), "E2E_CGROUP="+o.cgroup)
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
	}
	output := o.output
	if o.tty != nil {
		command.Stdin, command.SysProcAttr.Setctty = o.tty, true
		output = o.tty
	} else if output == nil {
		output = s.Out.pipe()
		defer output.Close()
	}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatalf("cannot start %q: %v", argv, err)
	}
	s.first, s.PID = command.Process, command.Process.Pid
	go func() {
		defer close(s.over)
		command.Wait()
		s.ended, s.state = time.Now(), command.ProcessState
		if o.output == nil && o.tty == nil {
			<-s.Out.ended // nobody in the namespace has outlived PID 1
		}
	}()
	t.Cleanup(func() {
		command.Process.Kill() // PID 1 takes all of its namespace with it
		<-s.over
		if t.Failed() {
			t.Logf("%q printed:\n%s", argv, s.Out)
		}
	})
	return s
}

// enter is the stage's part of begin. It does not return.
func enter() {
	must := func(doing string, err error) {
		if err != nil {
			fmt.Fprintf(os.Stderr, "e2e: cannot %s: %v\n", doing, err)
			os.Exit(1)
		}
	}
	must("keep mounts private", syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must("mount /proc", syscall.Mount("proc", "/proc", "proc", 0, ""))
	if cgroup := os.Getenv("E2E_CGROUP"); cgroup != "" {
		// 0 is the writer itself, whatever its number is in the namespace.
		must("enter the cgroup", os.WriteFile(cgroup+"/cgroup.procs", []byte("0"), 0o644))
	}
	closed := strings.Fields(os.Getenv("E2E_CLOSED"))
	os.Unsetenv("E2E_CLOSED")
	os.Unsetenv("E2E_CGROUP")
	path, err := exec.LookPath(os.Args[1])
	must("find the init", err)
	for _, descriptor := range closed {
		syscall.Close(int(descriptor[0] - '0'))
	}
	must("become the init", syscall.Exec(path, os.Args[1:], os.Environ()))
}

// send sends PID 1 a signal from outside, as a container runtime does, and
// returns the time just before.
func (s *space) send(sig syscall.Signal) time.Time {
	s.t.Helper()
	at := time.Now()
	if err := s.first.Signal(sig); err != nil {
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
	status := s.state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// took fails the test unless the space ended within limits after at.
func (s *space) took(at time.Time, least, most time.Duration) {
	s.t.Helper()
	if took := s.ended.Sub(at); took < least || took > most {
		s.t.Errorf("ended %v after it was told, want %v to %v", took, least, most)
	}
}

// A transcript is what a process prints, while it does.
type transcript struct {
	t       *testing.T
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced at each change
	ended   chan struct{} // closed when nothing more can come
}

func newTranscript(t *testing.T) *transcript {
	return &transcript{t: t, changed: make(chan struct{}), ended: make(chan struct{})}
}

// pipe returns a descriptor whose text is added. The caller closes its copy.
func (o *transcript) pipe() *os.File {
	r, w, err := os.Pipe()
	if err != nil {
		o.t.Fatal(err)
	}
	go o.follow(r)
	return w
}

// follow adds all that comes from r until it ends, and closes it.
func (o *transcript) follow(r *os.File) {
	defer r.Close()
	defer close(o.ended)
	chunk := make([]byte, 4096)
	for {
		n, err := r.Read(chunk)
		o.mu.Lock()
		o.text.Write(chunk[:n])
		close(o.changed)
		o.changed = make(chan struct{})
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until text has been printed.
func (o *transcript) await(text string) {
	o.t.Helper()
	o.awaitCount(text, 1)
}

// awaitCount waits until text has been printed n times.
func (o *transcript) awaitCount(text string, n int) {
	o.t.Helper()
	deadline := time.After(bound)
	for {
		o.mu.Lock()
		printed, changed := strings.Count(o.text.String(), text), o.changed
		o.mu.Unlock()
		if printed >= n {
			return
		}
		select {
		case <-changed:
		case <-o.ended:
			if printed = strings.Count(o.String(), text); printed < n {
				o.t.Fatalf("%q printed %d times and no more, want %d, in:\n%s", text, printed, n, o)
			}
			return
		case <-deadline:
			o.t.Fatalf("%q printed %d times in %v, want %d, in:\n%s", text, printed, bound, n, o)
		}
	}
}
