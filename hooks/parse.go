package hooks

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"exeunt/signals"
)

// longest bounds every duration a user may write: a day is more than any
// platform waits, and what is above it is a slip of the unit.
const longest = 24 * time.Hour

// Parse reads the short form of a hook, as the command line has it:
// "sleep:5s", "signal:USR1", or a command that is split into words as a POSIX
// shell splits them (quotes and backslashes; nothing is expanded, no operator
// is known, and no shell is run). The name of the hook is the text, shortened.
func Parse(s string) (Hook, error) {
	hook := Hook{Name: shorten(strings.Join(strings.Fields(s), " "), 40)}
	var err error
	if kind := absent(s); kind != "" {
		return Hook{}, fmt.Errorf("%q: %s hooks are not in this version", s, kind)
	}
	if text, ok := strings.CutPrefix(s, "sleep:"); ok {
		if hook.Sleep, err = ParseDuration(text); err == nil && hook.Sleep == 0 {
			err = errors.New("a sleep of 0 does nothing")
		}
	} else if text, ok := strings.CutPrefix(s, "signal:"); ok {
		hook.Signal, err = signals.Parse(text)
	} else {
		hook.Command, err = Split(s)
	}
	if err != nil {
		return Hook{}, fmt.Errorf("%q: %w", s, err)
	}
	return hook, nil
}

// absent names the kind of hook that s is short for if this version does not
// have it: run as a program, "http://…" would fail only when the stop has begun.
func absent(s string) string {
	if verb, url, ok := strings.Cut(s, " "); ok && verb != "" && strings.Trim(verb, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		s = strings.TrimLeft(url, " ")
	}
	for _, scheme := range [...]string{"http://", "https://", "tcp://", "drain:"} {
		if strings.HasPrefix(s, scheme) {
			return strings.TrimRight(scheme, ":/")
		}
	}
	return ""
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
