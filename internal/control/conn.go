package control

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A stage is how far a connection has come.
type stage uint8

const (
	reading stage = iota // its request has not come in full
	waiting              // for an answer of the loop
	writing              // what it is sent has not gone in full
)

// A conn is one connection: one request and its answer.
type conn struct {
	door  *door
	fd    int
	pid   int32 // of the peer, at the control socket
	since time.Time
	until time.Time // when it is over; zero is never
	stage stage
	in    []byte
	head  request // once the head has come
	token int     // of the question whose answer it waits for
	out   [][]byte
}

func (c *conn) close() {
	// What the peer still sends would make the kernel take back what it was sent.
	_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	var rest [4 << 10]byte
	for range 16 {
		if n, err := unix.Read(c.fd, rest[:]); n <= 0 || err != nil {
			break
		}
	}
	_ = unix.Close(c.fd)
}

// accept takes those who wait at the door, as far as there are places.
func (s *Server) accept(d *door, now time.Time) {
	if d.shutUntil.After(now) {
		return
	}
	if !d.shutUntil.IsZero() {
		d.shutUntil = time.Time{}
		s.poll.watch(d.fd, readable)
	}
	for range places {
		taken, oldest := s.table(d, now)
		if taken >= places && oldest == nil {
			s.shut(d, now.Add(youth))
			return
		}
		fd, _, err := unix.Accept4(d.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch {
		case err == nil:
			if taken >= places {
				s.drop(oldest)
			}
			s.admit(&conn{door: d, fd: fd, since: now, until: now.Add(headTime)})
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case oldest != nil: // no descriptor is left, or no memory
			s.drop(oldest)
		default:
			s.shut(d, now.Add(youth))
			return
		}
	}
}

// shut leaves those at the door outside for a while, where they cost nothing.
func (s *Server) shut(d *door, until time.Time) {
	d.shutUntil = until
	s.poll.watch(d.fd, 0)
}

// table counts the places of a door that are taken. The oldest connection that
// does not wait for the loop is the one to make room: those who say nothing, or
// do not listen, must not keep others out. Nil is that there is none.
func (s *Server) table(d *door, now time.Time) (taken int, oldest *conn) {
	for _, c := range s.conns {
		if c.door == d {
			if taken++; oldest == nil && c.stage != waiting && now.Sub(c.since) >= youth {
				oldest = c
			}
		}
	}
	return taken, oldest
}

// admit begins to serve a connection, if it is from somebody who may ask. At
// the control socket that is root and our own user.
func (s *Server) admit(c *conn) {
	s.conns = append(s.conns, c)
	if err := s.poll.add(c.fd, readable); err != nil {
		s.drop(c)
		return
	}
	if c.door.control {
		peer, err := unix.GetsockoptUcred(c.fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil || peer.Uid != 0 && int(peer.Uid) != unix.Geteuid() {
			s.refuse(c, 403, "only root and the user that exeunt runs as may ask here")
			return
		}
		c.pid = peer.Pid
	}
	s.read(c)
}

// conn is the connection with that descriptor.
func (s *Server) conn(fd int32) *conn {
	for _, c := range s.conns {
		if c.fd == int(fd) {
			return c
		}
	}
	return nil
}

// expired are the connections whose time is over.
func (s *Server) expired(now time.Time) (list []*conn) {
	for _, c := range s.conns {
		if !c.until.IsZero() && !now.Before(c.until) {
			list = append(list, c)
		}
	}
	return list
}

// waiters are the connections that wait for the answer to that question.
func (s *Server) waiters(token int) (list []*conn) {
	for _, c := range s.conns {
		if c.stage == waiting && c.token == token {
			list = append(list, c)
		}
	}
	return list
}

// stir does what a connection is ready for.
func (s *Server) stir(c *conn, what uint32) {
	switch {
	case c.stage == reading:
		s.read(c)
	case what&ended != 0:
		s.drop(c) // the order goes on, and nobody is told how it ended
	case c.stage == writing:
		s.write(c)
	}
}

// drop ends a connection.
func (s *Server) drop(c *conn) {
	if i := slices.Index(s.conns, c); i >= 0 {
		s.conns = slices.Delete(s.conns, i, i+1)
		s.release(c)
		c.close()
	}
}

// buffer gives a connection what its request goes into. It is one that has been
// used before, or else many connections would be much garbage.
func (s *Server) buffer(c *conn) {
	if n := len(s.spare); n > 0 {
		c.in, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		c.in = make([]byte, 0, longestHead+longestBody)
	}
}

// release takes it back.
func (s *Server) release(c *conn) {
	if c.in != nil {
		c.in, s.spare = nil, append(s.spare, c.in[:0])
	}
}

// read takes what has come of a request, and carries it out once it is whole.
func (s *Server) read(c *conn) {
	for c.stage == reading {
		if c.in == nil {
			s.buffer(c)
		}
		n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil || n <= 0:
			s.drop(c)
			return
		default:
			had := len(c.in)
			c.in = c.in[:had+n]
			s.consider(c, had)
		}
	}
}

// consider looks whether the request is whole; its first had bytes are not
// news.
func (s *Server) consider(c *conn, had int) {
	if c.head.size == 0 {
		size := headSize(c.in, had)
		switch {
		case size > longestHead || size == 0 && len(c.in) > longestHead:
			s.refuse(c, 431, "the head of the request is longer than 8 KiB")
			return
		case size == 0:
			return
		}
		var status int
		var why string
		if c.head, status, why = parse(c.in[:size]); status != 0 {
			s.refuse(c, status, why)
			return
		}
		c.until = c.since.Add(totalTime)
	}
	if len(c.in) >= c.head.size+c.head.body {
		s.release(c)
		s.carryOut(c)
	}
}
