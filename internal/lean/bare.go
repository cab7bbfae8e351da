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
	// strayTime is what everyone else has once the program has ended, in
	// nanoseconds (package supervisor, stragglerTime); a second more is for those
	// that were killed.
	strayTime = 5e9
	killTime  = 1e9
	poll      = 20e6
)

// bareNotice is the only word of ours.
const bareNotice = "exeunt: no room to start the ordinary program (pids or memory limit): stopping without it\n"

type pollfd struct {
	fd              int32
	events, revents int16
}

var stderr = pollfd{fd: 2, events: unix.POLLOUT}

// bare is the stop where the ordinary program has no room: the program is told,
// when it has ended everyone else is, and those who stay are killed, where we
// are PID 1. Nobody kills the program, since no grace period is set. It ends
// with the program's code.
//
//go:nosplit
func bare() {
	timeout = timespec{}
	// A pipe that nobody reads must not hold up the stop.
	if call(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&stderr)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0) == 1 && stderr.revents == unix.POLLOUT {
		call(unix.SYS_WRITE, 2, uintptr(unsafe.Pointer(unsafe.StringData(bareNotice))), uintptr(len(bareNotice)), 0, 0, 0)
	}
	stopped := false
	for n := 0; !Ended; {
		sig := 0
		if n < entry.TakenCount {
			sig = int(entry.Taken[n].Signal)
			n++
		} else {
			sig = next(everything, -1)
		}
		if sig > 0 && sig != chld {
			stopped = tell(sig, stopped)
		}
		reap()
	}
	if pid1 {
		endOthers()
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

// endOthers tells everyone in our PID namespace to end, and kills those who do
// not. Only for PID 1.
//
//go:nosplit
func endOthers() {
	if nobodyLeft() {
		return
	}
	everyone(term)
	everyone(cont)
	begin, killed := now(), false
	for !nobodyLeft() {
		next(everything, poll)
		switch past := now() - begin; {
		case past > strayTime+killTime:
			return
		case past > strayTime && !killed:
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
