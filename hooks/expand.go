package hooks

import (
	"fmt"
	"strings"
)

// expand replaces ${NAME} by a variable's value and $$ by one $; any other $
// stands for itself, as in a query of "?$filter=…". A variable that is not set
// is an error, since a request with a hole in it would reach the wrong place.
func expand(text string, lookup func(name string) (string, bool)) (string, error) {
	if !strings.Contains(text, "$") {
		return text, nil
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		switch {
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		case strings.HasPrefix(after, "{"):
			name, rest, closed := strings.Cut(after[1:], "}")
			if !closed || !variable(name) {
				return "", fmt.Errorf("%q is not a variable: write ${NAME}, or $${ for itself", shorten("$"+after, 40))
			}
			value, set := lookup(name)
			if !set {
				return "", fmt.Errorf("the variable %s is not set", name)
			}
			out.WriteString(value)
			text = rest
		default:
			out.WriteByte('$')
			text = after
		}
	}
}

// variable reports whether name is a name of POSIX (XBD 8.1), in either case.
func variable(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// environment looks variables up in KEY=VALUE pairs, of which the last counts.
func environment(env []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := len(env) - 1; i >= 0; i-- {
			if key, value, ok := strings.Cut(env[i], "="); ok && key == name {
				return value, true
			}
		}
		return "", false
	}
}

// sample is text as it could be once its variables are known: each is a 1,
// which may be part of a host, a port or a path, and is no loopback address.
func sample(text string) string {
	out, _ := expand(text, one)
	return out
}

// checkVariables reports a ${ that could never be expanded.
func checkVariables(text string) error {
	_, err := expand(text, one)
	return err
}

func one(string) (string, bool) { return "1", true }
