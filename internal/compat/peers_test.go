package compat

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A row is one thing that an init does, asked of the real one and of us.
type row struct {
	peer  string // whose command line
	name  string
	args  string // words, or with a first rune of | split there: "|-e||true"
	where where
	entry bool  // only a build with an ELF entry of its own can do it
	at    place // but for pid1
	// story acts and says what was seen, in words that are the same each time.
	story func(*box) string
	// differs is why we do another thing than the peer, and ours what that is:
	// then both are wanted, the peer's other way and ours. Empty wants us equal.
	differs, ours string
}

type where int

const (
	both    where = iota // as PID 1 and not
	asFirst              // as PID 1 only
	asChild              // not as PID 1 only
)

func (w where) places() []bool {
	return map[where][]bool{both: {true, false}, asFirst: {true}, asChild: {false}}[w]
}

func (r row) words() []string {
	if rest, ok := strings.CutPrefix(r.args, "|"); ok {
		return strings.Split(rest, "|")
	}
	return strings.Fields(r.args)
}

// seen runs the story with the init at path.
func (r row) seen(t *testing.T, path string, pid1 bool) string {
	t.Helper()
	at := r.at
	at.pid1 = pid1
	return r.story(start(t, at, append([]string{path}, r.words()...)...))
}

// check compares us with the peer in each place.
func (r row) check(t *testing.T) {
	for _, pid1 := range r.where.places() {
		name := r.peer + "/" + r.name + map[bool]string{true: "", false: ", not PID 1"}[pid1]
		t.Run(name, func(t *testing.T) {
			if r.entry && !entered() {
				t.Skip("the Go runtime changes it before we can look")
			}
			t.Parallel()
			theirs := r.seen(t, peer(t, r.peer), pid1)
			got := r.seen(t, filepath.Join(ours, r.peer), pid1)
			switch {
			case r.differs == "" && got != theirs:
				t.Errorf("%s:\n  ours   %s\n  theirs %s", r.args, got, theirs)
			case r.differs != "" && got != r.ours:
				t.Errorf("%s:\n  ours   %s\n  want   %s (%s)", r.args, got, r.ours, r.differs)
			case r.differs != "" && got == theirs:
				t.Errorf("%s: marked as a difference (%s), yet both %s", r.args, r.differs, got)
			}
		})
	}
}

// TestWeDoWhatThePeersDo is the table: each row against the real tini,
// dumb-init and catatonit, and against us under that name.
func TestWeDoWhatThePeersDo(t *testing.T) {
	var all []row
	for _, part := range [][]row{commandLines, codes(), signalRows(), lives, inheritances, terminals, defects, published()} {
		all = append(all, part...)
	}
	if len(all) < 150 {
		t.Errorf("%d rows, want 150 at least", len(all))
	}
	for _, r := range all {
		r.check(t)
	}
}

// outcome is the exit code and what the app printed.
func outcome(b *box) string {
	b.in.Close()
	return fmt.Sprintf("%s %q", b.ends(), b.out.all())
}

var versions = regexp.MustCompile(`^tini version \d+\.\d+\.\d+|^dumb-init v\d+\.\d+\.\d+`)

// texts is how a command line ends before anything is started: the exit code
// and the kind of text on each stream. The words are each init's own.
func texts(b *box) string {
	end := b.ends()
	kind := func(s string) string {
		switch {
		case s == "":
			return "nothing"
		case versions.MatchString(s):
			return "a version"
		}
		return "a text"
	}
	out, err := b.out.all(), b.err.all()
	if strings.Count(err, "\n") > 1 && versions.MatchString(err) {
		err = "usage, with the version at its head"
	}
	if strings.Count(out, "\n") > 1 && versions.MatchString(out) {
		out = "usage, with the version at its head"
	}
	return fmt.Sprintf("%s, %s on stdout, %s on stderr", end, kind(out), kind(err))
}
