package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// An instant is a time of CLOCK_MONOTONIC, which every process of the machine
// reads alike: the probe's records and ours can be compared.
type instant uint64

func now() instant {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail: the clock is constant, the address ours
	return instant(ts.Nano())
}

func (t instant) add(d time.Duration) instant { return instant(int64(t) + int64(d)) }

// since is the time from u to t.
func (t instant) since(u instant) time.Duration { return time.Duration(t - u) }

// sleepUntil sleeps in the kernel, to the microsecond: spinning would starve
// the init that is measured. The timer slack is put back afterwards, since
// children inherit it.
func sleepUntil(t instant) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	ts := unix.NsecToTimespec(int64(t))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
	}
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
}

// readable waits until fd can be read or was hung up, or until the deadline.
func readable(fd int, deadline instant) bool {
	for {
		left := int64(deadline) - int64(now())
		ts := unix.NsecToTimespec(max(left, 0))
		n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &ts, nil)
		if err == unix.EINTR {
			continue
		}
		return n == 1
	}
}
