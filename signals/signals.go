// Package signals is the vocabulary of Linux signals: their names and
// numbers, sets of them, rewriting one into another, and receiving them.
//
// Numbers are those of every architecture that exeunt is built for (amd64,
// arm64, arm, riscv64, ppc64le, s390x share one table; see signal(7)).
package signals

import "exeunt/internal/entry"

// A Signal is a signal number, 1 to 64. The zero Signal is no signal.
type Signal uint8

// Signals that other packages name.
const (
	HUP   Signal = 1
	INT   Signal = 2
	QUIT  Signal = 3
	KILL  Signal = 9
	USR1  Signal = 10
	SEGV  Signal = 11
	USR2  Signal = 12
	PIPE  Signal = 13
	TERM  Signal = 15
	CHLD  Signal = 17
	CONT  Signal = 18
	STOP  Signal = 19
	TSTP  Signal = 20
	TTIN  Signal = 21
	TTOU  Signal = 22
	URG   Signal = 23
	WINCH Signal = 28
	PWR   Signal = 30
	RTMIN Signal = 34
	RTMAX Signal = 64
)

// A Set is a set of signals, bit n-1 for signal n: the layout of SigCgt and
// SigIgn in /proc/PID/status and of the kernel's sigset_t. The zero Set is empty.
type Set uint64

// SetOf returns the set of the given signals.
func SetOf(list ...Signal) Set {
	var s Set
	for _, sig := range list {
		s = s.With(sig)
	}
	return s
}

// Has reports whether sig is in the set. No set has the zero Signal.
func (s Set) Has(sig Signal) bool { return sig != 0 && s&(1<<(sig-1)) != 0 }

// With returns the set with sig added.
func (s Set) With(sig Signal) Set {
	if sig == 0 {
		return s
	}
	return s | 1<<(sig-1)
}

// Senders reports whether Received tells who sent a signal: not where only
// os/signal is to be had (see Receive).
func Senders() bool { return entry.Handlers }

// A Received is one signal as it reached this process.
type Received struct {
	Signal Signal
	// Code is si_code of sigaction(2): 0 for kill(2), -1 for sigqueue(3),
	// above 0 when the kernel sent it (0x80, a terminal's Ctrl-C).
	Code int32
	// PID and UID are the sender's as the kernel tells them; PID 0 is a sender
	// outside our PID namespace (the container runtime), or the kernel.
	// Where Senders is false both are 0.
	PID, UID int32
	// Forwarded reports that it has been sent on already (see Forwarding).
	Forwarded bool
}
