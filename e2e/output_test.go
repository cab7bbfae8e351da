package e2e

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// logging is an init that logs all it can to a descriptor that nobody reads.
func logging(argv ...string) []string {
	return append([]string{exeunt, "--grace-period", "5s", "--log-level", "debug", "--"}, argv...)
}

// endure sends PID 1 a signal to forward, and so something to log, a hundred
// times a second for a while. It returns the processor time that PID 1 used in
// as long again, when nothing is sent.
func (s *space) endure(w *witness, d time.Duration) int {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(d); ; <-tick.C {
		s.send(syscall.SIGUSR1)
		select {
		case <-over:
			w.await("USR1")
			before := ticks(s.t, s.PID)
			<-time.After(5 * time.Second)
			return ticks(s.t, s.PID) - before
		default:
		}
	}
}

// unharmed sends TERM and checks that main had it, and its time.
func (s *space) unharmed(w *witness, used int) {
	s.t.Helper()
	if used > 5 {
		s.t.Errorf("it used %d hundredths of a second of processor time in 5 idle seconds", used)
	}
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 0 {
		s.t.Errorf("exit code %d, want main's own, 0", code)
	}
	w.end()
	w.await("TERM\ndone")
	s.took(told, 200*time.Millisecond, 2*time.Second)
}

func TestFullLogPipeHarmsNobody(t *testing.T) {
	t.Parallel()
	d := 10 * time.Second
	if os.Getenv("CI") != "" {
		d = time.Minute
	}
	r, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fill(t, full)
	w := newWitness(t, t.TempDir(), "main")
	s := begin(t, options{output: full}, logging(app, "witness", w.FIFO, "200ms")...)
	w.await("ready")
	s.unharmed(w, s.endure(w, d))
}

// fill writes to a pipe until it takes no more. It is blocking afterwards, as
// the container's output is.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	connection, err := pipe.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	connection.Control(func(descriptor uintptr) {
		syscall.SetNonblock(int(descriptor), true)
		for size := 4096; size > 0; size /= 2 {
			for err = nil; err == nil; {
				_, err = syscall.Write(int(descriptor), make([]byte, size))
			}
		}
		syscall.SetNonblock(int(descriptor), false)
	})
	if err != syscall.EAGAIN {
		t.Fatalf("cannot fill the pipe: %v", err)
	}
}

func TestLogReaderThatIsGoneHarmsNobody(t *testing.T) {
	t.Parallel()
	r, orphaned, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w := newWitness(t, t.TempDir(), "main")
	s := begin(t, options{output: orphaned}, logging(app, "witness", w.FIFO, "200ms")...)
	w.await("ready")
	s.unharmed(w, s.endure(w, 5*time.Second))
	if w.has("PIPE") {
		t.Error("main was sent PIPE for what the init wrote")
	}
}
