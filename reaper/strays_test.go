package reaper

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

// find returns the stray pid as the next survey shows it.
func find(t *testing.T, r *Reaper, pid int) (Stray, bool) {
	t.Helper()
	strays, err := r.Strays()
	if err != nil {
		t.Fatal(err)
	}
	for _, stray := range strays {
		if stray.PID == os.Getpid() {
			t.Fatal("we are a stray of our own")
		}
		if stray.PID == pid {
			return stray, true
		}
	}
	return Stray{}, false
}

func TestStraysOfPID1AreAllThatLive(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) { surveyTree(t, r) })
}

func TestStraysOfASubreaperAreItsDescendants(t *testing.T) {
	world{below: true}.in(t, func(t *testing.T, r *Reaper) { surveyTree(t, r) })
}

// surveyTree looks at a child, a grandchild, a daemon in a session of its own
// and a zombie.
func surveyTree(t *testing.T, r *Reaper) {
	t.Helper()
	pid := ready(t, r, `trap : TERM USR1; trap '' HUP
		(setsid sh -c 'trap "" INT; echo $$; exec sleep 1000' &)
		while :; do sleep 1000; done`)
	dead := start(t, r, shell("exit 0"))
	wait(t, "a zombie, a daemon and two sleeps", func() bool {
		strays, err := r.Strays()
		if err != nil {
			t.Fatal(err)
		}
		names := make(map[string]int)
		for _, stray := range strays {
			names[stray.Name]++
			if stray.PID == dead {
				return false
			}
		}
		return len(strays) == 3 && names["sh"] == 1 && names["sleep"] == 2
	})
	self := os.Getpid()
	strays, err := r.Strays()
	if err != nil {
		t.Fatal(err)
	}
	for _, stray := range strays {
		group, session := pid, stray.Session
		ignored := signals.SetOf(signals.HUP)
		switch {
		case stray.PID == pid:
			if caught := signals.SetOf(signals.TERM, signals.USR1); stray.Caught&caught != caught || stray.Parent != self {
				t.Errorf("the child: %+v", stray)
			}
		case stray.Parent == self: // the daemon
			group, session = stray.PID, stray.PID
			ignored = ignored.With(signals.INT)
		case stray.Parent != pid:
			t.Errorf("whose is %+v?", stray)
		}
		if stray.Group != group || stray.Session != session || stray.Ignored&ignored != ignored {
			t.Errorf("group %d, session %d, ignoring %x wanted: %+v", group, session, ignored, stray)
		}
		if stray.Start == 0 || stray.Start != startedAt(t, stray.PID) || stray.Stopped || stray.OutOfReach || stray.Terminal {
			t.Errorf("%+v", stray)
		}
	}
	if err := r.Signal(Process(pid, 0), signals.STOP, false); err != nil {
		t.Fatal(err)
	}
	wait(t, "the child is stopped", func() bool {
		stray, ok := find(t, r, pid)
		return ok && stray.Stopped
	})
}

func TestSubreaperLeavesStrangersAlone(t *testing.T) {
	world{below: true}.in(t, func(t *testing.T, r *Reaper) {
		start(t, r, shell("exec sleep 1000"))
		strays, err := r.Strays()
		// PID 1, and whatever it has, is not below us.
		if err != nil || len(strays) != 1 {
			t.Errorf("%v %v", strays, err)
		}
	})
}

func TestStraysCannotBeListedWithoutOurOwnProc(t *testing.T) {
	world{noProc: true}.in(t, func(t *testing.T, r *Reaper) {
		// /proc is still that of the namespace above.
		if strays, err := r.Strays(); err == nil {
			t.Errorf("%d strays", len(strays))
		}
		if err := syscall.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		if strays, err := r.Strays(); err == nil {
			t.Errorf("%d strays", len(strays))
		}
		pid := start(t, r, shell("exec sleep 1000"))
		for _, ifCaught := range []bool{true, false} {
			if err := r.Signal(Process(pid, 1), signals.TERM, ifCaught); err == nil {
				t.Error("a start time was compared without /proc")
			}
		}
		if err := r.Signal(Process(pid, 0), signals.TERM, true); err == nil {
			t.Error("a handler was seen without /proc")
		}
		if err := r.Signal(Process(pid, 0), signals.TERM, false); err != nil {
			t.Error(err)
		}
		if status := collect(t, r, pid); status != 15 {
			t.Errorf("status %#x", uint32(status))
		}
	})
}

// TestProcessFromOutsideIsAStrayAndLeavesUsItsOrphan puts a process into the
// namespace as docker exec does.
func TestProcessFromOutsideIsAStrayAndLeavesUsItsOrphan(t *testing.T) {
	enter := func(t *testing.T, pid int) {
		if os.Geteuid() != 0 {
			t.Skip("needs root to enter the namespace")
		}
		// The thread stays what it is: it is not given back to the runtime.
		go func() {
			runtime.LockOSThread()
			fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/pid", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err == nil {
				err = unix.Setns(fd, unix.CLONE_NEWPID)
			}
			if err != nil {
				t.Error(err)
				return
			}
			_ = exec.Command("sh", "-c", "sleep 1000 & exec sleep 2000").Run()
		}()
	}
	world{root: true, observe: enter}.in(t, func(t *testing.T, r *Reaper) {
		for range r.Exited(64) {
			t.Fatal("an exit without a child")
		}
		if !r.Childless() {
			t.Fatal("not childless")
		}
		var outsider, orphan Stray
		wait(t, "the process from outside and its child", func() bool {
			strays, err := r.Strays()
			if err != nil {
				t.Fatal(err)
			}
			for _, stray := range strays {
				if stray.Parent == 0 {
					outsider = stray
				} else {
					orphan = stray
				}
			}
			return outsider.Name == "sleep" && orphan.Name == "sleep"
		})
		for range r.Exited(64) {
			t.Error("an outsider was taken for a child")
		}
		for _, stray := range []Stray{outsider, orphan} {
			if err := r.Signal(Process(stray.PID, stray.Start), signals.TERM, false); err != nil {
				t.Fatal(err)
			}
			wait(t, "it is gone", func() bool {
				_, ok := find(t, r, stray.PID)
				return !ok
			})
		}
		if status := collectOrphan(t, r, orphan.PID); status != 15 {
			t.Errorf("the orphan ended with %#x", uint32(status))
		}
	})
}

func collectOrphan(t *testing.T, r *Reaper, pid int) Status {
	t.Helper()
	for {
		await(t)
		for exit := range r.Exited(64) {
			if exit.PID == pid {
				return exit.Status
			}
		}
	}
}

func TestNameOfAProcessMayHoldAnything(t *testing.T) {
	const rest = " S 7 8 9 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0"
	for _, name := range []string{"sh", "a b", ") R 1 1 1", "((", "\n", "a) b) (c", ""} {
		s, ok := parseStat([]byte("12 (" + name + ")" + rest + "\n"))
		want := Stray{Name: name, Parent: 7, Group: 8, Session: 9, Terminal: true, Start: 4711}
		if !ok || s.Stray != want || !s.alive {
			t.Errorf("%q: %+v %v", name, s, ok)
		}
	}
	for state, alive := range map[string]bool{"R": true, "D": true, "T": true, "t": true, "I": true, "Z": false, "X": false, "x": false} {
		s, ok := parseStat([]byte("1 (x)" + strings.Replace(rest, "S", state, 1)))
		if !ok || s.alive != alive || s.Stopped != (state == "T") {
			t.Errorf("state %s: %+v %v", state, s, ok)
		}
	}
	if s, ok := parseStat([]byte("1 (x)" + strings.Replace(strings.Replace(rest, "S", "Z", 1), " 1 0 4711", " 2 0 4711", 1))); !ok || !s.alive {
		t.Error("a process whose first thread has ended is taken for dead")
	}
}

func TestBadStatIsRefused(t *testing.T) {
	for _, text := range []string{"", "1", "1 (sh", "1 sh) S 1", ")(", "1 (sh) S", "1 (sh) S 1 2 3", "1 (sh) S x 8 9 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711 0",
		"1 (sh) S 7 8 9 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 x 0"} {
		if s, ok := parseStat([]byte(text)); ok {
			t.Errorf("%q: %+v", text, s)
		}
	}
}
