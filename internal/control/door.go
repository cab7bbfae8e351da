package control

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Words in the place of a path.
const (
	Auto = "auto" // where the client looks by itself
	Off  = "off"  // nowhere
)

// A door is what connections come through: a socket that listens.
type door struct {
	fd        int
	control   bool   // orders are taken here, from those who may give them
	path      string // of a unix socket
	made      unix.Stat_t
	shutUntil time.Time // connections wait outside; zero is not
}

// addresses are where the control socket may be, the best first. Its name tells
// our mount namespace: containers that share a folder (those of a pod have one
// /dev/shm) do not share that, and whoever is put into a container does. Where
// there is no /proc it tells the root file system.
func addresses() []string {
	var self unix.Stat_t
	if unix.Stat("/proc/self/ns/mnt", &self) != nil && unix.Stat("/", &self) == nil {
		self.Ino ^= uint64(self.Dev) << 32
	}
	var paths []string
	for _, folder := range [...]string{"/run", "/dev/shm", "/tmp"} {
		paths = append(paths, fmt.Sprintf("%s/exeunt-%d.sock", folder, self.Ino))
	}
	return paths
}

// listenControl opens the control socket.
func listenControl(where string) (*door, error) {
	paths := []string{where}
	if where == Auto {
		paths = addresses()
	}
	var why []string
	for _, path := range paths {
		d, err := listenUnix(path, 0o600)
		if err == nil {
			d.control = true
			return d, nil
		}
		why = append(why, err.Error())
	}
	return nil, errors.New(strings.Join(why, "; "))
}

// listenHTTP opens where probes and metrics are served: to everyone.
func listenHTTP(where string) (*door, error) {
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		return listenUnix(path, 0o666)
	}
	fd, err := listenTCP(where)
	if port, ok := strings.CutPrefix(where, ":"); ok {
		if fd, err = listenTCP("[::]:" + port); errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
			fd, err = listenTCP("0.0.0.0:" + port) // there is no IPv6
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", where, err)
	}
	return &door{fd: fd}, nil
}

// listenTCP does without package net, of which it would link in another 25 KB.
func listenTCP(where string) (fd int, err error) {
	at, err := netip.ParseAddrPort(where)
	if err != nil {
		return 0, err
	}
	var name unix.Sockaddr = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	family := unix.AF_INET6
	if at.Addr().Is4() {
		name, family = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // or the last run's connections hold the port
	if family == unix.AF_INET6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) // [::] is everywhere
	}
	if err = unix.Bind(fd, name); err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

// listenUnix makes a unix socket of that mode. One that somebody listens on is
// left to them, one that nobody does is taken away.
func listenUnix(path string, mode int) (d *door, err error) {
	fail := func(err error) (*door, error) { return nil, fmt.Errorf("cannot listen on %q: %w", path, err) }
	address := &unix.SockaddrUnix{Name: path}
	if len(path) > longestPath {
		return fail(fmt.Errorf("the path is longer than %d bytes", longestPath))
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fail(err)
	}
	// Nobody connects before the mode is right. It is before the first fork: the
	// mask is for us alone.
	mask := unix.Umask(0o777 &^ mode)
	err = unix.Bind(fd, address)
	if errors.Is(err, unix.EADDRINUSE) {
		if err = clear(path); err == nil {
			err = unix.Bind(fd, address)
		}
	}
	unix.Umask(mask)
	d = &door{fd: fd, path: path}
	if err == nil {
		if err = unix.Lstat(path, &d.made); err == nil {
			err = unix.Listen(fd, backlog)
		}
	}
	if err != nil {
		d.close()
		return fail(err)
	}
	return d, nil
}

// longestPath is what sockaddr_un has room for, less its NUL.
const longestPath = 107

// clear takes away a socket that nobody listens on.
func clear(path string) error {
	var before, now unix.Stat_t
	if err := unix.Lstat(path, &before); err != nil {
		return err
	}
	if before.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("something else has that name")
	}
	for range 3 { // its owner may be about to listen
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		_ = unix.Close(fd)
		switch {
		case err == nil, errors.Is(err, unix.EAGAIN):
			return errors.New("somebody listens there already")
		case !errors.Is(err, unix.ECONNREFUSED):
			return err
		}
		time.Sleep(time.Millisecond)
	}
	if err := unix.Lstat(path, &now); err != nil || !same(&now, &before) {
		return errors.New("somebody has just taken it")
	}
	return unix.Unlink(path)
}

// close stops listening and takes the socket away, if it is still ours.
func (d *door) close() {
	_ = unix.Close(d.fd)
	var now unix.Stat_t
	if d.made.Ino != 0 && unix.Lstat(d.path, &now) == nil && same(&now, &d.made) {
		_ = unix.Unlink(d.path)
	}
}

// same reports whether both are of one file. A number alone may be that of a
// later one.
func same(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino && a.Mtim == b.Mtim }
