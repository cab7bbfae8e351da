package output

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// open opens a file for a service to append to. It does not block.
func open(path string) (*os.File, error) {
	if fd, ok := ours(path); ok {
		fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
	// O_NONBLOCK is for a FIFO or a line that nobody has taken up.
	flags := unix.O_WRONLY | unix.O_APPEND | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_CLOEXEC
	var info unix.Stat_t
	switch err := unix.Stat(path, &info); {
	case err == unix.ENOENT:
		// Only then: in /tmp O_CREAT may refuse what is there and another user's
		// (fs.protected_regular and protected_fifos, proc_sys_fs(5)).
		flags |= unix.O_CREAT
	case err == nil && info.Mode&unix.S_IFMT == unix.S_IFIFO:
		flags = flags&^unix.O_WRONLY | unix.O_RDWR
	}
	fd, err := unix.Open(path, flags, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, false); err != nil { // the description is new and so the service's alone
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// ours tells whether path means our own stdout or stderr, directly or by way of
// symbolic links as many images have them (access.log to /dev/stdout). It is not
// opened anew: that needs /proc, a socket refuses it, and a regular file would be
// written from two places.
func ours(path string) (fd int, ok bool) {
	const links = 8
	self := fmt.Sprintf("/proc/%d/fd/", os.Getpid())
	for range links {
		switch path = filepath.Clean(path); path {
		case "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", self + "1":
			return 1, true
		case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2", self + "2":
			return 2, true
		}
		to, err := os.Readlink(path)
		if err != nil {
			return 0, false
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return 0, false
}
