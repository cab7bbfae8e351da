package e2e

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestPrestopAndTermShareOneGracePeriod: the kubelet counts from its preStop hook,
// and its TERM comes whenever that returns, or at its own time. The app is deaf
// and the pre-stop hook has no end, so that the budget is used up.
func TestPrestopAndTermShareOneGracePeriod(t *testing.T) {
	need(t, "nsenter")
	for _, later := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second, 5 * time.Second, 8 * time.Second} {
		t.Run(fmt.Sprint("TERM after ", later), func(t *testing.T) {
			t.Parallel()
			s := begin(t, options{}, exeunt, "--grace-period", "10s", "--control", "auto", "--pre-stop", "sleep:60s", "--",
				"sh", "-c", `trap "" TERM; echo runs; while :; do sleep 0.1; done`)
			s.Out.await("runs")
			prestop := exec.Command("nsenter", "--target", fmt.Sprint(s.PID), "--pid", "--mount", exeunt, "prestop")
			began := time.Now()
			if err := prestop.Start(); err != nil {
				t.Fatal(err)
			}
			answered := make(chan error, 1)
			go func() { answered <- prestop.Wait() }()
			if later > 0 {
				select {
				case <-time.After(later):
				case <-s.over:
					t.Fatal("over before its TERM")
				}
			} else {
				s.Out.await("stopping")
			}
			s.send(syscall.SIGTERM)
			if code := s.wait(bound); code != 137 {
				t.Errorf("exit code %d, want 137 of an app that was killed", code)
			}
			if took := s.ended.Sub(began); took < 7*time.Second || took > 10*time.Second {
				t.Errorf("took %v from prestop on, want all of the time and less than 10 s", took)
			}
			if err := <-answered; err != nil {
				t.Errorf("prestop: %v", err)
			}
		})
	}
}
