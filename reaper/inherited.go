package reaper

import (
	"syscall"
	_ "unsafe" // for linkname

	"golang.org/x/sys/unix"

	"exeunt/internal/entry"
)

// givenNofile is the limit on open files to restore in a child: nil unless
// package syscall has raised our soft limit, to one below the hard one, and
// nobody has set another since (prlimit(1)).
func givenNofile() *syscall.Rlimit {
	var now syscall.Rlimit
	given := &syscall.Rlimit{Cur: entry.NoFile[0], Max: entry.NoFile[1]}
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now)
	if err != nil || now.Max != given.Max || now.Cur != now.Max-1 {
		return nil
	}
	return given
}

// probedDescriptors is how far inheritedDescriptors looks where /proc is missing.
const probedDescriptors = 4096

// inheritedDescriptors are the open descriptors from 3 up that are not
// close-on-exec. Everything that Go opens is, so these are what we were given.
func inheritedDescriptors() []int {
	var list []int
	add := func(fd int) {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			list = append(list, fd)
		}
	}
	if all, err := numbers("/proc/self/fd"); err == nil {
		for _, fd := range all {
			if fd > 2 {
				add(fd)
			}
		}
		return list
	}
	for fd := 3; fd < probedDescriptors; fd++ {
		add(fd)
	}
	return list
}

//go:linkname runtimeEnvs syscall.runtime_envs
func runtimeEnvs() []string // a copy

// Environ is our environment byte for byte and in order. Unlike os.Environ it
// keeps duplicates and entries without "=", since the app would have got them
// without us, and has not what package entry tells the runtime. The caller may
// change the slice.
func Environ() []string {
	env := runtimeEnvs()
	if entry.Known {
		env = env[1:]
	}
	return env
}
