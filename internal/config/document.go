package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	yaml "github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A file is bounded, so that a slip of the hand or of a template costs neither
// the memory of the container nor the time of its start. The parser takes time
// that grows with the square of depth and of the length of a mapping.
const (
	longestFile = 1 << 20 // bytes
	mostTokens  = 50_000
	deepest     = 64
	mostNodes   = 100_000 // with every alias written out
)

// A node is one value of the file, aliases and merge keys written out and
// variables replaced.
type node struct {
	kind         kind
	text         string // of a scalar
	line, column int
	path         string   // as in services.web.command
	entries      []*entry // of a mapping, in the file's order
	items        []*node  // of a list
}

// An entry is a key of a mapping and its value.
type entry struct {
	name         string
	line, column int
	value        *node
	merged       bool // by a merge key, which an explicit one overrides
}

type kind uint8

const (
	absent kind = iota // nothing is written, or null
	scalar
	sequence
	mapping
	broken // what is wrong with it has been told
)

func (k kind) String() string {
	return [...]string{"nothing", "a single value", "a list", "a mapping", "something broken"}[k]
}

// at is the value of a key of a mapping, or the mapping where there is none:
// what an error about that key points at.
func (n *node) at(name string) *node {
	for _, e := range n.entries {
		if e.name == name {
			return e.value
		}
	}
	return n
}

// A mishap is the parser's error, whose type is internal to it.
type mishap interface {
	GetToken() *token.Token
	GetMessage() string
}

// parse reads the text of a file into its nodes; nil is an empty one. What is
// wrong with a value, as opposed to the text as a whole, is told to the reader.
func parse(r *reader, text string) (root *node, err error) {
	defer func() {
		// The parser has been known to panic on text that is no YAML.
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("%s: cannot read it as YAML: %v", r.name, p)
		}
	}()
	if err := whole(r.name, text); err != nil {
		return nil, err
	}
	tokens := wordsWhole(lexer.Tokenize(strings.TrimPrefix(text, "\ufeff")))
	if t := tokens.InvalidToken(); t != nil {
		return nil, r.mistake(t, t.Error)
	}
	if t := tooMuch(tokens); t != nil {
		return nil, r.mistake(t, fmt.Sprintf("more than %d levels or %d words of YAML", deepest, mostTokens))
	}
	for _, t := range tokens {
		if why := misread(t); why != "" {
			return nil, r.mistake(t, why)
		}
	}
	file, err := yaml.Parse(tokens, 0, yaml.AllowDuplicateMapKey())
	if err != nil {
		var m mishap
		if errors.As(err, &m) {
			return nil, r.mistake(m.GetToken(), m.GetMessage())
		}
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	b := builder{reader: r, anchors: map[string]ast.Node{}}
	for _, document := range file.Docs {
		switch body := document.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode:
		default:
			if root != nil {
				return nil, r.mistake(body.GetToken(), "a second document: one file is one")
			}
			root = b.build(body, "")
		}
	}
	if root != nil && root.kind == absent {
		root = nil
	}
	return root, nil
}

// whole checks what the parser takes for granted.
func whole(name, text string) error {
	if len(text) > longestFile {
		return fmt.Errorf("%s: more than %d KiB", name, longestFile>>10)
	}
	for line, rest := 1, text; rest != ""; line++ {
		var this string
		this, rest, _ = strings.Cut(rest, "\n")
		if !utf8.ValidString(this) || strings.Contains(this, "\x00") {
			return fmt.Errorf("%s:%d: this line is not text in UTF-8", name, line)
		}
	}
	return nil
}

// mistake is an error of the text as a whole.
func (r *reader) mistake(t *token.Token, message string) error {
	if t == nil || t.Position == nil {
		return fmt.Errorf("%s: %s", r.name, message)
	}
	return fmt.Errorf("%s:%d:%d: %s", r.name, t.Position.Line, t.Position.Column, message)
}

// tooMuch is the first token beyond what the parser may be given.
func tooMuch(tokens token.Tokens) *token.Token {
	var open []int // columns of the block collections that we are in
	flow := 0      // depth of [ and {
	for i, t := range tokens {
		begins := 0 // a block collection at this column
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			begins = t.Position.Column
		case token.MappingValueType:
			begins = tokens[max(i-1, 0)].Position.Column // its key's
		}
		if begins > 0 && flow == 0 {
			for len(open) > 0 && open[len(open)-1] >= begins {
				open = open[:len(open)-1]
			}
			open = append(open, begins)
		}
		if i >= mostTokens || len(open)+flow > deepest {
			return t
		}
	}
	return nil
}

// wordsWhole puts plain words together that the lexer takes for a key and its value:
// between brackets as well a colon ends a key only where a space or a bracket
// follows (YAML 1.2.2, section 7.3.3), so that [curl, http://a:80/] is two words.
func wordsWhole(tokens token.Tokens) token.Tokens {
	out := tokens[:0:0]
	flow, depth := 0, map[token.Type]int{
		token.SequenceStartType: 1, token.MappingStartType: 1, token.SequenceEndType: -1, token.MappingEndType: -1,
	}
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		flow += depth[t.Type]
		if n := len(out); flow > 0 && n > 0 && i+1 < len(tokens) && t.Type == token.MappingValueType &&
			bare(out[n-1]) && bare(tokens[i+1]) && touch(t, tokens[i+1]) {
			word := *out[n-1]
			word.Value, word.Origin = word.Value+":"+tokens[i+1].Value, word.Origin+":"+tokens[i+1].Origin
			word.Type, word.CharacterType = token.StringType, token.CharacterTypeMiscellaneous
			out[n-1] = &word
			i++
			continue
		}
		out = append(out, t)
	}
	for i, t := range out {
		t.Prev, t.Next = nil, nil
		if i > 0 {
			t.Prev, out[i-1].Next = out[i-1], t
		}
	}
	return out
}

// bare reports whether a token is a word without quotes.
func bare(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.IntegerType, token.FloatType, token.BoolType, token.NullType,
		token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType:
		return true
	}
	return false
}

// touch reports whether b follows the colon a without a space.
func touch(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+1 == b.Position.Column
}

// misread says what the parser is known to take for something else: it drops
// tabs between plain words, and takes what follows an empty "?" for its value.
func misread(t *token.Token) string {
	switch {
	case t.Type == token.MappingKeyType:
		return "a key is written without ?"
	case t.Type == token.StringType && !strings.Contains(t.Value, "\t"):
		for line := range strings.Lines(t.Origin) {
			if strings.Contains(strings.TrimSpace(line), "\t") {
				return "a tab between words: put quotes around them"
			}
		}
	}
	return ""
}

// A builder makes nodes of the parser's.
type builder struct {
	*reader
	anchors map[string]ast.Node
	nodes   int
}

// build makes the node at a path.
func (b *builder) build(from ast.Node, path string) *node {
	n := &node{path: path}
	if from == nil {
		return n
	}
	if at := from.GetToken(); at != nil && at.Position != nil {
		n.line, n.column = at.Position.Line, at.Position.Column
	}
	if b.nodes++; b.nodes > mostNodes {
		if b.nodes == mostNodes+1 {
			b.wrong(n, "the aliases of this file stand for too much")
		}
		n.kind = broken
		return n
	}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.MappingNode:
		b.mapping(n, v.Values, v.IsFlowStyle)
	case *ast.MappingValueNode:
		b.mapping(n, []*ast.MappingValueNode{v}, false)
	case *ast.SequenceNode:
		n.kind = sequence
		for i, item := range v.Values {
			n.items = append(n.items, b.build(item, fmt.Sprintf("%s[%d]", path, i)))
		}
	case *ast.AnchorNode:
		n = b.build(v.Value, path)
		b.anchors[v.Name.GetToken().Value] = v.Value // from here on: an alias within itself has no end
	case *ast.AliasNode:
		meant := b.anchors[v.Value.GetToken().Value]
		if meant == nil {
			b.wrong(n, "no &%[1]s before this *%[1]s", v.Value.GetToken().Value)
			n.kind = broken
			break
		}
		n = b.build(meant, path)
	case *ast.TagNode:
		if tag := v.GetToken().Value; !slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!map", "!!seq"}, tag) {
			b.wrong(n, "the tag %s means nothing here", tag)
			n.kind = broken
			break
		}
		if v.Value != nil {
			n = b.build(v.Value, path)
		}
	default:
		n.kind, n.text = scalar, plain(from)
		b.interpolate(n)
	}
	return n
}

// plain is a scalar's text; a number's or a boolean's is as it was written.
func plain(n ast.Node) string {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return v.Value.Value
	}
	return strings.TrimSpace(n.GetToken().Value)
}

// mapping fills a mapping from the parser's entries.
func (b *builder) mapping(n *node, from []*ast.MappingValueNode, flow bool) {
	n.kind = mapping
	for i, v := range from {
		at := v.Key.GetToken().Position
		if i == 0 && !flow { // else it is that of the brace
			n.line, n.column = at.Line, at.Column
		}
		var key ast.Node = v.Key
		switch k := key.(type) {
		case *ast.MergeKeyNode:
			b.merge(n, v.Value)
			continue
		case *ast.MappingNode, *ast.SequenceNode, *ast.AliasNode, *ast.AnchorNode, *ast.LiteralNode, *ast.TagNode:
			b.wrong(&node{path: n.path, line: at.Line, column: at.Column}, "a key is a plain word, not %s", k.Type())
			continue
		}
		name := plain(v.Key)
		e := &entry{name: name, line: at.Line, column: at.Column, value: b.build(v.Value, join(n.path, name))}
		if v.Value == nil {
			e.value.line, e.value.column = at.Line, at.Column
		}
		b.add(n, e)
	}
}

// add puts an entry into a mapping. One that is written there goes before one
// that is merged in, and the one merged first before the next.
func (b *builder) add(n *node, e *entry) {
	i := slices.IndexFunc(n.entries, func(known *entry) bool { return known.name == e.name })
	switch {
	case i < 0:
		n.entries = append(n.entries, e)
	case e.merged:
	case n.entries[i].merged:
		n.entries[i] = e
	default:
		b.wrong(e.key(), "is there already, in line %d", n.entries[i].line)
	}
}

// merge takes the value of a merge key: a mapping, or a list of them.
func (b *builder) merge(n *node, from ast.Node) {
	values := []ast.Node{from}
	if several, ok := from.(*ast.SequenceNode); ok {
		values = several.Values
	}
	for _, value := range values {
		v := b.build(value, n.path)
		if v.kind != mapping {
			b.wrong(v, "<< wants a mapping, or a list of them, not %v", v.kind)
		}
		for _, e := range v.entries {
			e.merged = true
			b.add(n, e)
		}
	}
}

// join is the path of a key.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
