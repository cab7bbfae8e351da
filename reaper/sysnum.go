//go:build !arm && !386

package reaper

import "syscall"

const (
	sysSetgroups = syscall.SYS_SETGROUPS
	sysSetgid    = syscall.SYS_SETGID
	sysSetuid    = syscall.SYS_SETUID
	sysFcntl     = syscall.SYS_FCNTL
)
