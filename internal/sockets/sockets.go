// Package sockets reads the kernel's table of sockets in our network namespace:
// who is connected to which port, and when each side spoke last. It asks by
// netlink (sock_diag(7)), which needs no privilege, and where that is not to be
// had (gVisor, a strict seccomp filter, a kernel without inet_diag) it reads
// /proc/net.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A State is the state of a TCP socket, numbered as the kernel does
// (include/net/tcp_states.h).
type State uint8

// The states of RFC 9293 that a server's side of a connection can be in.
const (
	Established State = 1
	SynReceived State = 3
	FinWait1    State = 4
	FinWait2    State = 5
	TimeWait    State = 6
	CloseWait   State = 8
	LastAck     State = 9
	Listen      State = 10
	Closing     State = 11
)

// States is a set of states: bit 1<<s for the state s.
type States uint32

// In returns the set of the given states.
func In(list ...State) (set States) {
	for _, s := range list {
		set |= 1 << s
	}
	return set
}

// Has reports whether s is in the set.
func (set States) Has(s State) bool { return set&(1<<s) != 0 }

// A Socket is one TCP socket as the kernel tells of it.
type Socket struct {
	State         State
	Local, Remote netip.AddrPort // IPv4 is never in its IPv6 form
	// Inode is 0 where no descriptor belongs to the socket: it waits to be
	// accepted, or its process has closed it or has gone.
	Inode uint32
	UID   uint32 // of whoever made it, or its listener
	// Unread and Unsent are bytes in its queues: what the app has not read, and
	// what the other side has not acknowledged. For a listener Unread counts
	// the connections that wait to be accepted.
	Unread, Unsent uint32
	// Timed says that what follows is known: how long ago we sent and
	// received the last data (both count from the connection's begin if there
	// was none), in steps of the kernel's tick, 1 to 10 ms.
	// Heard and Spoken tell whether data was ever received, and sent and
	// acknowledged.
	Timed          bool
	Sent, Received time.Duration
	Heard, Spoken  bool
}

// A Query chooses sockets. Only the local port is looked at, since on loopback
// both ends of a connection are in the table.
type Query struct {
	States States
	Ports  []uint16 // none means any
	Timed  bool     // fill in Sent and Received, if netlink is there
}

// wants reports whether a socket is meant, whatever the kernel filtered.
func (q *Query) wants(s State, port uint16) bool {
	return q.States.Has(s) && (len(q.Ports) == 0 || slices.Contains(q.Ports, port))
}

// A Table asks the kernel; Open makes one. It is used by one goroutine at a
// time, none of its methods waits for anything but the kernel's own answer, and
// a call whose context has ended returns the context's error, after at most one
// more piece of the table.
type Table struct {
	diag  *diag // nil: /proc
	ends  *diag // nil: not watched
	proc  string
	note  func(string)
	found []Socket
}

// Open opens a table. note, which may be nil, is told once if netlink is
// refused and why, at once or in a later call; no error follows from that.
func Open(note func(string)) *Table {
	t := &Table{proc: "/proc", note: note}
	var err error
	if t.diag, err = openDiag(); err != nil {
		t.fallBack(err)
	}
	return t
}

// OpenProc opens a table that reads /proc from the begin, as one of Open does
// where netlink is refused.
func OpenProc(note func(string)) *Table {
	t := &Table{proc: "/proc", note: note}
	t.fallBack(errors.New("not asked"))
	return t
}

// Watch begins to note the connections that end, for Ended. Where netlink is
// refused there is nothing to watch.
func (t *Table) Watch() {
	if t.diag != nil && t.ends == nil {
		t.ends, _ = openEnds() // then Ended tells of none
	}
}

// Ended returns the connections with these local ports that have ended since
// Watch or the last call: also those that no call of Find has seen. With lost
// there were more than the kernel could keep for us. State and queues of an
// ended connection mean nothing.
func (t *Table) Ended(ports []uint16) (ended []Socket, lost bool) {
	if t.ends == nil {
		return nil, false
	}
	err := t.ends.read(context.Background(), func(message []byte) {
		if s, ok := inetSocket(message); ok && s.Remote.Port() != 0 && slices.Contains(ports, s.Local.Port()) {
			ended = append(ended, s)
		}
	})
	return ended, err != nil && !errors.Is(err, unix.EAGAIN)
}

// Close closes the table's own descriptors. The Table is not used afterwards.
func (t *Table) Close() {
	for _, d := range [...]**diag{&t.diag, &t.ends} {
		if *d != nil {
			(*d).close()
			*d = nil
		}
	}
}

// fallBack goes on with /proc.
func (t *Table) fallBack(why error) {
	t.Close()
	if t.note != nil {
		t.note(fmt.Sprintf("no netlink (%v), reading %s/net/tcp", why, t.proc))
	}
}

// Find returns the sockets that q asks for, those of IPv4 and of IPv6: a
// client of a dual-stack listener is in the table of IPv6 alone. The result is
// overwritten by the next call.
func (t *Table) Find(ctx context.Context, q Query) ([]Socket, error) {
	if t.diag != nil {
		found, err := t.diag.find(ctx, &q, t.found[:0])
		if err == nil || ctx.Err() != nil {
			t.found = found
			return found, err
		}
		t.fallBack(err)
	}
	found, err := procFind(ctx, t.proc, &q, t.found[:0])
	t.found = found
	return found, err
}

// Connected returns how many connections there are to each of the unix stream
// sockets that were bound to these paths, those that wait to be accepted
// included. A path is compared as the server wrote it; @name is an abstract one.
func (t *Table) Connected(ctx context.Context, paths []string) ([]int, error) {
	if t.diag != nil {
		counts, err := t.diag.connected(ctx, paths)
		if err == nil || ctx.Err() != nil {
			return counts, err
		}
		t.fallBack(err)
	}
	return procConnected(ctx, t.proc, paths)
}

// Listeners returns the ports on which the processes listen, in order: those of
// the listening sockets among their descriptors. Of a process whose descriptors
// we may not see (another user's, and no CAP_SYS_PTRACE) it takes every
// listener of the same user. No port and no error means that they listen on none.
func (t *Table) Listeners(ctx context.Context, processes []int) ([]uint16, error) {
	listening, err := t.Find(ctx, Query{States: In(Listen)})
	if err != nil || len(listening) == 0 {
		return nil, err
	}
	own, users := descriptors(t.proc, processes)
	var ports []uint16
	for _, s := range listening {
		if own[s.Inode] || users[s.UID] {
			ports = append(ports, s.Local.Port())
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}
