package recipes

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// hookTime is what a hook has that would take for ever, and others have five
// times as much: a busy machine is no enemy.
const hookTime = time.Second

// hostile are hooks that do what a hook may not, or that talk to somebody who
// does.
var hostile = map[string]struct {
	hook  string
	least time.Duration // how long it takes
	most  time.Duration // 0 is least
	said  string        // in the log; empty is nothing, for it succeeds
}{
	"hangs":                       {hook: "sleep 1000", least: hookTime, said: "timed out"},
	"fails":                       {hook: `sh -c "echo no such instance; exit 3"`, said: "exit code 3"},
	"cannot be run":               {hook: "./nonesuch", said: "nonesuch"},
	"leaves a holder of its pipe": {hook: `sh -c "sleep 1000 & echo forked"`},
	"leaves one that went away":   {hook: `sh -c "setsid sleep 1000 & echo forked"`},
	"is deaf to TERM":             {hook: `sh -c "trap '' TERM; exec sleep 1000"`, least: hookTime, most: hookTime + time.Second, said: "timed out"},
	"is answered never":           {hook: "http://127.0.0.1:8001/", least: hookTime, said: "timed out"},
	"is answered byte by byte":    {hook: "http://127.0.0.1:8002/", least: hookTime, said: "timed out"},
	"gets a body without end":     {hook: "http://127.0.0.1:8003/", least: hookTime, said: "timed out"},
	"meets an unknown CA":         {hook: "https://127.0.0.1:8004/", said: "certificate"},
	"is redirected in a loop":     {hook: "http://127.0.0.1:8005/"},
	"resolves a name for ever":    {hook: "http://registry.example/", least: hookTime, said: "timed out"},
	"is refused":                  {hook: "tcp://127.0.0.1:9", said: "refused"},
}

// opponents are whom the hooks above talk to.
type opponents struct {
	redirected atomic.Int32  // how often the one that redirects has been asked
	kept       chan struct{} // gets one for each that waits for an answer in vain
}

func newOpponents(n *network) *opponents {
	o := &opponents{kept: make(chan struct{}, 100)}
	serve(n.listen("127.0.0.1:8001"), func(conn net.Conn) {
		o.kept <- struct{}{}
		io.Copy(io.Discard, conn)
	})
	serve(n.listen("127.0.0.1:8002"), func(conn net.Conn) { drip(conn, "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("b", 1000)) })
	serve(n.listen("127.0.0.1:8003"), func(conn net.Conn) {
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		drip(conn, strings.Repeat("c", 1000))
	})
	secret := httptest.NewUnstartedServer(http.NotFoundHandler())
	secret.Listener = n.listen("127.0.0.1:8004")
	secret.Config.ErrorLog = log.New(io.Discard, "", 0) // it is refused, of course
	secret.StartTLS()
	n.t.Cleanup(secret.Close)
	circle := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.redirected.Add(1)
		http.Redirect(w, r, "/", http.StatusFound)
	}))
	circle.Listener = n.listen("127.0.0.1:8005")
	circle.Start()
	n.t.Cleanup(circle.Close)
	// The name server hears every question and answers none.
	var silent net.PacketConn
	n.do(func() { silent, _ = net.ListenPacket("udp", "127.0.0.1:53") })
	if silent == nil {
		n.t.Fatal("no place for a name server")
	}
	n.t.Cleanup(func() { silent.Close() })
	go func() {
		question := make([]byte, 512)
		for {
			if _, _, err := silent.ReadFrom(question); err != nil {
				return
			}
			o.kept <- struct{}{}
		}
	}()
	return o
}

// serve gives each connection to the peer until the listener is closed.
func serve(l net.Listener, peer func(net.Conn)) {
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				peer(conn)
			}()
		}
	}()
}

// drip writes text, a byte at a time, until the other side has had enough.
func drip(conn net.Conn, text string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range len(text) {
		if _, err := conn.Write([]byte{text[i]}); err != nil {
			return
		}
		<-tick.C
	}
}

// resolvable gives a space the name server at 127.0.0.1.
func resolvable(t *testing.T) (setup string) {
	t.Helper()
	path := filepath.Join(folder(t), "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return "mount --bind " + path + " /etc/resolv.conf"
}

func TestHostileHookIsCutAndTheStopGoesOn(t *testing.T) {
	t.Parallel()
	need(t)
	n := newNetwork(t)
	o := newOpponents(n)
	t.Run("hooks", func(t *testing.T) {
		for name, h := range hostile {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := folder(t)
				path := filepath.Join(dir, "report")
				timeout, most := hookTime, max(h.least, h.most)+time.Second
				if h.least == 0 {
					timeout, most = 5*hookTime, 4*hookTime
				}
				s := begin(t, options{network: n, dir: dir, setup: resolvable(t)}, append(stopping("20s", "--report", path,
					"--hook-timeout", timeout.String(), "--pre-stop", h.hook, "--pre-stop", "touch next"), part(t), "web", "127.0.0.1:0")...)
				s.Out.await("web: serving", 1)
				s.send(syscall.SIGTERM)
				if code := s.wait(bound); code != 0 {
					t.Errorf("exit code %d, want the app's own, 0", code)
				}
				if _, err := os.Stat(filepath.Join(dir, "next")); err != nil {
					t.Error("the next hook did not run")
				}
				r := readReport(t, path)
				if len(r.Hooks) != 2 || r.Services[0].Told.Before(r.Hooks[1].Ended) {
					t.Fatalf("not two hooks and then the app: %+v", r)
				}
				if took := r.Hooks[0].Ended.Sub(r.Hooks[0].Began); took < h.least || took > most {
					t.Errorf("the hook took %v, want %v to %v", took, h.least, most)
				}
				if took := r.Ended.Sub(r.Began); took > most+2*time.Second {
					t.Errorf("the stop took %v, and all but the hook was quick", took)
				}
				if err := r.Hooks[0].Err; !strings.Contains(err, h.said) || (err == "") != (h.said == "") {
					t.Errorf("the report says %q, want %q", err, h.said)
				}
				if !strings.Contains(s.Out.String(), h.said) {
					t.Errorf("the log does not say %q", h.said)
				}
			})
		}
	})
	if o.redirected.Load() != 1 {
		t.Errorf("the redirection was followed: asked %d times", o.redirected.Load())
	}
}

// The worst day: whatever could hang does, and each has had its time.
func TestEverythingHangsAndTheStopEndsInTime(t *testing.T) {
	t.Parallel()
	need(t)
	n := newNetwork(t)
	newOpponents(n)
	dir := folder(t)
	path := filepath.Join(dir, "report")
	deaf := `trap "" TERM; exec sleep 1000`
	s := begin(t, options{network: n, dir: dir, setup: resolvable(t)}, append(stopping("6s", "--report", path,
		"--pre-stop", "http://registry.example/", "--pre-stop", fmt.Sprintf("sh -c %q", deaf),
		"--post-stop", "http://127.0.0.1:8001/", "--post-stop", "http://127.0.0.1:8002/"),
		"sh", "-c", `trap "" TERM; setsid sleep 1000 & echo serving; exec sleep 1000`)...)
	s.Out.await("serving", 1)
	s.send(syscall.SIGTERM)
	if code := s.wait(bound); code != 137 {
		t.Errorf("exit code %d, want that of a main that we killed, 137", code)
	}
	// A grace period of 6 s has a margin of 0.3 s, a reserve of 0.9 s and a
	// floor of 2.4 s. A hook that gives up does so a little before its time.
	r := readReport(t, path)
	for what, moment := range map[string]struct{ is, want time.Duration }{
		"the app was told":   {r.Services[0].Told.Sub(r.Began), 2400 * time.Millisecond},
		"the app was killed": {r.Services[0].Ended.Sub(r.Began), 4800 * time.Millisecond},
		"the stop was over":  {r.Ended.Sub(r.Began), 5700 * time.Millisecond},
	} {
		if moment.is < moment.want-50*time.Millisecond || moment.is > moment.want+500*time.Millisecond {
			t.Errorf("%s after %v, want %v", what, moment.is, moment.want)
		}
	}
	if len(r.Hooks) != 4 {
		t.Fatalf("%d hooks in the report, want all 4", len(r.Hooks))
	}
	for _, hook := range r.Hooks {
		if hook.Err == "" {
			t.Errorf("%q hangs, and the report does not say so", hook.Name)
		}
	}
	if len(r.Strays) != 1 || !r.Strays[0].Killed {
		t.Errorf("strays %+v, want the one in a session of its own, killed", r.Strays)
	}
}

// A restarted kubelet, a router and a nervous operator say TERM again.
func TestThreeTERMsRunTheHooksOnce(t *testing.T) {
	t.Parallel()
	need(t)
	n := newNetwork(t)
	o := newOpponents(n)
	dir := folder(t)
	path := filepath.Join(dir, "report")
	s := begin(t, options{network: n, dir: dir}, append(stopping("10s", "--report", path,
		"--pre-stop", "sh -c 'echo ran >>count'", "--pre-stop", "http://127.0.0.1:8005/", "--pre-stop", "sleep:1s",
		"--post-stop", "sh -c 'echo ran >>count'"), part(t), "web", "127.0.0.1:8080")...)
	s.Out.await("web: serving", 1)
	s.send(syscall.SIGTERM)
	for range 2 {
		<-time.After(200 * time.Millisecond)
		s.send(syscall.SIGTERM)
	}
	if code := s.wait(bound); code != 0 {
		t.Errorf("exit code %d, want the app's own, 0", code)
	}
	if count, err := os.ReadFile(filepath.Join(dir, "count")); string(count) != "ran\nran\n" {
		t.Errorf("the hooks before and after wrote %q, %v, want each a line", count, err)
	}
	if o.redirected.Load() != 1 {
		t.Errorf("the request was made %d times", o.redirected.Load())
	}
	if told := strings.Count(s.Out.String(), "web: TERM"); told != 1 {
		t.Errorf("the app was told %d times", told)
	}
	if r := readReport(t, path); len(r.Hooks) != 4 || r.Ended.Sub(r.Began) > 3*time.Second {
		t.Errorf("%d hooks in %v, want 4 in little more than the second that one of them sleeps", len(r.Hooks), r.Ended.Sub(r.Began))
	}
}

// A second INT, of somebody at a terminal, means hurry: no matter what a hook
// waits for, it is cut, and the rest is skipped.
func TestSecondINTSkipsTheHooks(t *testing.T) {
	t.Parallel()
	need(t)
	for name, hook := range map[string]string{"an answer": "http://127.0.0.1:8001/", "a name": "http://registry.example/"} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			o := newOpponents(n)
			dir := folder(t)
			s := begin(t, options{network: n, dir: dir, setup: resolvable(t)}, append(stopping("60s", "--hook-timeout", "25s",
				"--pre-stop", hook, "--pre-stop", "touch next", "--post-stop", "touch after"), part(t), "web", "127.0.0.1:0")...)
			s.Out.await("web: serving", 1)
			s.send(syscall.SIGINT)
			<-o.kept
			hurried := s.send(syscall.SIGINT)
			if code := s.wait(bound); code != 0 {
				t.Errorf("exit code %d, want the app's own, 0", code)
			}
			s.took(hurried, 0, 2*time.Second)
			if _, err := os.Stat(filepath.Join(dir, "next")); err == nil {
				t.Error("a hook was begun after the second INT")
			}
			if _, err := os.Stat(filepath.Join(dir, "after")); err != nil {
				t.Error("the post-stop hook did not run")
			}
			inOrder(t, s.Out.String(), "web: TERM", "web: done")
		})
	}
}
