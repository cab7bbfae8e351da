package config

import (
	"errors"
	"fmt"
	"strings"
)

// deepestDefault bounds the variables in the default of a variable in the
// default of one.
const deepestDefault = 16

// interpolate replaces the variables in a scalar, by Compose's rules.
func (r *reader) interpolate(n *node) {
	if !strings.Contains(n.text, "$") {
		return
	}
	text, err := expand(n.text, r.lookup, func(name string) {
		r.unusual(n, "the variable %s is not set, and taken as empty", name)
	}, deepestDefault)
	if err != nil {
		r.wrong(n, "%v", err)
		n.kind = broken
	}
	n.text = text
}

// expand replaces $NAME, ${NAME} and, as in a shell, ${NAME:-default},
// ${NAME-default}, ${NAME:?message}, ${NAME?message}, ${NAME:+other} and
// ${NAME+other}; $$ is a dollar sign. A variable that is not set and has no
// default is told to unset, and empty.
func expand(text string, lookup func(string) (string, bool), unset func(string), depth int) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, rest := leadingName(after)
		switch {
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		case name != "":
			value, ok := lookup(name)
			if !ok {
				unset(name)
			}
			out.WriteString(value)
			text = rest
		case strings.HasPrefix(after, "{"):
			inner, rest, ok := braced(after[1:])
			if !ok || depth == 0 {
				return "", fmt.Errorf("the brace after %q is not closed: write ${NAME}, or $${ for itself", "$")
			}
			value, err := substitute(inner, lookup, unset, depth-1)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			text = rest
		default:
			return "", errors.New("a $ is followed by a variable's name, as in $NAME or ${NAME}; write $$ for a dollar sign")
		}
	}
}

// substitute is what stands between braces.
func substitute(inner string, lookup func(string) (string, bool), unset func(string), depth int) (string, error) {
	name, operator := leadingName(inner)
	value, ok := lookup(name)
	rest, colon := strings.CutPrefix(operator, ":")
	given := ok && (value != "" || !colon)
	switch {
	case name == "", operator != "" && (rest == "" || !strings.Contains("-?+", rest[:1])):
		return "", fmt.Errorf("%q is not a variable: write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+other}", "${"+inner+"}")
	case operator == "":
		if !ok {
			unset(name)
		}
		return value, nil
	case rest[0] == '-' && given:
		return value, nil
	case rest[0] == '+' && !given:
		return "", nil
	case rest[0] == '?' && given:
		return value, nil
	}
	other, err := expand(rest[1:], lookup, unset, depth)
	if rest[0] != '?' || err != nil {
		return other, err
	}
	if other == "" {
		other = "it has to be"
	}
	return "", fmt.Errorf("the variable %s is not set: %s", name, other)
}

// leadingName splits a variable's name from what follows it.
func leadingName(text string) (name, rest string) {
	end := 0
	for end < len(text) {
		c := text[end]
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (end == 0 || c < '0' || c > '9') {
			break
		}
		end++
	}
	return text[:end], text[end:]
}

// braced splits what stands before the closing brace from what follows it.
func braced(text string) (inner, rest string, ok bool) {
	depth := 1
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			depth++
			i++
		case text[i] == '}':
			if depth--; depth == 0 {
				return text[:i], text[i+1:], true
			}
		}
	}
	return "", "", false
}
