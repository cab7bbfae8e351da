package hooks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"exeunt/internal/sockets"
)

const (
	unsentEvery = 10 * time.Millisecond
	// unsentTime is how long a connection of the dead is waited for whose other
	// side takes nothing: a client that has gone must not cost everyone's time.
	unsentTime = 2 * time.Second
)

// orphaned are the states in which the kernel still sends what a process wrote
// before it closed its socket, or ended.
var orphaned = sockets.In(sockets.FinWait1, sockets.Closing, sockets.LastAck)

// Listening returns the TCP ports that the given processes listen on, for
// Unsent. No port and no error means none.
func Listening(ctx context.Context, processes []int) ([]uint16, error) {
	table := sockets.Open(nil)
	defer table.Close()
	return table.Listeners(ctx, processes)
}

// Unsent waits until the other sides have acknowledged everything that was
// written to connections with these local ports by processes that have closed
// them, or have gone. What the kernel has not got rid of when a network
// namespace goes is lost. At the end of ctx, or when nothing has been
// acknowledged for two seconds, it says in an error what is left.
func Unsent(ctx context.Context, ports []uint16) error {
	if len(ports) == 0 {
		return nil
	}
	table := sockets.Open(nil)
	defer table.Close()
	waiting := map[[2]netip.AddrPort]progress{}
	for {
		found, err := table.Find(ctx, sockets.Query{States: orphaned, Ports: ports})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("cannot see what is unsent: %w", err)
		}
		if err == nil {
			waiting = advance(waiting, found, time.Now())
		}
		stuck := !slices.ContainsFunc(values(waiting), func(p progress) bool { return time.Since(p.since) < unsentTime })
		switch {
		case len(waiting) == 0 && err == nil:
			return nil
		case stuck || ctx.Err() != nil:
			return left(waiting)
		}
		select {
		case <-ctx.Done():
		case <-time.After(unsentEvery):
		}
	}
}

// A progress is what is left of one connection, and since when it is so much.
type progress struct {
	bytes uint32
	since time.Time
}

// advance takes a new look at the connections that are waited for.
func advance(old map[[2]netip.AddrPort]progress, found []sockets.Socket, now time.Time) map[[2]netip.AddrPort]progress {
	waiting := map[[2]netip.AddrPort]progress{}
	for _, s := range found {
		if s.Inode != 0 || s.Unsent == 0 {
			continue
		}
		key := [2]netip.AddrPort{s.Local, s.Remote}
		p := progress{s.Unsent, now}
		if before, ok := old[key]; ok && before.bytes == s.Unsent {
			p.since = before.since
		}
		waiting[key] = p
	}
	return waiting
}

func values(waiting map[[2]netip.AddrPort]progress) (list []progress) {
	for _, p := range waiting {
		list = append(list, p)
	}
	return list
}

// left names what has not been sent, the peer with the most of it first.
func left(waiting map[[2]netip.AddrPort]progress) error {
	total, most, to := uint64(0), uint32(0), netip.AddrPort{}
	for key, p := range waiting {
		if total += uint64(p.bytes); p.bytes > most {
			most, to = p.bytes, key[1]
		}
	}
	return fmt.Errorf("%d bytes to %d peers are not acknowledged, %d of them to %v", total, len(waiting), most, to)
}
