package reaper

import (
	"runtime"
	"syscall"
	"unsafe"
)

// What follows takes the place of syscall.ForkExec, which cannot give a child
// the signal mask, the dispositions and the closed descriptors that we were
// given, nor say which step failed. It keeps the discipline of
// forkAndExecInChild1 in the standard library's syscall/exec_linux.go: between
// fork and exec the child runs on our stack and in our memory while we are
// suspended, so it must not allocate, grow the stack, take a lock, write a
// pointer, or return. Hence nosplit, norace and raw system calls throughout.

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork() // blocks all signals of this thread

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

// rawVfork is syscall.rawVforkSyscall, which survives that the child uses the
// stack before it returns in the parent.
//
//go:noescape
func rawVfork(trap, a1, a2, a3 uintptr) (r1 uintptr, err syscall.Errno)

// A launch is all that a child needs between fork and exec. Everything is
// made before the fork; the child changes only numbers and the digits of
// listenPID.
type launch struct {
	paths      []*byte // to be tried in turn, as execvp(3) does
	argv, envp []*byte // each ends with nil
	dir        *byte
	listenPID  []byte       // digits of LISTEN_PID and a NUL, or nil
	files      []descriptor // for 0 to 2 and Extra
	unwanted   []int        // to be closed; none is in files
	session    bool
	terminal   bool
	oomScore   []byte // text of oom_score_adj; nil leaves it
	limits     []Limit
	umask      int // -1 leaves it
	noNewPrivs bool
	user       *credential
	nofile     *syscall.Rlimit // nil leaves it
	death      uintptr         // signal, or 0
	parent     uintptr         // our PID
	mask       uint64          // signals blocked
	ignored    uint64          // signals ignored
	report     uintptr         // pipe, close-on-exec
	failure    failure
}

// A credential is what of a User has to be changed.
type credential struct {
	setGroups bool
	groups    []uint32
	uid, gid  uintptr
}

// A failure is what a child that could not exec writes into the pipe.
type failure struct {
	errno uint32
	step  step
	at    uint32 // index into paths or limits, or a descriptor
}

type step uint32

const (
	stepFork step = iota
	stepGroup
	stepTerminal
	stepOOMScore
	stepLimit
	stepNoNewPrivs
	stepSetgroups
	stepSetgid
	stepSetuid
	stepChdir
	stepDeathSignal
	stepDescriptors
	stepExec
)

// fork makes the child. It returns in the parent only, when the child has
// called exec or ended. The frame it returns from is the one that the child
// goes on using, so it does nothing else.
//
//go:noinline
//go:norace
//go:nocheckptr
func (l *launch) fork() (pid uintptr, err syscall.Errno) {
	const flags = syscall.CLONE_VFORK | syscall.CLONE_VM | uintptr(syscall.SIGCHLD)
	runtimeBeforeFork()
	if runtime.GOARCH == "s390x" {
		// clone(2): there the first two arguments are swapped.
		pid, err = rawVfork(syscall.SYS_CLONE, 0, flags, 0)
	} else {
		pid, err = rawVfork(syscall.SYS_CLONE, flags, 0, 0)
	}
	if err != 0 || pid != 0 {
		return pid, err
	}
	l.child()
	return 0, 0 // not reached
}

// child runs between fork and exec and never returns.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) child() {
	// The files come first: a limit on open files would be in their way.
	err := l.openFiles()
	if err == 0 {
		err = l.become()
	}
	if err == 0 {
		l.restore()
		l.exec()
	} else {
		l.failure.errno = uint32(err)
	}
	syscall.RawSyscall(syscall.SYS_WRITE, l.report, uintptr(unsafe.Pointer(&l.failure)), unsafe.Sizeof(l.failure))
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 253, 0, 0)
	}
}

// become takes on the process's identity: group, terminal, limits, user,
// directory.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) become() (err syscall.Errno) {
	l.failure.step = stepGroup
	call := uintptr(syscall.SYS_SETPGID)
	if l.session {
		call = syscall.SYS_SETSID
	}
	if _, _, err = syscall.RawSyscall(call, 0, 0, 0); err != 0 {
		return err
	}
	if l.terminal {
		l.failure.step = stepTerminal
		if err = l.takeTerminal(); err != 0 {
			return err
		}
	}
	if err = l.confine(); err != 0 {
		return err
	}
	if l.noNewPrivs {
		l.failure.step = stepNoNewPrivs
		if _, _, err = syscall.RawSyscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); err != 0 {
			return err
		}
	}
	if l.user != nil {
		if err = l.changeUser(); err != 0 {
			return err
		}
	}
	if l.dir != nil {
		l.failure.step = stepChdir
		if _, _, err = syscall.RawSyscall(syscall.SYS_CHDIR, uintptr(unsafe.Pointer(l.dir)), 0, 0); err != 0 {
			return err
		}
	}
	if l.death != 0 {
		// After setuid, which clears it.
		l.failure.step = stepDeathSignal
		return l.dieWithParent()
	}
	return 0
}

const prSetNoNewPrivs = 38

// takeTerminal makes our group the foreground group. TTOU is blocked, as all
// signals are, so that a background group can do it. That stdin is no terminal
// of ours, is gone or closed is no failure (tini's list, and EIO of a terminal
// that was hung up).
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) takeTerminal() syscall.Errno {
	pid, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	group := int32(pid)
	_, _, err := syscall.RawSyscall(syscall.SYS_IOCTL, 0, syscall.TIOCSPGRP, uintptr(unsafe.Pointer(&group)))
	switch err {
	case syscall.ENOTTY, syscall.ENXIO, syscall.EBADF, syscall.EIO:
		return 0
	}
	return err
}

//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) changeUser() (err syscall.Errno) {
	if l.user.setGroups {
		l.failure.step = stepSetgroups
		groups := uintptr(unsafe.Pointer(unsafe.SliceData(l.user.groups)))
		if _, _, err = syscall.RawSyscall(sysSetgroups, uintptr(len(l.user.groups)), groups, 0); err != 0 {
			return err
		}
	}
	l.failure.step = stepSetgid
	if _, _, err = syscall.RawSyscall(sysSetgid, l.user.gid, 0, 0); err != 0 {
		return err
	}
	l.failure.step = stepSetuid
	_, _, err = syscall.RawSyscall(sysSetuid, l.user.uid, 0, 0)
	return err
}

// dieWithParent asks for the parent-death signal, and sends it at once if the
// parent was gone before it could be asked for.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) dieWithParent() syscall.Errno {
	if _, _, err := syscall.RawSyscall6(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, l.death, 0, 0, 0, 0); err != 0 {
		return err
	}
	parent, _, _ := syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
	if parent == l.parent {
		return 0
	}
	pid, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
	_, _, err := syscall.RawSyscall(syscall.SYS_KILL, pid, l.death, 0)
	return err
}

// restore undoes what the Go runtime and our signal handlers changed. The
// dispositions come before the mask: a signal to our new group must not run a
// handler of exeunt's in the child, nor kill it where it is to be ignored.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) restore() {
	var action [8]uintptr // struct sigaction: the handler first, everything else zero
	for sig := uintptr(1); sig <= 64; sig++ {
		action[0] = uintptr(l.ignored >> (sig - 1) & 1) // SIG_DFL is 0, SIG_IGN is 1
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
	if l.nofile != nil {
		syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(l.nofile)), 0, 0, 0)
	}
	if l.listenPID != nil {
		pid, _, _ := syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
		l.writeListenPID(uint32(pid))
	}
	const sigSetmask = 2
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask, uintptr(unsafe.Pointer(&l.mask)), 0, 8, 0, 0)
}

//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) writeListenPID(pid uint32) {
	digits := 1
	for n := pid; n >= 10; n /= 10 {
		digits++
	}
	l.listenPID[digits] = 0
	for i := digits - 1; i >= 0; i-- {
		l.listenPID[i] = '0' + byte(pid%10)
		pid /= 10
	}
}

// exec tries the paths as execvp(3) does: one that may not be executed is
// remembered, one that is not there is passed over, any other error ends it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) exec() {
	l.failure.step = stepExec
	for i := range l.paths {
		_, _, err := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(l.paths[i])),
			uintptr(unsafe.Pointer(unsafe.SliceData(l.argv))), uintptr(unsafe.Pointer(unsafe.SliceData(l.envp))))
		switch err {
		case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE, syscall.ENODEV, syscall.ETIMEDOUT:
			if l.failure.errno == uint32(syscall.EACCES) {
				continue
			}
		case syscall.EACCES:
		default:
			l.failure.errno, l.failure.at = uint32(err), uint32(i)
			return
		}
		l.failure.errno, l.failure.at = uint32(err), uint32(i)
	}
}
