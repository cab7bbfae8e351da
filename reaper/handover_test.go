package reaper

import (
	"bufio"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"exeunt/signals"
)

// A service may name another process of its own as its main one (MAINPID= of
// sd_notify(3)). Nothing but its number and start time is needed for that.

// forker starts a command whose program forks another, which prints its number,
// and then lives, without waiting for it, until stop is called.
func forker(t *testing.T, r *Reaper, other string) (first int, second Stray, lines *bufio.Reader, stop func()) {
	t.Helper()
	stdin, stopper, err := os.Pipe()
	read, write, err2 := os.Pipe()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	c := shell(`sh -c "$1" </dev/null & exec cat >/dev/null`, other)
	c.Stdin, c.Stdout = stdin, write
	first = start(t, r, c)
	_, _ = stdin.Close(), write.Close()
	lines = bufio.NewReader(read)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	second, ok := find(t, r, pid)
	if err != nil || !ok || second.Parent != first || second.Start != startedAt(t, pid) {
		t.Fatalf("%q: %+v %v", line, second, err)
	}
	return first, second, lines, func() { _ = stopper.Close() }
}

// answers is a program that says when it gets USR1 and ends with 7 on TERM.
const answers = `trap 'echo answered' USR1; trap 'exit 7' TERM; echo $$; while :; do sleep 1000 & wait; done`

func handOver(t *testing.T, r *Reaper) {
	t.Helper()
	first, second, lines, stop := forker(t, r, answers)
	answered := func() {
		t.Helper()
		if err := r.Signal(Process(second.PID, second.Start), signals.USR1, true); err != nil {
			t.Error(err)
		}
		if line, err := lines.ReadString('\n'); err != nil || line != "answered\n" {
			t.Errorf("%q %v", line, err)
		}
	}
	others := func() {
		t.Helper()
		if err := r.Signal(Process(second.PID, second.Start+1), signals.KILL, false); err != nil {
			t.Errorf("of another time: %v", err)
		}
		for _, to := range []Target{Process(second.PID, 0), Group(second.PID)} {
			if err := r.Signal(to, signals.KILL, false); err == nil {
				t.Errorf("%v was signalled, which we did not start", to)
			}
		}
	}
	answered()
	others()
	stop()
	if status := collect(t, r, first); status != 0 {
		t.Errorf("the first ended with %#x", uint32(status))
	}
	if stray, ok := find(t, r, second.PID); !ok || stray.Parent != os.Getpid() || stray.Start != second.Start {
		t.Errorf("not ours when its parent has gone: %+v", stray)
	}
	answered()
	others()
	if err := r.Signal(Process(second.PID, second.Start), signals.TERM, false); err != nil {
		t.Error(err)
	}
	if status := collect(t, r, second.PID); status != 7<<8 {
		t.Errorf("the second ended with %#x", uint32(status))
	}
	if err := r.Signal(Process(second.PID, second.Start), signals.TERM, false); err != nil {
		t.Errorf("who has been reaped: %v", err)
	}
}

func TestProcessThatTakesOverIsSignalledBeforeAndAfterItIsOurs(t *testing.T) {
	world{}.in(t, handOver)
}

func TestProcessThatTakesOverBelowASubreaperIsSignalledBeforeAndAfterItIsOurs(t *testing.T) {
	world{below: true}.in(t, handOver)
}

// mournLate has the second die while it is still the first's, which does not
// wait for it.
func mournLate(t *testing.T, r *Reaper) {
	t.Helper()
	first, second, _, stop := forker(t, r, answers)
	if err := r.Signal(Process(second.PID, second.Start), signals.TERM, false); err != nil {
		t.Error(err)
	}
	wait(t, "it is a zombie", func() bool {
		stat, err := readStat(second.PID, nil)
		if err != nil {
			t.Fatal(err)
		}
		return !stat.alive
	})
	// Its own child, an orphan now, is none of this test's.
	orphan := func(exit Exit) bool { return exit.PID != first && exit.PID != second.PID }
	for exit := range r.Exited(64) {
		if !orphan(exit) {
			t.Errorf("%+v, while it is another's", exit)
		}
	}
	stop()
	want := map[Exit]bool{{first, 0}: true, {second.PID, 7 << 8}: true}
	for len(want) > 0 {
		await(t)
		for exit := range r.Exited(64) {
			if !orphan(exit) && !want[exit] {
				t.Errorf("%+v", exit)
			}
			delete(want, exit)
		}
	}
}

func TestDeathUnderAParentThatDoesNotWaitIsSeenWhenThatHasGone(t *testing.T) {
	world{}.in(t, mournLate)
}

func TestDeathBelowASubreaperUnderAParentThatDoesNotWaitIsSeenWhenThatHasGone(t *testing.T) {
	world{below: true}.in(t, mournLate)
}
