package recipes

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A proxy drops what is in flight when it is sent TERM. It has another signal,
// or a command, for "finish that first".
type proxy struct {
	options []string // exeunt's
	command string   // in a copy of testdata/web
	setup   string   // see options of a space
	ready   func(*testing.T, *network)
}

// inPlace gives nginx what it has in an image: its configuration where it looks
// for it, and a /run of its own.
const inPlace = "mount --bind nginx.conf /etc/nginx/nginx.conf; mount -t tmpfs tmpfs /run"

var proxies = map[string]proxy{
	"nginx":   {options: []string{"--stop-signal", "QUIT"}, command: "nginx", setup: inPlace},
	"rewrite": {options: []string{"--rewrite", "TERM:QUIT"}, command: "nginx", setup: inPlace},
	// The hook is, word for word, that of many a pod.
	"hook": {
		options: []string{"--hook-timeout", "8s",
			"--pre-stop", "sh -c 'nginx -s quit; while killall -0 nginx; do sleep 1; done'"},
		command: "nginx",
		setup:   inPlace,
	},
	"apache":   {options: []string{"--stop-signal", "WINCH"}, command: "apache2 -D FOREGROUND -d . -f apache2.conf"},
	"haproxy":  {options: []string{"--stop-signal", "USR1"}, command: "haproxy -W -S 127.0.0.1:99 -f haproxy.cfg", ready: haproxyLeads},
	"lighttpd": {options: []string{"--stop-signal", "INT"}, command: "lighttpd -D -f lighttpd.conf"},
}

// haproxyLeads waits until the master of haproxy obeys: it executes itself anew
// while its first worker serves already, and discards signals until then.
func haproxyLeads(t *testing.T, n *network) {
	t.Helper()
	until(t, "haproxy's master answers", func() bool {
		c, err := n.dial(t.Context(), "tcp", "127.0.0.1:99")
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(bound))
		io.WriteString(c, "show version\n")
		_, err = c.Read(make([]byte, 1))
		return err == nil
	})
}

// inFlight starts the proxy and a request, which has reached the server behind.
func (p proxy) inFlight(t *testing.T, init []string) (*space, <-chan answer) {
	t.Helper()
	command := strings.Fields(p.command)
	need(t, init[0], command[0], "killall")
	n := newNetwork(t)
	asked := slowServer(n, "127.0.0.1:8080")
	s := begin(t, options{network: n, dir: webFolder(t), setup: p.setup}, append(init, command...)...)
	n.await("127.0.0.1:80")
	if p.ready != nil {
		p.ready(t, n)
	}
	got := n.get("http://127.0.0.1:80/")
	<-asked
	return s, got
}

// slowServer answers each request after 2 seconds. The channel tells of each.
func slowServer(n *network, address string) <-chan struct{} {
	asked := make(chan struct{}, 10)
	go http.Serve(n.listen(address), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-time.After(2 * time.Second)
		io.WriteString(w, "hello\n")
	}))
	return asked
}

func TestProxyAnswersItsRequest(t *testing.T) {
	t.Parallel()
	each(t, proxies, func(t *testing.T, p proxy) {
		s, got := p.inFlight(t, stopping("20s", p.options...))
		s.answers(got, 0, 8*time.Second)
	})
}

// An image has its STOPSIGNAL from the one that it is built from, and the
// platform then sends that. Nothing has to be set for it.
func TestProxyAnswersItsRequestAtItsOwnSignal(t *testing.T) {
	t.Parallel()
	own := map[string]syscall.Signal{"nginx": syscall.SIGQUIT, "apache": syscall.SIGWINCH, "haproxy": syscall.SIGUSR1}
	for name, sig := range own {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, got := proxies[name].inFlight(t, stopping("20s"))
			s.answersAt(sig, got, 0, 8*time.Second)
		})
	}
}

func TestProxyLosesItsRequestUnderTini(t *testing.T) {
	t.Parallel()
	each(t, proxies, func(t *testing.T, p proxy) {
		s, got := p.inFlight(t, tini)
		s.loses(got)
	})
}

// It is the option that saves the request.
func TestProxyLosesItsRequestWithoutTheOption(t *testing.T) {
	t.Parallel()
	each(t, proxies, func(t *testing.T, p proxy) {
		s, got := p.inFlight(t, stopping("20s"))
		s.loses(got)
	})
}
