package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/signals"
	"exeunt/supervisor"
)

// carryOut does what a request asks for. At a door that is not the control
// socket nothing but probes and metrics exists.
func (s *Server) carryOut(c *conn) {
	switch path := c.head.path; {
	case path == "/livez" || path == "/readyz" || path == "/metrics":
		if s.reads(c) {
			s.public(c)
		}
	case !c.door.control:
		s.refuse(c, 404, "there is /livez, /readyz and /metrics")
	case path == "/v1/status":
		if s.reads(c) {
			s.askStatus(c)
		}
	case path == "/v1/stop":
		s.order(c, supervisor.Asked{Order: supervisor.AskHalt})
	case path == "/v1/prestop":
		s.order(c, supervisor.Asked{Order: supervisor.AskPreStop})
	default:
		s.orderService(c)
	}
}

// reads reports whether a request only looks, and refuses any other.
func (s *Server) reads(c *conn) bool {
	if c.head.method == "GET" || c.head.method == "HEAD" {
		return true
	}
	s.refuse(c, 405, "GET is the method here", "Allow: GET, HEAD")
	return false
}

func (s *Server) public(c *conn) {
	switch as := supervisor.Standing(s.standing.Load()); {
	case c.head.path == "/livez":
		s.send(c, 200, plain, []byte("alive\n"))
	case c.head.path == "/readyz" && as == supervisor.Up:
		s.send(c, 200, plain, []byte(as.String()+"\n"))
	case c.head.path == "/readyz":
		s.send(c, 503, plain, []byte(as.String()+"\n"))
	case time.Since(s.pageAt) < freshness:
		s.send(c, 200, exposition, s.page)
	default:
		s.askStatus(c)
	}
}

// orderService takes an order for one service, POST /v1/services/NAME/ORDER.
func (s *Server) orderService(c *conn) {
	rest, ok := strings.CutPrefix(c.head.path, "/v1/services/")
	name, order, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(name)
	asked := supervisor.Asked{Service: name}
	switch order {
	case "start":
		asked.Order = supervisor.AskStart
	case "stop":
		asked.Order = supervisor.AskStop
	case "restart":
		asked.Order = supervisor.AskRestart
	case "reload":
		asked.Order = supervisor.AskReload
	case "signal":
		asked.Order = supervisor.AskSignal
	default:
		ok = false
	}
	if !ok || err != nil {
		s.refuse(c, 404, fmt.Sprintf("there is no %q", c.head.path))
		return
	}
	if lacks := s.Plan.Lacks(name); lacks != "" {
		s.refuse(c, 404, lacks)
		return
	}
	if asked.Order == supervisor.AskSignal {
		values, err := url.ParseQuery(c.head.query)
		if err == nil {
			asked.Signal, err = signals.Parse(values.Get("signal"))
		}
		if err != nil {
			s.refuse(c, 422, err.Error()+": write ?signal=HUP")
			return
		}
	}
	s.order(c, asked)
}

// order passes an order on to the loop.
func (s *Server) order(c *conn, a supervisor.Asked) {
	if c.head.method != "POST" {
		s.refuse(c, 405, "POST is the method here", "Allow: POST")
		return
	}
	atOnce := a.Order == supervisor.AskSignal || a.Order == supervisor.AskReload || a.Order == supervisor.AskHalt
	busy := 0
	for _, other := range s.conns {
		if other.stage == waiting && other.until.IsZero() {
			busy++
		}
	}
	if !atOnce && busy >= patient {
		s.refuse(c, 503, "too many orders are being carried out")
		return
	}
	if a.By = s.Sender(signals.Received{PID: c.pid}); a.By == "" {
		a.By = "somebody outside"
	}
	if c.token = s.ask(a); c.token == 0 {
		s.refuse(c, 503, "too much is asked, try again")
		return
	}
	if !atOnce {
		c.until = time.Time{} // it takes what it takes, the run at most
	}
	s.wait(c)
}

// askStatus asks how things are. Whoever wants to know while that question is
// under way shares its answer: it is still to be given, and so is of later than
// anything that they know.
func (s *Server) askStatus(c *conn) {
	if s.asking == 0 {
		s.asking = s.ask(supervisor.Asked{Order: supervisor.AskStatus})
	}
	if c.token = s.asking; c.token == 0 {
		s.refuse(c, 503, "too much is asked, try again")
		return
	}
	s.wait(c)
}

// ask puts a question to the loop and returns its token; 0 is that there is no
// room for one.
func (s *Server) ask(a supervisor.Asked) (token int) {
	a.Token = s.token + 1
	select {
	case s.outbox <- a:
		s.token++
		return s.token
	default:
		return 0
	}
}

// wait has a connection wait for the answer to its question.
func (s *Server) wait(c *conn) {
	c.stage = waiting
	s.poll.watch(c.fd, 0)
}

// reply passes an answer of the loop on to those who wait for it.
func (s *Server) reply(to []*conn, a answer) {
	var text []byte // the same for all
	for _, c := range to {
		switch {
		case c.head.path == "/metrics":
			if now := time.Now(); now.Sub(s.pageAt) >= freshness {
				s.page, s.pageAt = metrics(&a.now), now
			}
			s.send(c, 200, exposition, s.page)
		case a.err != "":
			s.refuse(c, 409, a.err)
		default:
			if text == nil {
				text, _ = json.Marshal(a.now) // of plain values: it cannot fail
				text = append(text, '\n')
			}
			s.send(c, 200, "application/json", text)
		}
	}
}

const (
	plain      = "text/plain; charset=utf-8"
	exposition = "text/plain; version=0.0.4; charset=utf-8"
)

// refuse answers with an error, in one line.
func (s *Server) refuse(c *conn, status int, why string, fields ...string) {
	s.send(c, status, plain, []byte(strings.ReplaceAll(why, "\n", " ")+"\n"), fields...)
}

// send answers. The body may be that of others, too, and is not changed.
func (s *Server) send(c *conn, status int, kind string, body []byte, fields ...string) {
	head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n",
		status, phrase(status), kind, len(body))
	for _, field := range fields {
		head = append(append(head, field...), "\r\n"...)
	}
	c.out = [][]byte{append(head, "\r\n"...), body}
	if c.head.method == "HEAD" {
		c.out = c.out[:1]
	}
	if c.until.IsZero() {
		c.until = time.Now().Add(totalTime)
	}
	c.stage = writing
	s.poll.watch(c.fd, writable)
	s.write(c)
}

// write sends what goes of the answer; when it has gone the connection is over.
func (s *Server) write(c *conn) {
	for len(c.out) > 0 {
		n, err := unix.SendmsgN(c.fd, c.out[0], nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			s.drop(c)
			return
		default:
			if c.out[0] = c.out[0][n:]; len(c.out[0]) == 0 {
				c.out = c.out[1:]
			}
		}
	}
	s.drop(c)
}

// expire ends a connection whose time is over.
func (s *Server) expire(c *conn) {
	switch c.stage {
	case reading:
		c.until = time.Time{}
		s.refuse(c, 408, "the request did not come in time")
	case waiting:
		c.until = time.Time{}
		s.refuse(c, 503, "the supervisor has not answered in time")
	default:
		s.drop(c)
	}
}

// phrase is what RFC 9110 calls a status.
func phrase(status int) string {
	switch status {
	case 200:
		return "OK"
	case 400:
		return "Bad Request"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 409:
		return "Conflict"
	case 411:
		return "Length Required"
	case 413:
		return "Content Too Large"
	case 417:
		return "Expectation Failed"
	case 422:
		return "Unprocessable Content"
	case 431:
		return "Request Header Fields Too Large"
	case 503:
		return "Service Unavailable"
	case 505:
		return "HTTP Version Not Supported"
	}
	return "Internal Server Error"
}
