// Package entry is what exeunt does before anything else, and what it notes
// before the Go runtime changes it. It imports nothing but unsafe, so that its
// init functions run before those of syscall, os and everything above them.
//
// There are two stages.
//
// The ELF entry runs before the Go runtime exists. Only a build that asks for
// it has one (amd64 and arm64, CGO_ENABLED=0):
//
//	go build -ldflags "-E exeunt/internal/entry.start"
//
// or the entry of package lean, which ends in this one.
//
// It notes Mask, Ignored and Closed, which the runtime overwrites, and puts
// off the signals that arrive before the second stage is ready: the kernel
// keeps most of them blocked; HUP, INT, QUIT and TERM, which the runtime
// unblocks whatever we do, are noted in Pending by a handler of a few
// instructions. Then it jumps to the runtime's own entry, with GOMAXPROCS=1
// before the variables that we were given, so that the runtime prepares for one
// processor and not for all of the machine's, nor for as many as the app is to
// use. From then on the runtime's threads have most signals blocked; the main
// thread, where nothing is blocked once init has run, takes them all. So whoever
// forks gives the child a mask of its own: Mask, and an environment without our
// variable: package reaper, Environ.
//
// The package's init (every build on amd64 and arm64) replaces the runtime's
// signal handlers by one that writes each signal's siginfo to a pipe, from
// which package signals reads. It hands to the runtime what is the runtime's:
// preemption and everything else that a thread of ours sent to another, and
// the faults of our own code, so that a nil dereference is a panic as ever.
// SIGCHLD is caught too, whatever was inherited: ignored, it would take the
// zombies and their exit codes away. It tells of deaths only.
//
// Between the two the runtime has handlers of its own, by which a HUP, INT, QUIT
// or TERM would make it exit with code 2 for some tenths of a millisecond. Without
// cgo it has to ask us for these four, by the way that runtime/cgo has for the
// sanitizers, and is given the handler that notes them in Pending: asked, in
// assembly, in every build without cgo, and also where there was no ELF entry.
//
// No goroutine may use os/signal for anything but SIGCHLD beside it: the
// runtime would put its own handler back.
package entry

// Known reports whether our ELF entry ran, and so whether Mask and Closed are
// what we inherited, Ignored is complete, and the first variable is ours.
var Known bool

// Mask is the signal mask we inherited, bit n-1 for signal n, if Known.
var Mask uint64

// Ignored is the set of signals we inherited as ignored, bit n-1 for signal n.
// Unless Known only HUP, INT, CONT, TSTP, TTIN, TTOU, 32 and 34 can be in it:
// those the runtime leaves as it finds them.
var Ignored uint64

// Closed has bit n set if descriptor n, 0 to 2, was closed when we began, if
// Known. The runtime opens /dev/null in its place.
var Closed uint32

// NoFile is RLIMIT_NOFILE, soft and hard, as we inherited it; package syscall
// raises the soft limit. ^0 is no limit. It is {0, 0} where it cannot be told:
// on architectures other than amd64, arm64, arm, 386, riscv64, ppc64, ppc64le
// and s390x.
var NoFile [2]uint64

// Handlers reports whether our signal handler is in place, so that Pipe and
// Pending are to be read. It is false on other architectures, and where no
// pipe was to be had.
var Handlers bool

// Pipe is where the Records are, if Handlers: the descriptor to read them from,
// which blocks, and the one to write to, which does not. Both are close-on-exec.
var Pipe [2]int32

// Pending has the signals, bit n-1 for signal n, that arrived before the pipe
// existed or when it was full. It is to be swapped with 0 atomically before
// the first and after each read of the pipe, which holds at least one Record
// after Pending was set.
var Pending uint64

// Taken are the first TakenCount signals that arrived: package lean took them
// before the runtime began. They come
// first in the pipe.
var Taken [16]Record

// TakenCount is how many of Taken are there.
var TakenCount int

// Unkept are the signals, bit n-1 for signal n, of which the kernel does not keep
// those that arrive between the ELF entry and init as they are: HUP, INT, QUIT,
// TERM, of which only Pending tells, the faults and the runtime's own. CHLD is
// not among them.
const Unkept = 0x3_c440_c4ff

// A Record is the beginning of a siginfo_t (sigaction(2)), as the handler
// writes it to the pipe. A Signal of 0 says only that Pending was set.
type Record struct {
	Signal, Errno, Code, _ int32
	// PID and UID are the sender's, where Code is one of kill(2), sigqueue(3),
	// tgkill(2) or mq_notify(3). With other codes they are something else.
	PID, UID int32
}
