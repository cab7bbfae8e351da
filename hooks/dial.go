package hooks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// A wire is a connection whose reads and writes all fail at once when the
// attempt's context ends.
type wire struct {
	net.Conn
	release func() bool
}

// connect makes a wire. Names are looked up by Go itself, never by libc: that
// would hold a thread for as long as the name server likes.
func connect(ctx context.Context, s *Surroundings, network, address string) (*wire, error) {
	dialer := net.Dialer{Resolver: s.resolver}
	if dialer.Resolver == nil {
		dialer.Resolver = &net.Resolver{PreferGo: true}
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, failed(ctx, "connect to "+address, err)
	}
	release := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // a conn can always be cut
	return &wire{conn, release}, nil
}

// Close closes the connection under any TLS, without a farewell: that may wait
// 5 s for a peer that does not read.
func (w *wire) Close() error {
	w.release()
	return w.Conn.Close()
}

// failed says what could not be done and why, in as few words as the layers of
// package net allow. If the attempt's time is over, that is why.
func failed(ctx context.Context, doing string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	// The connection's own timer may be ahead of the context's.
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		err = errors.New("timed out")
	} else if ctx.Err() != nil {
		err = errors.New("cut short")
	}
	return fmt.Errorf("cannot %s: %w", doing, err)
}
