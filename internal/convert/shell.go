package convert

import (
	"strings"

	"exeunt/hooks"
)

// A line is a command of a shell, looked at from far enough to tell what has to
// run it.
type line struct {
	text     string
	expands  bool // it has something that only a shell knows
	listed   bool // it is several commands, one after the other
	compound bool // it is more than that: pipes, background, groups, keywords, comments
	last     int  // where its last command begins
}

// look reads a line.
func look(text string) line {
	l := line{text: text}
	for i := 0; i < len(text) && !l.compound; i++ {
		switch c := text[i]; c {
		case '\\':
			i++
		case '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				l.compound = true
			}
			i += end + 1
		case '"':
			i = l.quoted(i + 1)
		case '$':
			l.expands = true
			i = l.substitution(i)
		case '*', '?', '[', '~', '<', '{', '}', '`', '(', ')', '|', '!':
			l.expands = true
			l.compound = strings.IndexByte("`()|", c) >= 0 || strings.IndexByte("{}!", c) >= 0 && alone(text, i)
		case '>':
			l.expands = true
			if i+1 < len(text) && text[i+1] == '&' {
				i++
			}
		case '#':
			l.compound = i == 0 || strings.IndexByte(blanks+";&", text[i-1]) >= 0
		case '&':
			if l.compound = i+1 == len(text) || text[i+1] != '&'; !l.compound {
				i++
				l.next(i + 1)
			}
		case ';':
			l.next(i + 1)
		}
	}
	l.compound = l.compound || strings.TrimLeft(text[l.last:], blanks) == "" || keyword(text[l.last:])
	return l
}

// next begins another command.
func (l *line) next(at int) {
	l.compound = l.compound || keyword(l.text[l.last:])
	l.listed, l.last = true, at
}

// quoted looks through what stands in double quotes, and returns where they end.
func (l *line) quoted(i int) int {
	for ; i < len(l.text); i++ {
		switch l.text[i] {
		case '"':
			return i
		case '\\':
			i++
		case '`':
			l.compound = true
		case '$':
			l.expands = true
			if i = l.substitution(i); l.compound {
				return i
			}
		}
	}
	l.compound = true
	return i
}

// substitution returns where one ends that begins with the dollar sign there.
// One with quotes or another one in it is more than we look into.
func (l *line) substitution(i int) int {
	end := ""
	switch {
	case strings.HasPrefix(l.text[i:], "${"):
		end = "}"
	case strings.HasPrefix(l.text[i:], "$("):
		end = ")"
	default:
		return i
	}
	inner, _, ok := strings.Cut(l.text[i+2:], end)
	if !ok || strings.ContainsAny(inner, "\"'`(){$\\") {
		l.compound = true
	}
	return i + 2 + len(inner)
}

// alone reports whether a character is a word by itself.
func alone(text string, i int) bool {
	before := i == 0 || strings.IndexByte(blanks+";&", text[i-1]) >= 0
	return before && (i+1 == len(text) || strings.IndexByte(blanks+";", text[i+1]) >= 0)
}

// keyword reports whether a command begins with a word of the shell's grammar.
func keyword(command string) bool {
	switch firstWord(command) {
	case "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "{", "}", "!", "[[", "function", "time":
		return true
	}
	return false
}

// builtin reports whether a command is the shell's own, or exec.
func builtin(command string) bool {
	switch firstWord(command) {
	case "exec", "cd", "export", "wait", "set", "unset", "trap", ".", "source", "eval", ":", "read", "return", "exit",
		"shift", "ulimit", "umask", "alias", "local", "readonly", "command", "builtin", "break", "continue", "type":
		return true
	}
	return false
}

func firstWord(command string) string {
	words := strings.FieldsFunc(command, func(c rune) bool { return strings.ContainsRune(blanks+";&", c) })
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// assigned cuts the assignments off that a command begins with. Whether they
// are whole is not looked at.
func assigned(command string) bool {
	name, _, found := strings.Cut(firstWord(command), "=")
	return found && isName(name)
}

// shellCommand sets the command of a service to a line of a shell.
func (s *service) shellCommand(text string) error {
	if l := look(text); firstWord(text) == "exec" && !l.listed && !l.compound {
		text = strings.TrimLeft(rest(text), blanks) // comes back where it is needed
	}
	l := look(text)
	last := strings.TrimLeft(text[l.last:], blanks)
	switch {
	case l.compound:
	case !l.expands && !l.listed && !builtin(last):
		words, err := hooks.Split(text)
		if err != nil {
			return err
		}
		var env []pair
		for after := text; assigned(after) && len(words) > 0; after = rest(after) {
			name, value, _ := strings.Cut(words[0], "=")
			if !isName(name) {
				break
			}
			env, words = put(env, pair{name, value}), words[1:]
		}
		if len(words) > 0 && words[0] != "" {
			s.hint(words)
			s.list("command", words)
			s.variables("environment", env)
			return nil
		}
	case builtin(last) && firstWord(last) != "exec":
	default:
		prefix := "exec "
		if firstWord(last) == "exec" {
			prefix = ""
		} else if assigned(last) {
			prefix = "exec env "
		}
		s.keys = append(s.keys, entry{key: "command", value: flow([]string{"sh", "-c", text[:l.last] + lead(text[l.last:]) + prefix + last}), words: 3})
		return nil
	}
	s.note("command: the shell stays, since it has more to do than to begin one program. kill_mode: group gives the stop signal to all that it runs.")
	s.keys = append(s.keys, entry{key: "command", value: flow([]string{"sh", "-c", text}), words: 3})
	s.set("kill_mode", "group")
	return nil
}

// lead is the blanks that a text begins with.
func lead(text string) string { return text[:len(text)-len(strings.TrimLeft(text, blanks))] }

// rest is a text without its first word.
func rest(text string) string {
	text = strings.TrimLeft(text, blanks)
	if i := strings.IndexAny(text, blanks); i >= 0 {
		return text[i:]
	}
	return ""
}
