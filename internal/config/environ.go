package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// environ is the environment of a service: ours, its user's, its files', its
// own; own is what it has besides ours.
func (c *cast) environ(s *service) (env, own []string) {
	env = c.env
	if s.user != nil {
		env = s.user.Environ(env)
	}
	for _, name := range s.envFiles {
		at := s.node.at("env_file")
		if !filepath.IsAbs(name) {
			name = filepath.Join(c.dir, name)
		}
		text, err := readFile(name)
		if err != nil {
			c.wrong(at, "cannot read %q: %v", name, cause(err))
			continue
		}
		settings, err := envFile(text, c.lookup)
		if err != nil {
			c.wrong(at, "%s:%v", name, err)
			continue
		}
		env, own = c.apply(settings, env, own)
	}
	return c.apply(s.environment, env, own)
}

// apply puts settings into both environments.
func (c *cast) apply(settings []setting, env, own []string) ([]string, []string) {
	for _, s := range settings {
		if s.inherited {
			value, ok := find(c.env, s.name)
			if !ok {
				continue
			}
			s.value = value
		}
		env, own = with(env, s.name, s.value), with(own, s.name, s.value)
	}
	return env, own
}

// with is an environment in which a variable has this value.
func with(env []string, name, value string) []string {
	changed := make([]string, 0, len(env)+1)
	for _, entry := range env {
		if key, _, _ := strings.Cut(entry, "="); key != name {
			changed = append(changed, entry)
		}
	}
	return append(changed, name+"="+value)
}

// find is the value of a variable, of which the first counts, as for getenv(3).
func find(env []string, name string) (string, bool) {
	for _, entry := range env {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// readFile reads a file that is not too long to be one of ours.
func readFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, longestFile+1))
	if err == nil && len(text) > longestFile {
		err = fmt.Errorf("it has more than %d KiB", longestFile>>10)
	}
	return string(text), err
}

// cause is what went wrong with a file, without what it was and where.
func cause(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// envFile reads an env_file as Compose does: NAME=VALUE lines, perhaps after
// export; # begins a comment at the start of a line or after a blank; in single
// quotes everything is itself, in double quotes \n, \r, \t, \" , \\ and \$ are
// what they are in C, and both may go over several lines. Variables are
// replaced but in single quotes: ours, and those set before. A NAME alone is
// taken from ours. An error begins with the line's number.
func envFile(text string, lookup func(string) (string, bool)) (settings []setting, err error) {
	known := func(name string) (string, bool) {
		if value, ok := lookup(name); ok {
			return value, ok
		}
		for i := len(settings) - 1; i >= 0; i-- {
			if settings[i].name == name && !settings[i].inherited {
				return settings[i].value, true
			}
		}
		return "", false
	}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	for number, rest := 1, text; rest != ""; number++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, given := strings.Cut(line, "=")
		name = strings.TrimSpace(strings.TrimPrefix(name, "export "))
		if left, tail := leadingName(strings.NewReplacer(".", "_", "-", "_").Replace(name)); left == "" || tail != "" {
			return nil, fmt.Errorf("%d: %q is not NAME=VALUE", number, line)
		}
		if !given {
			settings = append(settings, setting{name: name, inherited: true})
			continue
		}
		read, after, lines, err := unquote(strings.TrimSpace(value), rest, known)
		if err == nil && (!utf8.ValidString(read) || strings.Contains(read, "\x00")) {
			err = errors.New("is not text in UTF-8")
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", number, name, err)
		}
		settings = append(settings, setting{name: name, value: read})
		rest, number = after, number+lines
	}
	return settings, nil
}

// unquote reads the value that begins in a line. A quoted one may go on in what
// follows, of which it returns the rest, and how many lines it took.
func unquote(value, following string, lookup func(string) (string, bool)) (read, rest string, lines int, err error) {
	silent := func(string) {} // Compose takes it as empty
	if value == "" || value[0] != '"' && value[0] != '\'' {
		for i := range value {
			if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
				value = strings.TrimSpace(value[:i])
				break
			}
		}
		read, err = expand(value, lookup, silent, deepestDefault)
		return read, following, 0, err
	}
	quote, all := value[0], value[1:]+"\n"+following
	end := closing(all, quote)
	if end < 0 {
		return "", "", 0, fmt.Errorf("the quote %c is not closed", quote)
	}
	read = all[:end]
	after, rest, _ := strings.Cut(all[end+1:], "\n")
	if after = strings.TrimSpace(after); after != "" && after[0] != '#' {
		return "", "", 0, fmt.Errorf("%q follows the closing quote", after)
	}
	lines = strings.Count(read, "\n")
	if quote == '"' {
		read, err = expand(escaped(read), lookup, silent, deepestDefault)
	}
	return read, rest, lines, err
}

// closing is where a quoted text ends, or negative.
func closing(text string, quote byte) int {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote:
			return i
		}
	}
	return -1
}

// escaped replaces the escapes in double quotes; \$ is what expand takes for a
// dollar sign.
func escaped(text string) string {
	return strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`, `\$`, "$$").Replace(text)
}
