package compat

import (
	"fmt"
	"strings"
)

// An option is one that a command line may have.
type option struct {
	letter byte
	long   string // without the dashes; empty is none
	valued bool
}

// options reads a command line as getopt_long(3) does: letters may stand
// together, a value may stick to its letter or follow "=", a long name may be
// cut short while it is the only one that begins so, "--" ends the options.
// It differs in one thing: the first word that is no option ends them too, so
// that the program's own are never taken for ours.
//
// take is called for each option in its order and may end the reading with an
// error. The rest is what follows the options; ended says that "--" was there.
func options(known []option, args []string, take func(letter byte, value string) error) (rest []string, ended bool, err error) {
	for len(args) > 0 {
		word := args[0]
		if len(word) < 2 || word[0] != '-' {
			return args, false, nil
		}
		args = args[1:]
		switch {
		case word == "--":
			return args, true, nil
		case strings.HasPrefix(word, "--"):
			args, err = long(known, word, args, take)
		default:
			args, err = letters(known, word[1:], args, take)
		}
		if err != nil {
			return nil, false, err
		}
	}
	return nil, false, nil
}

// A mistake is an error in the words of getopt(3), about what a user typed.
type mistake string

func (m mistake) Error() string { return string(m) }

// letters takes a word of short options, such as -gvv or -e3.
func letters(known []option, word string, args []string, take func(byte, string) error) ([]string, error) {
	for i := range len(word) {
		o, ok := find(known, word[i])
		if !ok {
			return nil, mistake(fmt.Sprintf("invalid option %q", "-"+word[i:i+1]))
		}
		if !o.valued {
			if err := take(o.letter, ""); err != nil {
				return nil, err
			}
			continue
		}
		value := word[i+1:]
		if value == "" {
			if len(args) == 0 {
				return nil, mistake(fmt.Sprintf("option -%c requires a value", o.letter))
			}
			value, args = args[0], args[1:]
		}
		return args, take(o.letter, value)
	}
	return args, nil
}

func find(known []option, letter byte) (option, bool) {
	for _, o := range known {
		if o.letter == letter {
			return o, true
		}
	}
	return option{}, false
}

// long takes a long option, such as --rewrite 15:3 or --rew=15:3.
func long(known []option, word string, args []string, take func(byte, string) error) ([]string, error) {
	name, value, valued := strings.Cut(word[2:], "=")
	var found []option
	for _, o := range known {
		if o.long != "" && o.long == name {
			found = []option{o}
			break
		}
		if strings.HasPrefix(o.long, name) && o.long != "" {
			found = append(found, o)
		}
	}
	switch {
	case len(found) == 0:
		return nil, mistake(fmt.Sprintf("unrecognized option %q", word))
	case len(found) > 1:
		return nil, mistake(fmt.Sprintf("option %q is ambiguous: --%s or --%s", word, found[0].long, found[1].long))
	case valued && !found[0].valued:
		return nil, mistake(fmt.Sprintf("option --%s takes no value", found[0].long))
	case found[0].valued && !valued:
		if len(args) == 0 {
			return nil, mistake(fmt.Sprintf("option --%s requires a value", found[0].long))
		}
		value, args = args[0], args[1:]
	}
	return args, take(found[0].letter, value)
}

// unpermuted is the program's command line where the options ended without
// "--". tini and catatonit look for options among the program's words too and
// take the first "--" away (getopt(3) permutes), and their usage texts ask for
// "PROGRAM -- ARGS": so that one goes. Where an option of the program's stands
// before it, they would have failed, and nothing is taken.
func unpermuted(words []string) []string {
	for i, word := range words {
		switch {
		case i == 0:
		case word == "--":
			return append(append([]string{}, words[:i]...), words[i+1:]...)
		case len(word) > 1 && word[0] == '-':
			return words
		}
	}
	return words
}
