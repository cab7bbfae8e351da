package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// How people start a node server in an image. In both the server is not what
// the init starts, but a child of that.
var nodeCommands = map[string][]string{
	"sh -c":     {"sh", "-c", "node app.js; echo done"},
	"npm start": {"npm", "start"},
}

// nodeSpace starts a node server under an init, and one request that it will
// take 3 seconds to answer. It returns when the server has that request.
func nodeSpace(t *testing.T, init, command []string) (*space, <-chan error) {
	t.Helper()
	need(t, init[0], "node", "npm")
	dir := t.TempDir()
	socket := filepath.Join(dir, "http")
	s := begin(t, options{
		dir: "testdata",
		env: []string{"SOCKET=" + socket, "npm_config_cache=" + dir, "npm_config_update_notifier=false"},
	}, append(init, command...)...)
	s.Out.await("app: serving")
	answer := ask(socket)
	s.Out.await("app: asked")
	return s, answer
}

// ask sends a request to an HTTP server on a unix socket. The channel gets nil
// once it has been answered with 200, else the error.
func ask(socket string) <-chan error {
	client := http.Client{Timeout: bound, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", socket)
		},
	}}
	answer := make(chan error, 1)
	go func() {
		response, err := client.Get("http://app/")
		if err == nil {
			var body []byte
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
			if err == nil && (response.StatusCode != 200 || string(body) != "hello\n") {
				err = fmt.Errorf("%s: %q", response.Status, body)
			}
		}
		answer <- err
	}()
	return answer
}

func TestRequestInFlightIsAnsweredBehindShellAndNpm(t *testing.T) {
	t.Parallel()
	for name, command := range nodeCommands {
		t.Run(name, func(t *testing.T) {
			s, answer := nodeSpace(t, under("10s"), command)
			told := s.send(syscall.SIGTERM)
			code := s.wait(bound)
			if err := <-answer; err != nil {
				t.Errorf("the request is lost: %v", err)
			}
			if code != 128+15 {
				t.Errorf("exit code %d, want that of a main that TERM ended, 143", code)
			}
			s.took(told, 2*time.Second, 4*time.Second)
		})
	}
}

// The control: the same request, and why one would want another init.
func TestPeersLoseTheRequestInFlight(t *testing.T) {
	t.Parallel()
	for peer, init := range peers {
		for name, command := range nodeCommands {
			t.Run(peer+" "+name, func(t *testing.T) {
				s, answer := nodeSpace(t, init, command)
				s.send(syscall.SIGTERM)
				s.wait(bound)
				if <-answer == nil {
					t.Errorf("%s answers the request: this test proves nothing any more", peer)
				}
			})
		}
	}
}

func TestNodeByItselfIsAnswered(t *testing.T) {
	t.Parallel()
	s, answer := nodeSpace(t, under("10s"), []string{"node", "app.js"})
	told := s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want node's own, 0", code)
	}
	if err := <-answer; err != nil {
		t.Errorf("the request is lost: %v", err)
	}
	s.took(told, 2*time.Second, 4*time.Second)
}
