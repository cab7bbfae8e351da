package output

import (
	"time"

	"golang.org/x/sys/unix"
)

// batch is how many bytes are read, and about how many written, at once: what a
// pipe holds.
const batch = 64 << 10

// A stream is the lines that one run of a service writes to one descriptor, on
// their way to ours. Only whoever has the sink's turn touches it.
type stream struct {
	source
	service string
	number  int
	sink    *sink
	json    bool

	head   []byte // of each line
	rest   []byte // a line that has not ended yet
	closed bool   // the last writer has gone, and all has been read
}

// stamp is what the head of a line in JSON begins with; the time follows, in as
// many bytes as timeFormat has in UTC.
const stamp = `{"time":"`

// newHead is what each line begins with, padded so that the longest name fits.
func (s *stream) newHead(width int) []byte {
	if !s.json {
		head := append([]byte(nil), s.service...)
		for len(head) < width {
			head = append(head, ' ')
		}
		return append(head, " | "...)
	}
	head := time.Now().UTC().AppendFormat([]byte(stamp), timeFormat)
	head = append(head, `","service":"`...)
	head = appendEscaped(head, []byte(s.service))
	head = append(head, `","stream":"`...)
	head = append(head, streamNames[s.number]...)
	return append(head, `","message":"`...)
}

// take reads once from the pipe and writes the lines that are whole, which may
// block for as long as the sink's reader likes. again is that there may be more
// to read, closed that there will never be.
func (s *stream) take() (again, closed bool) {
	s.sink.turn.Lock()
	defer s.sink.turn.Unlock()
	n := s.read()
	return n > 0, s.closed
}

// read is take in the caller's turn; n is how many bytes it read.
func (s *stream) read() (n int) {
	if s.closed {
		return 0
	}
	if s.sink.in == nil {
		s.sink.in = make([]byte, longest+batch)
	}
	text := s.sink.in[:copy(s.sink.in, s.rest)]
	n, err := unix.Read(s.fd, s.sink.in[len(text):])
	for err == unix.EINTR {
		n, err = unix.Read(s.fd, s.sink.in[len(text):])
	}
	switch {
	case n > 0:
		s.sink.held.Add(int64(n))
		s.write(s.sink.in[:len(text)+n])
	case err != unix.EAGAIN:
		s.closed = true
		s.end()
	}
	return max(n, 0)
}

// write writes the lines of text that are whole and keeps the rest.
func (s *stream) write(text []byte) {
	if s.json {
		var now [len(timeFormat)]byte // AppendFormat writes beyond what it appends
		copy(s.head[len(stamp):], time.Now().UTC().AppendFormat(now[:0], timeFormat))
	}
	rest := cut(text, s.line)
	s.rest = append(s.rest[:0], rest...)
	s.sink.flush()
	s.sink.held.Add(int64(len(rest) - len(text)))
}

// line writes one line, sooner or later.
func (s *stream) line(text []byte) {
	out := append(s.sink.out, s.head...)
	if s.json {
		out = append(appendEscaped(out, text), `"}`...)
	} else {
		out = append(out, text...)
	}
	if s.sink.out = append(out, '\n'); len(s.sink.out) >= batch {
		s.sink.flush()
	}
}

// end writes a last line that has no end, in the caller's turn.
func (s *stream) end() {
	if len(s.rest) > 0 {
		s.line(s.rest)
		s.sink.flush()
		s.sink.held.Add(-int64(len(s.rest)))
		s.rest = nil
	}
}

// finish writes all that is in the pipe now, but not what a process that lives
// on adds without end, and ends the last line.
func (s *stream) finish() {
	for left := s.unread(); ; {
		s.sink.turn.Lock()
		n := s.read()
		if left -= n; n == 0 || left <= 0 {
			s.end()
			s.sink.turn.Unlock()
			return
		}
		s.sink.turn.Unlock()
	}
}
