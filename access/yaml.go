package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/diag"
)

// maxNodes bounds what one document may expand to through aliases; our longest
// example has some 200 nodes.
const maxNodes = 100_000

// source is the text of one file.
type source struct {
	name  string // as the user knows it
	lines [][]byte
}

func newSource(name string, text []byte) *source {
	return &source{name: name, lines: bytes.Split(text, []byte("\n"))}
}

// line gives line n (from 1), empty past the end.
func (s *source) line(n int) []byte {
	if n < 1 || n > len(s.lines) {
		return nil
	}
	return s.lines[n-1]
}

// pos turns the parser's line and column, which counts characters, into a
// position, which counts bytes.
func (s *source) pos(line, column int) Pos {
	rest, offset := s.line(line), 0
	for range column - 1 {
		_, size := utf8.DecodeRune(rest)
		if size == 0 {
			size = 1 // past the end of what we call a line; YAML knows more line breaks
		} else {
			rest = rest[size:]
		}
		offset += size
	}
	return Pos{File: s.name, Line: line, Column: offset + 1}
}

// parse reads all documents of text. It gives the documents before the first
// mistake, and the mistake.
func (s *source) parse(text []byte) (docs []*yaml.Node, problem *diag.Diagnostic) {
	if at := invalidUTF8(text); at >= 0 {
		line := bytes.Count(text[:at], []byte("\n")) + 1
		column := at - bytes.LastIndexByte(text[:at], '\n')
		return nil, &diag.Diagnostic{
			Pos: Pos{File: s.name, Line: line, Column: column}, Code: CodeNotUTF8,
			Summary: "the file is not UTF-8 text", Hint: "save it as UTF-8",
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		doc, err := next(dec)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			d := s.malformed(err)
			return docs, &d
		}
		docs = append(docs, doc)
	}
}

// next reads one document. The parser panics on a few inputs it did not
// foresee; that is malformed input to us.
func next(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, err
	}
	return doc, nil
}

func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if (r == utf8.RuneError && size == 1) || r == 0 {
			return i
		}
		i += size
	}
	return -1
}

// malformed gives the parser's complaint a place. The parser tells a line only,
// counts it from 0 for what it calls parser errors, and leaves it out for the
// first line (go.yaml.in/yaml/v3, decode.go, parser.fail).
func (s *source) malformed(err error) diag.Diagnostic {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, message, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, message
			}
		}
	}
	if strings.HasPrefix(text, "did not find expected") {
		line++
	}
	if name, ok := strings.CutPrefix(text, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		line = max(1, 1+slices.IndexFunc(s.lines, func(l []byte) bool { return bytes.Contains(l, []byte("*"+name)) }))
	}
	line = min(line, max(1, len(s.lines)))
	content := s.line(line)
	indent := content[:len(content)-len(bytes.TrimLeft(content, " \t"))]
	if tab := bytes.IndexByte(indent, '\t'); tab >= 0 {
		return diag.Diagnostic{
			Pos: Pos{File: s.name, Line: line, Column: tab + 1}, Code: CodeTab,
			Summary: "a tab in the indentation", Detail: "YAML admits only spaces there", Hint: "replace the tab by spaces",
		}
	}
	return diag.Diagnostic{
		Pos: Pos{File: s.name, Line: line, Column: len(indent) + 1}, Code: CodeMalformed,
		Summary: "malformed YAML: " + text,
		Detail:  "the parser gave up in the block that begins here",
		Hint:    "check quotes, brackets and the indentation of this line and of those around it",
	}
}

// says is the text of a diagnostic.
type says struct{ what, why, hint string }

func (l *loader) fail(pos Pos, code string, s says) {
	l.diags.Add(diag.Diagnostic{Pos: pos, Severity: diag.Error, Code: code, Summary: s.what, Detail: s.why, Hint: s.hint})
}

func (l *loader) warn(pos Pos, code string, s says) {
	l.diags.Add(diag.Diagnostic{Pos: pos, Severity: diag.Warning, Code: code, Summary: s.what, Detail: s.why, Hint: s.hint})
}

func (l *loader) nodePos(n *yaml.Node) Pos { return l.src.pos(n.Line, n.Column) }

// deref follows an alias to the node it stands for and counts the visit; nil
// when the document has grown past all measure.
func (l *loader) deref(n *yaml.Node) *yaml.Node {
	l.nodes++
	if l.nodes > maxNodes {
		if l.nodes == maxNodes+1 {
			l.fail(l.nodePos(n), CodeTooManyNodes, says{
				what: fmt.Sprintf("the document expands to more than %d nodes", maxNodes),
				hint: "use fewer aliases, or split the document",
			})
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// field is one field of an object. A nil read marks a field of the design that
// this version does not support yet.
type field struct {
	name     string
	read     func(*yaml.Node)
	required bool
}

// object reads a mapping with exactly the given fields; what names the object
// in diagnostics ("Account spec"). It reports whether n is a mapping at all.
func (l *loader) object(n *yaml.Node, what string, fields ...field) bool {
	pos := l.nodePos(n)
	pairs, ok := l.pairs(n, what)
	if !ok {
		return false
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		seen[p.key] = true
		seen[l.readField(p, what, fields)] = true
	}
	for _, f := range fields {
		if f.required && !seen[f.name] && l.nodes <= maxNodes {
			l.fail(pos, CodeMissingField, says{what: fmt.Sprintf("%s has no field %q", what, f.name)})
		}
	}
	return true
}

// readField reads one field. Of an unknown one it gives the name that was
// probably meant, so that this is not reported missing as well.
func (l *loader) readField(p pair, what string, fields []field) (meant string) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == p.key })
	if i < 0 {
		var names []string
		for _, f := range fields {
			if f.read != nil {
				names = append(names, f.name)
			}
		}
		hint := diag.DidYouMean(p.key, names)
		if p.key == "<<" {
			hint = "merge keys are not supported; write an alias for the whole value instead"
		}
		l.fail(p.pos, CodeUnknownField, says{
			what: fmt.Sprintf("unknown field %q in %s", p.key, what),
			why:  "fields: " + strings.Join(names, ", "), hint: hint,
		})
		return diag.Suggest(p.key, names)
	}
	switch {
	case fields[i].read == nil:
		l.notSupported(p.pos, fmt.Sprintf("%q in %s", p.key, what))
	case isNull(p.value):
		l.fail(p.pos, CodeEmpty, says{what: fmt.Sprintf("%q in %s has no value", p.key, what), hint: "give it a value, or leave the field out"})
	default:
		fields[i].read(p.value)
	}
	return ""
}

func (l *loader) notSupported(pos Pos, what string) {
	l.fail(pos, CodeNotSupported, says{what: what + " is not supported yet by this version"})
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// pair is one entry of a mapping; value is never an alias.
type pair struct {
	key   string
	pos   Pos // of the key
	value *yaml.Node
}

// pairs reads the entries of a mapping, without those whose key is not a
// string or comes twice, which it reports.
func (l *loader) pairs(n *yaml.Node, what string) ([]pair, bool) {
	n = l.deref(n)
	if n == nil || n.Kind != yaml.MappingNode {
		if n != nil {
			l.wrongType(n, what, "an object (name: value)")
		}
		return nil, false
	}
	var out []pair
	first := map[string]Pos{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := l.deref(n.Content[i]), l.deref(n.Content[i+1])
		if key == nil || value == nil {
			return out, true
		}
		p := pair{key: key.Value, pos: l.nodePos(n.Content[i]), value: value}
		if key.Kind != yaml.ScalarNode {
			l.wrongType(key, "a field's name in "+what, "a string")
			continue
		}
		if before, twice := first[p.key]; twice {
			l.fail(p.pos, CodeDuplicateField, says{
				what: fmt.Sprintf("%q comes twice in %s", p.key, what), why: fmt.Sprintf("first on line %d", before.Line),
			})
			continue
		}
		first[p.key] = p.pos
		out = append(out, p)
	}
	return out, true
}

// items reads the elements of a list that must not be empty; none is an alias.
func (l *loader) items(n *yaml.Node, what string) []*yaml.Node {
	n = l.deref(n)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		l.wrongType(n, what, "a list")
		return nil
	}
	if len(n.Content) == 0 {
		l.fail(l.nodePos(n), CodeEmpty, says{what: what + " is empty"})
		return nil
	}
	var out []*yaml.Node
	for _, c := range n.Content {
		if c = l.deref(c); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// wrongType reports a node of another kind than wanted.
func (l *loader) wrongType(n *yaml.Node, what, want string) {
	s := says{what: fmt.Sprintf("%s is %s; want %s", what, describe(n), want)}
	switch {
	case n.Kind == yaml.ScalarNode && want == "a string":
		s.hint = fmt.Sprintf("write it in quotes: %q", n.Value)
	case n.Kind == yaml.ScalarNode && want == "a list":
		s.hint = fmt.Sprintf("write [%s]", n.Value)
	}
	l.fail(l.nodePos(n), CodeWrongType, s)
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!null":
		return "empty"
	case "!!timestamp":
		return "a date"
	case "!!str":
		return "a string"
	}
	return "of type " + n.Tag
}

// text reads a string that must not be empty.
func (l *loader) text(n *yaml.Node, what string) (string, bool) {
	n = l.deref(n)
	if n == nil {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		l.wrongType(n, what, "a string")
		return "", false
	}
	if n.Value == "" {
		l.fail(l.nodePos(n), CodeEmpty, says{what: what + " is empty"})
		return "", false
	}
	return n.Value, true
}

// str reads a string into dst and remembers where it was written.
func (l *loader) str(dst *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if s, ok := l.text(n, what); ok {
			*dst = s
			l.at[dst] = l.nodePos(n)
		}
	}
}

// enum reads one of values into dst.
func enum[T ~string](l *loader, dst *T, what string, values ...T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := l.text(n, what)
		if !ok {
			return
		}
		if slices.Contains(values, T(s)) {
			*dst = T(s)
			l.at[dst] = l.nodePos(n)
			return
		}
		var known []string
		for _, v := range values {
			known = append(known, string(v))
		}
		l.fail(l.nodePos(n), CodeBadValue, says{
			what: fmt.Sprintf("%s is %q", what, s), why: "values: " + strings.Join(known, ", "), hint: diag.DidYouMean(s, known),
		})
	}
}

func (l *loader) boolean(dst *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			l.wrongType(n, what, "true or false")
			return
		}
		*dst = strings.EqualFold(n.Value, "true")
		l.at[dst] = l.nodePos(n)
	}
}

// strings reads a list of strings, each once, into dst and remembers where
// each was written, by the address of its element.
func (l *loader) strings(dst *[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var list []string
		var places []Pos
		for _, item := range l.items(n, what) {
			s, ok := l.text(item, "an element of "+what)
			if !ok {
				continue
			}
			if slices.Contains(list, s) {
				l.fail(l.nodePos(item), CodeDuplicateItem, says{what: fmt.Sprintf("%q comes twice in %s", s, what)})
				continue
			}
			list, places = append(list, s), append(places, l.nodePos(item))
		}
		*dst = list
		l.at[dst] = l.nodePos(n)
		for i := range list {
			l.at[&list[i]] = places[i]
		}
	}
}

// entry addresses one key of a map for loader.at.
type entry struct {
	of  *map[string]string
	key string
}

// stringMap reads an object of strings into dst; values may be empty.
func (l *loader) stringMap(dst *map[string]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		pairs, ok := l.pairs(n, what)
		if !ok {
			return
		}
		if len(pairs) == 0 {
			l.fail(l.nodePos(n), CodeEmpty, says{what: what + " is empty"})
			return
		}
		m := map[string]string{}
		for _, p := range pairs {
			if p.value.Kind != yaml.ScalarNode || p.value.Tag != "!!str" {
				l.wrongType(p.value, fmt.Sprintf("%q in %s", p.key, what), "a string")
				continue
			}
			m[p.key] = p.value.Value
			l.at[entry{dst, p.key}] = p.pos
		}
		*dst = m
		l.at[dst] = l.nodePos(n)
	}
}

// posOf is where the field or element at address ptr was written, fallback
// when it was not written.
func (l *loader) posOf(ptr any, fallback Pos) Pos {
	if p, ok := l.at[ptr]; ok {
		return p
	}
	return fallback
}
