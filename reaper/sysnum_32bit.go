//go:build arm || 386

package reaper

import "syscall"

// The unsuffixed calls take 16-bit ids (setuid(2), NOTES).
const (
	sysSetgroups = syscall.SYS_SETGROUPS32
	sysSetgid    = syscall.SYS_SETGID32
	sysSetuid    = syscall.SYS_SETUID32
	sysFcntl     = syscall.SYS_FCNTL64
)
