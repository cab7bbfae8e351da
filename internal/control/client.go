package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/signals"
	"exeunt/supervisor"
)

const (
	answerTime = 10 * time.Second // for what is answered at once
	longest    = 16 << 20         // of an answer
	together   = patient / 2      // orders that are under way at a time
)

// A Call asks a running exeunt: it is exeunt status, stop and the like.
type Call struct {
	Control  string           // the socket's path; empty or Auto is where it is by itself
	Order    supervisor.Order // of all services, or of
	Services []string         // those
	Signal   signals.Signal   // of AskSignal

	JSON  bool // AskStatus is shown as JSON
	Watch bool // and again and again
	// Terminal tells that Out is one: Watch draws over what it drew. Elsewhere it
	// writes what has changed.
	Terminal bool
	Out, Err io.Writer // nil is our own standard output and error

	// Received ends the Call at a signal that would end any program, but for a
	// TERM that follows from what it asks. That does not take an order back.
	Received <-chan signals.Received
}

// Run carries the Call out and returns the exit code: 0, or 1 if the order
// failed or nobody is there, which is said in one line. A run that is over
// before it has answered has done what prestop and the stop of everything ask.
func (c *Call) Run() (code int) {
	if c.Out == nil {
		c.Out = descriptor(1)
	}
	if c.Err == nil {
		c.Err = descriptor(2)
	}
	done := make(chan error, 1)
	go func() { done <- c.carryOut() }()
	for {
		select {
		case err := <-done:
			if err == nil {
				return 0
			}
			c.complain(err)
			return 1
		case r := <-c.Received:
			switch {
			case r.Signal == signals.INT && c.Watch:
				return 0
			case r.Signal == signals.TERM && c.stops():
				// What we asked for has come to us, as to everyone; the answer has
				// been given, or the run ends, and then the connection does.
			case signals.SetOf(signals.HUP, signals.INT, signals.QUIT, signals.TERM).Has(r.Signal):
				return 128 + int(r.Signal)
			}
		}
	}
}

// stops reports whether the order is to stop everything.
func (c *Call) stops() bool {
	return c.Order == supervisor.AskHalt || c.Order == supervisor.AskPreStop
}

// complain says what is wrong, as lines of their own.
func (c *Call) complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(c.Err, "exeunt: %s\n", printable(line))
	}
}

func (c *Call) carryOut() error {
	switch c.Order {
	case supervisor.AskStatus:
		return c.status()
	case supervisor.AskHalt:
		return c.whole("/v1/stop")
	case supervisor.AskPreStop:
		return c.whole("/v1/prestop")
	}
	var wrong []error
	for some := range slices.Chunk(c.Services, together) {
		var conns []net.Conn
		for _, name := range some {
			conn, err := c.ask("POST", c.target(name))
			if err != nil {
				return err // nobody is there
			}
			defer conn.Close()
			conns = append(conns, conn)
		}
		for i, conn := range conns {
			if _, err := answerFrom(conn); err != nil {
				wrong = append(wrong, fmt.Errorf("cannot %s %q: %w", c.verb(), some[i], err))
			}
		}
	}
	return errors.Join(wrong...)
}

// verb is the order in a word.
func (c *Call) verb() string {
	switch c.Order {
	case supervisor.AskStart:
		return "start"
	case supervisor.AskStop:
		return "stop"
	case supervisor.AskRestart:
		return "restart"
	case supervisor.AskReload:
		return "reload"
	}
	return "signal"
}

// target is the URL of the order for a service.
func (c *Call) target(name string) string {
	target := "/v1/services/" + url.PathEscape(name) + "/" + c.verb()
	if c.Order == supervisor.AskSignal {
		target += "?signal=" + url.QueryEscape(strconv.Itoa(int(c.Signal)))
	}
	return target
}

// whole gives an order for the whole container. A hook that failed is told, and
// is no failure of the order.
func (c *Call) whole(target string) error {
	conn, err := c.ask("POST", target)
	if err != nil {
		return err
	}
	defer conn.Close()
	body, err := answerFrom(conn)
	if errors.Is(err, errOver) {
		return nil
	}
	if err != nil {
		return err
	}
	var now supervisor.Snapshot
	if err := json.Unmarshal(body, &now); err != nil || c.Order != supervisor.AskPreStop {
		return err
	}
	for _, h := range now.Hooks {
		if _, list, _ := hookID(h.ID); list == "pre_stop" && h.Err != "" {
			c.complain(fmt.Errorf("hook %q failed: %s", h.Name, h.Err))
		}
	}
	return nil
}

// status shows how things are.
func (c *Call) status() error {
	last, redraws := "", c.Terminal && !c.JSON
	for {
		body, now, err := c.look()
		if err != nil && last != "" {
			return nil // what was watched is over
		}
		if err != nil {
			return err
		}
		text := string(body)
		if !c.JSON {
			if text, err = table(now, c.Services); err != nil {
				return err
			}
		}
		if c.Watch && redraws {
			text = "\x1b[H\x1b[2J" + text
		}
		now.At = time.Time{}
		news, _ := json.Marshal(now)
		if redraws || string(news) != last {
			if _, err := io.WriteString(c.Out, text); err != nil {
				return nil // nobody reads it any more
			}
		}
		if last = string(news); !c.Watch {
			return nil
		}
		time.Sleep(time.Second)
	}
}

// look asks how things are.
func (c *Call) look() (body []byte, now *supervisor.Snapshot, err error) {
	conn, err := c.ask("GET", "/v1/status")
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	if body, err = answerFrom(conn); err == nil {
		err = json.Unmarshal(body, &now)
	}
	return body, now, err
}

// ask sends a request to whoever is there.
func (c *Call) ask(method, target string) (net.Conn, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	// Who refuses us may not have read it, and answers all the same.
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: exeunt\r\n\r\n", method, target)
	return conn, nil
}

func (c *Call) dial() (net.Conn, error) {
	if c.Control != "" && c.Control != Auto {
		return connect(c.Control)
	}
	for _, path := range addresses() {
		conn, err := connect(path)
		switch {
		case err == nil && trusted(conn):
			return conn, nil
		case err == nil:
			_ = conn.Close()
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
			return nil, err
		}
	}
	return nil, errors.New("nobody to ask here: no control socket in /run, /dev/shm or /tmp (exeunt opens one for the services of a file, or with --control auto; of another place the verbs are to be told: --control PATH, or -c FILE)")
}

// connect connects to a socket, and waits a while where many others do.
func connect(path string) (net.Conn, error) {
	until := time.Now().Add(answerTime)
	for {
		conn, err := net.Dial("unix", path)
		switch {
		case err == nil:
			return conn, nil
		case !errors.Is(err, syscall.EAGAIN) || time.Now().After(until):
			return nil, fmt.Errorf("cannot connect to %q: %w", path, reason(err))
		}
		time.Sleep(time.Millisecond)
	}
}

// trusted reports whether the other end is root's or our own: anybody may have
// put a socket of that name into a folder that is everybody's. Root trusts all,
// since it asks containers that run as somebody else.
func trusted(conn net.Conn) bool {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	_ = raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	us := os.Geteuid()
	return err == nil && (us == 0 || peer.Uid == 0 || int(peer.Uid) == us)
}

// errOver is an answer that did not come.
var errOver = errors.New("the run ended before it had answered")

// answerFrom reads the answer to a request. One that is a refusal is an error.
func answerFrom(conn net.Conn) (body []byte, err error) {
	all, err := io.ReadAll(io.LimitReader(conn, longest))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errors.New("no answer in time")
	}
	if len(all) == 0 {
		return nil, errOver
	}
	head, text, _ := strings.Cut(string(all), "\r\n\r\n")
	words := strings.Fields(head)
	switch {
	case len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1."):
		return nil, errors.New("the answer is not HTTP")
	case words[1] != "200":
		return nil, errors.New(strings.TrimSuffix(text, "\n"))
	}
	return []byte(text), nil
}

// A descriptor is written to by the system call: a broken pipe at standard
// output would make os.File end us with a code of the runtime's.
type descriptor int

func (d descriptor) Write(text []byte) (n int, err error) {
	for n < len(text) && err == nil {
		var written int
		written, err = unix.Write(int(d), text[n:])
		n += max(written, 0)
	}
	return n, err
}

// reason is an error without what package net and os put before it.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}
