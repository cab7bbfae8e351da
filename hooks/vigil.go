package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"exeunt/internal/sockets"
)

// A vigil is one drain under way.
type vigil struct {
	Drain
	table *sockets.Table
	// known are the connections that came before this look, by their local and
	// remote address; nil before the first look.
	known map[[2]netip.AddrPort]bool
	met   time.Time // when a look found new ones, or the begin
	calm  int       // looks in a row that were low enough
	left  []*peer   // what the last look counted
}

// A peer is a connection that is waited for.
type peer struct {
	path  string         // of a unix socket
	from  netip.AddrPort // of a TCP connection
	timed bool
	age   time.Duration // since the last word
}

func (v *vigil) defaults() {
	if v.Settle == 0 {
		v.Settle = 2
	}
	if v.Interval == 0 {
		v.Interval = 250 * time.Millisecond
	}
	if v.IdleAfter == 0 {
		v.IdleAfter = 300 * time.Millisecond // more than Interval: no word falls between two looks
	}
}

// choose finds the ports if none were named. Named ones on which nobody listens
// are only noted: the server may have closed them already.
func (v *vigil) choose(ctx context.Context, s *Surroundings) error {
	if len(v.Ports) > 0 {
		listening, err := v.table.Find(ctx, sockets.Query{States: sockets.In(sockets.Listen), Ports: v.Ports})
		for _, port := range v.Ports {
			if err == nil && !slices.ContainsFunc(listening, func(l sockets.Socket) bool { return l.Local.Port() == port }) {
				s.note(fmt.Sprintf("nothing listens on port %d", port))
			}
		}
		return nil // what is wrong with the table will be so again at the first look
	}
	if len(v.Unix) > 0 {
		return nil
	}
	const advice = "name them: drain:8080, or ports in the file"
	if s.Processes == nil {
		return errors.New("cannot tell which ports are ours; " + advice)
	}
	processes, err := s.Processes()
	if err == nil {
		v.Ports, err = v.table.Listeners(ctx, processes)
	}
	if err != nil {
		return fmt.Errorf("cannot tell which ports are ours: %w; %s", err, advice)
	}
	if len(v.Ports) == 0 {
		return errors.New("no process of ours is seen to listen on a TCP port; " + advice)
	}
	return nil
}

// look counts once.
func (v *vigil) look(ctx context.Context) error {
	left := make([]*peer, 0, len(v.left))
	if len(v.Ports) > 0 {
		ended, lost := v.table.Ended(v.Ports)
		found, err := v.table.Find(ctx, sockets.Query{States: inFlight, Ports: v.Ports, Timed: true})
		if err != nil {
			return err
		}
		v.meet(found, ended, lost)
		for i := range found {
			if s := &found[i]; v.counts(s) {
				left = append(left, &peer{from: s.Remote, timed: s.Timed, age: min(s.Sent, s.Received)})
			}
		}
	}
	if len(v.Unix) > 0 {
		numbers, err := v.table.Connected(ctx, v.Unix)
		if err != nil {
			return err
		}
		for i, path := range v.Unix {
			left = append(left, slices.Repeat([]*peer{{path: path}}, numbers[i])...)
		}
	}
	if v.left = left; len(left) <= v.Threshold {
		v.calm++
	} else {
		v.calm = 0
	}
	return nil
}

// counts reports whether the app may still have something to do for the
// connection. Sent and Received are equal if both happened within one tick of
// the kernel: that is an answer to a short request, unless it is the first
// request right after the connection was made, when nothing was sent yet.
func (v *vigil) counts(s *sockets.Socket) bool {
	switch {
	case v.Count == Open || s.State != sockets.Established || !s.Timed:
		return true
	case s.Unread > 0 || s.Unsent > 0 || s.Inode == 0:
		return true
	case s.Received < s.Sent || s.Heard && !s.Spoken:
		return true
	}
	return min(s.Sent, s.Received) < v.IdleAfter
}

// meet notes whether connections have come since the last look.
func (v *vigil) meet(found, ended []sockets.Socket, lost bool) {
	first := v.known == nil
	if first {
		v.known = make(map[[2]netip.AddrPort]bool)
	}
	for _, s := range ended {
		key := [2]netip.AddrPort{s.Local, s.Remote}
		lost = lost || !v.known[key] // it came and went in between
		delete(v.known, key)
	}
	for _, s := range found {
		key := [2]netip.AddrPort{s.Local, s.Remote}
		lost = lost || !v.known[key]
		v.known[key] = true
	}
	if lost && !first {
		v.met = time.Now()
	}
}

// overdue says who was waited for when the time was over, those that spoke last
// first.
func (v *vigil) overdue(ctx context.Context) error {
	why := "cut short"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		why = "timed out"
	}
	if v.known == nil && len(v.Ports) > 0 {
		return errors.New(why + " before the connections were counted")
	}
	if len(v.left) <= v.Threshold {
		return fmt.Errorf("%s before it was quiet for long enough, connections left: %d", why, len(v.left))
	}
	slices.SortStableFunc(v.left, func(a, b *peer) int { return cmp.Compare(a.age, b.age) })
	var names []string
	for _, p := range v.left[:min(len(v.left), maxPeers)] {
		name := p.path
		if name == "" {
			name = p.from.String()
		}
		if p.timed {
			name += fmt.Sprintf(" (last active %.1fs ago)", p.age.Seconds())
		}
		names = append(names, name)
	}
	if more := len(v.left) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Errorf("%s, connections left: %d: %s", why, len(v.left), strings.Join(names, ", "))
}
