package convert

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An ini is a file with those that it includes, read as supervisord 4 reads
// them: by Python's RawConfigParser, with ; and # after a blank as comments and
// sections of one name taken together.
type ini struct{ sections []*section }

type section struct {
	name    string
	options []*option
	path    string
	line    int
}

// An option is one, its lines joined.
type option struct {
	name, value string
	path        string
	line        int
}

// named is the section of that name, or nil.
func (i *ini) named(name string) *section {
	for _, s := range i.sections {
		if s.name == name {
			return s
		}
	}
	return nil
}

// option is that of a section, or nil; its last one counts.
func (s *section) option(name string) *option {
	if s == nil {
		return nil
	}
	for _, o := range s.options {
		if o.name == name {
			return o
		}
	}
	return nil
}

// inherit gives every section what [DEFAULT] says and it does not.
func (i *ini) inherit() {
	defaults := i.named("DEFAULT")
	if defaults == nil {
		return
	}
	for _, s := range i.sections {
		for _, o := range defaults.options {
			if s.option(o.name) == nil {
				s.options = append(s.options, o)
			}
		}
	}
}

// read adds the text of a file.
func (i *ini) read(path, text string) error {
	var in *section
	var last *option // that a deeper line goes on with
	indent := 0      // of the line that began it
	number := 0
	for line := range strings.Lines(text) {
		number++
		value, commented := uncomment(line)
		if value == "" {
			switch {
			case !commented && last != nil:
				last.value += "\n"
			case !commented:
				indent = math.MaxInt
			}
			continue
		}
		depth := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
		if last != nil && depth > indent {
			last.value += "\n" + value
			continue
		}
		indent = depth
		if end := strings.LastIndexByte(value, ']'); value[0] == '[' && end > 1 {
			in, last = i.enter(value[1:end], path, number), nil
			continue
		}
		if in == nil {
			return mistake(path, number, "%q stands before the first [section]", shortened(value))
		}
		at := strings.IndexAny(value, "=:")
		if at < 1 {
			return mistake(path, number, "%q is not OPTION=VALUE", shortened(value))
		}
		name := strings.ToLower(strings.TrimSpace(value[:at]))
		last = in.set(option{name, strings.TrimSpace(value[at+1:]), path, number})
	}
	for _, s := range i.sections {
		for _, o := range s.options {
			o.value = strings.TrimRightFunc(o.value, unicode.IsSpace)
		}
	}
	return nil
}

// enter is the section of that name, a new one if need be.
func (i *ini) enter(name, path string, line int) *section {
	if s := i.named(name); s != nil {
		return s
	}
	s := &section{name: name, path: path, line: line}
	i.sections = append(i.sections, s)
	return s
}

// set stores an option, in the place of an earlier one.
func (s *section) set(o option) *option {
	if old := s.option(o.name); old != nil {
		*old = o
		return old
	}
	s.options = append(s.options, &o)
	return &o
}

// uncomment is a line without its comment and the blanks around it.
func uncomment(line string) (value string, commented bool) {
	if t := strings.TrimSpace(line); t != "" && strings.ContainsRune(";#", rune(t[0])) {
		return "", true
	}
	// Python looks at the first of each, then at the second of each, and so on
	// until one of them has a blank before it.
	semicolon, hash := -1, -1
	for {
		semicolon, hash = following(line, ';', semicolon), following(line, '#', hash)
		if semicolon == len(line) && hash == len(line) {
			return strings.TrimSpace(line), false
		}
		for _, at := range []int{min(semicolon, hash), max(semicolon, hash)} {
			if before, _ := utf8.DecodeLastRuneInString(line[:at]); at < len(line) && unicode.IsSpace(before) {
				return strings.TrimSpace(line[:at]), true
			}
		}
	}
}

// following is where a character comes next after a place, or the end.
func following(line string, c byte, after int) int {
	if after < len(line) {
		if i := strings.IndexByte(line[after+1:], c); i >= 0 {
			return after + 1 + i
		}
	}
	return len(line)
}

// shortened is the beginning of a text.
func shortened(text string) string {
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	return text
}
