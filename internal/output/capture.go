package output

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

// atOnce is how many reads Note and Close make: twice what a pipe holds.
const atOnce = 8

// A capture is one hook's output on its way to ours.
type capture struct {
	log  *Log
	hook string

	mu     sync.Mutex
	fd     int    // of the pipe's read end
	text   []byte // a line that has not ended yet
	closed bool
}

// Capture returns what a hook's stdout and stderr are to be: the write end of a
// pipe, from which whole lines go to the log under the hook's name. The caller
// closes it once the hook has been started. Nobody waits for the other end: a
// process that the hook left behind may keep it as long as it lives.
func (l *Log) Capture(hook string) (*os.File, error) {
	read, write, err := newPipe(hook)
	if err != nil {
		return nil, fmt.Errorf("cannot read from hook %q: %w", hook, err)
	}
	c := &capture{log: l, hook: hook, fd: read.fd}
	l.mu.Lock()
	l.captures[c] = true
	l.mu.Unlock()
	go func() {
		read.follow(c.read)
		l.mu.Lock()
		delete(l.captures, c)
		l.mu.Unlock()
		_ = read.file.Close()
	}()
	return write, nil
}

// pull takes what hooks have written by now, a bounded amount of it.
func (l *Log) pull() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.captures {
		for range atOnce {
			if again, _ := c.read(); !again {
				break
			}
		}
	}
}

// read takes once from the pipe; again says that there may be more, closed that
// there will never be.
func (c *capture) read() (again, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, true
	}
	have := len(c.text)
	c.text = append(c.text, make([]byte, longest)...)
	n, err := unix.Read(c.fd, c.text[have:])
	c.text = c.text[:have+max(n, 0)]
	switch {
	case n > 0:
		c.text = append([]byte(nil), cut(c.text, c.line)...) // let the read buffer go
		return true, false
	case err == syscall.EINTR:
		return true, false
	case err == syscall.EAGAIN:
		return false, false
	}
	c.flush()
	c.closed = true
	return false, true
}

// end writes a last line that has no end.
func (c *capture) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
}

func (c *capture) flush() {
	if len(c.text) > 0 {
		c.line(c.text)
		c.text = nil
	}
}

// line writes one line under the hook's name.
func (c *capture) line(text []byte) {
	if c.log.console {
		line := make([]byte, 0, len(c.hook)+len(text)+4)
		line = append(append(append(line, c.hook...), " | "...), text...)
		_, _ = c.log.queue.Write(append(line, '\n'))
		return
	}
	c.log.event(supervisor.Info, time.Now()).Str("hook", c.hook).Msg(string(text))
}
