package recipes

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// answerer answers its one client when it is told to stop, with more than the
// client takes at once, and is gone: what it wrote is then the kernel's to send.
const answerer = `
import signal, socket, sys
size = int(sys.argv[1])
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.SOL_SOCKET, 32, 2 * size)  # SO_SNDBUFFORCE
listener.bind(("0.0.0.0", 80))
listener.listen()
print("listens", flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
connection, _ = listener.accept()
print("connected", flush=True)
signal.sigwait({signal.SIGTERM})
connection.sendall(b"x" * size)
connection.close()
print("answered", flush=True)
`

// withLink is a network of a space's own, as a container's is, and a cable to it.
const withLink = `set -- unshare --net -- sh -c '
	until ip link show inner >/dev/null 2>&1; do sleep 0.02; done
	ip addr add 10.99.0.2/24 dev inner; ip link set inner up; exec "$@"' sh "$@"`

const answerSize = 3_000_000

// received starts the answerer under init on the far end of a cable, stops it
// with the client reading 4 MB a second, and returns how much the client got.
func received(t *testing.T, init ...string) int64 {
	t.Helper()
	need(t, "ip", "unshare", "python3")
	near := newNetwork(t)
	s := begin(t, options{network: near, setup: withLink}, append(init, "python3", "-c", answerer, fmt.Sprint(answerSize))...)
	run := func(arguments ...string) error {
		c := exec.Command("ip", arguments...)
		if err := near.start(c); err != nil {
			return err
		}
		return c.Wait()
	}
	until(t, "a cable", func() bool { // its namespace may not be there yet: then both ends are in ours
		err := run("link", "add", "outer", "type", "veth", "peer", "name", "inner", "netns", fmt.Sprint(s.PID))
		if err == nil && run("link", "show", "inner") == nil {
			_ = run("link", "del", "outer")
			return false
		}
		return err == nil
	})
	if err := run("addr", "add", "10.99.0.1/24", "dev", "outer"); err != nil {
		t.Fatal(err)
	}
	if err := run("link", "set", "outer", "up"); err != nil {
		t.Fatal(err)
	}
	s.Out.await("listens", 1)
	var c net.Conn
	until(t, "a connection", func() (ok bool) {
		var err error
		c, err = near.dial(context.Background(), "tcp", "10.99.0.2:80")
		return err == nil
	})
	defer c.Close()
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	s.Out.await("connected", 1)
	go func() { // as the container's runtime takes the cable out when PID 1 has gone
		<-s.over
		_ = run("link", "del", "outer")
	}()
	s.send(syscall.SIGTERM)
	s.Out.await("answered", 1)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var total int64
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for {
		<-pace.C
		n, err := io.CopyN(io.Discard, c, 40_000)
		if total += n; err != nil {
			break
		}
	}
	s.wait(bound)
	t.Logf("%s: %d of %d bytes arrived, %s", init[0], total, answerSize, s.Out)
	return total
}

// TestWhatTheDeadHaveSentArrives: the server has written its answer and is gone,
// and the network goes with the container.
func TestWhatTheDeadHaveSentArrives(t *testing.T) {
	t.Parallel()
	if got := received(t, exeunt, "--grace-period", "20s", "--"); got != answerSize {
		t.Errorf("%d bytes of %d arrived", got, answerSize)
	}
}

// TestWithoutAFlushTheRestIsLost is the control.
func TestWithoutAFlushTheRestIsLost(t *testing.T) {
	t.Parallel()
	need(t, "tini")
	if got := received(t, "tini", "--"); got > answerSize/2 {
		t.Errorf("%d bytes of %d arrived under tini: the test would not notice a loss", got, answerSize)
	}
}
