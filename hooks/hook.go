// Package hooks holds the things that are tried once and succeed or fail
// before or after the services run: what a hook is, how its short form on the
// command line is read, and how those that talk to others (http, tcp, drain)
// are performed. The supervisor runs commands, sleeps and signals itself.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"exeunt/signals"
)

// A Hook is one entry of a pre_start, post_start, pre_stop or post_stop list.
// Exactly one of Command, Sleep, Signal, HTTP, TCP and Drain is set.
type Hook struct {
	// Name is how logs and the report call it; Parse derives it from the action.
	Name string

	Command []string       // run this program; no shell
	Sleep   time.Duration  // wait this long
	Signal  signals.Signal // send this to the service
	HTTP    *HTTP          // make a request
	TCP     *TCP           // connect
	Drain   *Drain         // wait until our connections are idle

	// Timeout bounds one attempt, or with Interval all of them; 0 is the
	// plan's default. It is always clipped to the budget.
	Timeout time.Duration
	// Interval repeats a failed hook after this time until it succeeds or the
	// timeout is over; 0 tries once.
	Interval  time.Duration
	OnFailure OnFailure

	User       string   // user[:group] for Command; empty keeps ours
	WorkingDir string   // for Command
	Env        []string // added for Command, KEY=VALUE
}

// OnFailure is what a failed hook does to the run.
type OnFailure uint8

// The zero value depends on the list: abort on start, continue on stop.
const (
	Default OnFailure = iota
	Continue
	Abort
)

// Surroundings are what a remote hook may know of the container. The zero value
// has no variables and no processes, and drops notes.
type Surroundings struct {
	Env []string // KEY=VALUE; what ${VAR} stands for, and the proxies
	// Processes lists our processes, for a drain of the ports they listen on.
	Processes func() ([]int, error)
	// Note takes a line for the log; it is called by Perform's goroutine.
	Note func(string)

	resolver  *net.Resolver // instead of that of resolv.conf
	noNetlink bool          // do as if there were none
}

func (s *Surroundings) note(line string) {
	if s.Note != nil {
		s.Note(line)
	}
}

// Remote reports whether the hook is one that Perform can carry out: http, tcp
// or drain.
func (h *Hook) Remote() bool { return h.HTTP != nil || h.TCP != nil || h.Drain != nil }

// Loopback reports whether it is an http or tcp hook that talks to this
// container: to a loopback address, a name of it, or a unix socket. Once no
// service is left there is nobody to answer it. A host that is a variable
// counts as another's.
func (h *Hook) Loopback() bool {
	switch {
	case h.HTTP != nil:
		u, err := url.Parse(sample(h.HTTP.URL))
		return h.HTTP.Unix != "" || err == nil && loopback(u.Hostname())
	case h.TCP != nil:
		host, _, err := net.SplitHostPort(sample(h.TCP.Addr))
		return err == nil && loopback(host)
	}
	return false
}

// loopback reports whether a host is this one by its name (RFC 6761) or number.
func loopback(host string) bool {
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

// Check reports what is wrong with a hook that was put together from a file:
// not exactly one action, or an action that could never succeed. Parse has
// checked its own.
func (h *Hook) Check() error {
	actions := 0
	for _, set := range [...]bool{len(h.Command) > 0, h.Sleep > 0, h.Signal != 0, h.HTTP != nil, h.TCP != nil, h.Drain != nil} {
		if set {
			actions++
		}
	}
	switch {
	case actions != 1:
		return fmt.Errorf("a hook has one action of command, sleep, signal, http, tcp and drain, not %d", actions)
	case h.HTTP != nil:
		return h.HTTP.check()
	case h.TCP != nil:
		return h.TCP.check()
	case h.Drain != nil:
		return h.Drain.check()
	}
	return nil
}

// Perform tries a remote hook once: http and tcp make one attempt, drain waits
// until there is nothing left to wait for. It blocks its goroutine and returns
// within milliseconds of the end of ctx, which carries the deadline, whatever
// the other side does. It holds no descriptor afterwards.
func (h *Hook) Perform(ctx context.Context, s Surroundings) error {
	switch {
	case ctx.Err() != nil:
		return failed(ctx, "begin", ctx.Err())
	case h.HTTP != nil:
		return h.HTTP.perform(ctx, &s)
	case h.TCP != nil:
		return h.TCP.perform(ctx, &s)
	case h.Drain != nil:
		return h.Drain.perform(ctx, &s)
	}
	return errors.New("only http, tcp and drain hooks are performed here")
}
