//go:build amd64 || arm64

package lean

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"exeunt/internal/entry"
)

const (
	chld       = 17
	everything = ^uint64(0)
	// freezing are the signals that would stop a program without a handler.
	freezing = 1<<19 | 1<<20 | 1<<21 // TSTP TTIN TTOU
	// stopping are those that begin the stop where nobody says otherwise
	// (package config).
	stopping = 1<<14 | 1<<1 | 1<<36 | 1<<29 // TERM INT RTMIN+3 PWR
	// faults are not passed on by tini and catatonit (package compat).
	faults = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<10 | 1<<30 // ILL TRAP ABRT BUS FPE SEGV SYS
)

// A storm is many deaths at once: then one look a millisecond takes them all,
// for a third of the cost (package reaper).
const (
	stormSize = 4
	atOnce    = 64 // deaths taken before signals are looked at again
	stormNap  = 1e6
)

// A siginfo is the kernel's siginfo_t.
type siginfo struct {
	entry.Record
	_ [128 - unsafe.Sizeof(entry.Record{})]byte
}

type timespec struct{ seconds, nanoseconds int }

var (
	pid1      bool
	info      siginfo
	set       uint64
	timeout   timespec
	status    uint32
	childless bool
)

// run is called by the ELF entry with every signal blocked. It returns when the
// runtime is to be started: at once, if there is nothing here for us, else with
// what happened in Main, Ended, Status and entry.Taken.
//
//go:nosplit
func run(stack unsafe.Pointer) {
	if !plain(stack) || !begin() {
		// Nothing runs yet: where the runtime would abort we can say why.
		if Unlimited = !limited(); !Unlimited && !roomForThreads(leastThreads) {
			refuse()
		}
		return
	}
	if !roomForRuntime() {
		bare()
	}
	takeUnkept()
}

// begin starts the program and serves it until something is to be decided. It
// reports whether the program was started.
//
//go:nosplit
func begin() bool {
	pid1 = call(unix.SYS_GETPID, 0, 0, 0, 0, 0, 0) == 1
	if !spawn() {
		return false
	}
	// The app's alone from now on. Before Linux 5.9, and under an old seccomp
	// profile, the ordinary program has to do it.
	if call(unix.SYS_CLOSE_RANGE, 3, 1<<32-1, 0, 0, 0, 0) == 0 {
		serve()
	}
	return true
}

// serve forwards and reaps until something is to be decided.
//
//go:nosplit
func serve() {
	for dead := 0; ; {
		// All but CHLD during a storm; it is pending, and would end the nap.
		sig := 0
		switch {
		case dead == atOnce:
			sig = next(everything&^(1<<(chld-1)), 0)
		case dead >= stormSize:
			sig = next(everything&^(1<<(chld-1)), stormNap)
		default:
			sig = next(everything, -1)
		}
		if sig > 0 && sig != chld && !forward(sig) {
			take()
			return
		}
		if sig != chld && dead < stormSize {
			continue
		}
		if dead = reap(); Ended {
			if Status == 0 && nobodyLeft() {
				exit(0)
			}
			return
		}
	}
}

// next waits for a signal of the set and fills info; after so many nanoseconds,
// if they are not negative, it returns 0 or less.
//
//go:nosplit
func next(of uint64, nanoseconds int) int {
	set, timeout = of, timespec{nanoseconds / 1e9, nanoseconds % 1e9}
	until := uintptr(unsafe.Pointer(&timeout))
	if nanoseconds < 0 {
		until = 0
	}
	return call(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&info)), until, 8, 0, 0)
}

// reap collects at most atOnce of the dead and returns how many.
//
//go:nosplit
func reap() (n int) {
	for ; n < atOnce; n++ {
		pid := call(unix.SYS_WAIT4, ^uintptr(0), uintptr(unsafe.Pointer(&status)), unix.WNOHANG, 0, 0, 0)
		childless = pid == -int(unix.ECHILD)
		if pid <= 0 {
			break
		}
		if pid == Main {
			Ended, Status = true, status
		}
	}
	return n
}

// nobodyLeft reports whether we are alone: in our PID namespace, or among our
// descendants, who are our children once their parents have gone. Zombies of
// outsiders are somebody here; the ordinary program can tell.
//
//go:nosplit
func nobodyLeft() bool {
	for !childless {
		if reap() == 0 && !childless {
			return false
		}
	}
	return !pid1 || call(unix.SYS_KILL, ^uintptr(0), 0, 0, 0, 0, 0) == -int(unix.ESRCH)
}

// A treatment is what becomes of a signal.
type treatment uint8

const (
	decide treatment = iota // by the ordinary program
	drop
	pass // on to the program
)

// treat is what the ordinary program would do with the signal, or decide.
//
//go:nosplit
func treat(sig int, code int32) treatment {
	bit := uint64(1) << (sig - 1)
	switch {
	case (freezing|stopping)&bit != 0, code > 0: // above 0 the kernel sent it
		return decide
	case faults&bit != 0 && (as == tini || as == catatonit):
		return drop
	}
	return pass
}

// forward does with the signal in info what is to be done, and reports whether
// that was for us to do and went well.
//
//go:nosplit
func forward(sig int) bool {
	switch treat(sig, info.Code) {
	case drop:
		return true
	case pass:
		return send(sig)
	}
	return false
}

// send signals the program, under dumb-init its group. That it is a zombie is
// no failure.
//
//go:nosplit
func send(sig int) bool {
	to := Main
	if as == dumbInit {
		to = -Main
	}
	err := call(unix.SYS_KILL, uintptr(to), uintptr(sig), 0, 0, 0, 0)
	return err == 0 || err == -int(unix.ESRCH)
}

// take keeps what is in info for the ordinary program.
//
//go:nosplit
func take() {
	if n := entry.TakenCount; n < len(entry.Taken) {
		entry.Taken[n] = info.Record
		entry.TakenCount = n + 1
	}
}

// takeUnkept takes the pending signals that the kernel does not keep as they are
// while the runtime starts. Of those that come later only entry.Pending tells.
//
//go:nosplit
func takeUnkept() {
	for entry.TakenCount < len(entry.Taken) && next(entry.Unkept, 0) > 0 {
		take()
	}
}

//go:nosplit
func exit(code int) {
	for {
		call(unix.SYS_EXIT_GROUP, uintptr(code), 0, 0, 0, 0, 0)
	}
}
