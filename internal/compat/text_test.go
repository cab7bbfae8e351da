package compat

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// fill writes to a pipe until it is full.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	size, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0)
	if err == nil {
		_, err = w.Write(make([]byte, size))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err == nil {
		err = keepOutput(terminal)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, terminal
}

// keepOutput keeps what has been printed and not yet read when Ctrl-C comes.
func keepOutput(terminal *os.File) error {
	mode, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	mode.Lflag |= unix.NOFLSH
	return unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, mode)
}

// A text is what has been printed so far.
type text struct {
	t       *testing.T
	mu      sync.Mutex
	content bytes.Buffer
	changed chan struct{} // closed and replaced at each change
	ended   bool
}

func newText(t *testing.T) *text { return &text{t: t, changed: make(chan struct{})} }

func (x *text) follow(r *os.File) {
	defer r.Close()
	chunk := make([]byte, 4096)
	for {
		n, err := r.Read(chunk)
		x.mu.Lock()
		x.content.Write(chunk[:n])
		x.ended = err != nil
		close(x.changed)
		x.changed = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.content.String()
}

// await waits until s has been printed.
func (x *text) await(s string) {
	x.t.Helper()
	if !x.reaches(limit, s) {
		x.t.Fatalf("%q did not come in %v, but %q", s, limit, x)
	}
}

// reaches reports whether s has been printed, at the latest after so long.
func (x *text) reaches(within time.Duration, s string) bool {
	return x.becomes(within, func() bool { return strings.Contains(x.content.String(), s) })
}

// all waits until nothing more can come, and returns it.
func (x *text) all() string {
	x.t.Helper()
	if !x.becomes(limit, func() bool { return x.ended }) {
		x.t.Fatalf("the output did not end in %v; it is %q", limit, x)
	}
	return x.String()
}

func (x *text) becomes(within time.Duration, holds func() bool) bool {
	deadline := time.After(within)
	for {
		x.mu.Lock()
		ok, changed := holds(), x.changed
		x.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}
