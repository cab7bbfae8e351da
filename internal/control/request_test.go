package control

import (
	"bytes"
	"strings"
	"testing"
)

const host = "Host: x\r\n"

// good are requests, and what they are.
var good = map[string]request{
	"GET / HTTP/1.1\r\n" + host + "\r\n":                                          {method: "GET", path: "/"},
	"GET /a?b=c&d HTTP/1.0\r\n\r\n":                                               {method: "GET", path: "/a", query: "b=c&d"},
	"GET /a HTTP/1.1\nHost:x\n\n":                                                 {method: "GET", path: "/a"},
	"GET http://host:80/a/b HTTP/1.1\r\n" + host + "\r\n":                         {method: "GET", path: "/a/b"},
	"POST /x HTTP/1.1\r\n" + host + "Content-Length: 12\r\n\r\n":                  {method: "POST", path: "/x", body: 12},
	"POST /x HTTP/1.1\r\n" + host + "content-LENGTH:\t 4096 \r\n\r\n":             {method: "POST", path: "/x", body: 4096},
	"POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 3\r\n\n": {method: "POST", path: "/", body: 3},
	"GET /%20 HTTP/1.1\r\n" + host + "X-Y: \"any: thing\" \xff\r\n\r\n":           {method: "GET", path: "/%20"},
}

// bad are the heads of requests that are refused, and with what.
var bad = map[string]int{
	"\r\n\r\n":                                                                               400,
	"GET\r\n\r\n":                                                                            400,
	"GET / \r\n\r\n":                                                                         400,
	"GET  / HTTP/1.1\r\n" + host + "\r\n":                                                    400,
	"G@T / HTTP/1.1\r\n" + host + "\r\n":                                                     400,
	"GET x HTTP/1.1\r\n" + host + "\r\n":                                                     400,
	"OPTIONS * HTTP/1.1\r\n" + host + "\r\n":                                                 400,
	"GET http://x HTTP/1.1\r\n" + host + "\n":                                                400,
	"GET / HTTP/1.1\r\n\r\n":                                                                 400, // no host
	"GET / HTTP/1.1\r\n" + host + host + "\r\n":                                              400,
	"GET / HTTP/1.1\r\n" + host + " folded\r\n\r\n":                                          400,
	"GET / HTTP/1.1\r\n" + host + "no field\r\n\r\n":                                         400,
	"GET / HTTP/1.1\r\n" + host + "A : b\r\n\r\n":                                            400,
	"GET / HTTP/1.1\r\n" + host + "A: b\rc\r\n\r\n":                                          400,
	"GET / HTTP/1.1\r\n" + host + "A: \x00\r\n\r\n":                                          400,
	"GET / FTP/1.1\r\n" + host + "\r\n":                                                      400,
	"GET / HTTP/2.0\r\n" + host + "\r\n":                                                     505,
	"PRI * HTTP/2.0\r\n\r\n":                                                                 505,
	"POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n":                              400,
	"POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\n":                              400,
	"POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n":                                 400,
	"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n":          400,
	"POST / HTTP/1.1\r\n" + host + "Content-Length: 4097\r\n\r\n":                            413,
	"POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999999\r\n\r\n":         413,
	"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n":                      411,
	"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 411,
	"POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n":       417,
}

func TestRequestsAreReadAsTheyAreMeant(t *testing.T) {
	for text, want := range good {
		want.size = len(text)
		if size := headSize([]byte(text), 0); size != len(text) {
			t.Errorf("%q: the head has %d bytes", text, size)
		}
		if got, status, why := parse([]byte(text)); got != want || status != 0 {
			t.Errorf("%q: %+v, %d %s", text, got, status, why)
		}
	}
	for text, want := range bad {
		if got, status, why := parse([]byte(text)); status != want || why == "" {
			t.Errorf("%q: %+v, %d %q, want %d", text, got, status, why, want)
		}
	}
	if headSize(bytes.Repeat([]byte("a"), longestHead), 0) != 0 || headSize([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r"), 0) != 0 {
		t.Error("the end of a head that has not come is found")
	}
}

func FuzzRequest(f *testing.F) {
	for text := range good {
		f.Add([]byte(text+"rest"), len(text)-1)
	}
	for text := range bad {
		f.Add([]byte(text), len(text)/2)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		size := headSize(text, 0)
		// However it comes, its end is where it is.
		had := min(max(cut, 0), len(text))
		if before := headSize(text[:had], 0); before == 0 {
			if again := headSize(text, had); again != size {
				t.Fatalf("in two pieces the head has %d bytes, in one %d", again, size)
			}
		} else if before != size {
			t.Fatalf("the head's beginning has a head of %d bytes, the whole %d", before, size)
		}
		if size == 0 {
			return
		}
		r, status, why := parse(text[:size])
		if status != 0 {
			if status < 400 || status > 505 || why == "" || phrase(status) == phrase(500) || strings.ContainsAny(why, "\r\n") {
				t.Fatalf("%q is refused with %d %q", text[:size], status, why)
			}
			return
		}
		// What is taken means one thing only, and says it again.
		again, status, why := parse([]byte(r.method + " " + r.path + "?" + r.query + " HTTP/1.0\r\n\r\n"))
		if again.method != r.method || again.path != r.path || again.query != r.query || status != 0 {
			t.Fatalf("%q is %+v, which is %+v, %d %s", text[:size], r, again, status, why)
		}
		if r.body < 0 || r.body > longestBody || r.size != size || !strings.HasPrefix(r.path, "/") {
			t.Fatalf("%q is %+v", text[:size], r)
		}
	})
}
