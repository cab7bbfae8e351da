package recipes

import (
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A network is a network namespace that has a loopback interface and nothing
// else, so that servers have the ports they want. Spaces that share one are
// what the containers of a pod are. The nil one is the host's.
type network struct {
	t      *testing.T
	inside chan func() // run by the thread that is in the namespace
}

// newNetwork makes a namespace. Its thread stays: one that ends takes with it
// the processes that it once started, for whatever test (Pdeathsig).
func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t, inside: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread must not serve others
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			err = loopbackUp()
		}
		made <- err
		for f := range n.inside {
			f()
		}
	}()
	if err := <-made; err != nil {
		t.Fatalf("cannot make a network namespace: %v", err)
	}
	return n
}

func loopbackUp() error {
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(s)
	request := struct { // ifreq of netdevice(7)
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}, flags: syscall.IFF_UP}
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); e != 0 {
		return e
	}
	return nil
}

// do runs f in the namespace: processes that it starts and sockets that it
// makes belong to it. It must not start goroutines for that.
func (n *network) do(f func()) {
	if n == nil {
		f()
		return
	}
	done := make(chan struct{})
	n.inside <- func() { defer close(done); f() }
	<-done
}

// start starts a command in the namespace.
func (n *network) start(c *exec.Cmd) (err error) {
	n.do(func() { err = c.Start() })
	return err
}

// dial is for an http.Transport, or a connection of one's own; with an IP
// address, since looking one up would take a goroutine.
func (n *network) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	n.do(func() { c, err = new(net.Dialer).DialContext(ctx, network, address) })
	return c, err
}

// listen listens on a TCP address until the test is over.
func (n *network) listen(address string) net.Listener {
	n.t.Helper()
	var l net.Listener
	var err error
	n.do(func() { l, err = net.Listen("tcp", address) })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	return l
}

// await waits until somebody accepts connections at the address.
func (n *network) await(address string) {
	n.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(bound); ; <-again.C {
		c, err := n.dial(context.Background(), "tcp", address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("nobody accepts connections after %v: %v", bound, err)
		}
	}
}

// An answer is what became of a request. Err is nil if all of it has come.
type answer struct {
	Status int
	Body   string
	Err    error
	At     time.Time
}

// get asks for a URL, on a connection of its own.
func (n *network) get(url string) <-chan answer {
	client := http.Client{Timeout: bound, Transport: &http.Transport{DisableKeepAlives: true, DialContext: n.dial}}
	got := make(chan answer, 1)
	go func() {
		var a answer
		response, err := client.Get(url)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
			a.Status, a.Body = response.StatusCode, string(body)
		}
		a.Err, a.At = err, time.Now()
		got <- a
	}()
	return got
}
