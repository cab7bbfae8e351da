//go:build amd64 || arm64

package entry

import "unsafe"

// A sigaction is the kernel's struct sigaction (linux/signal.h).
type sigaction struct {
	handler  uintptr // or 0 for the default, 1 to ignore
	flags    uint64
	restorer uintptr
	mask     uint64
}

var (
	// catch is what we install, and keep what HUP, INT, QUIT and TERM have until
	// then. Defined in assembly.
	catch, keep sigaction

	// runtimes are the handlers that were there before ours, by signal. Where
	// there was none the signal is dropped instead.
	runtimes [65]uintptr

	self    int32 // our PID
	before  sigaction
	nothing uint64
)

// rtSigaction is rt_sigaction(2). It returns 0 or a negative errno.
func rtSigaction(sig uintptr, install, before *sigaction) int

// rtSigmask is rt_sigprocmask(SIG_SETMASK) of the calling thread.
func rtSigmask(mask *uint64)

func init() {
	const (
		chld, kill, stop = 17, 9, 19
		deathsOnly       = 1 // SA_NOCLDSTOP
	)
	if Handlers = openPipe(); Handlers {
		pid, _ := rawSyscall(sysGetpid, 0, 0, 0)
		self = int32(pid)
		for i := range min(TakenCount, len(Taken)) {
			rawSyscall(sysWrite, uintptr(Pipe[1]), uintptr(unsafe.Pointer(&Taken[i])), unsafe.Sizeof(Taken[i]))
		}
		for sig := uintptr(1); sig <= 64; sig++ {
			if sig != chld && sig != kill && sig != stop {
				takeOver(sig)
			}
		}
		catch.flags |= deathsOnly
		takeOver(chld)
	}
	// This is the main thread. What it inherited as blocked is for the
	// children to have; what the ELF entry put off arrives now.
	rtSigmask(&nothing)
}

// takeOver installs our handler. The one before is noted first: a preemption
// that was dropped in between would be the thread's last.
func takeOver(sig uintptr) {
	if rtSigaction(sig, nil, &before) != 0 {
		return
	}
	const ignored = 1
	if before.handler == ignored {
		Ignored |= 1 << (sig - 1)
	} else if before.handler != keep.handler {
		runtimes[sig] = before.handler
	}
	rtSigaction(sig, &catch, nil)
}

// openPipe makes the pipe: the writing end does not block, since a handler
// must not; the reading end does.
func openPipe() bool {
	const (
		closeOnExec = 0x80000
		nonBlocking = 0x800
		setFlags    = 4    // F_SETFL
		setPipeSize = 1031 // F_SETPIPE_SZ
	)
	if _, errno := rawSyscall(sysPipe2, uintptr(unsafe.Pointer(&Pipe)), closeOnExec, 0); errno != 0 {
		return false
	}
	rawSyscall(sysFcntl, uintptr(Pipe[1]), setFlags, nonBlocking)
	// Refused where the user's pipes have their share already
	// (pipe-user-pages-soft): then it is filled sooner, and Pending used.
	rawSyscall(sysFcntl, uintptr(Pipe[1]), setPipeSize, 1<<20)
	return true
}
