package hooks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"exeunt/signals"
)

// longest bounds every duration a user may write: a day is more than any
// platform waits, and what is above it is a slip of the unit.
const longest = 24 * time.Hour

// blanks separate words.
const blanks = " \t\n"

// Parse reads the short form of a hook, as the command line has it:
//
//	sleep:5s
//	signal:USR1
//	http://HOST/PATH, https://HOST/PATH, or a method before it: POST http://HOST/PATH
//	tcp://HOST:PORT
//	drain, drain:auto, drain:8080, drain:8080,8443
//
// or a command that is split into words as a POSIX shell splits them (quotes
// and backslashes; nothing is expanded, no operator is known, and no shell is
// run). The name of the hook is the text, shortened, without a URL's password.
func Parse(s string) (Hook, error) {
	text := strings.Trim(s, blanks)
	hook := Hook{Name: shorten(strings.Join(strings.Fields(s), " "), 40)}
	kind, rest, colon := strings.Cut(text, ":")
	method, url, isRequest := splitRequest(text)
	var err error
	switch {
	case isRequest:
		hook.HTTP = &HTTP{URL: url, Method: method}
		hook.Name = shorten(strings.TrimSpace(method+" "+withoutPassword(url)), 40)
	case strings.EqualFold(kind, "tcp") && strings.HasPrefix(rest, "//"):
		hook.TCP = &TCP{Addr: rest[2:]}
	case kind == "drain":
		hook.Drain, err = parseDrain(rest, colon)
	case kind == "sleep" && colon:
		if hook.Sleep, err = ParseDuration(rest); err == nil && hook.Sleep == 0 {
			err = errors.New("a sleep of 0 does nothing")
		}
	case kind == "signal" && colon:
		hook.Signal, err = signals.Parse(rest)
	default:
		hook.Command, err = Split(s)
	}
	if err == nil {
		err = hook.Check()
	}
	if err != nil {
		return Hook{}, fmt.Errorf("%q: %w", s, err)
	}
	return hook, nil
}

// splitRequest tells "http://…" and "POST http://…" from a command.
func splitRequest(text string) (method, url string, ok bool) {
	url = text
	if before, after, found := cutBlank(text); found && strings.Trim(before, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		method, url = before, strings.TrimLeft(after, blanks)
	}
	scheme, _, found := strings.Cut(url, "://")
	return method, url, found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// cutBlank splits text at its first blank.
func cutBlank(text string) (before, after string, found bool) {
	i := strings.IndexAny(text, blanks)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// withoutPassword hides the password in a URL, which may have variables in it
// and then cannot be parsed yet.
func withoutPassword(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	at := strings.LastIndexByte(host, '@')
	user, _, found := strings.Cut(host[:max(at, 0)], ":")
	if !found {
		return url
	}
	return scheme + "://" + user + ":xxxxx" + rest[at:]
}

// parseDrain reads what follows "drain:".
func parseDrain(text string, colon bool) (*Drain, error) {
	if !colon || text == "auto" {
		return &Drain{}, nil
	}
	var drain Drain
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("%q is not a port: write drain, drain:8080 or drain:8080,8443", word)
		}
		if slices.Contains(drain.Ports, uint16(n)) {
			return nil, fmt.Errorf("port %d is there twice", n)
		}
		drain.Ports = append(drain.Ports, uint16(n))
	}
	return &drain, nil
}

// ParseDuration reads a duration as flags and files have it: Go's notation
// ("1m30s", "500ms"), or a bare number of seconds ("90", "0.5"). Negative ones
// and those of more than 24 hours are errors.
func ParseDuration(s string) (time.Duration, error) {
	text := s
	if s != "" && strings.Trim(strings.TrimPrefix(s, "-"), "0123456789.") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration: write 30s, 1m30s, 500ms or a number of seconds", s)
	case d < 0:
		return 0, fmt.Errorf("%q is negative", s)
	case d > longest:
		return 0, fmt.Errorf("%q is longer than 24h", s)
	}
	return d, nil
}

// Split splits a command into words by the quoting rules of a POSIX shell
// (XCU 2.2): single quotes keep everything; in double quotes a backslash
// escapes only $ ` " \ and a newline; outside it escapes any character, and a
// newline after it vanishes. An unterminated quote and no words are errors.
func Split(s string) ([]string, error) {
	var words []string
	var word []byte
	var quote byte // the quote we are in, or 0
	begun := false // a word has begun, though it may be empty yet: ''
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'':
			if i++; i == len(s) {
				return nil, errors.New("nothing follows the last backslash")
			}
			if s[i] == '\n' {
				continue
			}
			if quote == '"' && !strings.ContainsRune("$`\"\\", rune(s[i])) {
				word = append(word, '\\')
			}
			word, begun = append(word, s[i]), true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if begun {
				words = append(words, string(word))
			}
			word, begun = nil, false
		default:
			word, begun = append(word, c), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if begun {
		words = append(words, string(word))
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("no command")
	}
	return words, nil
}

// shorten cuts s to at most n bytes, at a character's boundary.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := n - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
