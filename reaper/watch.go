package reaper

import (
	"syscall"
	"time"
)

const (
	// stormSize dead children in a burst make the watcher nap, so that in a fork
	// storm more of them share one wake-up of the loop: for a third of the cost.
	stormSize = 4
	stormNap  = time.Millisecond
	// orphanPoll is how often PID 1 without children looks whether a process
	// from outside has left it an orphan that died.
	orphanPoll = time.Second
)

// Woken is ready when somebody may have died since the last Exited; it has
// capacity 1 and any goroutine may receive from it. While no child dies
// nothing runs.
func (r *Reaper) Woken() <-chan struct{} { return r.woken }

func (r *Reaper) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// lookAgain tells the watcher that what it saw has been dealt with, or that
// there is a child again.
func (r *Reaper) lookAgain() {
	select {
	case r.look <- struct{}{}:
	default:
	}
}

// watch wakes the loop when somebody has died. It never reaps: what it saw
// stays a zombie until Exited comes, and it must not look again before that,
// or it would spin.
func (r *Reaper) watch() {
	for {
		if _, err := peek(0); err != nil {
			r.waitForChildren()
			continue
		}
		r.wake()
		<-r.look
		if r.busy.Swap(false) {
			nap := syscall.NsecToTimespec(int64(stormNap))
			_ = syscall.Nanosleep(&nap, nil)
		}
	}
}

// waitForChildren returns when we may have children again: Start has made one,
// or, as PID 1, a process that is not ours may have left us one. The kernel
// tells of the latter by SIGCHLD alone, and receiving that takes two more
// threads from a runtime that may sit at its pids limit; so PID 1 looks, but
// only while it has no child at all.
func (r *Reaper) waitForChildren() {
	if !r.pid1 {
		<-r.look
		return
	}
	poll := time.NewTimer(orphanPoll)
	defer poll.Stop()
	select {
	case <-r.look:
	case <-poll.C:
	}
}
