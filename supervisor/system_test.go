package supervisor

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"exeunt/signals"
)

// TestEachKillOfTheKernelsExplainsOneDeath has a counter of the whole cgroup's,
// which goes on when the run is long over its beginning.
func TestEachKillOfTheKernelsExplainsOneDeath(t *testing.T) {
	for _, c := range []struct {
		adopted, before int
		own             bool
		then            int
		explained       int
	}{
		{then: 0, explained: 0},
		{then: 2, explained: 2},
		{before: 3, own: true, then: 3, explained: 0}, // those of another container, or of an earlier run in ours
		{before: 3, then: 5, explained: 2},
		{adopted: 7, before: 1, own: true, then: 1, explained: 1}, // the app's own end is what made us look
		{adopted: 7, before: 1, then: 1, explained: 0},
	} {
		kills := c.before
		s := System{Adopted: c.adopted, OOMKills: func() (int, bool) { return kills, c.own }}
		s.count()
		kills = c.then
		s.count() // at the next start nothing is forgotten
		explained := 0
		for range 10 {
			if s.OOM() {
				explained++
			}
		}
		if explained != c.explained {
			t.Errorf("%+v: %d explained", c, explained)
		}
	}
	var s System
	if s.count(); s.OOM() {
		t.Error("memory has run out where nobody counts")
	}
}

func TestThreadsAreMadeOnceWhenTheFirstProcessHasBeenStarted(t *testing.T) {
	made := 0
	s := System{Plan: &Plan{}, Prewarm: func() { made++ }}
	for range 2 {
		if _, err := s.Spawn("nobody", nil); err == nil || made != 1 {
			t.Errorf("threads were made %d times: %v", made, err)
		}
	}
}

func TestSendersAreNamedWhereTheKernelTells(t *testing.T) {
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	defer func() { _ = os.WriteFile("/proc/self/comm", name, 0) }()
	if err := os.WriteFile("/proc/self/comm", []byte("a\nb\x1b[1m é"), 0); err != nil {
		t.Fatal(err)
	}
	self := int32(os.Getpid())
	runtime := ""
	if signals.Senders() {
		runtime = "the container runtime"
	}
	for _, c := range []struct {
		pid, code int32
		pid1      bool
		want      string
	}{
		{self, 0, true, fmt.Sprintf("pid %d (a?b?[1m é)", self)},
		{self, 0, false, fmt.Sprintf("pid %d (a?b?[1m é)", self)},
		{1 << 30, -1, true, "pid 1073741824"}, // has gone
		{0, kernelSent, true, "the terminal"},
		{0, 0, true, runtime},
		{0, 0, false, ""},
		{0, 1, false, ""},
	} {
		s := System{Plan: &Plan{PID1: c.pid1}}
		if got := s.Sender(signals.Received{Signal: signals.TERM, PID: c.pid, Code: c.code}); got != c.want || strings.Contains(got, "\n") {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
