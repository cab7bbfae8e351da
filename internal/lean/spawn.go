//go:build amd64 || arm64

package lean

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"exeunt/internal/entry"
)

var (
	pipe      [2]int32
	chldWas   sigaction // the disposition of SIGCHLD that we were given
	byDefault sigaction
	session   bool // the program gets a session of its own
	group     int32
	found     [256]byte // a path to be tried
	told      byte
)

// A sigaction is the kernel's struct sigaction, with room for amd64's restorer.
type sigaction struct{ handler, flags, restorer, mask uintptr }

const ignored = 1 // sigaction.handler

// fork makes a child that runs child, in our memory and on our stack while we
// are suspended until it has called exec or ended (CLONE_VFORK|CLONE_VM).
// It returns the PID, or a negative errno. Defined in assembly.
func fork() int

// call makes a system call and returns its result, or a negative errno.
//
//go:noescape
func call(trap, a1, a2, a3, a4, a5, a6 uintptr) int

// spawn starts the program, in Main, and reports whether it runs. If it does
// not, nothing is left of the attempt, and the ordinary program makes another
// to find out why.
//
//go:nosplit
func spawn() bool {
	if call(unix.SYS_RT_SIGACTION, chld, uintptr(unsafe.Pointer(&byDefault)), uintptr(unsafe.Pointer(&chldWas)), 8, 0, 0) != 0 {
		return false
	}
	if chldWas.handler == ignored {
		entry.Ignored |= 1 << (chld - 1)
	}
	if !pid1 {
		call(unix.SYS_PRCTL, unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, 0)
	}
	// A terminal stays with the session that has it (package compat).
	session = as == dumbInit && !terminal()
	if call(unix.SYS_PIPE2, uintptr(unsafe.Pointer(&pipe)), unix.O_CLOEXEC, 0, 0, 0, 0) != 0 {
		return false
	}
	pid := fork()
	call(unix.SYS_CLOSE, uintptr(pipe[1]), 0, 0, 0, 0, 0)
	// Shared memory would tell as well, but not under an emulator, whose vfork
	// is a fork.
	failed := pid < 0 || call(unix.SYS_READ, uintptr(pipe[0]), uintptr(unsafe.Pointer(&told)), 1, 0, 0, 0) == 1
	call(unix.SYS_CLOSE, uintptr(pipe[0]), 0, 0, 0, 0, 0)
	if failed {
		if pid > 0 {
			call(unix.SYS_WAIT4, uintptr(pid), 0, 0, 0, 0, 0)
		}
		return false
	}
	Main = pid
	return true
}

//go:nosplit
func terminal() bool {
	return call(unix.SYS_IOCTL, 0, unix.TCGETS, uintptr(unsafe.Pointer(&info)), 0, 0, 0) == 0
}

// child runs between fork and exec, and does not return: see package reaper,
// which does the same for every other child.
//
//go:nosplit
func child() {
	step := uintptr(unix.SYS_SETPGID)
	if session {
		step = unix.SYS_SETSID
	}
	if call(step, 0, 0, 0, 0, 0, 0) >= 0 && takeTerminal() {
		if chldWas.handler == ignored {
			call(unix.SYS_RT_SIGACTION, chld, uintptr(unsafe.Pointer(&chldWas)), 0, 8, 0, 0)
		}
		call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&entry.Mask)), 0, 8, 0, 0)
		search()
	}
	call(unix.SYS_WRITE, uintptr(pipe[1]), uintptr(unsafe.Pointer(&told)), 1, 0, 0, 0)
	for {
		call(unix.SYS_EXIT_GROUP, 253, 0, 0, 0, 0, 0)
	}
}

// takeTerminal makes our group the foreground group of a terminal on stdin.
//
//go:nosplit
func takeTerminal() bool {
	group = int32(call(unix.SYS_GETPID, 0, 0, 0, 0, 0, 0))
	switch call(unix.SYS_IOCTL, 0, unix.TIOCSPGRP, uintptr(unsafe.Pointer(&group)), 0, 0, 0) {
	case 0, -int(unix.ENOTTY), -int(unix.ENXIO), -int(unix.EBADF), -int(unix.EIO):
		return true
	}
	return false
}

// search executes the program along PATH, as execvp(3) does. It returns if it
// cannot be executed, or if a path is longer than most.
//
//go:nosplit
func search() {
	name := at(argv, 0)
	for p := name; *(*byte)(p) != 0; p = unsafe.Add(p, 1) {
		if *(*byte)(p) == '/' {
			execute(name)
			return
		}
	}
	dir := path
	if dir == nil {
		dir = unsafe.Pointer(&standard)
	}
	for more := true; more; {
		n := uintptr(0)
		for c := *(*byte)(dir); c != ':' && c != 0; c = *(*byte)(dir) {
			n = put(n, c)
			dir = unsafe.Add(dir, 1)
		}
		more = *(*byte)(dir) == ':'
		dir = unsafe.Add(dir, 1)
		if n == 0 {
			n = put(n, '.')
		}
		n = put(n, '/')
		for p := name; *(*byte)(p) != 0; p = unsafe.Add(p, 1) {
			n = put(n, *(*byte)(p))
		}
		n = put(n, 0)
		if n > uintptr(len(found)) || !execute(unsafe.Pointer(&found)) {
			return
		}
	}
}

// standard is the path where the environment has none.
var standard = [...]byte{'/', 'b', 'i', 'n', ':', '/', 'u', 's', 'r', '/', 'b', 'i', 'n', 0}

// put appends to found what still has room.
//
//go:nosplit
func put(n uintptr, c byte) uintptr {
	if n < uintptr(len(found)) {
		found[n] = c
	}
	return n + 1
}

// execute returns if the program at the path cannot be executed, and whether
// the next path is to be tried.
//
//go:nosplit
func execute(path unsafe.Pointer) bool {
	switch call(unix.SYS_EXECVE, uintptr(path), uintptr(argv), uintptr(envp), 0, 0, 0) {
	case -int(unix.ENOENT), -int(unix.ENOTDIR), -int(unix.ESTALE), -int(unix.ENODEV), -int(unix.ETIMEDOUT), -int(unix.EACCES):
		return true
	}
	return false
}
