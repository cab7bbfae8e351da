package recipes

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A wire is a connection that a client keeps for its next request.
type wire struct {
	net.Conn
	from *bufio.Reader
}

// wires connects to a server so many times, and has one answer on each.
func (n *network) wires(address string, count int) []wire {
	n.t.Helper()
	var all []wire
	for range count {
		conn, err := n.dial(context.Background(), "tcp", address)
		if err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(bound))
		w := wire{conn, bufio.NewReader(conn)}
		w.ask(n.t, "/")
		w.answered(n.t)
		all = append(all, w)
	}
	return all
}

func (w wire) ask(t *testing.T, path string) {
	t.Helper()
	if _, err := fmt.Fprintf(w, "GET %s HTTP/1.1\r\nHost: app\r\n\r\n", path); err != nil {
		t.Error(err)
	}
}

// answered waits for the whole answer and returns when it was there.
func (w wire) answered(t *testing.T) time.Time {
	t.Helper()
	response, err := http.ReadResponse(w.from, nil)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return time.Now()
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 || string(body) != "hello\n" {
		t.Errorf("answered with %s, %q, %v", response.Status, body, err)
	}
	return time.Now()
}

// closed waits until the server has closed the connection, and returns when.
func (w wire) closed(t *testing.T) time.Time {
	t.Helper()
	if _, err := w.from.ReadByte(); err != io.EOF {
		t.Errorf("%v, want the end of the connection", err)
	}
	return time.Now()
}

// drainPool stops a server that has 40 kept-alive connections, on three of
// which a request is in flight that takes 1.5 s. It returns the report and when
// the last answer was there.
func drainPool(t *testing.T, o options, flags ...string) (r report, answered time.Time) {
	t.Helper()
	need(t)
	o.network = newNetwork(t)
	path := filepath.Join(t.TempDir(), "report")
	s := begin(t, o, append(stopping("20s", append(flags, "--report", path)...), part(t), "web", "127.0.0.1:8080")...)
	o.network.await("127.0.0.1:8080")
	pool := o.network.wires("127.0.0.1:8080", 40)
	for _, w := range pool[:3] {
		w.ask(t, "/?for=1500ms")
	}
	s.Out.await("for=1500ms", 3)
	s.send(syscall.SIGTERM)
	for _, w := range pool[:3] {
		answered = w.answered(t)
	}
	closed := pool[3].closed(t)
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want the app's own, 0", code)
	}
	r = readReport(t, path)
	if len(r.Hooks) != 1 || r.Hooks[0].Skipped {
		t.Fatalf("hooks %+v, want one", r.Hooks)
	}
	if told := r.Services[0].Told; told.Before(r.Hooks[0].Ended) || closed.Before(told) {
		t.Errorf("drained at %v, told at %v, idle connection closed at %v: not in this order", r.Hooks[0].Ended, told, closed)
	}
	return r, answered
}

// What somebody waits for keeps the drain waiting; what is merely open does not.
func TestDrainEndsSoonAfterTheLastAnswer(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]struct {
		o     options
		flags []string
		most  time.Duration
	}{
		// A connection is idle when nothing was said on it for a second, at two
		// looks, each a quarter of a second after the one before.
		"by default": {flags: []string{"--pre-stop", "drain:8080"}, most: time.Second},
		"in a hurry": {o: configured("pre_stop: [{drain: {ports: [8080], count: active, idle_after: 300ms}}]"), most: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, answered := drainPool(t, how.o, how.flags...)
			if r.Hooks[0].Err != "" {
				t.Errorf("the drain failed: %s", r.Hooks[0].Err)
			}
			if after := r.Hooks[0].Ended.Sub(answered); after < 0 || after > how.most {
				t.Errorf("the drain ended %v after the last answer, want within %v", after, how.most)
			}
		})
	}
}

// The control: to count what is open is to wait for those who never leave.
func TestDrainOfOpenConnectionsRunsToItsLimit(t *testing.T) {
	t.Parallel()
	r, _ := drainPool(t, configured("pre_stop: [{drain: {ports: [8080], count: open}, timeout: 4s}]"))
	hook := r.Hooks[0]
	if took := hook.Ended.Sub(hook.Began); took < 4*time.Second || took > 5*time.Second {
		t.Errorf("the drain took %v, want all of its 4s", took)
	}
	if !strings.Contains(hook.Err, "connections left: 40") {
		t.Errorf("the drain says %q, want the number of connections left, 40", hook.Err)
	}
}

// shutDown is what Contour's shutdown manager does for Envoy: announce it, then
// wait until no more than a few connections are left. Of 20 clients 17 leave
// when they are told. It returns the drain's report and when the last has left.
func shutDown(t *testing.T, threshold int) (drain report, left time.Time) {
	t.Helper()
	need(t)
	o := configured(fmt.Sprintf(`
pre_stop:
- http: POST http://127.0.0.1:8080/healthcheck/fail
- drain: {ports: [8080], count: open, threshold: %d, interval: 100ms}
  timeout: 4s
`, threshold))
	o.network = newNetwork(t)
	path := filepath.Join(t.TempDir(), "report")
	s := begin(t, o, append(stopping("20s", "--report", path), part(t), "web", "127.0.0.1:8080")...)
	o.network.await("127.0.0.1:8080")
	clients := o.network.wires("127.0.0.1:8080", 20)
	s.send(syscall.SIGTERM)
	s.Out.await("web: POST /healthcheck/fail", 1)
	for _, client := range clients[3:] {
		<-time.After(50 * time.Millisecond)
		client.Close()
		left = time.Now()
	}
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want the app's own, 0", code)
	}
	r := readReport(t, path)
	if len(r.Hooks) != 2 || r.Hooks[0].Err != "" {
		t.Fatalf("hooks %+v, want two, of which the first succeeds", r.Hooks)
	}
	return r, left
}

func TestDrainEndsAtItsThreshold(t *testing.T) {
	t.Parallel()
	r, left := shutDown(t, 3)
	drain := r.Hooks[1]
	if after := drain.Ended.Sub(left); drain.Err != "" || after < 0 || after > time.Second {
		t.Errorf("the drain ended %v after the last client had left that was to leave: %s", after, drain.Err)
	}
}

// The control: three clients never leave.
func TestDrainWithoutThresholdRunsToItsLimit(t *testing.T) {
	t.Parallel()
	r, _ := shutDown(t, 0)
	drain := r.Hooks[1]
	if took := drain.Ended.Sub(drain.Began); took < 4*time.Second || !strings.Contains(drain.Err, "connections left: 3") {
		t.Errorf("the drain took %v, want all of its 4s, and says %q", took, drain.Err)
	}
}
