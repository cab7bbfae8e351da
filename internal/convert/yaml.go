package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Bounds of what exeunt reads: more services, or more words, are refused.
const (
	mostServices = 1000
	mostReplicas = 256
	mostWords    = 40_000
	longestName  = 63
)

// opening and closing stand around the name of a variable in a text that is
// not yet written: characters that nobody uses.
const (
	opening = "\U000F0000"
	closing = "\U000F0001"
)

// variable is the text of a variable that is read when the container starts.
func variable(name string) string { return opening + name + closing }

func hasVariable(text string) bool { return strings.Contains(text, opening) }

// isVariable reports whether a variable is all that the text is.
func isVariable(text string) bool {
	return strings.HasPrefix(text, opening) && strings.Index(text, closing) == len(text)-len(closing)
}

// A document is the YAML that is being written.
type document struct {
	head     []string // paragraphs of comment before all
	keys     []entry
	services []*service
	tail     []string // paragraphs of comment after all
	taken    map[string]bool
	count    int // services with their replicas
	running  int // of them, those that are enabled
}

// A service is one, with its comments.
type service struct {
	name  string
	notes []string
	keys  []entry
}

// An entry is a key with a value that is YAML already, or with entries of its own.
type entry struct {
	key, value string
	entries    []entry
	words      int // in the value
}

func (s *service) set(key, value string)   { s.keys = append(s.keys, entry{key: key, value: value}) }
func (s *service) text(key, value string)  { s.set(key, scalar(value)) }
func (s *service) note(f string, a ...any) { s.notes = append(s.notes, fmt.Sprintf(f, a...)) }
func (d *document) say(f string, a ...any) { d.head = append(d.head, fmt.Sprintf(f, a...)) }

// list sets a key to words: plain ones as one string, others as a list.
func (s *service) list(key string, words []string) {
	if !slices.ContainsFunc(words, func(w string) bool { return !bare(w, "/_.-+=@%:,") || w == "" }) {
		s.text(key, strings.Join(words, " "))
		return
	}
	s.keys = append(s.keys, entry{key: key, value: flow(words), words: len(words)})
}

// variables sets a key to a mapping of texts.
func (s *service) variables(key string, pairs []pair) {
	e := entry{key: key}
	for _, p := range pairs {
		e.entries = append(e.entries, entry{key: p.name, value: scalar(p.value)})
	}
	if len(pairs) > 0 {
		s.keys = append(s.keys, e)
	}
}

// A pair is a variable of an environment.
type pair struct{ name, value string }

// put adds a pair, or changes the one with that name.
func put(pairs []pair, p pair) []pair {
	if i := slices.IndexFunc(pairs, func(other pair) bool { return other.name == p.name }); i >= 0 {
		pairs = slices.Clone(pairs)
		pairs[i] = p
		return pairs
	}
	return append(pairs[:len(pairs):len(pairs)], p)
}

// add adds a service with a name that is ours to give; its notes say if it is
// another than the one that was wanted. It fails where there are too many.
func (d *document) add(want string, replicas int, enabled bool) (*service, error) {
	if d.count += max(replicas, 1); d.count > mostServices {
		return nil, fmt.Errorf("more than %d services", mostServices)
	}
	if enabled && replicas > 0 {
		d.running++
	}
	if d.taken == nil {
		d.taken = map[string]bool{}
	}
	base := properName(want)
	name := base
	for i := 2; !d.take(name, replicas); i++ {
		name = base + "-x" + strconv.Itoa(i)
	}
	s := &service{name: name}
	if name != want {
		s.note("It was called %s.", want)
	}
	d.services = append(d.services, s)
	return s, nil
}

// take reserves a name and those of its replicas.
func (d *document) take(name string, replicas int) bool {
	names := []string{name}
	for i := range replicas {
		names = append(names, name+"-"+strconv.Itoa(i+1))
	}
	if replicas < 2 {
		names = names[:1]
	}
	if slices.ContainsFunc(names, func(n string) bool { return d.taken[n] }) {
		return false
	}
	for _, n := range names {
		d.taken[n] = true
	}
	return true
}

// properName is the nearest to a name that a service may have.
func properName(name string) string {
	proper := strings.Map(func(c rune) rune {
		if c < unicode.MaxASCII && (alphanumeric(byte(c)) || strings.ContainsRune("._-", c)) {
			return c
		}
		return '-'
	}, name)
	if proper == "" || !alphanumeric(proper[0]) {
		proper = "s" + proper
	}
	return proper[:min(len(proper), longestName-len("-x1000-256"))]
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// isName reports whether a text is the name of a variable of the environment.
func isName(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '_' && (!alphanumeric(c) || i == 0 && c <= '9') {
			return false
		}
	}
	return text != ""
}

// bare reports whether a text is made of letters, digits and these.
func bare(text, others string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool {
		return c >= unicode.MaxASCII || !alphanumeric(byte(c)) && !strings.ContainsRune(others, c)
	})
}

// written is a text as exeunt reads it back: a dollar sign is two, a variable
// stands in braces.
func written(text string) string {
	return strings.NewReplacer("$", "$$", opening, "${", closing, "}").Replace(text)
}

// scalar is a text in a block mapping, without quotes where none are needed.
func scalar(text string) string {
	out := written(text)
	first := out != "" && (alphanumeric(out[0]) || strings.ContainsRune("/_$", rune(out[0])) || strings.HasPrefix(out, "./"))
	plain := first && bare(out, "/_.-+=@%,:~${} ") && !strings.HasSuffix(out, " ") &&
		!strings.Contains(out, ": ") && !strings.HasSuffix(out, ":") && !strings.Contains(out, "  ")
	if !plain || isWord(out) {
		return doubleQuoted(out)
	}
	return out
}

// isWord reports whether YAML takes a text for something else than a text.
func isWord(text string) bool {
	switch strings.ToLower(text) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return true
	}
	return text[0] >= '0' && text[0] <= '9' && !strings.Contains(text, "/")
}

// flow is a list of texts in one line.
func flow(words []string) string {
	var out []string
	for _, w := range words {
		w = written(w)
		if w == "" || w == "-" || strings.ContainsRune("%@=+", rune(w[0])) || !bare(w, "/_.-+=@%") || isWord(w) || strings.Trim(w, "-.") == "" {
			w = doubleQuoted(w)
		}
		out = append(out, w)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// doubleQuoted is a text in YAML's double quotes.
func doubleQuoted(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			out.WriteRune('\\')
			out.WriteRune(c)
		case c == '\n':
			out.WriteString(`\n`)
		case c == '\t':
			out.WriteString(`\t`)
		case unicode.IsPrint(c):
			out.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&out, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, c)
		default:
			fmt.Fprintf(&out, `\U%08x`, c)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// write is the whole text.
func (d *document) write(path string) (string, error) {
	p := &page{}
	for i, text := range d.head {
		if i > 0 {
			p.line(0, "#")
		}
		p.comment(0, text)
	}
	p.entries(0, d.keys)
	if d.running == 0 {
		return "", fmt.Errorf("%s: nothing in it would run", path)
	}
	p.line(0, "services:")
	for _, s := range d.services {
		p.line(1, s.name+":")
		for _, note := range s.notes {
			p.comment(2, note)
		}
		p.entries(2, s.keys)
	}
	for _, text := range d.tail {
		p.line(0, "")
		p.comment(0, text)
	}
	if p.words > mostWords || p.out.Len() > longest {
		return "", fmt.Errorf("%s: it becomes more YAML than exeunt reads", path)
	}
	return p.out.String(), nil
}

// A page is the text so far.
type page struct {
	out   strings.Builder
	words int
}

func (p *page) line(depth int, text string) {
	if text != "" {
		p.out.WriteString(strings.Repeat("  ", depth))
	}
	p.out.WriteString(text + "\n")
	p.words++
}

func (p *page) entries(depth int, entries []entry) {
	for _, e := range entries {
		if e.entries == nil {
			p.line(depth, e.key+": "+e.value)
		} else {
			p.line(depth, e.key+":")
			p.entries(depth+1, e.entries)
		}
		p.words += 3 + 2*e.words
	}
}

// comment writes a paragraph in lines of a bearable length.
func (p *page) comment(depth int, text string) {
	text = strings.NewReplacer(opening, "${", closing, "}").Replace(text)
	clean := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
	line := ""
	for _, word := range strings.Fields(clean) {
		if line != "" && 2*depth+len(line)+len(word) > 76 {
			p.line(depth, "# "+line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	p.line(depth, "# "+line)
}
