package recipes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildPart builds testdata/part, static.
var buildPart = sync.OnceValues(func() (string, error) {
	path := filepath.Join(shared, "part")
	build := exec.Command("go", "build", "-o", path, "./testdata/part")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build testdata/part: %w\n%s", err, output)
	}
	return path, nil
})

func part(t *testing.T) string {
	t.Helper()
	path, err := buildPart()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// configured is a space whose exeunt has a configuration.
func configured(text string) options { return options{env: []string{"EXEUNT_CONFIG=" + text}} }

// until calls done until it is true, and fails the test if it never is.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(bound); !done(); <-again.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, bound)
		}
	}
}

// A report is what --report writes, as far as the recipes look at it.
type report struct {
	Grace    int       `json:"grace_ms"`
	Reason   string    `json:"reason"`
	Code     int       `json:"code"`
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	Services []struct {
		Started time.Time `json:"started"`
		Told    time.Time `json:"told"`
		Ended   time.Time `json:"ended"`
		Signal  string    `json:"signal"`
		Code    int       `json:"code"`
		Killed  bool      `json:"killed"`
	} `json:"services"`
	Hooks []struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Began   time.Time `json:"began"`
		Ended   time.Time `json:"ended"`
		Tries   int       `json:"tries"`
		Skipped bool      `json:"skipped"`
		Killed  bool      `json:"killed"`
		Err     string    `json:"err"`
	} `json:"hooks"`
	Strays []struct {
		Name   string `json:"name"`
		Killed bool   `json:"killed"`
	} `json:"strays"`
}

// parseReport reads the report of a run that is over.
func parseReport(t *testing.T, path string) (r report) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return r
}

// readReport is parseReport, and checks what holds for each: the stop ended
// inside its grace period. Exeunt's own deadline is a margin of 5 % before that;
// half of it may go to a busy machine.
func readReport(t *testing.T, path string) report {
	t.Helper()
	r := parseReport(t, path)
	grace := time.Duration(r.Grace) * time.Millisecond
	margin := min(max(grace/20, 200*time.Millisecond), 3*time.Second)
	if took := r.Ended.Sub(r.Began); took > grace-margin/2 {
		t.Errorf("the stop took %v, want at most %v of a grace period of %v", took, grace-margin, grace)
	}
	return r
}

// inOrder fails the test unless the text has these in this order.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		_, after, found := strings.Cut(text, part)
		if !found {
			t.Errorf("%q is missing, or out of order", part)
			return
		}
		text = after
	}
}

// A load is a number of requests, made at a constant rate whatever becomes of
// them.
type load struct {
	over  chan struct{}
	mu    sync.Mutex
	sent  int
	lost  []string
	moved chan struct{} // closed and replaced when one has been sent
}

// rush makes n requests at a rate of so many in a second.
func rush(client *http.Client, url string, n, rate int) *load {
	l := &load{over: make(chan struct{}), moved: make(chan struct{})}
	go func() {
		defer close(l.over)
		var pending sync.WaitGroup
		defer pending.Wait()
		began := time.Now()
		for i := range n {
			// By the clock, so that a busy machine delays one and not the rest.
			<-time.After(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			pending.Go(func() { l.request(client, url) })
			l.mu.Lock()
			l.sent++
			close(l.moved)
			l.moved = make(chan struct{})
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *load) request(client *http.Client, url string) {
	response, err := client.Get(url)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && (response.StatusCode != 200 || string(body) != "hello\n") {
			err = fmt.Errorf("%s: %.60q", response.Status, body)
		}
	}
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lost = append(l.lost, err.Error())
	}
}

// await waits until n requests have been sent.
func (l *load) await(n int) {
	for {
		l.mu.Lock()
		sent, moved := l.sent, l.moved
		l.mu.Unlock()
		if sent >= n {
			return
		}
		<-moved
	}
}

// result waits for the last answer. It returns how many requests have failed,
// and in what ways.
func (l *load) result() (lost int, ways string) {
	<-l.over
	l.mu.Lock()
	defer l.mu.Unlock()
	lost = len(l.lost)
	slices.Sort(l.lost)
	return lost, strings.Join(slices.Compact(l.lost), "; ")
}

// unixClient makes requests to a server on a unix socket, each on a connection
// of its own.
func unixClient(socket string) *http.Client {
	return &http.Client{Timeout: bound, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", socket)
		},
	}}
}
