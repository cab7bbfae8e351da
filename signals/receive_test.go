package signals

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"exeunt/internal/entry"
)

// needHandlers skips what os/signal cannot do.
func needHandlers(t *testing.T) {
	t.Helper()
	if !entry.Handlers {
		t.Skip("signals are received through os/signal here")
	}
}

func TestEverySignalIsReceived(t *testing.T) {
	for _, pid1 := range []bool{false, true} {
		t.Run(fmt.Sprintf("pid1=%v", pid1), func(t *testing.T) {
			t.Parallel()
			c := start(t, "", "receive", pid1)
			c.expect("ready")
			pid := os.Getpid()
			if pid1 || !entry.Handlers {
				pid = 0 // outside the namespace
			}
			for _, sig := range catchable() {
				c.kill(sig)
				c.expect(fmt.Sprint(sig, 0, pid, os.Getuid()))
				if !entry.Handlers {
					continue
				}
				if err := queue(c.cmd.Process.Pid, sig); err != nil {
					t.Fatal(err)
				}
				c.expect(fmt.Sprint(sig, -1, pid, os.Getuid()))
			}
			c.in.Close()
			if code := c.state().ExitCode(); code != 0 {
				t.Errorf("exit %d", code)
			}
		})
	}
}

func TestPID1ReceivesEverySignalFromInside(t *testing.T) {
	needHandlers(t)
	c := start(t, "", "inside", true)
	var sender int
	if _, err := fmt.Sscanf(c.line(), "sender %d", &sender); err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	for _, sig := range catchable() {
		c.expect(fmt.Sprint(sig, 0, sender, uid))
		c.expect(fmt.Sprint(sig, -1, sender, uid))
	}
}

func TestOurOwnFaultsArePanics(t *testing.T) {
	c := start(t, "", "faults", false)
	c.expect("recovered")
	c.kill(SEGV)
	if got, want := c.line(), fmt.Sprint(SEGV, 0); !strings.HasPrefix(got, want) {
		t.Errorf("got %q", got)
	}
	if code := c.state().ExitCode(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestPreemptionIsNotReceived(t *testing.T) {
	c := start(t, "", "preempt", false)
	c.expect("collected")
	c.expect("USR1")
}

func TestQueuedRealTimeSignalsAllArrive(t *testing.T) {
	needHandlers(t)
	c := start(t, "", "receive", false)
	c.expect("ready")
	c.kill(STOP)
	waitForState(t, c, 'T')
	for range 5 {
		if err := queue(c.cmd.Process.Pid, RTMIN+5); err != nil {
			t.Fatal(err)
		}
	}
	c.kill(CONT)
	// Which comes first is for the threads that handle them to settle.
	got := map[string]int{}
	for range 6 {
		got[c.line()]++
	}
	queued, cont := fmt.Sprint(RTMIN+5, -1, os.Getpid(), os.Getuid()), fmt.Sprint(CONT, 0, os.Getpid(), os.Getuid())
	if got[queued] != 5 || got[cont] != 1 {
		t.Errorf("got %v, want 5 of %q and 1 of %q", got, queued, cont)
	}
	c.kill(USR1)
	c.expect(fmt.Sprint(USR1, 0, os.Getpid(), os.Getuid()))
}

// waitForState waits until /proc shows the child in a state.
func waitForState(t *testing.T, c *child, state byte) {
	t.Helper()
	until(t, "the child is in state "+string(state), func() bool {
		var pid int
		var name, got string
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Sscan(string(text), &pid, &name, &got)
		return got == string(state)
	})
}

// until waits for what the kernel has no event for.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	end := time.After(deadline)
	for !condition() {
		select {
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestAFullPipeLosesNoStandardSignal(t *testing.T) {
	needHandlers(t)
	c := start(t, "", "overflow", false)
	c.expect("full true")
	c.expect("none missing")
	if got, want := c.line(), fmt.Sprint(RTMIN+2, 0); !strings.HasPrefix(got, want) {
		t.Errorf("got %q after all, want %q", got, want)
	}
}

func TestSignalsArriveWhileThePipeOverflows(t *testing.T) {
	needHandlers(t)
	c := start(t, "", "storm", false)
	c.expect("weathered")
}

func TestOurOwnBrokenPipeIsNotReceived(t *testing.T) {
	needHandlers(t)
	for _, pid1 := range []bool{false, true} {
		c := start(t, "", "pipe", pid1)
		pid := os.Getpid()
		if pid1 {
			pid = 0
		}
		c.expect("EPIPE")
		c.kill(PIPE)
		c.expect(fmt.Sprint(PIPE, 0, pid, os.Getuid()))
	}
}

func TestBlockedAndIgnoredSignalsAreReceivedAllTheSame(t *testing.T) {
	needHandlers(t)
	for name, binary := range map[string]func(*testing.T) string{"plain": plain, "released": released} {
		t.Run(name, func(t *testing.T) {
			c := start(t, binary(t), "inherit", false)
			c.expect("child 7 <nil>")
			c.expect("blocked  ignored  CHLD caught true")
			c.expect("ready")
			for _, sig := range catchable() {
				c.kill(sig)
				c.expect(fmt.Sprint(sig, 0, os.Getpid(), os.Getuid()))
			}
		})
	}
}

func TestTheDeadComeBeforeWhatCameWithThem(t *testing.T) {
	c := start(t, "", "turns", false)
	c.expect("dead true with 10")
	c.expect("dead false with 12")
	c.expect("dead false with 0")
	c.expect("reminded: dead true with 0")
}

// TestSignalsAreForwardedBeforeTheyAreTold sends USR1, HUP and WINCH at once, of
// which USR1 is to be sent on as USR2, WINCH as it is, and HUP not: what comes after
// that waits for it.
func TestSignalsAreForwardedBeforeTheyAreTold(t *testing.T) {
	needHandlers(t)
	c := start(t, "", "forward", true)
	c.expect("forwarded USR1 true HUP false WINCH false; got USR2 TERM")
	c.expect("forwarded USR1 true HUP false WINCH false; got USR2 TERM")
	c.expect("forwarded USR1 false HUP false WINCH false; got TERM")
	c.expect("forwarded USR1 false HUP false WINCH false; got TERM")
}

func TestWakeAndADeadlineEndTheWait(t *testing.T) {
	c := start(t, "", "wake", false)
	c.expect("ready")
	c.kill(USR1)
	c.expect("woken; a deadline is one")
}

func TestEveryDeathIsTold(t *testing.T) {
	c := start(t, "", "deaths", false)
	c.expect("storms weathered true")
	c.expect("each one seen")
}
