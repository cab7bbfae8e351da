package hooks

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// proxyFor returns the proxy that the environment names for a URL, nil for
// none. The rules are those that Go's own tools follow (package
// golang.org/x/net/http/httpproxy).
func proxyFor(u *url.URL, lookup func(string) (string, bool)) (*url.URL, error) {
	name := strings.ToUpper(u.Scheme) + "_PROXY"
	text, ok := lookup(name)
	if !ok {
		text, _ = lookup(strings.ToLower(name))
	}
	direct, ok := lookup("NO_PROXY")
	if !ok {
		direct, _ = lookup("no_proxy")
	}
	if text == "" || loopback(u.Hostname()) || bypassed(u, direct) {
		return nil, nil
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	proxy, err := parseURL(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if proxy.Scheme != "http" {
		return nil, fmt.Errorf("%s: only proxies that are spoken to in plain http are known", name)
	}
	return proxy, nil
}

// bypassed reports whether NO_PROXY exempts a URL: "*", an address, a network
// (10.0.0.0/8), a domain with all below it (example.com), or only those below
// it (.example.com), each of the first and the domains with an optional :port.
func bypassed(u *url.URL, list string) bool {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip, _ := netip.ParseAddr(host)
	_, port, _ := net.SplitHostPort(hostPort(u))
	for entry := range strings.SplitSeq(strings.ToLower(list), ",") {
		entry = strings.TrimSpace(entry)
		if network, err := netip.ParsePrefix(entry); err == nil && network.Contains(ip) {
			return true
		}
		if name, only, err := net.SplitHostPort(entry); err == nil {
			if only != port {
				continue
			}
			entry = name
		}
		if address, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil && address == ip {
			return true
		}
		if entry != "*" {
			entry = strings.TrimPrefix(entry, "*")
		}
		below := strings.TrimPrefix(entry, ".")
		if entry == "*" || entry != "" && (host == entry || strings.HasSuffix(host, "."+below)) {
			return true
		}
	}
	return false
}

// tunnel asks a proxy to pass bytes on to address (RFC 9110 section 9.3.6).
func tunnel(ctx context.Context, conn net.Conn, proxy *url.URL, address string) error {
	lines := []Header{{"Host", address}, {"User-Agent", "exeunt"}}
	if proxy.User != nil {
		lines = append(lines, Header{"Proxy-Authorization", basic(proxy.User)})
	}
	got, err := exchange(ctx, conn, "CONNECT", compose("CONNECT "+address, lines, ""))
	if err != nil {
		return fmt.Errorf("the proxy %s: %w", proxy.Host, err)
	}
	if got.status/100 != 2 {
		return fmt.Errorf("the proxy %s refused: status %s", proxy.Host, got.line)
	}
	return nil
}
