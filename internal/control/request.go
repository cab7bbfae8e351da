package control

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	longestHead = 8 << 10
	longestBody = 4 << 10
)

// A request is the head of one, as far as it concerns us. A body is read, and
// means nothing: what is asked for is in the URL.
type request struct {
	method, path, query string
	size                int // of the head
	body                int // bytes that follow it
}

// headSize is the size of the head at the beginning of text, up to and with its
// empty line; 0 is not all here yet. Of had bytes it is known that they hold no
// whole head. Lines may end as RFC 9112 has them, or by a line feed alone.
func headSize(text []byte, had int) int {
	for at := max(had-2, 0); at < len(text); at++ {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			return 0
		}
		at += end
		rest := text[at+1:]
		switch {
		case bytes.HasPrefix(rest, []byte("\n")):
			return at + 2
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return at + 3
		}
	}
	return 0
}

// parse reads the head of a request. What cannot be taken has a status of HTTP
// and a reason in one line; otherwise the status is 0.
func parse(head []byte) (r request, status int, why string) {
	r.size = len(head)
	lines := strings.Split(string(head), "\n")
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if lines[i] = line; strings.ContainsAny(line, "\r\x00") {
			return r, 400, "the head has a character that cannot be in one"
		}
	}
	words := strings.Split(lines[0], " ")
	if len(words) != 3 || !token(words[0]) {
		return r, 400, "that is not HTTP"
	}
	version, ok := strings.CutPrefix(words[2], "HTTP/")
	switch {
	case !ok:
		return r, 400, "that is not HTTP"
	case version != "1.1" && version != "1.0":
		return r, 505, "HTTP/1.1 and no other"
	}
	r.method = words[0]
	if r.path, r.query, ok = target(words[1]); !ok {
		return r, 400, "the target is no path"
	}
	status, why = r.fields(lines[1:len(lines)-2], version == "1.1")
	return r, status, why
}

// target splits what is asked for into path and query. A client that takes us
// for a proxy names the host as well.
func target(text string) (path, query string, ok bool) {
	if rest, whole := strings.CutPrefix(text, "http://"); whole {
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return "", "", false
		}
		text = rest[slash:]
	}
	path, query, _ = strings.Cut(text, "?")
	return path, query, strings.HasPrefix(path, "/")
}

// fields reads the lines below the first.
func (r *request) fields(lines []string, hosted bool) (status int, why string) {
	hosts, length := 0, ""
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !token(name) {
			return 400, "a line of the head is no field"
		}
		switch strings.ToLower(name) {
		case "host":
			hosts++
		case "content-length":
			if length != "" && length != value {
				return 400, "the body has two lengths"
			}
			if length = value; strings.Trim(length, "0123456789") != "" || length == "" {
				return 400, "the length of the body is no number"
			}
		case "transfer-encoding":
			return 411, "a body needs a length"
		case "expect":
			return 417, "nothing that can be expected"
		}
	}
	if hosts > 1 || hosts == 0 && hosted {
		return 400, "a request names one host"
	}
	if length != "" {
		n, err := strconv.Atoi(length)
		if err != nil || n > longestBody {
			return 413, "the body is longer than 4 KiB"
		}
		r.body = n
	}
	return 0, ""
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
