package recipes

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A balancer is a haproxy in front of two servers. It tries nothing twice, and
// does not look by itself whether a server is there: it is told, as the
// balancers of a cluster are by their controller, some time after the fact.
type balancer struct {
	*space
	front, admin string // unix sockets
}

// balance starts one for the servers s1 at port 8081 and s2 at 8082. reuse is
// which requests may take an idle connection to a server: never or always.
func balance(t *testing.T, n *network, reuse string) *balancer {
	t.Helper()
	dir := t.TempDir()
	b := &balancer{front: filepath.Join(dir, "front"), admin: filepath.Join(dir, "admin")}
	config := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(`
global
	stats socket %s level admin
defaults
	mode http
	retries 0
	http-reuse %s
	timeout connect 2s
	timeout client 20s
	timeout server 20s
frontend front
	bind unix@%s
	default_backend back
backend back
	balance roundrobin
	server s1 127.0.0.1:8081
	server s2 127.0.0.1:8082
`, b.admin, reuse, b.front)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b.space = begin(t, options{network: n}, append(stopping("5s", "--stop-signal", "USR1"),
		"haproxy", "-q", "-db", "-f", config)...)
	until(t, "haproxy is there", func() bool {
		conn, err := net.Dial("unix", b.front)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return b
}

// order is one command of the runtime API and its answer.
func (b *balancer) order(command string) string {
	b.t.Helper()
	conn, err := net.Dial("unix", b.admin)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	reply, err := io.ReadAll(conn)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(reply)
}

// sessions is how many requests a server has been given.
func (b *balancer) sessions(server string) int {
	b.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.order("show stat"), "# "))).ReadAll()
	if err != nil {
		b.t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows {
		if row[column["pxname"]] == "back" && row[column["svname"]] == server {
			n, err := strconv.Atoi(row[column["stot"]])
			if err != nil {
				b.t.Fatal(err)
			}
			return n
		}
	}
	b.t.Fatalf("haproxy knows no server %s", server)
	return 0
}

const requests = 1200 // in 8 s

// A rolled update is what came of one.
type rolled struct {
	lost  int
	ways  string        // in which they were lost
	known time.Duration // when the balancer was told of the stop, after its begin
	late  int           // requests that the server was given meanwhile
}

// roll stops the first of two servers under load; two seconds later the
// balancer is told so.
func roll(t *testing.T, how rolling, hooks ...string) (r rolled) {
	t.Helper()
	need(t, "haproxy")
	n := newNetwork(t)
	b := balance(t, n, how.reuse)
	path := filepath.Join(t.TempDir(), "report")
	flags := []string{"--report", path}
	for _, hook := range hooks {
		flags = append(flags, "--pre-stop", hook)
	}
	first := begin(t, options{network: n}, append(stopping("30s", flags...), part(t), "web", "127.0.0.1:8081")...)
	second := begin(t, options{network: n}, append(stopping("30s"), part(t), "web", "127.0.0.1:8082")...)
	first.Out.await("web: serving", 1)
	second.Out.await("web: serving", 1)

	l := rush(unixClient(b.front), "http://app/?for=20ms", requests, 150)
	l.await(75)
	given := b.sessions("s1")
	told := first.send(syscall.SIGTERM)
	<-time.After(2 * time.Second)
	r.late = b.sessions("s1") - given
	if reply := strings.TrimSpace(b.order("set server back/s1 state " + how.state)); reply != "" {
		t.Fatal(reply)
	}
	r.known = time.Since(told)
	r.lost, r.ways = l.result()
	if code := first.wait(bound); code != 0 {
		t.Errorf("the stopped server's exit code is %d, want its own, 0", code)
	}
	report := readReport(t, path)
	for _, hook := range report.Hooks {
		if hook.Err != "" {
			t.Errorf("hook %q: %s", hook.Name, hook.Err)
		}
	}
	if len(report.Hooks) != len(hooks) {
		t.Errorf("%d hooks ran, want %d", len(report.Hooks), len(hooks))
	}
	return r
}

// A rolling is how the balancer reaches its servers, and how it lets go of one.
type rolling struct{ reuse, state string }

var rollings = map[string]rolling{
	"a connection for each request": {"never", "maint"},
	"a pool of connections":         {"always", "drain"},
}

// A machine that is too busy for two seconds to be about two is given another
// try: the delay can't be long enough for all of them.
func TestRollingUpdateLosesNothing(t *testing.T) {
	t.Parallel()
	each(t, rollings, func(t *testing.T, how rolling) {
		for range 3 {
			r := roll(t, how, "sleep:5s", "drain:8081")
			if r.known > 4*time.Second {
				continue
			}
			if r.lost > 0 {
				t.Errorf("%d of %d requests are lost: %s", r.lost, requests, r.ways)
			}
			if r.late < 50 {
				t.Errorf("the server was given only %d requests after its TERM: nothing is proven", r.late)
			}
			return
		}
		t.Error("three times the balancer was told too late")
	})
}

// The control: the app is told at once, while the balancer still sends to it.
func TestRollingUpdateLosesWhatComesBeforeTheBalancerKnows(t *testing.T) {
	t.Parallel()
	each(t, rollings, func(t *testing.T, how rolling) {
		r := roll(t, how)
		if r.lost <= 50 {
			t.Errorf("%d of %d requests are lost, want more than 50: the test above proves nothing any more", r.lost, requests)
		}
		t.Logf("%d lost: %s", r.lost, r.ways)
	})
}
