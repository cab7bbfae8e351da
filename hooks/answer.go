package hooks

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"
)

// An answer is what is kept of an HTTP response.
type answer struct {
	status int
	line   string // "503 Service Unavailable"
	begin  []byte // the first bytes of the body
}

var errHead = errors.New("the head of the answer is longer than 64 KiB")

// exchange sends a request and reads the answer of RFC 9112, body included.
func exchange(ctx context.Context, conn net.Conn, method string, request []byte) (*answer, error) {
	_, unsent := conn.Write(request)
	bounded := &io.LimitedReader{R: conn, N: answerLimit}
	from := bufio.NewReader(bounded)
	got, head, err := readHead(from, bounded)
	switch {
	case err != nil && unsent != nil: // one who refuses a body may answer and not read it
		return nil, failed(ctx, "send the request", unsent)
	case err != nil:
		return nil, failed(ctx, "read the answer", err)
	case method == "HEAD" || method == "CONNECT" && got.status/100 == 2 || got.status == 204 || got.status == 304:
		return got, nil
	}
	bounded.N = answerLimit
	kept := keeper{limit: quoteLimit + 1} // one more tells quote that there is more
	// Where the body breaks off the status has said it all: who is told to go may
	// go while it answers.
	err = copyBody(&kept, from, head)
	broken := ctx.Err() == nil && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET))
	if err != nil && bounded.N > 0 && !broken {
		return nil, failed(ctx, fmt.Sprintf("read the answer after its status %d", got.status), err)
	}
	got.begin = kept.kept
	return got, nil
}

// readHead reads up to the empty line, and past interim answers (1xx).
func readHead(from *bufio.Reader, bounded *io.LimitedReader) (*answer, textproto.MIMEHeader, error) {
	text := textproto.NewReader(from)
	for {
		line, err := text.ReadLine()
		if err != nil {
			return nil, nil, headError(err, bounded)
		}
		version, status, found := strings.Cut(line, " ")
		code, _, _ := strings.Cut(status, " ")
		number, err := strconv.Atoi(code)
		if !found || !strings.HasPrefix(version, "HTTP/1.") || err != nil || len(code) != 3 || number < 100 {
			return nil, nil, fmt.Errorf("it is not HTTP/1: %s", quote([]byte(line)))
		}
		head, err := text.ReadMIMEHeader()
		if err != nil {
			return nil, nil, headError(err, bounded)
		}
		if number >= 200 || number == 101 {
			return &answer{status: number, line: shorten(strings.TrimSpace(status), quoteLimit)}, head, nil
		}
	}
}

func headError(err error, bounded *io.LimitedReader) error {
	switch {
	case bounded.N <= 0:
		return errHead
	case err == io.EOF:
		return errors.New("it was closed without one")
	}
	return err
}

// copyBody copies the body, as the head frames it.
func copyBody(to io.Writer, from *bufio.Reader, head textproto.MIMEHeader) error {
	if strings.EqualFold(head.Get("Transfer-Encoding"), "chunked") {
		return copyChunks(to, from)
	}
	length := head.Get("Content-Length")
	if length == "" {
		_, err := io.Copy(to, from)
		return err
	}
	n, err := strconv.ParseUint(length, 10, 63)
	if err != nil {
		return fmt.Errorf("its length is %q", length)
	}
	return copyExactly(to, from, int64(n))
}

func copyExactly(to io.Writer, from io.Reader, n int64) error {
	_, err := io.CopyN(to, from, n)
	return midway(err)
}

// midway is an error in the middle of something, where no end is expected.
func midway(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// copyChunks copies a body in chunks (RFC 9112 section 7.1). What follows the
// last one is of no interest: the connection is closed.
func copyChunks(to io.Writer, from *bufio.Reader) error {
	for text := textproto.NewReader(from); ; {
		line, err := text.ReadLine()
		if err != nil {
			return midway(err)
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 63)
		switch {
		case err != nil:
			return fmt.Errorf("%s is not the size of a chunk", quote([]byte(line)))
		case n == 0:
			return nil
		}
		if err := copyExactly(to, from, int64(n)); err != nil {
			return err
		}
		if line, err := text.ReadLine(); err != nil {
			return midway(err)
		} else if line != "" {
			return fmt.Errorf("%s follows a chunk", quote([]byte(line)))
		}
	}
}

// A keeper is a Writer that keeps the first bytes and drops the rest.
type keeper struct {
	limit int
	kept  []byte
}

func (k *keeper) Write(p []byte) (int, error) {
	k.kept = append(k.kept, p[:min(len(p), k.limit-len(k.kept))]...)
	return len(p), nil
}
