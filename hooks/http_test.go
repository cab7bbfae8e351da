package hooks

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// web is a server of net/http; the handler is called for each request.
func web(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// secure serves TLS with a certificate of the test's own, for example.com and
// 127.0.0.1.
func secure(t *testing.T, peer func(net.Conn)) string {
	t.Helper()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	config := certificate.TLS.Clone()
	certificate.Close()
	return serve(t, func(conn net.Conn) {
		server := tls.Server(conn, config)
		if server.Handshake() == nil {
			peer(server)
		}
	})
}

func TestTheRequestIsWhatWasAskedFor(t *testing.T) {
	var got *http.Request
	var body string
	at := web(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
	})
	hook := Hook{HTTP: &HTTP{
		URL: at + "/instances/${ID}?ip=${IP}&$filter=a", Method: "PUT", Body: `{"id":"${ID}","price":"$$1"}`,
		Headers: []Header{{"Content-Type", "application/json"}, {"X-Two", "${ID}"}, {"X-Two", "b"}, {"host", "registry"}},
	}}
	s := Surroundings{Env: []string{"ID=a/b c", "IP=10.0.0.1"}}
	expect(t, "a variable with a space, in a path", try(t, hook, s), "")
	if body != `{"id":"a/b c","price":"$1"}` || got.Method != "PUT" || got.URL.Path != "/instances/a/b c" || got.Host != "registry" ||
		got.URL.RawQuery != "ip=10.0.0.1&$filter=a" || got.Header.Get("Content-Type") != "application/json" ||
		fmt.Sprint(got.Header["X-Two"]) != "[a/b c b]" || got.ContentLength != int64(len(body)) || !got.Close {
		t.Errorf("the server saw %+v %q", got, body)
	}
	expect(t, "POST", perform(t, "POST "+strings.Replace(at, "http://", "http://user:p%40ss@", 1), Surroundings{}), "")
	user, password, _ := got.BasicAuth()
	if got.Method != "POST" || got.ContentLength != 0 || got.RequestURI != "/" || user != "user" || password != "p@ss" || got.Host != strings.TrimPrefix(at, "http://") {
		t.Errorf("the server saw %+v", got)
	}
	got = nil
	for env, want := range map[string]string{"": "the variable ID is not set", "ID=a\r\nb": "the header X-Two has a line break"} {
		expect(t, env, try(t, hook, Surroundings{Env: []string{env, "IP="}}), want)
	}
	for env, want := range map[string]string{"ID=a\r\nb": "not a URL", "ID=a?b c": "spaces"} {
		expect(t, env, try(t, Hook{HTTP: &HTTP{URL: at + "/${ID}"}}, Surroundings{Env: []string{env}}), want)
	}
	if got != nil {
		t.Errorf("a bad request was made: %+v", got)
	}
}

func TestTheStatusDecides(t *testing.T) {
	at := web(t, func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(code)
		_, _ = io.WriteString(w, strings.Repeat("why ", 100))
	})
	for _, c := range []struct {
		code   int
		status []Range
		want   string
	}{
		{200, nil, ""}, {204, nil, ""}, {302, nil, ""}, {399, nil, ""}, {400, nil, `status 400 Bad Request: "why why `},
		{503, nil, "status 503 Service Unavailable"}, {503, []Range{{200, 299}, {503, 503}}, ""}, {200, []Range{{204, 204}}, "status 200 OK"},
	} {
		err := try(t, Hook{HTTP: &HTTP{URL: at + "/" + strconv.Itoa(c.code), Status: c.status}}, Surroundings{})
		expect(t, fmt.Sprint(c.code), err, c.want)
		if c.code == 400 && (len(err.Error()) > 170 || !strings.HasSuffix(err.Error(), "…")) {
			t.Errorf("the error has %d bytes: %v", len(err.Error()), err)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var requests atomic.Int32
	at := web(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, r.URL.String(), http.StatusFound)
	})
	expect(t, "a loop", perform(t, at, Surroundings{}), "")
	expect(t, "a loop", try(t, Hook{HTTP: &HTTP{URL: at, Status: []Range{{200, 200}}}}, Surroundings{}), "status 302 Found")
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests for two hooks", n)
	}
}

func TestAnswersAreReadAsTheyAreFramed(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	stays := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) } // the body's end is not the connection's
	goes := func(net.Conn) {}
	for name, c := range map[string]struct {
		answer string
		then   func(net.Conn)
		want   string
	}{
		"length":                  {ok + "Content-Length: 2\r\n\r\nab", stays, ""},
		"no body":                 {ok + "content-length:0\r\n\r\n", stays, ""},
		"204":                     {"HTTP/1.1 204 No Content\r\n\r\n", stays, ""},
		"304":                     {"HTTP/1.1 304\r\n\r\n", stays, ""},
		"to the end":              {ok + "\r\nabc", goes, ""},
		"bare line feeds":         {"HTTP/1.0 200\n\nabc", goes, ""},
		"chunks":                  {ok + "Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", stays, ""},
		"interim":                 {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", stays, ""},
		"interim before an error": {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx", stays, `status 500 No: "x"`},
		"chunked error":           {"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", stays, `status 500 No: "abcd"`},
		"large body":              {ok + "Content-Length: 1000000\r\n\r\n" + strings.Repeat("x", 200<<10), stays, ""},
		"large chunk":             {ok + "Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n" + strings.Repeat("x", 200<<10), stays, ""},
		"endless body":            {ok + "\r\n" + strings.Repeat("x", 200<<10), stays, ""},
		"half of an error":        {"HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nabc", goes, `status 500 No: "abc"`},
		"nothing":                 {"", goes, "closed without one"},
		"half a status":           {"HTTP/1.1 20", goes, "it is not HTTP/1"},
		"half a head":             {ok + "Content-Le", goes, "cannot read the answer"},
		"half a body":             {ok + "Content-Length: 10\r\n\r\nabc", goes, ""}, // the status has said it,
		"half a chunk":            {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", goes, ""},
		"chunks without an end":   {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", goes, ""},
		"a chunk of words":        {ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", stays, "not the size of a chunk"},
		"a chunk too long":        {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", stays, "follows a chunk"},
		"a negative length":       {ok + "Content-Length: -1\r\n\r\n", stays, `its length is "-1"`},
		"a head without an end":   {ok + strings.Repeat("A: b\r\n", 20<<10), stays, "longer than 64 KiB"},
		"a line without an end":   {"HTTP/1.1 200 " + strings.Repeat("x", 100<<10), stays, "longer than 64 KiB"},
		"HTTP/2":                  {"\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n", stays, "it is not HTTP/1"},
		"SMTP":                    {"220 mail.example ESMTP\r\n", stays, `it is not HTTP/1: "220 mail.example ESMTP"`},
		"a status of four digits": {"HTTP/1.1 2000 OK\r\n\r\n", stays, "it is not HTTP/1"},
		"a status below 100":      {"HTTP/1.1 099 OK\r\n\r\n", stays, "it is not HTTP/1"},
	} {
		at := serve(t, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				return
			}
			_, _ = io.WriteString(conn, c.answer)
			c.then(conn)
		})
		expect(t, name, perform(t, "http://"+at, Surroundings{}), c.want)
	}
	head := web(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "10") })
	expect(t, "HEAD", perform(t, "HEAD "+head, Surroundings{}), "")
}

func TestAnAnswerBeforeTheBodyIsReadCounts(t *testing.T) {
	at := serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	expect(t, "413", try(t, Hook{HTTP: &HTTP{URL: "http://" + at, Method: "POST", Body: strings.Repeat("x", 1<<20)}}, Surroundings{}), "status 413 Too Large")
}

func TestCertificatesAreVerifiedUnlessAskedNotTo(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	folder := t.TempDir()
	ca, other, fifo := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "other"), filepath.Join(folder, "fifo")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for path, text := range map[string][]byte{ca: authority, other: []byte("no PEM")} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		HTTP
		want string
	}{
		"unknown authority": {HTTP{}, "cannot trust 127.0.0.1: x509: certificate signed by unknown authority (give a ca file, or insecure)"},
		"its authority":     {HTTP{CA: ca}, ""},
		"by a variable":     {HTTP{CA: "${CA}"}, ""},
		"insecure":          {HTTP{Insecure: true}, ""},
		"no such file":      {HTTP{CA: filepath.Join(folder, "none")}, "cannot read the CA file"},
		"no certificate":    {HTTP{CA: other}, "has no certificate"},
		"a fifo":            {HTTP{CA: fifo}, "is not a regular file"},
		"a folder":          {HTTP{CA: folder}, "is not a regular file"},
	} {
		c.URL = server.URL
		expect(t, name, try(t, Hook{HTTP: &c.HTTP}, Surroundings{Env: []string{"CA=" + ca}}), c.want)
	}
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	named := Hook{HTTP: &HTTP{URL: "https://localhost:" + port, CA: ca}}
	expect(t, "another's name", try(t, named, Surroundings{}), "begin TLS with localhost: tls: failed to verify certificate: x509: certificate is valid for example.com")
	expect(t, "no TLS", perform(t, "https://"+serve(t, drip("HTTP/1.1 400 Bad\r\n", "x")), Surroundings{}), "cannot begin TLS")
}

func TestUnixSocketsCarryRequests(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "a.sock"), "@exeunt-hooks-" + strconv.Itoa(os.Getpid())} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "haproxy" {
				w.WriteHeader(400)
			}
		})}
		go func() { _ = server.Serve(l) }()
		defer server.Close()
		expect(t, path, try(t, Hook{HTTP: &HTTP{URL: "http://haproxy/v2", Unix: "${SOCK}"}}, Surroundings{Env: []string{"SOCK=" + path}}), "")
	}
	expect(t, "missing", try(t, Hook{HTTP: &HTTP{URL: "http://a/", Unix: "/nobody/listens"}}, Surroundings{}),
		"cannot connect to /nobody/listens: no such file or directory")
}

func TestProxiesAreUsedWhenAskedFor(t *testing.T) {
	tlsServer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	t.Cleanup(tlsServer.Close)
	var seen []string
	proxy := web(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		if r.Method != http.MethodConnect {
			return
		}
		if r.Host != "registry.example:8443" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		upstream, err := net.Dial("tcp", tlsServer.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer upstream.Close()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(upstream, conn) }()
		_, _ = io.Copy(conn, upstream)
	})
	address := strings.TrimPrefix(proxy, "http://")
	s := Surroundings{Env: []string{"HTTP_PROXY=" + address, "https_proxy=http://me:you@" + address, "NO_PROXY=direct.example"}, resolver: nowhere(t)}
	expect(t, "http", try(t, Hook{HTTP: &HTTP{URL: "http://registry.example/a?b", Proxy: true}}, s), "")
	expect(t, "https", try(t, Hook{HTTP: &HTTP{URL: "https://registry.example:8443/", Proxy: true, Insecure: true}}, s), "")
	expect(t, "refused", try(t, Hook{HTTP: &HTTP{URL: "https://registry.example/", Proxy: true}}, s), "refused: status 403 Forbidden")
	const who = " Basic bWU6eW91"
	if want := []string{"GET http://registry.example/a?b ", "CONNECT registry.example:8443" + who, "CONNECT registry.example:443" + who}; fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("the proxy saw %q, want %q", seen, want)
	}
	seen = nil
	direct := web(t, func(http.ResponseWriter, *http.Request) {})
	for _, hook := range []HTTP{{URL: direct}, {URL: direct, Proxy: true}} {
		expect(t, "direct", try(t, Hook{HTTP: &hook}, s), "")
	}
	if seen != nil {
		t.Errorf("the proxy saw %q", seen)
	}
	for text, want := range map[string]string{"socks5://a:1": "HTTP_PROXY: the URL's scheme", "https://a": "plain http", "http://": "no host"} {
		expect(t, text, try(t, Hook{HTTP: &HTTP{URL: "http://a.example/", Proxy: true}}, Surroundings{Env: []string{"HTTP_PROXY=" + text}}), want)
	}
}

func TestNoProxyExempts(t *testing.T) {
	for _, c := range []struct {
		list, url string
		want      bool
	}{
		{"", "http://a.example/", false}, {"*", "http://a.example/", true}, {"example", "http://a.example/", true},
		{"a.example", "http://A.example./", true}, {"b.example, a.example ,", "http://a.example/", true}, {".example", "http://a.example/", true},
		{"*.example", "http://a.example/", true}, {".a.example", "http://a.example/", false}, {"*.a.example", "http://a.example/", false},
		{"example", "http://counterexample/", false}, {"a.example:80", "http://a.example/", true}, {"a.example:81", "http://a.example/", false},
		{"10.0.0.0/8", "http://10.1.2.3/", true}, {"10.0.0.0/8", "http://11.1.2.3/", false}, {"10.0.0.1", "https://10.0.0.1/", true},
		{"10.0.0.1:443", "https://10.0.0.1/", true}, {"fd00::/8", "http://[fd00::1]/", true}, {"[fd00::1]:80", "http://[fd00::1]/", true},
		{"0.0.0.1", "http://10.0.0.1/", false},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := bypassed(u, c.list); got != c.want {
			t.Errorf("NO_PROXY=%q exempts %s: %v, want %v", c.list, c.url, got, c.want)
		}
	}
}

func TestBadHTTPHooksAreRefused(t *testing.T) {
	for want, hook := range map[string]HTTP{
		"scheme is \"ftp\"":     {URL: "ftp://a/"},
		"scheme is \"\"":        {URL: "a"},
		"not a method":          {URL: "http://a/", Method: "GET /"},
		"name of a header":      {URL: "http://a/", Headers: []Header{{"A b", "c"}}},
		"line break":            {URL: "http://a/", Headers: []Header{{"A", "b\nc"}}},
		"Content-Length is our": {URL: "http://a/", Headers: []Header{{"content-length", "1"}}},
		"range of statuses":     {URL: "http://a/", Status: []Range{{300, 200}}},
		"not a variable":        {URL: "http://a/", Body: "${"},
	} {
		expect(t, fmt.Sprintf("%+v", hook), (&Hook{HTTP: &hook}).Check(), want)
	}
}

func TestStatusRangesAreRead(t *testing.T) {
	for text, want := range map[string]Range{"204": {204, 204}, "200-299": {200, 299}, "2xx": {200, 299}, "100-599": {100, 599}} {
		var got Range
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "99", "600", "299-200", "2xx-3xx", "xx", "-200", "200-", "6xx", "200 "} {
		var got Range
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// FuzzAnswer feeds the reader of answers with what no server sends.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write(text)
			theirs.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		defer ours.Close()
		got, err := exchange(t.Context(), ours, "GET", nil)
		if (err == nil) == (got == nil) || got != nil && (got.status < 100 || got.status > 999 || len(got.begin) > quoteLimit+1) {
			t.Fatalf("%q: %+v, %v", text, got, err)
		}
	})
}
