// Package control lets others ask a running exeunt how things are, and order
// what is to happen. Its server speaks HTTP/1.1 over a unix socket and, for
// probes and metrics alone, over TCP; its client is behind exeunt status, stop
// and the like.
//
// The server cannot hurt the run. It is one goroutine that never blocks, for
// all connections together, so that it needs one thread whoever connects; what
// it keeps of them is bounded; and of how things are it asks the loop one
// question at a time. It is written by hand since net/http would add 1.3 MB to
// the binary and its initialisation to every start of a container.
package control

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"exeunt/signals"
	"exeunt/supervisor"
)

const (
	places    = 16 // connections that are served at a time, for each door
	patient   = 8  // of which so many may wait for an order to be carried out
	backlog   = 128
	headTime  = 2 * time.Second // for the head of a request
	totalTime = 5 * time.Second // for all but an order that is being carried out
	// youth is what a connection has before it may have to make room: time for
	// an honest one to send its request, however many silent ones follow it.
	youth = 10 * time.Millisecond
	// freshness is how old an answer to /metrics may be, so that nobody who asks
	// for them all the time can keep the loop busy.
	freshness = 100 * time.Millisecond
)

// Options say what a server opens, and whom it serves.
type Options struct {
	// Control is where orders are taken: the path of a unix socket, Auto, Off, or
	// empty for Auto if the plan is of several services or of a file, else Off.
	Control string
	// HTTP is where probes and metrics are served: "HOST:PORT" or "unix:PATH".
	// Empty is nowhere.
	HTTP string

	Plan *supervisor.Plan
	// Put gives the loop a question: Inbox.Put.
	Put func(supervisor.Event)
	// Sender names who gives an order: System.Sender.
	Sender func(signals.Received) string
	// Note takes what there is to be said of the server itself.
	Note func(supervisor.Entry)
}

// A Server answers what is asked. Open makes one.
type Server struct {
	Options
	doors    []*door
	poll     *poll
	outbox   chan supervisor.Event
	standing atomic.Uint32
	done     chan struct{} // the goroutine has ended

	mu      sync.Mutex
	answers []answer // of the loop, not taken yet
	closing bool

	// What follows is the goroutine's alone.
	conns  []*conn // the oldest first
	token  int     // of the last question
	asking int     // that of the status that was asked for; 0 is none
	page   []byte  // what /metrics last said, and when
	pageAt time.Time
	spare  [][]byte // buffers for requests that nobody uses
}

// An answer is what the loop says to a question.
type answer struct {
	token int
	err   string
	now   supervisor.Snapshot
}

// Open listens and begins to serve; the Server is nil if there is nothing to
// open. What was asked for by name and cannot be had is an error; where Auto
// finds no place that is noted. Call it before the first fork.
func Open(o Options) (*Server, error) {
	s := &Server{Options: o, outbox: make(chan supervisor.Event, 2*places), done: make(chan struct{})}
	err := s.listen()
	if err == nil && len(s.doors) > 0 {
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	for _, d := range s.doors {
		d.close()
	}
	return nil, err
}

// listen opens the doors.
func (s *Server) listen() error {
	where := s.Control
	if where == "" && (s.Plan.Managed || len(s.Plan.Services) > 1) {
		where = Auto
	}
	if where != "" && where != Off {
		d, err := listenControl(where)
		switch {
		case err == nil:
			s.doors = append(s.doors, d)
		case where == Auto:
			s.note("no control socket", err)
		default:
			return err
		}
	}
	if s.HTTP != "" {
		d, err := listenHTTP(s.HTTP)
		if err != nil {
			return err
		}
		s.doors = append(s.doors, d)
	}
	return nil
}

func (s *Server) start() (err error) {
	if s.poll, err = newPoll(); err != nil {
		return fmt.Errorf("cannot serve: %w", err)
	}
	for _, d := range s.doors {
		if err := s.poll.add(d.fd, readable); err != nil {
			s.poll.close()
			return fmt.Errorf("cannot serve: %w", err)
		}
	}
	go s.forward()
	go s.serve()
	return nil
}

// Answer takes the answer to an Asked: it is System.Answers. It does not block.
func (s *Server) Answer(token int, err string, now supervisor.Snapshot) {
	s.mu.Lock()
	s.answers = append(s.answers, answer{token, err, now})
	s.mu.Unlock()
	s.poll.ring()
}

// Stand takes how the run as a whole stands: it is System.Standing. It does not
// block.
func (s *Server) Stand(as supervisor.Standing) { s.standing.Store(uint32(as)) }

// Close sends the answers that there are and removes the sockets. Whoever still
// waits for one learns from the end of the connection that the run is over.
func (s *Server) Close() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.poll.ring()
	<-s.done
}

// forward passes questions on to the loop. It may wait for ever: the run may be
// over.
func (s *Server) forward() {
	for ev := range s.outbox {
		s.Put(ev)
	}
}

func (s *Server) note(message string, err error) {
	s.Note(supervisor.Entry{At: time.Now(), Level: supervisor.Warn, Message: message, Err: err.Error()})
}

// serve is the server.
func (s *Server) serve() {
	defer close(s.done)
	defer func() {
		// The run goes on without a server rather than end for one.
		if p := recover(); p != nil {
			s.note("panic in the control server, going on without it", fmt.Errorf("%v", p))
		}
		for _, d := range s.doors {
			d.close()
		}
		for _, c := range s.conns {
			c.close()
		}
	}()
	for s.turn() {
	}
}

// turn waits for something and does it; it reports whether there will be more.
func (s *Server) turn() bool {
	for _, ev := range s.poll.wait(s.next()) {
		if c := s.conn(ev.Fd); c != nil {
			s.stir(c, ev.Events)
		}
	}
	if !s.takeAnswers() {
		return false
	}
	now := time.Now()
	for _, c := range s.expired(now) {
		s.expire(c)
	}
	// The last thing: a descriptor's number that has just become free is not one
	// of this turn's events.
	for _, d := range s.doors {
		s.accept(d, now)
	}
	return true
}

// takeAnswers gives the loop's answers to those who wait for them; it reports
// false once the server is to close.
func (s *Server) takeAnswers() bool {
	s.mu.Lock()
	answers, closing := s.answers, s.closing
	s.answers = nil
	s.mu.Unlock()
	for _, a := range answers {
		if a.token == s.asking {
			s.asking = 0
		}
		s.reply(s.waiters(a.token), a)
	}
	return !closing
}

// next is when something is to be done though nothing happens; zero is never.
func (s *Server) next() (at time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, c := range s.conns {
		earlier(c.until)
	}
	for _, d := range s.doors {
		earlier(d.shutUntil)
	}
	return at
}
