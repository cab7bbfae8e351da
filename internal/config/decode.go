package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A reader collects all that is wrong with a file, so that it is told at once.
type reader struct {
	name     string                      // of the file, in front of every line
	lookup   func(string) (string, bool) // our environment
	problems []*problem
	warnings []*problem
}

// A problem is a line about one place of a file.
type problem struct {
	line, column int
	text         string // after the place
}

// wrong tells what is wrong with a node. An alias stands for its text as often
// as it is used: what is wrong in there is told once.
func (r *reader) wrong(n *node, format string, args ...any) {
	r.problems = append(r.problems, n.problem(format, args...))
}

// unusual is what is right, but hardly meant.
func (r *reader) unusual(n *node, format string, args ...any) {
	r.warnings = append(r.warnings, n.problem(format, args...))
}

func (n *node) problem(format string, args ...any) *problem {
	text := fmt.Sprintf(format, args...)
	if n.path != "" {
		text = n.path + ": " + text
	}
	return &problem{n.line, n.column, text}
}

// lines are problems as they are shown, by their place.
func (r *reader) lines(problems []*problem) (lines []string) {
	slices.SortStableFunc(problems, func(a, b *problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	for i, p := range problems {
		if i > 0 && sameWords(p, problems[i-1]) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", r.name, p.line, p.column, strings.ReplaceAll(p.text, "\n", " ")))
	}
	return lines
}

// sameWords reports whether two problems are one text's, reached by two paths.
func sameWords(a, b *problem) bool {
	_, one, _ := strings.Cut(a.text, ": ")
	_, other, _ := strings.Cut(b.text, ": ")
	return a.line == b.line && a.column == b.column && one == other
}

// err is all that is wrong: an error whose Unwrap lists one line each.
func (r *reader) err() error {
	var list []error
	for _, line := range r.lines(r.problems) {
		list = append(list, errors.New(line))
	}
	return errors.Join(list...)
}

// A value is what reads the value of a key, and says for the schema what it
// takes.
type value interface {
	read(r *reader, n *node)
	shape(s *schema) shape
}

// A key is one key of a mapping: its name, what the schema says of it, and what
// reads its value to where it belongs. Tables of keys are all there is to the
// format: reading, "did you mean" and the schema come from them.
type key struct {
	name, doc string
	value     value
}

// topLevel is the name of the object that is the file.
const topLevel = "exeunt.yaml"

// An object is a mapping with known keys.
type object struct {
	name  string // in the schema
	keys  []key
	place func(*node) // is told where it is read from; may be nil
	open  bool        // keys that begin with x- are the author's own, as in Compose
}

func (o object) read(r *reader, n *node) {
	if o.place != nil {
		o.place(n)
	}
	if n.kind != mapping {
		r.unexpected(n, "a mapping")
		return
	}
	for _, e := range n.entries {
		i := slices.IndexFunc(o.keys, func(k key) bool { return k.name == e.name })
		switch {
		case i >= 0:
			r.value(e, o.keys[i].value)
		case !o.open || !strings.HasPrefix(e.name, "x-"):
			r.wrong(e.key(), "%s", unknown(e.name, o.name, names(o.keys)))
		}
	}
}

// value reads the value of a key.
func (r *reader) value(e *entry, v value) {
	if c, ok := v.(choice); e.value.kind == absent && !(ok && c.nothing != nil) {
		r.wrong(e.key(), "has no value")
		return
	}
	v.read(r, e.value)
}

// all reads a value and reports whether nothing was wrong with it.
func (r *reader) all(n *node, v value) bool {
	before := len(r.problems)
	v.read(r, n)
	return len(r.problems) == before && n.sound()
}

// sound reports whether nothing is broken in a node.
func (n *node) sound() bool {
	return n.kind != broken && !slices.ContainsFunc(n.items, func(n *node) bool { return !n.sound() }) &&
		!slices.ContainsFunc(n.entries, func(e *entry) bool { return !e.value.sound() })
}

// key is where the key itself stands.
func (e *entry) key() *node { return &node{path: e.value.path, line: e.line, column: e.column} }

// unexpected complains of the kind of a node.
func (r *reader) unexpected(n *node, want string) {
	switch n.kind {
	case absent:
		r.wrong(n, "has no value: want %s", want)
	case broken:
	default:
		r.wrong(n, "want %s, not %v", want, n.kind)
	}
}

// A word is a scalar. Its parse stores what it reads; its error is about the
// text alone.
type word struct {
	what  string // as in "want …"
	parse func(text string) error
	form  func() shape
}

func (w word) read(r *reader, n *node) {
	if n.kind != scalar {
		r.unexpected(n, w.what)
		return
	}
	if err := w.parse(n.text); err != nil {
		r.wrong(n, "%v", err)
	}
}

// A joined is a word that may also be a list of its parts, or with pairs a
// mapping: what the flag's value has between commas.
type joined struct {
	word
	pairs bool
	part  func() shape
}

func (j joined) read(r *reader, n *node) {
	text := *n
	switch {
	case n.kind == sequence && !j.pairs:
		text.kind, text.text = scalar, strings.Join(scalars(r, n), ",")
	case n.kind == mapping && j.pairs:
		var parts []string
		for _, e := range n.entries {
			if e.value.kind != scalar {
				r.unexpected(e.value, "a single value")
				return
			}
			parts = append(parts, e.name+"="+e.value.text)
		}
		text.kind, text.text = scalar, strings.Join(parts, ",")
	}
	j.word.read(r, &text)
}

// scalars are the texts of a list of words.
func scalars(r *reader, n *node) (texts []string) {
	for _, item := range n.items {
		if item.kind != scalar {
			r.unexpected(item, "a single value")
			continue
		}
		texts = append(texts, item.text)
	}
	return texts
}

// A listing is a list, or one of what it would hold. Each is asked for the
// value that reads the next item.
type listing struct {
	each func() value
}

func (l listing) read(r *reader, n *node) {
	if n.kind != sequence {
		l.each().read(r, n)
		return
	}
	for _, item := range n.items {
		l.each().read(r, item)
	}
}

// A table is a mapping whose keys are names. Each is asked for the value that
// reads what a name stands for, or says what is wrong with the name.
type table struct {
	what  string // as in "want …"
	each  func(name string, at *node) (value, error)
	names string // a pattern
}

func (t table) read(r *reader, n *node) {
	if n.kind != mapping {
		r.unexpected(n, t.what)
		return
	}
	for _, e := range n.entries {
		v, err := t.each(e.name, e.value)
		if err != nil {
			r.wrong(e.key(), "%v", err)
			continue
		}
		r.value(e, v)
	}
}

// A choice is several forms of one value: which, the kind of the node says. A
// form that is nil is none.
type choice struct {
	single, many, pairs value
	nothing             func() // null is a value too
}

func (c choice) read(r *reader, n *node) {
	form := map[kind]value{scalar: c.single, sequence: c.many, mapping: c.pairs}[n.kind]
	switch {
	case n.kind == absent && c.nothing != nil:
		c.nothing()
	case form != nil:
		form.read(r, n)
	default:
		r.unexpected(n, c.wants())
	}
}

func (c choice) wants() string {
	var kinds []string
	for i, form := range []value{c.single, c.many, c.pairs} {
		if form != nil {
			kinds = append(kinds, kind(int(scalar)+i).String())
		}
	}
	return strings.Join(kinds, " or ")
}
