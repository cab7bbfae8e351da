package control

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a descriptor is watched for, besides its end.
const (
	readable = unix.EPOLLIN
	writable = unix.EPOLLOUT
	ended    = unix.EPOLLHUP | unix.EPOLLERR // both directions are over
)

// A poll waits for many descriptors at once, and itself in the runtime's
// poller: an epoll descriptor is one that can be waited for.
type poll struct {
	file   *os.File
	raw    syscall.RawConn
	fd     int
	bell   int // an eventfd
	events [2*places + 3]unix.EpollEvent
}

func newPoll() (*poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p := &poll{fd: fd, bell: -1}
	_ = unix.SetNonblock(fd, true) // or the file would not be the poller's
	p.file = os.NewFile(uintptr(fd), "control")
	if p.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		if err = p.add(p.bell, readable); err == nil {
			p.raw, err = p.file.SyscallConn()
		}
	}
	if err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // an error where it is not the poller's
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poll) add(fd int, what uint32) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: what, Fd: int32(fd)})
}

// watch changes what a descriptor is watched for. A closed one is watched no more.
func (p *poll) watch(fd int, what uint32) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: what, Fd: int32(fd)})
}

// wait returns what has happened, at the latest at until; zero is never. The
// events are good until the next call.
func (p *poll) wait(until time.Time) []unix.EpollEvent {
	n := 0
	_ = p.file.SetReadDeadline(until)
	_ = p.raw.Read(func(uintptr) bool {
		n, _ = unix.EpollWait(p.fd, p.events[:], 0)
		return n > 0
	})
	events := p.events[:max(n, 0)]
	for _, ev := range events {
		if int(ev.Fd) == p.bell {
			var count [8]byte
			_, _ = unix.Read(p.bell, count[:])
		}
	}
	return events
}

// ring makes wait return. Any goroutine may call it.
func (p *poll) ring() {
	one := [8]byte{0: 1, 7: 1} // above zero in either byte order
	_, _ = unix.Write(p.bell, one[:])
}

func (p *poll) close() {
	_ = p.file.Close()
	if p.bell >= 0 {
		_ = unix.Close(p.bell)
	}
}
