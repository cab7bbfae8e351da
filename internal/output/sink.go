package output

import (
	"bytes"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// pipeBuf is PIPE_BUF of pipe(7): no other write gets in between one of so many
// bytes.
const pipeBuf = 4096

// A sink is a descriptor of ours that several write to, each in its turn. It was
// inherited, so it is never made non-blocking (others share that flag), yet it
// may be so already.
type sink struct {
	fd   int
	pipe bool

	// turn is held while somebody writes, for as long as the reader likes; those
	// who wait for it are goroutines without a thread.
	turn sync.Mutex
	in   []byte // what a stream has read, in its turn
	out  []byte // what it writes

	held atomic.Int64 // bytes that streams have read and that are not written yet
}

func newSink(fd int) *sink {
	var info unix.Stat_t
	err := unix.Fstat(fd, &info)
	return &sink{fd: fd, pipe: err == nil && info.Mode&unix.S_IFMT == unix.S_IFIFO}
}

// sinkOf is the one of others that writes to the same file as fd, or a new one.
// Two sinks of one file would get in between each other's lines.
func sinkOf(fd int, others ...*sink) *sink {
	var a, b unix.Stat_t
	for _, s := range others {
		if s.fd == fd || unix.Fstat(s.fd, &a) == nil && unix.Fstat(fd, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino {
			return s
		}
	}
	return newSink(fd)
}

// write writes whole lines, in the caller's turn, and returns how many bytes of
// them it could.
func (s *sink) write(lines []byte) (n int, err error) {
	for err == nil && n < len(lines) {
		var wrote int
		wrote, err = writeAll(s.fd, s.piece(lines[n:]))
		n += wrote
	}
	return n, err
}

// piece is how much of lines is written at once. Others may write to the same
// pipe, and know of no turns: services that have inherited it, or docker exec.
// What the pipe takes in one go they cannot split.
func (s *sink) piece(lines []byte) []byte {
	if !s.pipe || len(lines) <= pipeBuf {
		return lines
	}
	end := bytes.LastIndexByte(lines[:pipeBuf], '\n')
	if end < 0 {
		end = pipeBuf + bytes.IndexByte(lines[pipeBuf:], '\n')
	}
	return lines[:end+1]
}

// flush writes what streams have put into out. What can't be written is dropped:
// nobody reads it.
func (s *sink) flush() {
	_, _ = s.write(s.out)
	s.out = s.out[:0]
}

// writeAll writes all of b with plain write(2) and returns how much it could.
func writeAll(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		wrote, err := unix.Write(fd, b[n:])
		switch {
		case wrote > 0:
			n += wrote
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			// Somebody else made it non-blocking: wait as a blocking write would.
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		case err == nil:
			return n, unix.EIO // write(2) promises nothing about a zero: don't spin on it
		default:
			return n, err
		}
	}
	return n, nil
}
