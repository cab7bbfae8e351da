//go:build linux && (amd64 || arm64)

// Command probe is what the suite runs beside an init: the step before it, its
// app, and the app's descendants. It is freestanding: the ELF entry is start,
// in assembly, and the Go runtime never runs, so that a probe costs some ten
// page faults and one thread, and a thousand of them cost nothing to speak of.
//
//	CGO_ENABLED=0 go build -ldflags "-E main.start"
//
// Nothing here may allocate, panic, defer, call through an interface, or use
// anything of the runtime. What a system call fills in lives in package
// variables, which cannot escape to a heap that does not exist.
//
// Every record on standard output is two words: when (CLOCK_MONOTONIC,
// nanoseconds) and a value, whose meaning is the role's.
package main

import (
	"syscall"
	"unsafe"
)

// main is never reached: see start.
func main() {
	println("probe: built without -ldflags '-E main.start'")
	syscall.Exit(96)
}

const (
	monotonic = 1 // CLOCK_MONOTONIC
	cpu       = 2 // CLOCK_PROCESS_CPUTIME_ID
	parent    = syscall.CLONE_PARENT
	ring      = 4000 // most orphans alive or unreaped at once
	millisec  = 1_000_000
	failed    = 97 // exit code: a system call failed
	badRole   = 98 // exit code: no such role
	ignored   = 1  // SIG_IGN
	restorer  = 0x04000000
)

// The runtime's words for a g, of which only the stack guard is looked at: 0 is
// below every stack, so that no prologue ever asks for a larger one.
var (
	fakeG [512]byte
	tls   [128]byte
)

// A sigaction is the kernel's struct sigaction (linux/signal.h).
type sigaction struct {
	handler, flags, restorer, mask uintptr
}

var (
	stack  *uintptr // argc, argv, 0, envp, 0
	record [2]uint64
	ts     syscall.Timespec
	set    uint64
	act    sigaction
	status uintptr
	octet  [1]byte
	pids   [ring]uintptr
	proc   = [5]byte{'p', 'r', 'o', 'c', 0}
	mnt    = [6]byte{'/', 'p', 'r', 'o', 'c', 0}
	root   = [2]byte{'/', 0}
)

// told is the handler of TERM, in assembly; it calls leave.
func told()

// handlerAddress is told's.
func handlerAddress() uintptr

// run is called by start, once, with the initial stack. It does not return.
func run(sp *uintptr) {
	begin := now(monotonic)
	stack = sp
	switch role := word(1); {
	case role == "boot":
		boot()
	case role == "app":
		app(begin)
	case role == "pause":
		say(begin, 0)
		pause()
	case role == "heed":
		heed()
	case role == "quit":
		exit(0)
	case role == "echo":
		echo(begin)
	case role == "storm":
		storm(number(2))
	case role == "fork":
		forks(number(2))
	case role == "tree":
		tree(number(2), number(3), 0)
	case role == "service":
		service(begin)
	case role == "lines":
		lines(number(2))
	case role == "crowd":
		tree(number(2), 0, parent)
	}
	exit(badRole)
}

// boot gives the namespace its /proc, says when and how much CPU it used so
// far, and becomes the command that follows.
func boot() {
	const recursivePrivate = syscall.MS_REC | syscall.MS_PRIVATE
	must(call(syscall.SYS_MOUNT, at(&proc[0]), at(&root[0]), 0, recursivePrivate, 0, 0))
	must(call(syscall.SYS_MOUNT, at(&proc[0]), at(&mnt[0]), at(&proc[0]), 0, 0, 0))
	say(now(monotonic), now(cpu))
	argc := *stack
	must(call(syscall.SYS_EXECVE, *argument(2), uintptr(unsafe.Pointer(argument(2))), uintptr(unsafe.Pointer(argument(argc+1))), 0, 0, 0))
}

// app says when its first instruction ran, waits for standard input, and says
// when it leaves.
func app(begin uint64) {
	say(begin, 0)
	call(syscall.SYS_READ, 0, at(&octet[0]), 1, 0, 0, 0)
	say(now(monotonic), 0)
	exit(0)
}

// echo answers every USR1 with the time at which it came.
func echo(begin uint64) {
	set = 1 << (syscall.SIGUSR1 - 1)
	mask()
	say(begin, 0)
	for {
		if sig, _ := call(syscall.SYS_RT_SIGTIMEDWAIT, at(&set), 0, 0, 8, 0, 0); sig == uintptr(syscall.SIGUSR1) {
			say(now(monotonic), 0)
		}
	}
}

// heed is told of a TERM from its first instructions on, as PID 1 too, and ends as
// if it had died of it.
func heed() {
	set = 1 << (syscall.SIGTERM - 1)
	mask()
	for {
		if sig, _ := call(syscall.SYS_RT_SIGTIMEDWAIT, at(&set), 0, 0, 8, 0, 0); sig == uintptr(syscall.SIGTERM) {
			exit(128 + sig)
		}
	}
}

// storm leaves n dead orphans to the init, one after the other, and says when
// it begins, and when the last of them was reaped and how many were zombies at
// once at most. They are born as the init's children (CLONE_PARENT), so that
// nobody else's work is measured. No more than ring are left unreaped.
func storm(n uintptr) {
	say(now(monotonic), 0)
	var made, reaped, peak uintptr
	for made < n {
		for made-reaped == ring && !gone(pids[reaped%ring]) {
			nap(millisec)
		}
		pids[made%ring] = fork(parent | syscall.CLONE_VFORK)
		if pids[made%ring] == 0 {
			exit(0)
		}
		made++
		for reaped < made && gone(pids[reaped%ring]) {
			reaped++
		}
		peak = max(peak, made-reaped)
	}
	for reaped < made {
		if !gone(pids[reaped%ring]) {
			nap(millisec / 10)
			continue
		}
		reaped++
	}
	say(now(monotonic), uint64(peak))
	pause()
}

// forks does what a shell script does all day: fork, exec, wait.
func forks(n uintptr) {
	say(now(monotonic), 0)
	argv := [3]uintptr{*argument(0), at(&quit[0]), 0}
	for range n {
		pid := fork(0)
		if pid == 0 {
			must(call(syscall.SYS_EXECVE, argv[0], uintptr(unsafe.Pointer(&argv)), 0, 0, 0, 0))
		}
		must(call(syscall.SYS_WAIT4, pid, uintptr(unsafe.Pointer(&status)), 0, 0, 0, 0))
	}
	say(now(monotonic), 0)
	exit(0)
}

var quit = [5]byte{'q', 'u', 'i', 't', 0}

// tree makes well descendants that run a handler on TERM and deaf ones that
// ignore it, says so, and is well-behaved itself. Signals are arranged before
// each fork, so that everybody is ready when that is said.
func tree(well, deaf, flags uintptr) {
	act = sigaction{handler: ignored}
	arrange()
	breed(deaf, flags)
	act = sigaction{handler: handlerAddress(), flags: restorer, restorer: handlerAddress()}
	arrange()
	breed(well, flags)
	say(now(monotonic), 0)
	pause()
}

// service says when it began, and when TERM came, to the standard output of the
// namespace's PID 1, whatever its own is.
func service(begin uint64) {
	act = sigaction{handler: handlerAddress(), flags: restorer, restorer: handlerAddress()}
	arrange()
	fd, errno := call(syscall.SYS_OPENAT, 0, at(&outward[0]), syscall.O_WRONLY, 0, 0, 0)
	must(fd, errno)
	must(call(syscall.SYS_DUP3, fd, 1, 0, 0, 0, 0))
	say(begin, 1)
	pause()
}

var outward = [13]byte{'/', 'p', 'r', 'o', 'c', '/', '1', '/', 'f', 'd', '/', '1', 0}

// lines writes n lines of 100 bytes, in as few calls as can be.
func lines(n uintptr) {
	for i := range text {
		text[i] = 'x'
		if (i+1)%lineLength == 0 {
			text[i] = '\n'
		}
	}
	for left := n * lineLength; left > 0; {
		// What a pipe takes may end in the middle of a line.
		done := (n*lineLength - left) % lineLength
		wrote, errno := call(syscall.SYS_WRITE, 1, at(&text)+done, min(left, unsafe.Sizeof(text)-done), 0, 0, 0)
		must(wrote, errno)
		left -= wrote
	}
	pause()
}

const lineLength = 100

var text [lineLength * 655]byte

func breed(n, flags uintptr) {
	for range n {
		if fork(flags) == 0 {
			pause()
		}
	}
}

// leave is what the handler of TERM does.
func leave() {
	say(now(monotonic), 0)
	exit(0)
}

func arrange() {
	must(call(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGTERM), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0))
}

func mask() {
	must(call(syscall.SYS_RT_SIGPROCMASK, 0, at(&set), 0, 8, 0, 0))
}

func fork(flags uintptr) uintptr {
	pid, errno := call(syscall.SYS_CLONE, flags|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	must(pid, errno)
	return pid
}

func gone(pid uintptr) bool {
	_, errno := call(syscall.SYS_KILL, pid, 0, 0, 0, 0, 0)
	return errno == syscall.ESRCH
}

func say(when, value uint64) {
	record = [2]uint64{when, value}
	call(syscall.SYS_WRITE, 1, at(&record), unsafe.Sizeof(record), 0, 0, 0)
}

func now(clock uintptr) uint64 {
	call(syscall.SYS_CLOCK_GETTIME, clock, at(&ts), 0, 0, 0, 0)
	return uint64(ts.Sec)*1_000_000_000 + uint64(ts.Nsec)
}

func nap(ns int64) {
	ts = syscall.Timespec{Nsec: ns}
	call(syscall.SYS_NANOSLEEP, at(&ts), 0, 0, 0, 0, 0)
}

func pause() {
	for {
		call(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

func exit(code uintptr) {
	for {
		call(syscall.SYS_EXIT_GROUP, code, 0, 0, 0, 0, 0)
	}
}

func must(_ uintptr, errno syscall.Errno) {
	if errno != 0 {
		exit(failed)
	}
}

func call(trap, a, b, c, d, e, f uintptr) (uintptr, syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(trap, a, b, c, d, e, f)
	return r, errno
}

// at is the address of a package variable: nothing moves it, there being no
// runtime.
func at[T any](v *T) uintptr { return uintptr(unsafe.Pointer(v)) }

// argument is where argv[n] is; at argc+1 the environment begins.
func argument(n uintptr) *uintptr {
	return (*uintptr)(unsafe.Add(unsafe.Pointer(stack), (n+1)*unsafe.Sizeof(*stack)))
}

func word(n uintptr) string {
	if n >= *stack {
		return ""
	}
	first := *(**byte)(unsafe.Pointer(argument(n)))
	length := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(first), length)) != 0 {
		length++
	}
	return unsafe.String(first, length)
}

func number(n uintptr) (v uintptr) {
	for _, c := range []byte(word(n)) {
		v = v*10 + uintptr(c-'0')
	}
	return v
}
