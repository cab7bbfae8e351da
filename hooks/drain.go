package hooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"exeunt/internal/sockets"
)

// A Drain waits until the connections to our listening sockets are idle, which
// takes at least Settle-1 intervals. The zero Drain finds the ports by itself.
type Drain struct {
	// Ports are TCP ports of ours; without Ports and Unix they are those that
	// our processes listen on when the drain begins. There, no port is an error,
	// since an app whose sockets we cannot see is not known to be idle.
	Ports []uint16
	// Unix are paths of unix stream sockets as the server bound them; @name is
	// an abstract one. All their connections count: the kernel does not tell
	// when something was last said on them.
	Unix      []string
	Count     Count
	Threshold int // done at this many connections or fewer

	Min time.Duration // never done before this
	// Quiet is never done before no new connection has come for this long.
	// Without netlink one that comes and goes within an interval is not seen.
	Quiet time.Duration

	Settle    int           // done when so many looks in a row were low enough; 0 is 2
	Interval  time.Duration // from look to look; 0 is 250 ms
	IdleAfter time.Duration // for Active; 0 is 300 ms
}

// Count is which connections a drain counts.
type Count uint8

// Active, the default, counts a connection if somebody waits on it or has just
// spoken: bytes unread or not acknowledged, not yet accepted, half closed by a
// client that waits for its answer, the client spoke last, or the last word is
// younger than IdleAfter. So a kept-alive connection is not counted, and
// neither is a stream of events that has been silent for that long.
// Without netlink the times are not known and it is as Open.
//
// Open counts every connection.
const (
	Active Count = iota
	Open
)

// UnmarshalText reads "active" or "open".
func (c *Count) UnmarshalText(text []byte) error {
	switch string(text) {
	case "active":
		*c = Active
	case "open":
		*c = Open
	default:
		return fmt.Errorf("%q is not active or open", text)
	}
	return nil
}

const (
	// inFlight are the states in which a request may be on its way, or its
	// answer. A client that has closed its half and waits is in CloseWait.
	inFlight = 1<<sockets.Established | 1<<sockets.SynReceived | 1<<sockets.CloseWait
	maxPeers = 5 // that an error names
)

func (d *Drain) check() error {
	switch {
	case slices.Contains(d.Ports, 0):
		return errors.New("port 0 is none")
	case slices.Contains(d.Unix, ""):
		return errors.New("a unix socket has no path")
	case d.Count > Open:
		return errors.New("count is active or open")
	case d.Threshold < 0 || d.Settle < 0:
		return errors.New("threshold and settle are not negative")
	case d.Min < 0 || d.Quiet < 0 || d.Interval < 0 || d.IdleAfter < 0:
		return errors.New("a duration of drain is negative")
	}
	return nil
}

func (d *Drain) perform(ctx context.Context, s *Surroundings) error {
	v := vigil{Drain: *d, table: s.table(), met: time.Now()}
	defer v.table.Close()
	v.defaults()
	if err := v.choose(ctx, s); err != nil {
		return err
	}
	if v.Quiet > 0 {
		v.table.Watch()
	}
	least := v.met.Add(v.Min)
	for {
		if err := v.look(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("cannot count connections: %w", err)
		}
		now := time.Now()
		due := now.Add(v.Interval)
		if v.calm >= v.Settle {
			over := latest(least, v.met.Add(v.Quiet))
			if !over.After(now) {
				return nil
			}
			if over.Before(due) {
				due = over
			}
		}
		select {
		case <-ctx.Done():
			return v.overdue(ctx)
		case <-time.After(due.Sub(now)):
		}
	}
}

// table opens the table of sockets.
func (s *Surroundings) table() *sockets.Table {
	if s.noNetlink {
		return sockets.OpenProc(s.Note)
	}
	return sockets.Open(s.Note)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
