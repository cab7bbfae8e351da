package notify

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

// longestDatagram is systemd's limit; a longer one says nothing.
const longestDatagram = 4096

// A source is what one life of a service speaks to. The Receiver's lock guards
// what follows file.
type source struct {
	name string
	uid  uint32
	take func(fd int) error // reads once; io.EOF is that nothing will follow
	of   *service
	file *os.File

	pid     int               // whom the service was started as; zero until Main
	main    int               // who is its main now
	said    supervisor.Notice // since the last delivery,
	pending bool              // if anything was
	noticed meter
	ready   bool // a pipe has had its newline
}

// abstract makes a socket with a name that nobody can guess. That is no secret
// from those who can read /proc/net/unix of our network namespace, such as a
// pod's other containers: hence the credentials.
func abstract() (fd int, address string, err error) {
	var random [16]byte
	if _, err := unix.Getrandom(random[:], 0); err != nil {
		return 0, "", err
	}
	address = "@exeunt-" + hex.EncodeToString(random[:])
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, "", err
	}
	// Before there is a name to send to, so that no datagram lacks them.
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: address})
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, "", err
	}
	return fd, address, nil
}

// drop ends a source. The reader lets go of it before its descriptor is closed.
func (s *source) drop() {
	if s != nil {
		_ = s.file.Close() // again is no harm
	}
}

// listen reads a source until it ends or is dropped. It waits in the runtime's
// poller: a thread for each service would count against the pids limit.
func (r *Receiver) listen(s *source) {
	defer s.drop()
	conn, err := s.file.SyscallConn()
	for read := (meter{}); err == nil; {
		for read.early(time.Now(), readPace, readBurst) > 0 {
			time.Sleep(readNap)
		}
		// Once for each datagram, since drop waits for the end of it.
		var end error
		err = conn.Read(func(fd uintptr) bool {
			end = r.hear(s, int(fd))
			return end != unix.EAGAIN
		})
		if err == nil {
			err = end
		}
	}
}

// hear reads a source once.
func (r *Receiver) hear(s *source, fd int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := s.take(fd)
	if err != nil && err != unix.EAGAIN && err != io.EOF {
		r.tell(s, "cannot read what it says: "+err.Error())
	}
	return err
}

// receive takes a datagram from a socket. There is room for the sender's
// credentials and for nothing else, so that the kernel closes the descriptors
// that came along, if any (unix(7)): that is what BARRIER=1 waits for, and none
// ever gets here.
func (r *Receiver) receive(s *source, fd int) error {
	n, c, flags, _, err := unix.Recvmsg(fd, r.datagram[:], r.control, 0)
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return err
	}
	from := sender(r.control[:c])
	if reason := refuse(from, s.uid, s.main); reason != "" {
		s.of.refused++
		r.tell(s, "a notification was refused: "+reason)
		return nil
	}
	if flags&unix.MSG_TRUNC != 0 {
		return nil
	}
	said := parse(r.datagram[:n])
	if said.MainPID != 0 && !mayLead(said.MainPID, from.Uid, s.main) {
		s.of.refused++
		r.tell(s, fmt.Sprintf("MAINPID=%d was refused: no such process of the service", said.MainPID))
		said.MainPID = 0
	}
	r.say(s, said)
	return nil
}

// read takes from a pipe what there is.
func (r *Receiver) read(s *source, fd int) error {
	n, err := unix.Read(fd, r.datagram[:])
	switch {
	case err == unix.EINTR:
		return nil
	case err != nil:
		return err
	case n == 0:
		return io.EOF
	}
	if !s.ready && bytes.IndexByte(r.datagram[:n], '\n') >= 0 {
		s.ready = true
		r.say(s, supervisor.Notice{Ready: true})
	}
	return nil
}

// say adds to what waits for delivery.
func (r *Receiver) say(s *source, n supervisor.Notice) {
	if n == (supervisor.Notice{}) || r.closed {
		return
	}
	add(&s.said, n)
	s.pending = true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// tell makes the one remark about a service.
func (r *Receiver) tell(s *source, text string) {
	if !s.of.told {
		s.of.told = true
		r.remark(s.name, text)
	}
}

// sender reads the credentials (SCM_CREDENTIALS); nil where there are none.
func sender(control []byte) *unix.Ucred {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for i := range messages {
		if from, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return from
		}
	}
	return nil
}
