package recipes

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// A dependency is something that an app needs at its start, and comes late.
type dependency struct {
	server []string
	app    []string // ends with 0 if the server is there, at once
	hook   string   // of a configuration
	flags  []string // or flags
}

// dependencies in a network of their own, each at its own port.
func dependencies(t *testing.T) map[string]dependency {
	t.Helper()
	web := []string{part(t), "web", "127.0.0.1:8080"}
	asks := []string{exeunt, "probe", "http://127.0.0.1:8080/"}
	return map[string]dependency{
		"http": {web, asks, "{http: http://127.0.0.1:8080/, interval: 100ms, timeout: 20s}", nil},
		"tcp": {
			[]string{"redis-server", "--bind", "127.0.0.1", "--port", "6379", "--save", ""},
			[]string{"redis-cli", "-h", "127.0.0.1", "-e", "ping"},
			`{tcp: {address: 127.0.0.1:6379, send: PING\r\n, expect: +PONG}, interval: 100ms, timeout: 20s}`, nil,
		},
		"command": {web, asks, fmt.Sprintf("{command: [%s, probe, \"tcp://127.0.0.1:8080\"], interval: 100ms, timeout: 20s}", exeunt), nil},
		"command, by flags": {web, asks, "", []string{"--hook-timeout", "20s",
			"--pre-start", fmt.Sprintf("sh -c 'until %s probe http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.1; done'", exeunt)}},
	}
}

func TestAppIsStartedWhenWhatItNeedsIsThere(t *testing.T) {
	t.Parallel()
	need(t, "redis-server", "redis-cli")
	each(t, dependencies(t), func(t *testing.T, d dependency) {
		n := newNetwork(t)
		path := filepath.Join(t.TempDir(), "report")
		o := options{network: n, dir: t.TempDir()}
		if d.hook != "" {
			o.env = configured("pre_start: [" + d.hook + "]").env
		}
		app := begin(t, o, append(stopping("20s", append(d.flags, "--report", path)...), d.app...)...)
		select {
		case <-app.over:
			t.Fatal("it was started, and what it needs is not there")
		case <-time.After(2 * time.Second):
		}
		came := time.Now()
		begin(t, options{network: n, dir: t.TempDir()}, append(stopping("20s"), d.server...)...)
		if code := app.wait(bound); code != 0 {
			t.Errorf("the app's exit code is %d, want 0", code)
		}
		r := readReport(t, path)
		if started := r.Services[0].Started; started.Before(came) || started.Sub(came) > 5*time.Second {
			t.Errorf("the app was started %v after what it needs", started.Sub(came))
		}
		if hook := r.Hooks[0]; hook.Err != "" || d.hook != "" && hook.Tries < 5 {
			t.Errorf("the hook was tried %d times, at last with %q", hook.Tries, hook.Err)
		}
	})
}

// The control.
func TestAppThatDoesNotWaitIsStartedInVain(t *testing.T) {
	t.Parallel()
	need(t, "redis-cli")
	each(t, dependencies(t), func(t *testing.T, d dependency) {
		if code := begin(t, options{network: newNetwork(t)}, append(stopping("20s"), d.app...)...).wait(bound); code == 0 {
			t.Error("it needs nothing: the test above proves nothing any more")
		}
	})
}

func TestAppIsNotStartedWhenWhatItNeedsNeverComes(t *testing.T) {
	t.Parallel()
	need(t)
	o := configured("pre_start: [{tcp: 127.0.0.1:6379, interval: 100ms, timeout: 1500ms}]")
	o.network, o.dir = newNetwork(t), t.TempDir()
	began := time.Now()
	s := begin(t, o, append(stopping("20s"), "sh", "-c", "echo started")...)
	if code := s.wait(bound); code != 125 {
		t.Errorf("exit code %d, want that of a start that failed, 125", code)
	}
	s.took(began, 1200*time.Millisecond, 5*time.Second) // no try is begun that has no time left
	inOrder(t, s.Out.String(), "refused")
	if out := s.Out.String(); out == "" || len(out) > 2000 {
		t.Errorf("the log has %d bytes", len(out))
	}
}
