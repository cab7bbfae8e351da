package hooks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// late is how much after its context's end a hook may return on a busy machine.
// It takes well under a millisecond on an idle one.
const late = 3 * time.Second // on a machine that does other things

// perform parses and performs a hook that is given 10 s.
func perform(t *testing.T, text string, s Surroundings) error {
	t.Helper()
	hook, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return try(t, hook, s)
}

func try(t *testing.T, hook Hook, s Surroundings) error {
	t.Helper()
	if err := hook.Check(); err != nil {
		t.Fatalf("%+v: %v", hook, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := hook.Perform(ctx, s)
	if ctx.Err() != nil {
		t.Fatalf("%q took 10 s: %v", hook.Name, err)
	}
	return err
}

// expect fails unless err is as wanted: it has that text, or is nil for "".
func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// serve accepts connections until the test ends and gives each to the peer. The
// peer's connection is closed when it returns, or with the test.
func serve(t testing.TB, peer func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { conn.Close() })
			go func() {
				defer func() { stop(); conn.Close() }()
				peer(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// hang reads nothing and says nothing until the other side or the test ends it.
func hang(t testing.TB) func(net.Conn) {
	return func(net.Conn) { <-t.Context().Done() }
}

// drip reads the request and answers with text, a byte at a time, over and over.
func drip(begin, text string) func(net.Conn) {
	return func(conn net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		_, err := io.WriteString(conn, begin)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 0; err == nil; i++ {
			_, err = io.WriteString(conn, text[i%len(text):][:1])
			<-tick.C
		}
	}
}

// full is the address of a listener whose backlog is full: it answers no SYN.
func full(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		err = syscall.Listen(fd, 0)
	}
	name, err2 := syscall.Getsockname(fd)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 10 { // until the kernel takes no more
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the backlog has no end")
	return ""
}

// nowhere is a resolver whose server hears every question and answers none.
func nowhere(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func TestAHookIsCutWhateverThePeerDoes(t *testing.T) {
	silent, unread := serve(t, hang(t)), serve(t, hang(t))
	resolver := nowhere(t)
	large := strings.Repeat("x", 16<<20)
	for name, hook := range map[string]Hook{
		"connects never":            {HTTP: &HTTP{URL: "http://" + full(t)}},
		"tcp connects never":        {TCP: &TCP{Addr: full(t)}},
		"answers never":             {HTTP: &HTTP{URL: "http://" + silent}},
		"reads never":               {HTTP: &HTTP{URL: "http://" + unread, Method: "PUT", Body: large}},
		"tcp reads never":           {TCP: &TCP{Addr: unread, Send: large}},
		"begins TLS never":          {HTTP: &HTTP{URL: "https://" + silent}},
		"reads never, by TLS":       {HTTP: &HTTP{URL: "https://" + secure(t, hang(t)), Insecure: true, Method: "PUT", Body: large}},
		"status byte by byte":       {HTTP: &HTTP{URL: "http://" + serve(t, drip("HTTP/1.1 200 ", "O"))}},
		"head byte by byte":         {HTTP: &HTTP{URL: "http://" + serve(t, drip("HTTP/1.1 200 OK\r\n", "a: b\r\n"))}},
		"body byte by byte":         {HTTP: &HTTP{URL: "http://" + serve(t, drip("HTTP/1.1 200 OK\r\n\r\n", "x"))}},
		"chunks byte by byte":       {HTTP: &HTTP{URL: "http://" + serve(t, drip("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"))}},
		"interim answers for ever":  {HTTP: &HTTP{URL: "http://" + serve(t, drip("", "HTTP/1.1 100 Continue\r\n\r\n"))}},
		"tcp says it never":         {TCP: &TCP{Addr: silent, Expect: "PONG"}},
		"tcp says other things":     {TCP: &TCP{Addr: serve(t, drip("", "PING")), Expect: "PONG"}},
		"name resolves for ever":    {HTTP: &HTTP{URL: "http://name.example/"}},
		"tcp name resolves forever": {TCP: &TCP{Addr: "name.example:80"}},
		"proxy tunnels never":       {HTTP: &HTTP{URL: "https://name.example/", Proxy: true}},
		"connection stays":          {Drain: &Drain{Ports: []uint16{portOf(t, busy(t))}, Interval: time.Millisecond}},
	} {
		for _, end := range []string{"timed out", "cut short"} {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				const takes = 150 * time.Millisecond
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), takes)
				if end == "cut short" {
					ctx, cancel = context.WithCancel(t.Context())
					time.AfterFunc(takes, cancel)
				}
				defer cancel()
				err := hook.Perform(ctx, Surroundings{resolver: resolver, Env: []string{"HTTPS_PROXY=" + silent}})
				took := time.Since(begun)
				expect(t, name, err, end)
				if took < takes || took > takes+late {
					t.Errorf("returned %v after the end of its time: %v", took-takes, err)
				}
				t.Logf("%v late: %v", took-takes, err)
			})
		}
	}
}

func portOf(t testing.TB, address string) uint16 {
	t.Helper()
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return at.Port()
}

func TestAHookWhoseTimeIsOverDoesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	address := serve(t, func(net.Conn) { t.Error("it connected") })
	for _, text := range []string{"http://" + address, "tcp://" + address, "drain"} {
		hook, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, text, hook.Perform(ctx, Surroundings{}), "cut short")
	}
}

func TestOnlyRemoteHooksArePerformed(t *testing.T) {
	for text, remote := range map[string]bool{
		"http://a/": true, "tcp://a:1": true, "drain": true, "sleep:1": false, "signal:HUP": false, "true": false,
	} {
		hook, err := Parse(text)
		if err != nil || hook.Remote() != remote {
			t.Errorf("%q is remote: %v, %v", text, hook.Remote(), err)
		}
		if !remote {
			expect(t, text, hook.Perform(t.Context(), Surroundings{}), "only http, tcp and drain")
		}
	}
}

func TestLoopbackHooksAreKnown(t *testing.T) {
	for text, want := range map[string]bool{
		"http://127.0.0.1/": true, "http://127.9.9.9:80/": true, "https://[::1]:8443/": true, "POST http://localhost:1/": true,
		"http://LOCALHOST./": true, "http://a.localhost/": true, "http://0.0.0.0:80/": true, "http://[::ffff:127.0.0.1]/": true,
		"http://127.0.0.1:${PORT}/${X}": true, "tcp://localhost:1": true, "tcp://[::1]:${P}": true, "tcp://127.0.0.1:1": true,
		"http://10.0.0.1/": false, "http://localhost.example/": false, "http://${HOST}/localhost": false, "http://a/?127.0.0.1": false,
		"tcp://db:1": false, "tcp://${H}:1": false, "http://user:127.0.0.1@a/": false,
		"sleep:1": false, "signal:HUP": false, "curl http://127.0.0.1/": false, "drain": false,
	} {
		hook, err := Parse(text)
		if err != nil || hook.Loopback() != want {
			t.Errorf("%q is of this container: %v, %v, want %v", text, hook.Loopback(), err, want)
		}
	}
	if hook := (Hook{HTTP: &HTTP{URL: "http://a/", Unix: "/run/a.sock"}}); !hook.Loopback() {
		t.Error("a unix socket is of this container")
	}
}

func TestAHookHasExactlyOneAction(t *testing.T) {
	for want, hook := range map[string]Hook{
		"not 0": {}, "not 2": {TCP: &TCP{Addr: "a:1"}, Drain: &Drain{}}, "not 3": {Command: []string{"a"}, Sleep: 1, Signal: 1},
	} {
		expect(t, fmt.Sprintf("%+v", hook), hook.Check(), want)
	}
}

func TestVariablesAreExpanded(t *testing.T) {
	env := environment([]string{"A=1", "B_2=two", "EMPTY=", "A=last", "odd"})
	for text, want := range map[string]string{
		"": "", "plain": "plain", "${A}": "last", "x${A}y${B_2}z": "xlastytwoz", "${EMPTY}": "", "$$": "$", "$${A}": "${A}",
		"$A ?$filter=$": "$A ?$filter=$", "$$$${A}": "$${A}", "$$${A}": "$last",
	} {
		if got, err := expand(text, env); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"${NONE}": "the variable NONE is not set", "${odd}": "odd is not set", "${A": "not a variable", "${}": "not a variable",
		"${A:-x}": "not a variable", "a${ A}": "not a variable", "${1A}": "not a variable",
	} {
		got, err := expand(text, env)
		expect(t, text+" "+got, err, want)
	}
}

func TestTCPHooksConnectSendAndExpect(t *testing.T) {
	redis := serve(t, func(conn net.Conn) {
		line := make([]byte, 6)
		if _, err := io.ReadFull(conn, line); err == nil && string(line) == "PING\r\n" {
			_, _ = io.WriteString(conn, "+PONG\r\n")
		}
	})
	ssh := serve(t, func(conn net.Conn) { drip("", "SSH-2.0-x\r\n")(conn) })
	large := serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, strings.Repeat("x", 200<<10))
		<-t.Context().Done()
	})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	s := Surroundings{Env: []string{"ADDR=" + redis, `RAW=\r\n`}}
	for name, c := range map[string]struct {
		TCP
		want string
	}{
		"connects":             {TCP{Addr: redis}, ""},
		"by a variable":        {TCP{Addr: "${ADDR}"}, ""},
		"sends":                {TCP{Addr: redis, Send: `PING\r\n`}, ""},
		"sends and expects":    {TCP{Addr: redis, Send: `P\x49NG\r\n`, Expect: `+PONG\r\n`}, ""},
		"expects a part":       {TCP{Addr: redis, Send: "PING\r\n", Expect: "PO"}, ""},
		"is greeted in pieces": {TCP{Addr: ssh, Expect: "SSH-2.0-x\r\nSSH"}, ""},
		"expects other things": {TCP{Addr: redis, Send: `PING\r\n`, Expect: "OK"}, `expected "OK", got "+PONG\r\n"`},
		"is hung up on":        {TCP{Addr: redis, Send: `QUIT\r\n`, Expect: "+"}, `expected "+", got ""`},
		"is told too much":     {TCP{Addr: large, Expect: "y"}, `expected "y", got "xxxx`},
		"variables are raw":    {TCP{Addr: redis, Send: "PING${RAW}", Expect: "PONG"}, `"PONG", got ""`},
		"is refused":           {TCP{Addr: closed.Addr().String()}, "cannot connect to " + closed.Addr().String() + ": connection refused"},
		"is not set":           {TCP{Addr: "${NONE}:80"}, "NONE is not set"},
	} {
		err := (&c.TCP).perform(t.Context(), &s)
		expect(t, name, err, c.want)
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
	for want, tcp := range map[string]TCP{
		"not host:port": {}, "not a port": {Addr: "a:port"}, "escape of Go": {Addr: "a:1", Send: `\q`}, "by itself": {Addr: "a:1", Expect: `a\`},
		"not a variable": {Addr: "a:1", Send: "${"},
	} {
		expect(t, fmt.Sprintf("%+v", tcp), (&Hook{TCP: &tcp}).Check(), want)
	}
}
