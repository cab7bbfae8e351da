package convert

import (
	"fmt"
	"strconv"
	"strings"
)

// expand replaces %(name)s, and %(name)02d of a number, as Python's % does.
func expand(text string, lookup func(name string) (string, error)) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "%")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		if rest, ok := strings.CutPrefix(after, "%"); ok {
			out.WriteByte('%')
			text = rest
			continue
		}
		name, rest, ok := strings.Cut(strings.TrimPrefix(after, "("), ")")
		if !strings.HasPrefix(after, "(") || !ok {
			return "", fmt.Errorf("a %% is followed by (NAME)s; write %%%% for itself")
		}
		value, err := lookup(name)
		if err != nil {
			return "", err
		}
		form := len(rest) - len(strings.TrimLeft(rest, "0123456789-+ #"))
		if form == len(rest) || form > 8 {
			return "", fmt.Errorf("%%(%s) is followed by s, or d for a number", shortened(name))
		}
		value, err = format(value, rest[:form], rest[form])
		if err != nil {
			return "", fmt.Errorf("%%(%s)%s: %w", shortened(name), rest[:form+1], err)
		}
		out.WriteString(value)
		text = rest[form+1:]
	}
}

// format writes a value by a format without its %.
func format(value, flags string, verb byte) (string, error) {
	width := strings.TrimLeft(flags, "0-+ #")
	if len(width) > 2 || strings.Trim(width, "0123456789") != "" {
		return "", fmt.Errorf("%q is no width", width)
	}
	switch verb {
	case 's', 'd', 'i':
	default:
		return "", fmt.Errorf("want s, or d for a number")
	}
	if verb == 's' {
		if hasVariable(value) && flags != "" {
			return "", fmt.Errorf("a variable has no width here")
		}
		return fmt.Sprintf("%"+strings.Trim(flags, "0+ #")+"s", value), nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return "", fmt.Errorf("%q is not a number", value)
	}
	return fmt.Sprintf("%"+strings.ReplaceAll(flags, "#", "")+"d", n), nil
}
