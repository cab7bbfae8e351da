// Package reaper is the only owner of this process's children: it starts,
// signals and collects them. Nothing else in the program may fork or wait.
//
// A dead child is shown (Exited) while it is still a zombie, so its number and
// its process group cannot have become somebody else's before the decision
// about its death has been carried out.
//
// The raw wait status travels; 128+n is made at the edge (Status.Shell). There
// is no __WALL: a process that is inherited always raises SIGCHLD.
package reaper

import (
	"errors"
	"iter"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

// A Reaper owns the children of this process. Make it with New. Its methods are
// for the one goroutine that made it, which stays locked to the main thread: a
// child's parent-death signal comes when the thread that forked it ends
// (prctl(2)). The same goroutine waits for the dead, by signals.Next.
type Reaper struct {
	pid1      bool
	started   map[int]struct{} // by Start, not yet reaped
	inherited []int            // descriptors from 3 up that we were given
	childless bool
	late      []Exit // reaped before New, not yet yielded
}

var made atomic.Bool

// New makes the reaper of this process; a second one is an error. It must be
// called before anything of ours opens a descriptor without close-on-exec. It
// makes us the subreaper of our descendants if we are not PID 1; where that is
// refused, orphans go to another init and are not seen by Exited.
func New() (*Reaper, error) {
	if made.Swap(true) {
		return nil, errors.New("cannot make a second reaper in one process")
	}
	r := &Reaper{
		pid1:      os.Getpid() == 1,
		started:   make(map[int]struct{}),
		inherited: inheritedDescriptors(),
	}
	if !r.pid1 {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	signals.Remind() // of children that we had before
	return r, nil
}

// Adopt makes pid, a child that this process had before New, one that Start has
// made.
func (r *Reaper) Adopt(pid int) { r.started[pid] = struct{}{} }

// Mourn has Exited yield, before anything else, the end of a child that was
// reaped before New. Its number may be somebody else's: it cannot be signalled.
func (r *Reaper) Mourn(x Exit) {
	r.late = append(r.late, x)
	signals.Remind()
}

// Exited yields at most limit dead children, our own and inherited ones; each
// is a zombie until its body returns and is reaped then, also when the body
// breaks. Should the body panic, the child stays a zombie and is yielded
// again. It does not block. Call it each time that signals.Next tells of the
// dead; when it stops at the limit, or the body breaks, Next tells of them again.
func (r *Reaper) Exited(limit int) iter.Seq[Exit] {
	return func(yield func(Exit) bool) {
		for range limit {
			if len(r.late) > 0 {
				exit := r.late[0]
				r.late = r.late[1:]
				if !yield(exit) {
					break
				}
				continue
			}
			exit, err := peek()
			r.childless = err == syscall.ECHILD
			if err != nil || exit.PID == 0 {
				return
			}
			more := yield(exit)
			delete(r.started, exit.PID)
			reap(exit.PID)
			if !more {
				break
			}
		}
		signals.Remind()
	}
}

// Childless reports whether the latest Exited found that we have no children
// left, dead or alive. Processes put into our namespace from outside (docker
// exec) are not our children.
func (r *Reaper) Childless() bool { return r.childless }

// CloseInherited closes our copies of the descriptors from 3 up that we were
// given, so that the other end of a pipe or socket sees when the app closes
// it. Commands started later cannot have them. For after the last service has
// been started.
func (r *Reaper) CloseInherited() {
	for _, fd := range r.inherited {
		_ = syscall.Close(fd)
	}
	r.inherited = nil
}

// siginfo is the part of the kernel's siginfo_t that waitid(2) fills. The
// empty array gives the union the alignment of a pointer, as in C.
type siginfo struct {
	signo, errno, code int32
	child              struct {
		_           [0]uintptr
		pid         int32
		uid, status int32
	}
	_ [100]byte
}

// Values of siginfo.code for a dead child (sigaction(2)).
const (
	cldExited = 1
	cldDumped = 3
)

// peek looks for a dead child and leaves it a zombie. An Exit with PID 0 says
// that none is dead.
func peek() (Exit, error) {
	const options = syscall.WEXITED | syscall.WNOWAIT | syscall.WNOHANG
	var info siginfo
	_, _, errno := syscall.RawSyscall6(syscall.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)), options, 0, 0)
	if errno != 0 {
		return Exit{}, errno
	}
	return Exit{PID: int(info.child.pid), Status: info.status()}, nil
}

// status puts the raw wait(2) status together again.
func (i *siginfo) status() Status {
	status := Status(i.child.status)
	switch i.code {
	case cldExited:
		return status & 0xff << 8
	case cldDumped:
		return status | 0x80
	}
	return status
}

// reap collects the dead child pid; its number may be somebody else's from now on.
func reap(pid int) {
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}
