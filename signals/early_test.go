package signals

import (
	"syscall"
	"testing"
	"time"
)

// TestTermIsNotLostOnceItCanBeCaught sends TERM to PID 1 at 0 to 5 ms after
// exec. One sent when our handler exists must be received. What happened to
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
			var received, dropped, exit2, late int
			for i := range 200 {
				c := start(t, binary, "early", true)
				// Denser where it matters: 0 to 5 ms.
				<-time.After(time.Duration(i*i) * 125 * time.Nanosecond)
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
				case code == 2 && !ours:
					exit2++
				case code == 1 && !kept:
					dropped++
				default:
					t.Errorf("try %d: %+v: exit %d", i, m, code)
				}
			}
			t.Logf("200 TERMs: %d with our handler in place; %d received, %d dropped, %d exit 2", late, received, dropped, exit2)
			if late == 0 {
				t.Error("our handler was never in place")
			}
		})
	}
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
