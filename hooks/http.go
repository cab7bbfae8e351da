package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// An HTTP hook makes one request and looks at the status of the answer.
//
// A redirect is an answer like any other and is not followed: by default it is
// a success, as it is for a probe of Kubernetes within its own host. The answer
// is read to its end, but at most 64 KiB of it, and dropped. URL, Headers, Body,
// Unix and CA may hold ${NAME} for a variable and $$ for a $.
//
// The client is our own and not net/http, which would add 1.3 MB to the binary
// and its initialisation to every start of a container.
type HTTP struct {
	URL      string // http or https; user:password@ is sent as basic authentication
	Method   string // empty is GET
	Headers  []Header
	Body     string
	Status   []Range // what is a success; empty is 200-399
	Insecure bool    // take any certificate
	CA       string  // file of PEM certificates to trust instead of the system's
	Unix     string  // connect to this socket whatever the URL's host; @name is an abstract one
	// Proxy uses HTTP_PROXY, HTTPS_PROXY and NO_PROXY (or in lower case) of the
	// environment; else they are ignored. They never apply to loopback hosts.
	Proxy bool
}

// A Header is one line of a request's head. Host may be given too.
type Header struct{ Name, Value string }

// A Range is the statuses From to To, both included.
type Range struct{ From, To int }

// UnmarshalText reads a range as files have it: "204", "200-299" or "2xx".
func (r *Range) UnmarshalText(text []byte) error {
	from, to, found := strings.Cut(string(text), "-")
	if class, ok := strings.CutSuffix(from, "xx"); ok && !found {
		from, to = class+"00", class+"99"
	} else if !found {
		to = from
	}
	var read [2]int
	for i, word := range [...]string{from, to} {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil || n < 100 || n > 599 {
			return fmt.Errorf("%q is not a status: write 204, 200-299 or 2xx", text)
		}
		read[i] = int(n)
	}
	if read[0] > read[1] {
		return fmt.Errorf("%q is an empty range", text)
	}
	*r = Range{read[0], read[1]}
	return nil
}

// check finds what can be found before the variables are known.
func (h *HTTP) check() error {
	_, err := h.expand(one)
	return err
}

// expand returns the hook and its URL with all variables replaced, and checks
// that they make a request.
func (h *HTTP) expand(lookup func(string) (string, bool)) (known HTTP, err error) {
	known = *h
	known.Headers = append([]Header(nil), h.Headers...)
	values := []*string{&known.URL, &known.Body, &known.Unix, &known.CA}
	for i := range known.Headers {
		values = append(values, &known.Headers[i].Value)
	}
	for _, value := range values {
		if *value, err = expand(*value, lookup); err != nil {
			return known, err
		}
	}
	if known.Method == "" {
		known.Method = "GET"
	}
	if !token(known.Method) {
		return known, fmt.Errorf("%q is not a method", known.Method)
	}
	for _, header := range known.Headers {
		if err := header.check(); err != nil {
			return known, err
		}
	}
	for _, r := range known.Status {
		if r.From < 100 || r.To > 599 || r.From > r.To {
			return known, fmt.Errorf("%d-%d is not a range of statuses between 100 and 599", r.From, r.To)
		}
	}
	_, err = parseURL(known.URL)
	return known, err
}

// parseURL reads a URL that a request can be made of.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("not a URL: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the URL's scheme is %q, not http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case strings.ContainsFunc(u.Host+u.RequestURI(), func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return nil, errors.New("the URL has spaces or characters beyond ASCII; write %20 and the like")
	}
	if port := u.Port(); port != "" {
		return u, checkPort(port)
	}
	return u, nil
}

func (h Header) check() error {
	switch {
	case !token(h.Name):
		return fmt.Errorf("%q is not the name of a header", h.Name)
	case strings.ContainsAny(h.Value, "\r\n\x00"):
		return fmt.Errorf("the header %s has a line break", h.Name)
	}
	for _, ours := range [...]string{"Connection", "Content-Length", "Transfer-Encoding"} {
		if strings.EqualFold(h.Name, ours) {
			return fmt.Errorf("the header %s is ours to set", ours)
		}
	}
	return nil
}

// token reports whether text is a token of RFC 9110 section 5.6.2.
func token(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return text != ""
}

func (h *HTTP) perform(ctx context.Context, s *Surroundings) error {
	known, err := h.expand(environment(s.Env))
	if err != nil {
		return err
	}
	u, err := parseURL(known.URL)
	if err != nil {
		return err
	}
	var proxy *url.URL
	if known.Proxy && known.Unix == "" {
		if proxy, err = proxyFor(u, environment(s.Env)); err != nil {
			return err
		}
	}
	conn, err := known.reach(ctx, s, u, proxy)
	if err != nil {
		return err
	}
	defer conn.Close()
	var stream net.Conn = conn
	if u.Scheme == "https" {
		if stream, err = known.encrypt(ctx, conn, u.Hostname()); err != nil {
			return err
		}
		proxy = nil // it only sees ciphertext
	}
	got, err := exchange(ctx, stream, known.Method, known.request(u, proxy))
	if err != nil {
		return err
	}
	return known.judge(got)
}

// reach connects to whoever the request goes to, by way of the proxy if there
// is one.
func (h *HTTP) reach(ctx context.Context, s *Surroundings, u, proxy *url.URL) (*wire, error) {
	switch {
	case h.Unix != "":
		return connect(ctx, s, "unix", h.Unix)
	case proxy == nil:
		return connect(ctx, s, "tcp", hostPort(u))
	}
	conn, err := connect(ctx, s, "tcp", hostPort(proxy))
	if err == nil && u.Scheme == "https" {
		if err = tunnel(ctx, conn, proxy, hostPort(u)); err != nil {
			conn.Close()
		}
	}
	return conn, err
}

// hostPort is where a URL's host listens.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// encrypt makes the TLS connection. Where there are no system roots (an image
// from scratch) only CA and Insecure can succeed, and the error says so.
func (h *HTTP) encrypt(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	config := &tls.Config{ServerName: host, InsecureSkipVerify: h.Insecure, NextProtos: []string{"http/1.1"}}
	if h.CA != "" {
		file, err := os.Stat(h.CA)
		if err != nil {
			return nil, fmt.Errorf("cannot read the CA file: %w", err)
		}
		if !file.Mode().IsRegular() {
			return nil, fmt.Errorf("the CA file %q is not a regular file", h.CA) // a FIFO would hold us up
		}
		certificates, err := os.ReadFile(h.CA)
		if err != nil {
			return nil, fmt.Errorf("cannot read the CA file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(certificates) {
			return nil, fmt.Errorf("the CA file %q has no certificate in PEM form", h.CA)
		}
	}
	secure := tls.Client(conn, config)
	err := secure.Handshake() // ctx cuts it at conn
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		err = fmt.Errorf("%w (give a ca file, or insecure)", unknown)
		return nil, failed(ctx, "trust "+host, err)
	}
	if err != nil {
		return nil, failed(ctx, "begin TLS with "+host, err)
	}
	return secure, nil
}

// request is the request in full. A plain proxy is told the whole URL.
func (h *HTTP) request(u, proxy *url.URL) []byte {
	target := u.RequestURI()
	ours := []Header{{"Host", hostHeader(u)}, {"User-Agent", "exeunt"}, {"Accept", "*/*"}}
	if u.User != nil {
		ours = append(ours, Header{"Authorization", basic(u.User)})
	}
	if proxy != nil {
		target = "http://" + hostHeader(u) + target
		if proxy.User != nil {
			ours = append(ours, Header{"Proxy-Authorization", basic(proxy.User)})
		}
	}
	var lines []Header
	for _, line := range ours {
		if !slices.ContainsFunc(h.Headers, func(theirs Header) bool { return strings.EqualFold(theirs.Name, line.Name) }) {
			lines = append(lines, line)
		}
	}
	lines = append(lines, h.Headers...)
	if h.Body != "" || h.Method == "POST" || h.Method == "PUT" || h.Method == "PATCH" {
		lines = append(lines, Header{"Content-Length", strconv.Itoa(len(h.Body))})
	}
	lines = append(lines, Header{"Connection", "close"})
	return compose(h.Method+" "+target, lines, h.Body)
}

// compose writes a request.
func compose(begin string, lines []Header, body string) []byte {
	var out bytes.Buffer
	out.WriteString(begin + " HTTP/1.1\r\n")
	for _, line := range lines {
		out.WriteString(line.Name + ": " + line.Value + "\r\n")
	}
	out.WriteString("\r\n" + body)
	return out.Bytes()
}

// hostHeader is the URL's host without the zone of an IPv6 address, which
// means nothing to others.
func hostHeader(u *url.URL) string {
	before, after, found := strings.Cut(u.Host, "%")
	if !found {
		return u.Host
	}
	return before + after[strings.IndexByte(after, ']'):]
}

// basic is a URL's user and password as RFC 7617 has them.
func basic(user *url.Userinfo) string {
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}

// judge says whether the answer is a success.
func (h *HTTP) judge(a *answer) error {
	ranges := h.Status
	if len(ranges) == 0 {
		ranges = []Range{{200, 399}}
	}
	for _, r := range ranges {
		if a.status >= r.From && a.status <= r.To {
			return nil
		}
	}
	if len(a.begin) == 0 {
		return fmt.Errorf("status %s", a.line)
	}
	return fmt.Errorf("status %s: %s", a.line, quote(a.begin))
}
