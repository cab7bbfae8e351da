package control

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"exeunt/supervisor"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != text {
		t.Errorf("%s differs (%v); see -update\n%s", file, err, text)
	}
}

// public opens a server without a control socket, over TCP or a unix socket.
func public(t *testing.T, network string) (l *loop, address string, get func(request string) (status, body string)) {
	t.Helper()
	where := "127.0.0.1:0"
	if network == "unix" {
		where = "unix:" + filepath.Join(t.TempDir(), "h.sock")
	}
	l = open(t, func(o *Options) { o.Control, o.HTTP = Off, where })
	address = strings.TrimPrefix(where, "unix:")
	if network == "tcp" {
		name, err := unix.Getsockname(l.doors[0].fd)
		if err != nil {
			t.Fatal(err)
		}
		address = fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	}
	return l, address, func(request string) (status, body string) {
		t.Helper()
		status, _, body = say(t, dial(t, network, address), request+" HTTP/1.1\r\nHost: x\r\n\r\n")
		return status, body
	}
}

func TestReadyIsWhatTheRunIs(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		l, _, get := public(t, network)
		for _, c := range []struct {
			as           supervisor.Standing
			status, body string
		}{
			{supervisor.Rising, "503 Service Unavailable", "starting\n"},
			{supervisor.Up, "200 OK", "ready\n"},
			{supervisor.Rising, "503 Service Unavailable", "starting\n"},
			{supervisor.Up, "200 OK", "ready\n"},
			{supervisor.Falling, "503 Service Unavailable", "stopping\n"},
		} {
			l.Stand(c.as)
			if status, body := get("GET /readyz"); status != c.status || body != c.body {
				t.Errorf("%s, %v: %s %q", network, c.as, status, body)
			}
			if status, body := get("GET /livez"); status != "200 OK" || body != "alive\n" {
				t.Errorf("%s, %v: %s %q", network, c.as, status, body)
			}
		}
		if l.viewed() != 0 {
			t.Error("the loop was asked")
		}
	}
}

func TestNothingCanBeOrderedOverHTTP(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		l, _, get := public(t, network)
		for request, want := range map[string]string{
			"POST /v1/stop": "404", "POST /v1/prestop": "404", "POST /v1/services/db/stop": "404", "GET /v1/status": "404", "GET /": "404",
			"POST /livez": "405", "PUT /readyz": "405", "DELETE /metrics": "405", "HEAD /metrics": "200",
		} {
			if status, _ := get(request); !strings.HasPrefix(status, want) {
				t.Errorf("%s, %s: %s", network, request, status)
			}
		}
		if len(l.asked) > 0 {
			t.Errorf("%+v reached the loop", <-l.asked)
		}
	}
}

func TestMetricsAreAskedForTenTimesASecondAtMost(t *testing.T) {
	l, _, get := public(t, "tcp")
	began := time.Now()
	for range 300 {
		if status, body := get("GET /metrics"); status != "200 OK" || !strings.Contains(body, `exeunt_service_up{service="db"} 0`) {
			t.Fatalf("%s %s", status, body)
		}
	}
	if n, most := l.viewed(), int(time.Since(began)/(100*time.Millisecond))+1; n > most || n < 1 {
		t.Errorf("the loop was asked %d times in %v, want at most %d", n, time.Since(began), most)
	}
}

func TestEveryAddressIsListenedOn(t *testing.T) {
	for where, reach := range map[string][]string{
		"127.0.0.1:0": {"127.0.0.1"}, "[::1]:0": {"::1"}, ":0": {"127.0.0.1", "::1"}, "0.0.0.0:0": {"127.0.0.1"}, "[::]:0": {"127.0.0.1", "::1"},
	} {
		d, err := listenHTTP(where)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
			continue // no IPv6 here
		}
		if err != nil {
			t.Fatal(err)
		}
		name, err := unix.Getsockname(d.fd)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range reach {
			port := 0
			switch name := name.(type) {
			case *unix.SockaddrInet4:
				port = name.Port
			case *unix.SockaddrInet6:
				port = name.Port
			}
			if conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
				t.Errorf("%s: %v", where, err)
			} else {
				_ = conn.Close()
			}
		}
		d.close()
	}
}

func TestARefusalIsNotLostForWhatWasNotRead(t *testing.T) {
	_, address, _ := public(t, "tcp")
	for _, network := range []string{"tcp", "unix"} {
		conn := open(t, nil).dial()
		if network == "tcp" {
			conn = dial(t, network, address)
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nX: "+strings.Repeat("x", 5*longestHead)); err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 431 ") {
			t.Errorf("%s: %v, %.80q", network, err, all)
		}
	}
}

func TestMetricsAreFreshAgainAfterAWhile(t *testing.T) {
	l, _, get := public(t, "unix")
	get("GET /metrics")
	l.set(func() { l.now.Reaped = 42 })
	eventually(t, func() error {
		if _, body := get("GET /metrics"); !strings.Contains(body, "exeunt_orphans_reaped_total 42\n") {
			return io.EOF
		}
		return nil
	})
}

// snapshot is one with a bit of everything.
func snapshot() *supervisor.Snapshot {
	at := time.Date(2026, 11, 26, 18, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return at.Add(-d) }
	return &supervisor.Snapshot{
		Phase: supervisor.PreStop, Standing: supervisor.Falling, Reason: supervisor.ReasonSignal, At: at, Deadline: at.Add(12500 * time.Millisecond), Reaped: 12345678,
		Services: []supervisor.ServiceStatus{
			{Name: "web-1", State: supervisor.Ready, PID: 17, Started: ago(26*time.Hour + 3*time.Minute), Ready: true, Status: "serving 3 requests"},
			{Name: "web-2", State: supervisor.Ready, PID: 1234567, Started: ago(95 * time.Second), Ended: ago(97 * time.Second), Ready: true, Unhealthy: true, Restarts: 3, Code: 137, OOM: true},
			{Name: "db", State: supervisor.Starting, PID: 21, Started: ago(3400 * time.Millisecond), StopTook: supervisor.Milliseconds(1500 * time.Millisecond), Ended: ago(3500 * time.Millisecond), Code: 143},
			{Name: `strange "\` + "\n\xff\x1b[2J", State: supervisor.Backoff, Started: ago(time.Hour), Ended: ago(59 * time.Second), Next: at.Add(4 * time.Second), Restarts: 120, Code: 1, Status: "bell \a and\nline"},
			{Name: "held", State: supervisor.Exited, Started: ago(3 * time.Hour), Ended: ago(2 * time.Hour), Held: true, Code: 137, Killed: true},
			{Name: "cron", State: supervisor.Waiting, Next: at.Add(90 * time.Minute)},
		},
		Hooks: []supervisor.HookReport{
			{ID: "pre_start/0", Name: "migrate", Began: ago(time.Hour), Ended: ago(time.Hour - 250*time.Millisecond)},
			{ID: "web-2/post_start/0", Name: "warm", Began: ago(time.Minute), Ended: ago(59 * time.Second)},
			{ID: "web-2/post_start/0", Name: "warm", Began: ago(time.Minute), Ended: ago(58 * time.Second)},
			{ID: "pre_stop/0", Name: "sleep 1s", Began: ago(2 * time.Second), Ended: ago(time.Second), Err: "cut"},
			{ID: "pre_stop/1", Name: "sleep 1s", Began: ago(time.Second)},
			{ID: "pre_stop/2", Name: "drain", Began: at, Ended: at, Skipped: true},
		},
	}
}

func TestMetricsAreAsWritten(t *testing.T) {
	text := string(metrics(snapshot()))
	golden(t, "metrics.txt", text)
	// What Prometheus demands: names declared before, and no series twice.
	sample := regexp.MustCompile(`^(exeunt_[a-z_]+)(\{[a-z_]+="(?:[^"\\]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\]|\\[\\"n])*")*\})? -?[0-9.]+$`)
	declared, seen := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.Fields(line); words[0] == "#" {
			if words[1] == "TYPE" {
				if declared[words[2]] {
					t.Errorf("%s is declared twice", words[2])
				}
				declared[words[2]] = true
			}
			continue
		}
		found := sample.FindStringSubmatch(line)
		switch {
		case found == nil:
			t.Errorf("%q is no sample", line)
		case !declared[found[1]]:
			t.Errorf("%q is not declared", line)
		case seen[found[1]+found[2]]:
			t.Errorf("%q comes twice", line)
		default:
			seen[found[1]+found[2]] = true
		}
	}
	if len(seen) < 30 {
		t.Errorf("%d series", len(seen))
	}
	if !strings.Contains(text, `\"\\\n`) {
		t.Error("nothing had to be escaped")
	}
}
