package reaper

import (
	"fmt"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LimitNames are the words of Compose's ulimits, which are those of
// limits.conf(5), each at the index that is its Limit.Resource. The caller may
// change the slice.
func LimitNames() []string {
	return []string{
		unix.RLIMIT_CPU:        "cpu",
		unix.RLIMIT_FSIZE:      "fsize",
		unix.RLIMIT_DATA:       "data",
		unix.RLIMIT_STACK:      "stack",
		unix.RLIMIT_CORE:       "core",
		unix.RLIMIT_RSS:        "rss",
		unix.RLIMIT_NPROC:      "nproc",
		unix.RLIMIT_NOFILE:     "nofile",
		unix.RLIMIT_MEMLOCK:    "memlock",
		unix.RLIMIT_AS:         "as",
		unix.RLIMIT_LOCKS:      "locks",
		unix.RLIMIT_SIGPENDING: "sigpending",
		unix.RLIMIT_MSGQUEUE:   "msgqueue",
		unix.RLIMIT_NICE:       "nice",
		unix.RLIMIT_RTPRIO:     "rtprio",
		unix.RLIMIT_RTTIME:     "rttime",
	}
}

// name is the limit's word, or its number where it has none.
func (l Limit) name() string {
	if names := LimitNames(); l.Resource >= 0 && l.Resource < len(names) {
		return names[l.Resource]
	}
	return strconv.Itoa(l.Resource)
}

// bound notes what bounds the child: its limits, OOM score and umask.
func (l *launch) bound(c *Command) *StartError {
	l.limits, l.umask = c.Limits, -1
	l.nofile = givenNofile()
	for _, limit := range c.Limits {
		if limit.Resource == unix.RLIMIT_NOFILE {
			l.nofile = nil
		}
	}
	if c.OOMScoreAdj != nil {
		l.oomScore = strconv.AppendInt(nil, int64(*c.OOMScoreAdj), 10)
	}
	if c.Umask != nil {
		if l.umask = *c.Umask; l.umask&^0o777 != 0 { // umask(2) would drop the rest
			return &StartError{Path: c.Args[0], Op: "umask", Name: fmt.Sprintf("%#o", l.umask), Err: syscall.EINVAL}
		}
	}
	return nil
}

// confine sets in the child what bound noted, as long as it has our privileges.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) confine() (err syscall.Errno) {
	if l.oomScore != nil {
		// Before the limits, which could keep the file from being opened.
		l.failure.step = stepOOMScore
		if err = l.adjustOOMScore(); err != 0 {
			return err
		}
	}
	l.failure.step = stepLimit
	for i := range l.limits {
		l.failure.at = uint32(i)
		// Soft and Hard are laid out as the kernel's struct rlimit64.
		limit := uintptr(unsafe.Pointer(&l.limits[i].Soft))
		if _, _, err = syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, uintptr(l.limits[i].Resource), limit, 0, 0, 0); err != 0 {
			return err
		}
	}
	if l.umask >= 0 {
		syscall.RawSyscall(syscall.SYS_UMASK, uintptr(l.umask), 0, 0) // which cannot fail
	}
	return 0
}

// adjustOOMScore writes to our own oom_score_adj: /proc/self is the process
// that looks, also while it shares the memory of another, and the kernel sets
// the score of whoever shares it too, but not for a child of vfork(2)
// (__set_oom_adj in its fs/proc/base.c).
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *launch) adjustOOMScore() syscall.Errno {
	cwd := unix.AT_FDCWD
	path := uintptr(unsafe.Pointer(unsafe.StringData("/proc/self/oom_score_adj\x00")))
	fd, _, err := syscall.RawSyscall6(syscall.SYS_OPENAT, uintptr(cwd), path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0, 0, 0)
	if err != 0 {
		return err
	}
	// Exec closes it.
	text := uintptr(unsafe.Pointer(unsafe.SliceData(l.oomScore)))
	_, _, err = syscall.RawSyscall(syscall.SYS_WRITE, fd, text, uintptr(len(l.oomScore)))
	return err
}
