package signals

import (
	"syscall"
	"testing"
	"time"
)

// TestTermIsNotLostOnceItCanBeCaught sends TERM to PID 1 from its exec to well
// after it is ready. One sent when our handler exists must be received. What happened to
// those before is the log of the test; none of them may vanish once the
// release's entry has run.
func TestTermIsNotLostOnceItCanBeCaught(t *testing.T) {
	needHandlers(t)
	for _, build := range []struct {
		name   string
		binary func(*testing.T) string
	}{{"plain", plain}, {"released", released}} {
		t.Run(build.name, func(t *testing.T) {
			binary := build.binary(t)
			var received, dropped, late int
			last := max(5*time.Millisecond, 2*startTime(t, binary))
			for i := range 200 {
				c := start(t, binary, "early", true)
				// Denser where it matters, at the beginning.
				<-time.After(last * time.Duration(i*i) / (200 * 200))
				m, err := status(c.cmd.Process.Pid)
				if err != nil {
					t.Fatal(err)
				}
				c.kill(TERM)
				ours := m.Caught.Has(RTMIN) // which the runtime leaves alone
				kept := (m.Caught | m.Blocked).Has(TERM)
				end := RTMAX - 1
				if ours {
					late++
				}
				if kept {
					end = RTMAX
				}
				switch code := c.outcome(end); {
				case code == 143:
					received++
				case code == 1 && !kept:
					dropped++
				default:
					t.Errorf("try %d: %+v: exit %d", i, m, code)
				}
			}
			t.Logf("200 TERMs: %d with our handler in place; %d received, %d dropped", late, received, dropped)
			if late == 0 {
				t.Error("our handler was never in place")
			}
		})
	}
}

// startTime is how long an "early" child takes here until it is ready, at best.
func startTime(t *testing.T, binary string) time.Duration {
	best := time.Hour
	for range 10 {
		c := start(t, binary, "early", true)
		began := time.Now()
		c.expect("ready")
		best = min(best, time.Since(began))
		c.kill(TERM)
		c.state()
	}
	return best
}

// outcome is the exit code of an "early" child. One that gets as far as to say
// that it is ready is sent end.
func (c *child) outcome(end Signal) int {
	c.t.Helper()
	if line, err := c.lines.ReadString('\n'); err == nil && line == "ready\n" {
		syscall.Kill(c.cmd.Process.Pid, syscall.Signal(end))
	}
	return c.state().ExitCode()
}

// TestWithoutADescriptorAtFirstTermIsReceived has no room for the handler's pipe,
// until package os raises the limit.
func TestWithoutADescriptorAtFirstTermIsReceived(t *testing.T) {
	for _, binary := range []func(*testing.T) string{plain, released} {
		c := start(t, binary(t), "scarce", true)
		c.expect("handlers false")
		c.expect("ready")
		c.kill(TERM)
		if code := c.state().ExitCode(); code != 143 {
			t.Errorf("exit %d, want 143", code)
		}
	}
}
