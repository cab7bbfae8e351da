package hooks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// answerLimit bounds what is read of any answer, in bytes; quoteLimit what an
// error shows of it.
const (
	answerLimit = 64 << 10
	quoteLimit  = 120
)

// A TCP hook connects, and with Send or Expect also talks. Its values may hold
// ${NAME} for a variable and $$ for a $.
type TCP struct {
	Addr string // host:port
	// Send is written once connected; \r, \n, \x00 and the like mean what they
	// do in Go.
	Send string
	// Expect, written like Send, must be in the first 64 KiB of what the other
	// side says; empty succeeds without reading.
	Expect string
}

func (t *TCP) check() error {
	for _, text := range [...]string{t.Send, t.Expect} {
		unescaped, err := unescape(text)
		if err != nil {
			return err
		}
		if err := checkVariables(unescaped); err != nil {
			return err
		}
	}
	if err := checkVariables(t.Addr); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(sample(t.Addr))
	if err != nil || host == "" {
		return fmt.Errorf("%q is not host:port", t.Addr)
	}
	return checkPort(port)
}

func checkPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port: 1 to 65535", port)
	}
	return nil
}

// unescape reads the escapes of Go's string literals. Quotes need none.
func unescape(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var out []byte
	for rest := text; rest != ""; {
		char, multibyte, tail, err := strconv.UnquoteChar(rest, 0)
		if err != nil {
			return "", fmt.Errorf("%q: a backslash is followed by an escape of Go, or by itself", text)
		}
		if rest = tail; multibyte {
			out = append(out, string(char)...)
		} else {
			out = append(out, byte(char))
		}
	}
	return string(out), nil
}

func (t *TCP) perform(ctx context.Context, s *Surroundings) error {
	addr, err := expand(t.Addr, environment(s.Env))
	if err != nil {
		return err
	}
	send, err := t.literal(t.Send, s)
	if err != nil {
		return err
	}
	expect, err := t.literal(t.Expect, s)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, s, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, send); err != nil {
		return failed(ctx, "send", err)
	}
	return await(ctx, conn, expect)
}

// literal is what a value stands for. A variable's own backslashes are its own.
func (t *TCP) literal(text string, s *Surroundings) (string, error) {
	unescaped, err := unescape(text)
	if err != nil {
		return "", err
	}
	return expand(unescaped, environment(s.Env))
}

// await reads until expect has been seen.
func await(ctx context.Context, conn io.Reader, expect string) error {
	var got []byte
	piece := make([]byte, 4096)
	for expect != "" {
		n, err := conn.Read(piece)
		fresh := max(len(got)-len(expect)+1, 0) // before it there was no match
		got = append(got, piece[:n]...)
		switch {
		case bytes.Contains(got[fresh:], []byte(expect)):
			return nil
		case err == io.EOF || len(got) > answerLimit:
			return fmt.Errorf("expected %q, got %s", expect, quote(got))
		case err != nil:
			return failed(ctx, fmt.Sprintf("read %q, got %s", expect, quote(got)), err)
		}
	}
	return nil
}

// quote shows the begin of what the other side said.
func quote(text []byte) string {
	if len(text) > quoteLimit {
		return strconv.Quote(string(text[:quoteLimit])) + "…"
	}
	return strconv.Quote(string(text))
}
