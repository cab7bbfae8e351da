package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const idle = `
grace_period: 10s
services:
  web: {command: sleep 1000, success_exit_codes: [143]}
`

// as is a command in the container, run by another user.
func (c *crew) as(uid int, argv ...string) (printed string, ok bool) {
	user := fmt.Sprint(uid)
	return c.try(append([]string{"setpriv", "--reuid", user, "--regid", user, "--clear-groups"}, argv...)...)
}

// Neither the socket's mode nor, where somebody has changed that, exeunt itself
// lets another user in.
func TestControlSocketRefusesAnotherUser(t *testing.T) {
	t.Parallel()
	need(t, "setpriv")
	for _, own := range []int{0, 4321} {
		t.Run(fmt.Sprint("of ", own), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			setup := fmt.Sprintf(`set -- setpriv --reuid %d --regid %d --clear-groups "$@"`, own, own)
			socket := filepath.Join(dir, "control")
			c := servicesIn(t, dir, options{}, idle, setup, "--control", socket)
			ask := []string{exeunt, "status", "--control", socket}
			poll(t, "the socket", func() bool { _, ok := c.as(own, ask...); return ok })
			for _, mode := range []os.FileMode{0o600, 0o666} {
				if err := os.Chmod(socket, mode); err != nil {
					t.Fatal(err)
				}
				for _, other := range []int{65534, 1234} {
					if printed, ok := c.as(other, ask...); ok || strings.Contains(printed, "web") || printed == "" {
						t.Errorf("uid %d is let in, or told nothing, at a socket of mode %v: %q", other, mode, printed)
					}
					if printed, ok := c.as(other, exeunt, "stop", "--all", "--control", socket); ok {
						t.Errorf("uid %d may stop it: %q", other, printed)
					}
				}
				for _, mine := range []int{0, own} {
					if printed, ok := c.as(mine, ask...); !ok {
						t.Errorf("uid %d is refused: %q", mine, printed)
					}
				}
			}
			c.send(syscall.SIGTERM)
			c.over(bound).unhurt(t)
		})
	}
}

// What somebody sends who means no good costs neither memory nor an answer.
func TestControlSocketWithstandsItsClients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "control")
	c := servicesIn(t, dir, options{}, idle, "", "--control", socket)
	answers := func(meanwhile string) {
		t.Helper()
		if printed := c.do(exeunt, "status", "--control", socket); !strings.Contains(printed, "web") {
			t.Errorf("status says nothing while %s: %q", meanwhile, printed)
		}
	}
	poll(t, "the socket", func() bool { _, err := os.Stat(socket); return err == nil })
	answers("nobody is there")
	before, threads := memory(t, c.PID, "status", "VmRSS"), memory(t, c.PID, "status", "Threads")
	for name, say := range map[string]func(net.Conn){
		"1,000 say nothing":    func(net.Conn) {},
		"1,000 talk rubbish":   func(conn net.Conn) { conn.Write([]byte("\x00\xff\r\n\r\nGET / HTTP/9.9\r\n: \r\n\r\n")) },
		"1,000 begin a header": func(conn net.Conn) { conn.Write([]byte("GET /status HTTP/1.1\r\nX: ")) },
	} {
		open := make([]net.Conn, 0, 1000)
		for range 1000 {
			conn := dial(t, socket)
			say(conn)
			open = append(open, conn)
		}
		answers(name)
		for _, conn := range open {
			conn.Close()
		}
	}
	sent := long(dial(t, socket))
	answers("a header has no end")
	if sent >= 1<<30 {
		t.Error("somebody took a header of 1 GiB")
	}
	peak, most := memory(t, c.PID, "status", "VmHWM"), memory(t, c.PID, "status", "Threads")
	t.Logf("%d KiB before, %d KiB at most; %d threads before, %d after; %d bytes of a header taken", before, peak, threads, most, sent)
	if peak > before+8<<10 || most > threads+2 {
		t.Errorf("exeunt has grown from %d to %d KiB, from %d to %d threads", before, peak, threads, most)
	}
	c.send(syscall.SIGTERM)
	c.over(bound).unhurt(t)
}

// dial waits for its place in the socket's queue.
func dial(t *testing.T, socket string) (conn net.Conn) {
	t.Helper()
	poll(t, "a connection", func() (ok bool) {
		var err error
		conn, err = net.Dial("unix", socket)
		return err == nil
	})
	return conn
}

// long sends a header of 1 GiB, or as much of it as is taken.
func long(conn net.Conn) (sent int) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(bound))
	chunk := bytes.Repeat([]byte("a"), 1<<20)
	n, err := conn.Write([]byte("GET /status HTTP/1.1\r\nX: "))
	for sent = n; err == nil && sent < 1<<30; sent += n {
		n, err = conn.Write(chunk)
	}
	return sent
}
