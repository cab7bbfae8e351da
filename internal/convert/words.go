package convert

import (
	"errors"
	"fmt"
	"strings"

	"exeunt/hooks"
)

// blanks separate words.
const blanks = " \t\r\n"

// split cuts a command into words as supervisord does: by Python's
// shlex.split, for which only " and \ can be escaped in double quotes.
func split(text string) (words []string, err error) {
	var word strings.Builder
	begun, quote := false, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'':
			if i++; i == len(text) {
				return nil, errors.New("nothing follows the last backslash")
			}
			if quote == '"' && text[i] != '"' && text[i] != '\\' {
				word.WriteByte('\\')
			}
			word.WriteByte(text[i])
			begun = true
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, begun = c, true
		case strings.IndexByte(blanks, c) >= 0:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed (after a blank, ; and # begin a comment)", quote)
	}
	if begun {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("no command")
	}
	return words, nil
}

// command sets the command of a service to a text with variables, or to words.
func (s *service) command(text string) error {
	words, err := split(text)
	if err != nil {
		return err
	}
	s.hint(words)
	if !hasVariable(text) {
		s.list("command", words)
		return nil
	}
	// A variable may hold several words: the text is split once they are known.
	if ours, err := hooks.Split(text); err != nil || strings.Join(ours, "\x00") != strings.Join(words, "\x00") {
		s.note("command: a variable in it is one word here, of supervisord it may be several.")
		s.keys = append(s.keys, entry{key: "command", value: flow(words), words: len(words)})
		return nil
	}
	if !strings.ContainsAny(text, `"'\`) {
		text = strings.Join(strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(blanks, c) }), " ")
	}
	s.text("command", text)
	return nil
}

// hint says what a shell around a program does to its stop signal.
func (s *service) hint(words []string) {
	shell := words[0][strings.LastIndexByte(words[0], '/')+1:]
	switch shell {
	case "sh", "bash", "dash", "ash":
	default:
		return
	}
	if len(words) > 2 && strings.HasPrefix(words[1], "-") && strings.HasSuffix(words[1], "c") && !strings.Contains(" "+words[2], " exec ") {
		s.note("command: the stop signal reaches the shell, which waits for what it runs. Write exec before its last program, or kill_mode: group.")
	}
}

// assignments reads KEY=value,KEY2="value" as supervisord does, by Python's
// shlex in its old mode.
func assignments(text string) (pairs []pair, err error) {
	tokens, err := tokens(text)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(tokens); i += 4 {
		if i+2 >= len(tokens) || tokens[i+1] != "=" {
			return nil, fmt.Errorf(`%q is not KEY="value",KEY="value"`, shortened(text))
		}
		pairs = put(pairs, pair{tokens[i], strings.Trim(tokens[i+2], `'"`)})
	}
	return pairs, nil
}

// tokens are words, quoted texts with their quotes, and single other characters.
func tokens(text string) (all []string, err error) {
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		c, from := runes[i], i
		switch {
		case strings.ContainsRune(blanks, c):
			continue
		case c == '#':
			i = lineEnd(runes, i)
			continue
		case c == '"' || c == '\'':
			for i++; i < len(runes) && runes[i] != c; i++ {
			}
			if i == len(runes) {
				return nil, fmt.Errorf("the quote %c is not closed (after a blank, ; and # begin a comment)", c)
			}
		case ofWord(c):
			for i+1 < len(runes) && (ofWord(runes[i+1]) || strings.ContainsRune(`"'`, runes[i+1])) {
				i++
			}
		}
		all = append(all, string(runes[from:i+1]))
	}
	return all, nil
}

func ofWord(c rune) bool {
	return c < 0x80 && alphanumeric(byte(c)) || strings.ContainsRune("_/.+-():"+opening+closing, c)
}

// lineEnd is where the line ends that holds a place.
func lineEnd(runes []rune, i int) int {
	for i < len(runes) && runes[i] != '\n' {
		i++
	}
	return i
}
