package reaper

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"exeunt/signals"
)

func TestSecondReaperIsRefused(t *testing.T) {
	world{}.in(t, func(t *testing.T, _ *Reaper) {
		if r, err := New(); r != nil || err == nil {
			t.Fatal("two reapers")
		}
	})
}

func TestEveryExitCodeAndEverySignalIsSeen(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		want := make(map[int]Status)
		for code := range 256 {
			want[start(t, r, shell("exit $1", strconv.Itoa(code)))] = Status(code << 8)
		}
		for sig := 1; sig <= int(signals.RTMAX); sig++ {
			switch signals.Signal(sig) {
			case signals.CHLD, signals.CONT, signals.URG, signals.WINCH: // do nothing
			case signals.STOP, signals.TSTP, signals.TTIN, signals.TTOU: // stop
			default:
				want[start(t, r, shell("ulimit -c 0; kill -$1 $$; exit 99", strconv.Itoa(sig)))] = Status(sig)
			}
		}
		for len(want) > 0 {
			for exit := range r.Exited(16) {
				if status, ok := want[exit.PID]; !ok || exit.Status != status {
					t.Errorf("process %d: status %#x, want %#x", exit.PID, uint32(exit.Status), uint32(status))
				}
				delete(want, exit.PID)
			}
			if len(want) > 0 {
				await(t)
			}
		}
	})
}

func TestStatusTellsHowAChildEnded(t *testing.T) {
	for status, want := range map[Status]string{
		0:      "true 0 0 0",
		0x1700: "true 23 0 23",
		0xff00: "true 255 0 255",
		0x09:   "false 0 9 137",
		0x8b:   "false 0 11 139", // with a core dump
		0x40:   "false 0 64 192",
	} {
		got := fmt.Sprint(status.Exited(), status.Code(), uint8(status.Signal()), status.Shell())
		if got != want {
			t.Errorf("status %#x: %s, want %s", uint32(status), got, want)
		}
	}
}

// orphaner leaves $1 orphans that end at once.
const orphaner = `i=0; while [ $i -lt $1 ]; do (true &); i=$((i+1)); done`

func TestQuickChildrenKeepTheirCodesBesideOrphans(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		storm := start(t, r, shell(orphaner, "1000"))
		want := make(map[int]int)
		seen, orphans := 0, 0
		look := func() {
			for exit := range r.Exited(64) {
				code, ok := want[exit.PID]
				switch {
				case !ok && exit.PID != storm:
					orphans++
				case ok && exit.Status != Status(code<<8):
					t.Errorf("process %d: status %#x, want code %d", exit.PID, uint32(exit.Status), code)
				case ok:
					seen++
				}
				delete(want, exit.PID)
			}
		}
		for i := range 1000 {
			want[start(t, r, shell("exit $1", strconv.Itoa(i%256)))] = i % 256
			for look(); len(want) > 20; look() {
				await(t)
			}
		}
		for look(); !r.Childless(); look() {
			await(t)
		}
		if seen != 1000 || orphans != 1000 {
			t.Errorf("%d children and %d orphans seen, want 1000 of each", seen, orphans)
		}
	})
}

func TestNoOrphanOfAStormStaysAZombie(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		start(t, r, shell(orphaner, "5000"))
		n := 0
		for !r.Childless() {
			await(t)
			for range r.Exited(64) {
				n++
			}
		}
		if n != 5001 {
			t.Errorf("%d reaped, want 5001", n)
		}
		names, err := os.ReadDir("/proc")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if pid, err := strconv.Atoi(name.Name()); err == nil && pid != 1 {
				t.Errorf("process %d is left", pid)
			}
		}
	})
}

func TestChildIsAZombieUntilTheBodyReturns(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		pid := start(t, r, shell("exit 3"))
		await(t)
		for exit := range r.Exited(1) {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if exit.PID != pid || err != nil || !strings.Contains(string(stat), ") Z ") {
				t.Errorf("%v %v: %s", exit, err, stat)
			}
			if err := r.Signal(Group(pid), signals.TERM, false); err != nil {
				t.Error(err)
			}
		}
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("after the body: %v", err)
		}
		if err := r.Signal(Group(pid), signals.TERM, false); err == nil {
			t.Error("the group of a reaped child could be signalled")
		}
		if err := r.Signal(Process(pid, 0), signals.TERM, false); err == nil {
			t.Error("a reaped child could be signalled")
		}
	})
}

func TestChildIsReapedWhenTheBodyBreaksAndKeptWhenItPanics(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		pid := start(t, r, shell("exit 4"))
		await(t)
		func() {
			defer func() { _ = recover() }()
			for range r.Exited(64) {
				panic("in the body")
			}
		}()
		if err := r.Signal(Process(pid, 0), signals.TERM, false); err != nil {
			t.Errorf("after a panic: %v", err)
		}
		var exit Exit
		for exit = range r.Exited(64) {
			break
		}
		if exit != (Exit{pid, 4 << 8}) {
			t.Errorf("second time: %v", exit)
		}
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("after a break: %v", err)
		}
	})
}

func TestExitedStopsAtItsLimitAndWakesAgain(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			c := shell("exit 0")
			c.Stdout = write
			start(t, r, c)
		}
		// All have ended when nobody holds the pipe.
		_ = write.Close()
		if n, err := read.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatal(n, err)
		}
		total := 0
		for !r.Childless() {
			await(t)
			n := 0
			for range r.Exited(3) {
				n++
			}
			if total += n; n > 3 {
				t.Fatalf("%d at once", n)
			}
		}
		if total != 10 {
			t.Errorf("%d reaped, want 10", total)
		}
	})
}

func TestAZombieThatIsNotReapedYetWakesNobodyTwice(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		pid := start(t, r, shell("exit 0"))
		wakes := 0
		for window := time.Now().Add(200 * time.Millisecond); time.Now().Before(window); {
			if dead, _ := signals.Next(window, nil); dead {
				wakes++
			}
		}
		if wakes != 1 {
			t.Errorf("woken %d times", wakes)
		}
		if status := collect(t, r, pid); status != 0 {
			t.Errorf("status %#x", uint32(status))
		}
	})
}

func TestChildrenFromBeforeTheReaperAreTakenOver(t *testing.T) {
	world{}.in(t, func(t *testing.T, r *Reaper) {
		want := []Exit{{4711, 1 << 8}, {4712, 2 << 8}}
		for _, exit := range want {
			r.Mourn(exit)
		}
		for range want {
			await(t)
			for exit := range r.Exited(1) {
				if exit != want[0] {
					t.Errorf("%v, want %v", exit, want[0])
				}
			}
			want = want[1:]
		}
		pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Signal(Process(pid, 0), signals.USR1, false); err == nil {
			t.Error("a process that Start did not make was signalled")
		}
		r.Adopt(pid)
		// KILL: the child may have got a mask of one of our threads.
		if err := r.Signal(Process(pid, 0), signals.KILL, false); err != nil {
			t.Error(err)
		}
		if status := collect(t, r, pid); status != Status(signals.KILL) {
			t.Errorf("status %#x", uint32(status))
		}
	})
}

func TestOrphansOfASubreaperAreReaped(t *testing.T) {
	world{below: true}.in(t, func(t *testing.T, r *Reaper) {
		if os.Getpid() == 1 {
			t.Fatal("is PID 1")
		}
		start(t, r, shell(orphaner, "50"))
		n := 0
		for !r.Childless() {
			await(t)
			for range r.Exited(64) {
				n++
			}
		}
		if n != 51 {
			t.Errorf("%d reaped, want 51", n)
		}
	})
}
