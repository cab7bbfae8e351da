package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// waitingShell is a shell with a trap, under an init, that waits for its
// foreground child.
func waitingShell(t *testing.T, init ...string) *space {
	t.Helper()
	need(t, init[0], "bash", "sleep")
	s := begin(t, options{}, append(init, "bash", "-c",
		`trap "echo cleaned; exit 3" TERM; sleep 1000; echo not reached`)...)
	childOf(t, childOf(t, s.PID))
	return s
}

func TestTrapOfAWaitingShellRunsInTime(t *testing.T) {
	t.Parallel()
	s := waitingShell(t, under("6s")...)
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 3 {
		t.Errorf("exit code %d, want the trap's, 3", code)
	}
	if !strings.Contains(s.Out.String(), "cleaned") {
		t.Error("the trap did not run")
	}
	// Services have 6 s less a margin of 0.3 s and a reserve of 0.9 s; a shell
	// that waits for its foreground child gets help at two thirds of that.
	s.took(told, 3200*time.Millisecond, 4200*time.Millisecond)
}

// The control: alone, the shell waits for its child until it is killed.
func TestTrapOfAWaitingShellDoesNotRunUnderTini(t *testing.T) {
	t.Parallel()
	s := waitingShell(t, "tini", "--")
	s.send(syscall.SIGTERM)
	select {
	case <-s.over:
		t.Error("the shell ends: the test above proves nothing any more")
	case <-time.After(5 * time.Second):
	}
}

func TestSlowMainIsNotKilledWhenNobodySetAGracePeriod(t *testing.T) {
	t.Parallel()
	w := newWitness(t, t.TempDir(), "main")
	s := begin(t, options{}, under("", app, "witness", w.FIFO, "14s")...)
	w.await("ready")
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want main's own, 0", code)
	}
	w.end()
	w.told("TERM", "done")
	s.took(told, 14*time.Second, 16*time.Second)
}

func TestStoppedMainEndsAtTERM(t *testing.T) {
	t.Parallel()
	need(t, "sleep")
	s := begin(t, options{}, under("5s", "sleep", "1000")...)
	main := childOf(t, s.PID)
	if err := syscall.Kill(main, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awaitState(t, main, "T")
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 128+15 {
		t.Errorf("exit code %d, want 143", code)
	}
	s.took(told, 0, 2*time.Second)
}

func TestClosedDescriptorsHarmNobody(t *testing.T) {
	t.Parallel()
	for combination := range 8 {
		var closed []int
		for descriptor := range 3 {
			if combination&(1<<descriptor) != 0 {
				closed = append(closed, descriptor)
			}
		}
		t.Run(fmt.Sprint(closed), func(t *testing.T) {
			w := newWitness(t, t.TempDir(), "main")
			s := begin(t, options{closed: closed}, under("5s", app, "witness", w.FIFO, "200ms")...)
			w.await("ready")
			told := s.send(syscall.SIGTERM)
			if code := s.wait(bound); code != 0 {
				t.Errorf("exit code %d, want main's own, 0", code)
			}
			w.end()
			w.told("TERM", "done")
			s.took(told, 200*time.Millisecond, 2*time.Second)
		})
	}
}

// Not one of its threads is woken in 30 s in which nothing happens.
func TestIdleInitIsNeverScheduled(t *testing.T) {
	t.Parallel()
	w := newWitness(t, t.TempDir(), "main")
	s := begin(t, options{}, under("5s", app, "witness", w.FIFO)...)
	w.await("ready")
	// A runtime's own threads come to rest a moment after the start.
	settle := time.NewTicker(time.Second)
	defer settle.Stop()
	before, rested := -1, false
	for range 20 {
		now := switches(t, s.PID)
		if rested = now == before; rested {
			break
		}
		before = now
		<-settle.C
	}
	if !rested {
		t.Fatal("it is scheduled in each of 20 seconds")
	}
	<-time.After(30 * time.Second)
	if woken := switches(t, s.PID) - before; woken != 0 {
		t.Errorf("it was scheduled %d times in 30s", woken)
	}
}
