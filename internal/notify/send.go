package notify

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Variable is the name of the variable that holds the address of a service
// manager's socket (sd_notify(3)).
const Variable = "NOTIFY_SOCKET"

// Send says something to the service manager above us: one or more assignments,
// a line each. The socket is what NOTIFY_SOCKET held: a path, or "@" and an
// abstract name. It never waits: where the other side does not read, the error
// is unix.EAGAIN, and trying again later is the caller's. Any goroutine may
// call it.
func Send(socket, state string) error {
	if err := send(socket, state); err != nil {
		return fmt.Errorf("cannot notify %q: %w", socket, err)
	}
	return nil
}

func send(socket, state string) error {
	if !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") {
		return errors.New("neither a path nor an abstract name") // vsock: is for virtual machines
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// Who we are is added by the kernel.
	return unix.Sendto(fd, []byte(state), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: socket})
}
