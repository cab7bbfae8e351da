package hooks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const glance = 5 * time.Millisecond // from look to look in these tests

// A house is a listener that accepts when it is told to.
type house struct{ net.Listener }

func open(t testing.TB, network, address string) *house {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &house{l}
}

// port is the port that it listens on.
func (h *house) port(t testing.TB) uint16 { return portOf(t, h.Addr().String()) }

// visit connects, and accepts it; both ends are closed with the test.
func (h *house) visit(t testing.TB) (client, server net.Conn) {
	t.Helper()
	client = h.knock(t)
	server, err := h.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

// knock connects, and nobody accepts it.
func (h *house) knock(t testing.TB) net.Conn {
	t.Helper()
	// A small buffer, so that what it does not read is soon left with the server.
	small := func(_, _ string, c syscall.RawConn) (err error) {
		bad := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(bad, err)
	}
	client, err := (&net.Dialer{Control: small}).Dial(h.Addr().Network(), h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// busy is the address of a server that has one request and does not answer.
func busy(t testing.TB) string {
	t.Helper()
	h := open(t, "tcp", "127.0.0.1:0")
	client, server := h.visit(t)
	say(t, client, server)
	return h.Addr().String()
}

// say writes a line and reads it at the other end.
func say(t testing.TB, from, to net.Conn) {
	t.Helper()
	if _, err := io.WriteString(from, "line\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

// fill writes until the kernel takes no more for now, which is more than a
// peer's buffer holds at first, and returns how much that was.
func fill(t *testing.T, conn net.Conn) (sent int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Write(func(fd uintptr) bool {
			var n int
			for piece := make([]byte, 64<<10); err == nil; sent += max(n, 0) {
				n, err = syscall.Write(int(fd), piece)
			}
			return true
		})
	}
	if err != nil || sent == 0 {
		t.Fatal(sent, err)
	}
	return sent
}

// begin performs a drain in the background. Its end and error are to be had
// from the channel.
func begin(t *testing.T, d Drain, s Surroundings) <-chan error {
	t.Helper()
	if d.Interval == 0 {
		d.Interval = glance
	}
	if d.IdleAfter == 0 {
		d.IdleAfter = 20 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- (&Hook{Drain: &d}).Perform(ctx, s) }()
	return ended
}

// lasts fails if the drain ends within the time in which an idle one would have
// ended many times.
func lasts(t *testing.T, what string, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		t.Fatalf("%s: the drain ended: %v", what, err)
	case <-time.After(150 * time.Millisecond):
	}
}

// ends fails unless the drain succeeds.
func ends(t *testing.T, what string, ended <-chan error) {
	t.Helper()
	if err := <-ended; err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// ways are how a drain may look.
var ways = map[string]Surroundings{"netlink": {}, "proc": {noNetlink: true}}

func TestWhoWaitsForAnAnswerIsWaitedFor(t *testing.T) {
	for name, call := range map[string]func(t *testing.T, h *house) (answer func()){
		"a request right after connecting": func(t *testing.T, h *house) func() {
			client, server := h.visit(t)
			say(t, client, server)
			return func() { say(t, server, client) }
		},
		"the second request of a connection": func(t *testing.T, h *house) func() {
			client, server := h.visit(t)
			say(t, client, server)
			say(t, server, client)
			<-time.After(20 * time.Millisecond) // in another tick of the kernel
			say(t, client, server)
			return func() { <-time.After(20 * time.Millisecond); say(t, server, client) }
		},
		"a request that is not read": func(t *testing.T, h *house) func() {
			client, server := h.visit(t)
			say(t, client, server)
			say(t, server, client)
			if _, err := io.WriteString(client, "line\n"); err != nil {
				t.Fatal(err)
			}
			return func() {
				if _, err := io.ReadFull(server, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
				<-time.After(20 * time.Millisecond)
				say(t, server, client)
			}
		},
		"a client that has closed its half": func(t *testing.T, h *house) func() {
			client, server := h.visit(t)
			say(t, client, server)
			if err := client.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			return func() { say(t, server, client); server.Close() }
		},
		"a connection that is not accepted": func(t *testing.T, h *house) func() {
			h.knock(t)
			return func() {
				if _, err := h.Accept(); err != nil {
					t.Fatal(err)
				}
			}
		},
		"an answer that the client does not read": func(t *testing.T, h *house) func() {
			client, server := h.visit(t)
			sent := fill(t, server)
			return func() {
				if _, err := io.CopyN(io.Discard, client, int64(sent)); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, "tcp", "[::]:0")
			answer := call(t, h)
			ended := begin(t, Drain{Ports: []uint16{h.port(t)}}, Surroundings{})
			lasts(t, name, ended)
			answer()
			ends(t, name, ended)
		})
	}
}

func TestIdleConnectionsOfAPoolAreNotActiveButOpen(t *testing.T) {
	arrived, release := make(chan bool), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			select {
			case <-release:
			case <-t.Context().Done():
			}
		}
	}))
	t.Cleanup(server.Close)
	pool := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10}}
	defer pool.CloseIdleConnections()
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() { get(t, pool, server.URL+"/") })
	}
	clients.Wait()
	port := portOf(t, server.Listener.Addr().String())
	ends(t, "an idle pool", begin(t, Drain{Ports: []uint16{port}}, Surroundings{}))
	lasts(t, "open", begin(t, Drain{Ports: []uint16{port}, Count: Open}, Surroundings{}))
	lasts(t, "without netlink", begin(t, Drain{Ports: []uint16{port}}, Surroundings{noNetlink: true}))
	clients.Go(func() { get(t, pool, server.URL+"/slow") })
	<-arrived
	ended := begin(t, Drain{Ports: []uint16{port}, IdleAfter: 10 * time.Millisecond}, Surroundings{})
	lasts(t, "a request of the pool", ended)
	close(release)
	clients.Wait()
	begun := time.Now()
	ends(t, "answered", ended)
	if took := time.Since(begun); took > late {
		t.Errorf("the drain ended %v after the last answer", took)
	}
	for way, s := range ways {
		ended = begin(t, Drain{Ports: []uint16{port}, Count: Open}, s)
		lasts(t, way, ended)
		pool.CloseIdleConnections()
		ends(t, way+", all closed", ended)
		get(t, pool, server.URL+"/")
	}
}

func get(t *testing.T, client *http.Client, url string) {
	answer, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
}

func TestTheThresholdIsEnough(t *testing.T) {
	h := open(t, "tcp", "127.0.0.1:0")
	h.visit(t)
	_, second := h.visit(t)
	for way, s := range ways {
		ends(t, way, begin(t, Drain{Ports: []uint16{h.port(t)}, Count: Open, Threshold: 2}, s))
	}
	ended := begin(t, Drain{Ports: []uint16{h.port(t)}, Count: Open, Threshold: 1}, Surroundings{})
	lasts(t, "two", ended)
	second.Close()
	ends(t, "one", ended)
}

func TestADrainTakesItsLeastTimeAndNoMore(t *testing.T) {
	h := open(t, "tcp", "127.0.0.1:0")
	for what, d := range map[string]Drain{
		"settle": {Settle: 4, Interval: 50 * time.Millisecond},
		"min":    {Min: 150 * time.Millisecond, Interval: glance},
		"quiet":  {Quiet: 150 * time.Millisecond, Interval: glance},
		"both":   {Quiet: 100 * time.Millisecond, Min: 150 * time.Millisecond, Interval: time.Hour, Settle: 1},
	} {
		d.Ports = []uint16{h.port(t)}
		begun := time.Now()
		ends(t, what, begin(t, d, Surroundings{}))
		if took := time.Since(begun); took < 150*time.Millisecond || took > 150*time.Millisecond+late {
			t.Errorf("%s: took %v", what, took)
		}
	}
}

func TestQuietWaitsForTheLastNewConnection(t *testing.T) {
	h := open(t, "tcp", "[::]:0")
	go func() {
		for {
			conn, err := h.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	other := open(t, "tcp", "127.0.0.1:0")
	ended := begin(t, Drain{Ports: []uint16{h.port(t)}, Quiet: 200 * time.Millisecond, Interval: 50 * time.Millisecond}, Surroundings{})
	stop := time.After(600 * time.Millisecond)
	var last time.Time
	for tick, coming := time.NewTicker(20*time.Millisecond), true; coming; {
		select {
		case err := <-ended:
			t.Fatalf("it ended while connections came: %v", err)
		case <-stop:
			coming = false
		case <-tick.C: // they come and go, mostly between two looks
			last = time.Now()
			client := h.knock(t)
			_, _ = bufio.NewReader(client).ReadByte()
			client.Close()
		}
	}
	other.knock(t).Close() // is not ours
	ends(t, "they stopped", ended)
	if took := time.Since(last); took < 200*time.Millisecond || took > 250*time.Millisecond+late {
		t.Errorf("it ended %v after the last one", took)
	}
}

func TestThePortsOfOurProcessesAreDrained(t *testing.T) {
	h := open(t, "tcp", "127.0.0.1:0")
	client, server := h.visit(t)
	say(t, client, server)
	for way, s := range ways {
		s.Processes = func() ([]int, error) { return []int{os.Getpid()}, nil }
		ended := begin(t, Drain{}, s)
		lasts(t, way, ended)
	}
	for want, processes := range map[string]func() ([]int, error){
		"no process of ours is seen to listen on a TCP port": func() ([]int, error) { return []int{1 << 30}, nil },
		"no such /proc": func() ([]int, error) { return nil, errors.New("no such /proc") },
		"cannot tell":   nil,
	} {
		err := <-begin(t, Drain{}, Surroundings{Processes: processes})
		expect(t, want, err, want)
		expect(t, want, err, "drain:8080")
	}
}

func TestAPortWithoutAListenerIsNoted(t *testing.T) {
	h := open(t, "tcp", "127.0.0.1:0")
	port := h.port(t)
	note := func(to *[]string) func(string) { return func(line string) { *to = append(*to, line) } }
	var notes []string
	ends(t, "a listener", begin(t, Drain{Ports: []uint16{port}}, Surroundings{Note: note(&notes)}))
	if notes != nil {
		t.Errorf("noted %q", notes)
	}
	h.Close()
	ends(t, "none", begin(t, Drain{Ports: []uint16{port}}, Surroundings{Note: note(&notes), noNetlink: true}))
	if want := fmt.Sprintf("nothing listens on port %d", port); len(notes) != 2 || notes[1] != want || !strings.Contains(notes[0], "reading /proc/net/tcp") {
		t.Errorf("noted %q, want the source and %q", notes, want)
	}
}

func TestConnectionsOfUnixSocketsAreDrained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fpm.sock")
	h := open(t, "unix", path)
	for way, s := range ways {
		client, server := h.visit(t)
		pending := h.knock(t)
		ended := begin(t, Drain{Unix: []string{path}}, s)
		lasts(t, way, ended)
		server.Close()
		client.Close()
		lasts(t, way+", one waits to be accepted", ended)
		pending.Close()
		accepted, err := h.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted.Close()
		ends(t, way, ended)
	}
}

func TestWhoIsLeftIsNamed(t *testing.T) {
	h := open(t, "tcp", "127.0.0.1:0")
	names := []string{}
	for range 7 {
		client, server := h.visit(t)
		say(t, client, server)
		names = append(names, client.LocalAddr().String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d := Drain{Ports: []uint16{h.port(t)}, Interval: glance}
	err := d.perform(ctx, &Surroundings{})
	expect(t, "seven", err, "timed out, connections left: 7: 127.0.0.1:")
	expect(t, "seven", err, ", 2 more")
	expect(t, "seven", err, " (last active 0.")
	named := slices.DeleteFunc(names, func(name string) bool { return !strings.Contains(fmt.Sprint(err), name+" (") })
	if len(named) != 5 {
		t.Errorf("%v names %d", err, len(named))
	}
	d.Threshold, d.Min = 7, time.Minute
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	expect(t, "not yet", d.perform(ctx, &Surroundings{}), "timed out before it was quiet for long enough, connections left: 7")
}

func TestBadDrainsAreRefused(t *testing.T) {
	for want, d := range map[string]Drain{
		"port 0": {Ports: []uint16{80, 0}}, "no path": {Unix: []string{""}}, "threshold": {Threshold: -1}, "settle": {Settle: -1},
		"duration": {Quiet: -1}, "active or open": {Count: 2},
	} {
		expect(t, fmt.Sprintf("%+v", d), (&Hook{Drain: &d}).Check(), want)
	}
	var c Count
	for text, want := range map[string]Count{"active": Active, "open": Open} {
		if err := c.UnmarshalText([]byte(text)); err != nil || c != want {
			t.Errorf("%q is %v, %v", text, c, err)
		}
	}
	expect(t, "Open", c.UnmarshalText([]byte("Open")), "not active or open")
}

// BenchmarkDrainPoll is one look at 5,000 connections to our port, in a table
// that has their other ends as well.
func BenchmarkDrainPoll(b *testing.B) {
	const clients = 5000
	h := open(b, "tcp", "127.0.0.1:0")
	for range clients {
		h.visit(b)
	}
	for way, s := range ways {
		b.Run(way, func(b *testing.B) {
			v := vigil{Drain: Drain{Ports: []uint16{h.port(b)}, Count: Open}, table: s.table()}
			defer v.table.Close()
			v.defaults()
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				if err := v.look(b.Context()); err != nil || len(v.left) != clients {
					b.Fatal(len(v.left), err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpu is the processor time that we have used.
func cpu(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
