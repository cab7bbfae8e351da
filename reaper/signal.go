package reaper

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"exeunt/signals"
)

// Signal sends sig. A target that is gone is no error; one that we may not
// signal is EPERM. Signalled are only
//   - a Process with a start time, if it still has that start time,
//   - a Process without one, or a Group, if it is a child that Start made and
//     Exited has not reaped: no number of a stranger's can ever be hit,
//   - Everyone, if we are PID 1.
//
// Anything else, the zero Target too, is an error and nobody is signalled.
// With ifCaught a process that has no handler for sig is left alone, which is
// no error.
func (r *Reaper) Signal(to Target, sig signals.Signal, ifCaught bool) error {
	if sig == 0 || sig > signals.RTMAX {
		return fmt.Errorf("cannot signal %s: no signal %d", to, sig)
	}
	if to.kind != everyone && (to.pid <= 1 || to.pid == os.Getpid()) {
		return fmt.Errorf("cannot signal %s: it is no child of ours", to)
	}
	if ifCaught {
		caught, err := catches(to, sig)
		if err != nil || !caught {
			return err
		}
	}
	var err error
	switch to.kind {
	case process:
		err = r.signalProcess(to, sig)
	case group:
		if !r.owns(to.pid) {
			return fmt.Errorf("cannot signal %s: it is no child of ours", to)
		}
		err = syscall.Kill(-to.pid, syscall.Signal(sig))
	case everyone:
		if os.Getpid() != 1 {
			return errors.New("cannot signal everyone: not PID 1")
		}
		err = syscall.Kill(-1, syscall.Signal(sig))
	}
	if err == syscall.ESRCH {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot signal %s: %w", to, err)
	}
	return nil
}

// owns reports whether pid cannot be anybody's but a child's of ours.
func (r *Reaper) owns(pid int) bool {
	_, ok := r.started[pid]
	return ok
}

func (r *Reaper) signalProcess(to Target, sig signals.Signal) error {
	if to.start == 0 {
		if !r.owns(to.pid) {
			return errors.New("it is no child of ours, and no start time is given")
		}
		return syscall.Kill(to.pid, syscall.Signal(sig))
	}
	fd, err := unix.PidfdOpen(to.pid, 0)
	switch err {
	case nil:
		defer func() { _ = unix.Close(fd) }()
	case unix.ESRCH, unix.EINVAL, unix.ENOENT:
		return syscall.ESRCH // EINVAL, ENOENT: the number is a mere thread's now
	default:
		fd = -1 // before Linux 5.3, or refused by seccomp, or no descriptor left
	}
	// What pidfd_open has opened stays what it is, so it is compared after that.
	start, err := startTime(to.pid)
	if err != nil {
		return err
	}
	if start != to.start {
		return syscall.ESRCH
	}
	if fd >= 0 {
		err = unix.PidfdSendSignal(fd, unix.Signal(sig), nil, 0)
		if err != unix.ENOSYS && err != unix.EPERM {
			return err
		}
	}
	return syscall.Kill(to.pid, syscall.Signal(sig))
}

// startTime is when the process began, in the kernel's words (Stray.Start);
// ESRCH if there is none.
func startTime(pid int) (uint64, error) {
	stat, err := readStat(pid, nil)
	if err != nil {
		return 0, err
	}
	return stat.Start, nil
}

// catches reports whether the process handles sig; one that is gone does not.
func catches(to Target, sig signals.Signal) (bool, error) {
	if to.kind != process && to.kind != group {
		return false, fmt.Errorf("cannot tell whether %s catches a signal", to)
	}
	caught, _, err := readMasks(to.pid, nil)
	if err == syscall.ESRCH {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot tell whether %s catches a signal: %w", to, err)
	}
	return caught.Has(sig), nil
}
