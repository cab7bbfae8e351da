//go:build amd64 || arm64

package lean

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"exeunt/internal/entry"
)

const (
	term = 15
	cont = 18
	// strayTime is what everyone else has once the program has ended by itself, in
	// nanoseconds (package supervisor, stragglerTime), or the grace period if that
	// is less; a second more is for those that were killed.
	strayTime = 5e9
	killTime  = 1e9
	poll      = 20e6
)

// A schedule is when those who stay are killed, by the monotonic clock, and when
// we go whoever stays. 0 is never.
type schedule struct{ main, everyone, gone int }

// layOut is the schedule of a stop that begins now (supervisor.Budget).
//
//go:nosplit
func layOut(now int) schedule {
	if grace == 0 {
		return schedule{}
	}
	g := grace * 1e9
	margin, reserve := min(max(g/20, 2e8), 3e9), min(max(g*3/20, 3e8), 5e9)
	end := now + g - margin
	return schedule{end - reserve, end - reserve*3/10, end - reserve*3/20}
}

// bareNotice is the only word of ours.
const bareNotice = "exeunt: no room to start the ordinary program (pids or memory limit): stopping without it\n"

type pollfd struct {
	fd              int32
	events, revents int16
}

var stderr = pollfd{fd: 2, events: unix.POLLOUT}

// bare is the stop where the ordinary program has no room: the program is told,
// when it has ended everyone else is, and those who stay are killed, where we
// are PID 1. The program is killed only where a grace period is set. It ends with
// the program's code.
//
//go:nosplit
func bare() {
	timeout = timespec{}
	// A pipe that nobody reads must not hold up the stop.
	if call(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&stderr)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0) == 1 && stderr.revents == unix.POLLOUT {
		call(unix.SYS_WRITE, 2, uintptr(unsafe.Pointer(unsafe.StringData(bareNotice))), uintptr(len(bareNotice)), 0, 0, 0)
	}
	stopped, by := false, schedule{}
	for n := 0; !Ended; {
		sig := 0
		if n < entry.TakenCount {
			sig = int(entry.Taken[n].Signal)
			n++
		} else {
			sig = next(everything, left(by.main))
		}
		if sig > 0 && sig != chld {
			before := stopped
			if stopped = tell(sig, stopped); stopped && !before {
				by = layOut(now())
			}
		}
		if reap(); by.main != 0 && left(by.main) == 0 && !Ended {
			if by.main == by.gone {
				exit(128 + int(unix.SIGKILL)) // it is in the kernel, and stays there
			}
			send(int(unix.SIGKILL))
			by.main = by.gone
		}
	}
	if by.everyone == 0 {
		by.everyone = now() + strayTime
		if g := grace * 1e9; g != 0 && g < strayTime {
			by.everyone = now() + g
		}
		by.gone = by.everyone + killTime
	}
	if pid1 {
		endOthers(by)
	}
	if code := int(Status & 0x7f); code != 0 {
		exit(128 + code)
	}
	exit(int(Status >> 8 & 0xff))
}

// tell passes a signal on. A stop signal becomes TERM, once, unless we are
// another init, and reaches a stopped process too. It returns whether the stop
// has begun.
//
//go:nosplit
func tell(sig int, stopped bool) bool {
	if stopping>>(sig-1)&1 == 0 {
		if treat(sig, 0) == pass {
			send(sig)
		}
		return stopped
	}
	if as == exeunt {
		sig = term
	}
	if as != exeunt || !stopped {
		send(sig)
		send(cont)
	}
	return true
}

// left is how long it is until then; -1 if that is never.
//
//go:nosplit
func left(until int) int {
	if until == 0 {
		return -1
	}
	return max(until-now(), 0)
}

// endOthers tells everyone in our PID namespace to end, and kills those who do
// not. Only for PID 1.
//
//go:nosplit
func endOthers(by schedule) {
	if nobodyLeft() {
		return
	}
	everyone(term)
	everyone(cont)
	for killed := false; !nobodyLeft(); {
		next(everything, poll)
		switch {
		case left(by.gone) == 0:
			return
		case left(by.everyone) == 0 && !killed:
			everyone(int(unix.SIGKILL))
			killed = true
		}
	}
}

// everyone signals all of our PID namespace but us. It checks for itself that
// it is ours: elsewhere that would be all of the machine.
//
//go:nosplit
func everyone(sig int) {
	if call(unix.SYS_GETPID, 0, 0, 0, 0, 0, 0) == 1 {
		call(unix.SYS_KILL, ^uintptr(0), uintptr(sig), 0, 0, 0, 0)
	}
}

// now is the monotonic clock, in nanoseconds.
//
//go:nosplit
func now() int {
	call(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0, 0)
	return timeout.seconds*1e9 + timeout.nanoseconds
}
