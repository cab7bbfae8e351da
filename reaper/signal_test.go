package reaper

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

// ready starts a shell that runs script and waits until that prints a line.
func ready(t *testing.T, r *Reaper, script string) int {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := shell(script)
	c.Stdout = write
	pid := start(t, r, c)
	_ = write.Close()
	if n, err := read.Read(make([]byte, 64)); n == 0 {
		t.Fatalf("%q is not ready: %v", script, err)
	}
	_ = read.Close()
	return pid
}

func startedAt(t *testing.T, pid int) uint64 {
	t.Helper()
	at, err := startTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWhoMayNotBeSignalledIsRefused(t *testing.T) {
	world{below: true}.in(t, func(t *testing.T, r *Reaper) {
		// A process that is not ours, and leads a group.
		stranger := exec.Command("sleep", "1000")
		stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := stranger.Start(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			to  Target
			sig signals.Signal
		}{
			{Target{}, signals.TERM},
			{Everyone(), signals.TERM},
			{Process(0, 0), signals.TERM},
			{Process(1, 0), signals.TERM},
			{Process(1, 1), signals.TERM},
			{Process(-1, 0), signals.TERM},
			{Process(-stranger.Process.Pid, 0), signals.TERM},
			{Process(os.Getpid(), 0), signals.TERM},
			{Process(os.Getpid(), startedAt(t, os.Getpid())), signals.TERM},
			{Process(stranger.Process.Pid, 0), signals.TERM},
			{Group(0), signals.TERM},
			{Group(1), signals.TERM},
			{Group(-1), signals.TERM},
			{Group(os.Getpid()), signals.TERM},
			{Group(stranger.Process.Pid), signals.TERM},
			{Process(stranger.Process.Pid, startedAt(t, stranger.Process.Pid)), 0},
			{Process(stranger.Process.Pid, startedAt(t, stranger.Process.Pid)), 65},
		} {
			if err := r.Signal(c.to, c.sig, false); err == nil {
				t.Errorf("%v was sent %d", c.to, c.sig)
			}
		}
		if stat, err := readStat(stranger.Process.Pid, nil); err != nil || !stat.alive {
			t.Error("the stranger was hit")
		}
		if err := r.Signal(Everyone(), signals.TERM, true); err == nil {
			t.Error("everyone who catches it was sent a signal")
		}
		_ = stranger.Process.Kill()
	})
}

func TestTargetsAreNamed(t *testing.T) {
	got := fmt.Sprint(Target{}, Process(12, 3), Group(13), Everyone())
	if want := "nobody process 12 group 13 everyone"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPID1SignalsEveryoneButItself(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		start(t, r, shell("exec sleep 1000"))
		start(t, r, shell("exec sleep 1000"))
		if err := r.Signal(Everyone(), signals.KILL, false); err != nil {
			t.Fatal(err)
		}
		if killed := killedUntilChildless(t, r); killed != 2 {
			t.Errorf("%d killed, want 2", killed)
		}
		if err := r.Signal(Everyone(), signals.TERM, false); err != nil {
			t.Errorf("with nobody left: %v", err)
		}
	})
}

func TestGroupIsTheChildsWholeGroup(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		pid := ready(t, r, "sleep 1000 & echo ready; wait")
		if stat, err := readStat(pid, nil); err != nil || stat.Group != pid {
			t.Errorf("group %d of process %d: %v", stat.Group, pid, err)
		}
		if err := r.Signal(Group(pid), signals.KILL, false); err != nil {
			t.Fatal(err)
		}
		if killed := killedUntilChildless(t, r); killed != 2 {
			t.Errorf("%d killed, want 2", killed)
		}
	})
}

func killedUntilChildless(t *testing.T, r *Reaper) (killed int) {
	for !r.Childless() {
		await(t)
		for exit := range r.Exited(64) {
			if exit.Status == 9 {
				killed++
			}
		}
	}
	return killed
}

// refusePidfd makes pidfd_open(2) fail for this thread, as an old kernel or a
// seccomp profile does.
func refusePidfd(t *testing.T, errno syscall.Errno) {
	t.Helper()
	const (
		load      = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jumpEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		result    = unix.BPF_RET | unix.BPF_K
	)
	filter := []unix.SockFilter{
		{Code: load}, // the system call's number
		{Code: jumpEqual, K: unix.SYS_PIDFD_OPEN, Jf: 1},
		{Code: result, K: 0x00050000 | uint32(errno)}, // SECCOMP_RET_ERRNO
		{Code: result, K: 0x7fff0000},                 // SECCOMP_RET_ALLOW
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := errors.Join(
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.PidfdOpen(os.Getpid(), 0); err != errno {
		t.Fatalf("pidfd_open: %v", err)
	}
}

func TestReusedNumberIsNotSignalled(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) { signalReusedNumber(t, r) })
}

func TestReusedNumberIsNotSignalledWithoutPidfd(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		refusePidfd(t, syscall.ENOSYS)
		signalReusedNumber(t, r)
	})
}

func TestReusedNumberIsNotSignalledWherePidfdIsForbidden(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		refusePidfd(t, syscall.EPERM)
		signalReusedNumber(t, r)
	})
}

func signalReusedNumber(t *testing.T, r *Reaper) {
	t.Helper()
	Prewarm(8) // threads take numbers too
	var pid int
	var then uint64
	// The next process gets the number after the last one, unless it is taken.
	// A start time has a resolution of 10 ms, so it may take several tries.
	wait(t, "a number is another's at another time", func() bool {
		pid = start(t, r, shell("exec sleep 1000"))
		then = startedAt(t, pid)
		if err := r.Signal(Process(pid, then), signals.KILL, false); err != nil {
			t.Fatal(err)
		}
		if status := collect(t, r, pid); status != 9 {
			t.Fatalf("the right one was not killed: %#x", uint32(status))
		}
		if err := r.Signal(Process(pid, then), signals.KILL, false); err != nil {
			t.Fatalf("nobody has the number: %v", err)
		}
		last := []byte(strconv.Itoa(pid - 1))
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", last, 0); err != nil {
			t.Fatal(err)
		}
		next := start(t, r, shell("exec sleep 1000"))
		if next == pid && startedAt(t, next) != then {
			return true
		}
		if err := r.Signal(Process(next, 0), signals.KILL, false); err != nil {
			t.Fatal(err)
		}
		collect(t, r, next)
		return false
	})
	if err := r.Signal(Process(pid, then), signals.KILL, false); err != nil {
		t.Errorf("the number is another's: %v", err)
	}
	if err := r.Signal(Process(pid, startedAt(t, pid)), signals.TERM, false); err != nil {
		t.Error(err)
	}
	// KILL would have been seen first.
	if status := collect(t, r, pid); status != Status(signals.TERM) {
		t.Errorf("the later process ended with %#x", uint32(status))
	}
}

func TestSignalForThoseWhoCatchItSparesTheOthers(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		deaf := start(t, r, shell("exec sleep 1000"))
		catcher := ready(t, r, `trap 'exit 7' TSTP; echo ready; sleep 1000 & wait`)
		for _, to := range []Target{Process(deaf, 0), Process(deaf, startedAt(t, deaf)), Group(deaf), Process(catcher, 0)} {
			if err := r.Signal(to, signals.TSTP, true); err != nil {
				t.Errorf("%v: %v", to, err)
			}
		}
		if status := collect(t, r, catcher); status != 7<<8 {
			t.Errorf("who catches it ended with %#x", uint32(status))
		}
		if stat, err := readStat(deaf, nil); err != nil || stat.Stopped {
			t.Errorf("who does not catch it was stopped: %v", err)
		}
		if err := r.Signal(Process(catcher, 1), signals.TSTP, true); err != nil {
			t.Errorf("who is gone: %v", err)
		}
	})
}

func TestSignalAcrossUsersIsRefusedByTheKernel(t *testing.T) {
	world{root: true}.in(t, func(t *testing.T, r *Reaper) {
		pid := start(t, r, shell("exec sleep 1000"))
		at := startedAt(t, pid)
		// This thread only; the child stays root's.
		if _, _, errno := syscall.RawSyscall(sysSetuid, 1000, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
		for _, to := range []Target{Process(pid, 0), Process(pid, at), Group(pid)} {
			err := r.Signal(to, signals.TERM, false)
			if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), to.String()) {
				t.Errorf("%v: %v", to, err)
			}
		}
		strays, err := r.Strays()
		if err != nil || len(strays) != 1 || !strays[0].OutOfReach {
			t.Errorf("%v %v", strays, err)
		}
	})
}
