package config

import (
	"encoding"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"exeunt/hooks"
	"exeunt/signals"
)

// Values of one kind, each stored where it is told to.

// text is any single value as it stands.
func text(to *string) value {
	return word{"a single value", func(t string) error { *to = t; return nil }, textShape}
}

// filled is a text that is not empty.
func filled(to *string, what string) value {
	return word{what, func(t string) error {
		if *to = t; t == "" {
			return errors.New("is empty: want " + what)
		}
		return nil
	}, textShape}
}

// asFlag is a flag in another form.
func asFlag[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](to **T, what string, form func() shape) word {
	return word{what, func(t string) error {
		v := new(T)
		if err := P(v).UnmarshalText([]byte(t)); err != nil {
			return err
		}
		*to = v
		return nil
	}, form}
}

const aDuration = "a duration, as in 30s"

func span(to *time.Duration) value {
	return word{aDuration, func(t string) (err error) {
		*to, err = hooks.ParseDuration(t)
		return err
	}, durationShape}
}

// someSpan is a duration that is not 0, for a reason.
func someSpan(to *time.Duration, reason string) value {
	return word{aDuration, func(t string) (err error) {
		if *to, err = hooks.ParseDuration(t); err == nil && *to == 0 {
			return errors.New(reason)
		}
		return err
	}, durationShape}
}

// maybeSpan is a duration for which 0 is not the default.
func maybeSpan(to **time.Duration) value {
	return word{aDuration, func(t string) error {
		d, err := hooks.ParseDuration(t)
		*to = &d
		return err
	}, durationShape}
}

func number(to *int, low, high int) word {
	what := fmt.Sprintf("a number, %d to %d", low, high)
	return word{what, func(t string) error {
		n, err := strconv.Atoi(t)
		if err != nil || n < low || n > high {
			return fmt.Errorf("%q is not %s", t, what)
		}
		*to = n
		return nil
	}, numberShape(low, high)}
}

func maybeNumber(to **int, low, high int) value {
	n := new(int)
	w := number(n, low, high)
	store := w.parse
	w.parse = func(t string) error { *to = n; return store(t) }
	return w
}

var (
	yes = []string{"true", "yes", "on", "1"}
	no  = []string{"false", "no", "off", "0"}
)

// boolean takes an empty text for no, which is what a variable that is not set
// leaves.
func boolean(to *bool) word {
	return word{"true or false", func(t string) error {
		switch t = strings.ToLower(t); {
		case slices.Contains(yes, t):
			*to = true
		case t == "" || slices.Contains(no, t):
			*to = false
		default:
			return fmt.Errorf("%q is neither true nor false", t)
		}
		return nil
	}, boolShape}
}

func maybeBoolean(to **bool) value {
	b := new(bool)
	w := boolean(b)
	store := w.parse
	w.parse = func(t string) error { *to = b; return store(t) }
	return w
}

// enum is one of several words, each for a value.
func enum[T any](to *T, words []string, values ...T) word {
	last := len(words) - 1
	return word{strings.Join(words[:last], ", ") + " or " + words[last], func(t string) error {
		v, err := choose(t, words, values...)
		if err != nil {
			if near := nearest(t, words); near != "" {
				err = fmt.Errorf("%w, did you mean %s?", err, near)
			}
			return err
		}
		*to = v
		return nil
	}, enumShape(words...)}
}

func aSignal(to *signals.Signal) value {
	return word{"a signal", func(t string) (err error) {
		*to, err = signals.Parse(t)
		return err
	}, signalShape}
}

// words is a command: a list, or a string that is split as a shell does.
func words(to *[]string) value {
	single := word{"a command", func(t string) (err error) {
		*to, err = hooks.Split(t)
		return err
	}, textShape}
	return choice{single: single, many: argv{to}}
}

// An argv is a list of words that is not empty.
type argv struct{ to *[]string }

func (s argv) read(r *reader, n *node) {
	*s.to = scalars(r, n)
	if len(*s.to) == 0 || (*s.to)[0] == "" {
		r.wrong(n, "no command")
	}
}

func (s argv) shape(*schema) shape {
	return shape{"type": "array", "items": textShape(), "minItems": 1}
}

// each is a list of words, or one, each of which is stored by add.
func each(what string, form func() shape, add func(t string) error) value {
	return listing{func() value { return word{what, add, form} }}
}

// paths is a list of file names, or one.
func paths(to *[]string) value {
	return each("a path", textShape, func(t string) error {
		if t == "" {
			return errors.New("the path is empty")
		}
		*to = append(*to, t)
		return nil
	})
}

// A setting is one entry of an environment. One that is inherited has no value,
// and is taken from ours.
type setting struct {
	name, value string
	inherited   bool
}

// environment is a mapping of names to values, or a list of NAME=VALUE.
func environment(to *[]setting) value {
	add := func(name string) (*setting, error) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return nil, fmt.Errorf("%q is no name of a variable", name)
		}
		*to = append(*to, setting{name: name, inherited: true})
		return &(*to)[len(*to)-1], nil
	}
	form := patternShape("^[^=]+(=.*)?$")
	return choice{
		single: word{"NAME=VALUE", func(t string) error { return assign(t, add) }, form},
		many:   each("NAME=VALUE", form, func(t string) error { return assign(t, add) }),
		pairs: table{"names and values", func(name string, _ *node) (value, error) {
			s, err := add(name)
			if err != nil {
				return choice{single: text(new(string)), nothing: func() {}}, err
			}
			return choice{single: word{"a single value", func(t string) error {
				s.value, s.inherited = t, false
				return nil
			}, textShape}, nothing: func() {}}, nil
		}, "^[^=]+$"},
	}
}

// assign reads NAME=VALUE, or NAME alone.
func assign(t string, add func(string) (*setting, error)) error {
	name, value, given := strings.Cut(t, "=")
	s, err := add(name)
	if err == nil && given {
		s.value, s.inherited = value, false
	}
	return err
}
