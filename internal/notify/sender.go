package notify

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxDepth bounds the way up from a process to its ancestors.
const maxDepth = 256

// refuse says why a datagram is none of the service's; empty is that it is. The
// user must be one that could do the service harm anyway, and the process must
// be the service's main or one of its group, its session or its descendants. Of
// one that has gone, as systemd-notify soon has, only the user is known, and
// counts.
func refuse(from *unix.Ucred, service uint32, main int) string {
	switch {
	case from == nil:
		return "it came without credentials"
	case from.Pid == 0:
		return "it came from outside of our PID namespace"
	case !trusted(from.Uid) && from.Uid != service && !owns(from.Uid, main):
		return fmt.Sprintf("pid %d is of uid %d, which is neither the service's nor root", from.Pid, from.Uid)
	case stranger(int(from.Pid), main):
		return fmt.Sprintf("pid %d is not of the service", from.Pid)
	}
	return ""
}

// trusted reports whether a user may do to our services what we may.
func trusted(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// owns reports whether a process is the user's by now: a service that was
// started as root may have become somebody else.
func owns(uid uint32, pid int) bool {
	var stat unix.Stat_t
	return ownProc() && unix.Stat("/proc/"+strconv.Itoa(pid), &stat) == nil && stat.Uid == uid
}

// stranger reports whether a process is known not to belong to the main.
func stranger(pid, main int) bool {
	if pid == main {
		return false
	}
	if group, err := unix.Getpgid(pid); err == nil && group == main {
		return false
	}
	if session, err := unix.Getsid(pid); err == nil && session == main {
		return false
	}
	below, known := descends(pid, main)
	return known && !below
}

// mayLead reports whether a process may become the main of a service when that
// user says so.
func mayLead(pid int, uid uint32, main int) bool {
	if pid == os.Getpid() {
		return false
	}
	if _, err := unix.Getpgid(pid); err != nil {
		return false
	}
	ours, _ := descends(pid, os.Getpid())
	return ours && (trusted(uid) || !stranger(pid, main))
}

// descends reports whether a process is a descendant of another, and whether
// that can be known: not of a process that goes while we look, nor where /proc
// can't tell.
func descends(pid, of int) (below, known bool) {
	if !ownProc() {
		return false, false
	}
	for range maxDepth {
		parent, ok := parentOf(pid)
		switch {
		case !ok:
			return false, false
		case parent == of:
			return true, true
		case parent == 0 || parent == os.Getpid():
			return false, true
		}
		pid = parent
	}
	return false, true
}

// ownProc reports whether /proc is there and of our PID namespace.
func ownProc() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
}

// parentOf reads a process's parent (proc_pid_stat(5)).
func parentOf(pid int) (parent int, ok bool) {
	fd, err := syscall.Open("/proc/"+strconv.Itoa(pid)+"/stat", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer func() { _ = syscall.Close(fd) }()
	var buffer [512]byte
	n, err := syscall.Read(fd, buffer[:])
	if err != nil {
		return 0, false
	}
	text := buffer[:n]
	// The name before the last ")" may hold any byte.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return parent, err == nil
}
