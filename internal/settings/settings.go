// Package settings decodes the small YAML files that people write: sessions, guards,
// suppressions, people of a local AWS. What does not fit is told by file, line and
// column, by the field's name and the names that are known there, and never by the
// names of Go's types.
//
// Start with [Decode], or [NewDecoder] for files of several documents. Declarations
// are read by package access, which knows more about them.
package settings

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/diag"
)

// Problem is one thing in a file that cannot be used.
type Problem struct {
	Pos  diag.Position
	What string
	Hint string // what to do; may be ""
}

// Error says where, what, and what to do.
func (p *Problem) Error() string {
	text := p.Pos.File
	if p.Pos.Line > 0 {
		text += ":" + strconv.Itoa(p.Pos.Line)
	}
	if p.Pos.Column > 0 {
		text += ":" + strconv.Itoa(p.Pos.Column)
	}
	text += ": " + p.What
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

// Problems is all that is wrong with a document, in the order of the file.
type Problems []Problem

// Error says them all, in one line.
func (p Problems) Error() string {
	var texts []string
	for i := range p {
		texts = append(texts, p[i].Error())
	}
	return strings.Join(texts, "; ")
}

// Decode reads the one document of a file into v, a pointer to a struct with yaml
// tags. An empty file leaves v as it is. The error is Problems.
func Decode(file string, text []byte, v any) error {
	d := NewDecoder(file, text)
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	more, err := d.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return d.malformed(err)
	}
	return Problems{{Pos: diag.Position{File: file, Line: more.Line}, What: "a second document begins here, want one"}}
}

// Decoder reads the documents of a file one after the other.
type Decoder struct {
	file string
	dec  *yaml.Decoder
}

// NewDecoder reads text; file is its name for people.
func NewDecoder(file string, text []byte) *Decoder {
	return &Decoder{file: file, dec: yaml.NewDecoder(bytes.NewReader(text))}
}

// Decode reads the next document into v; io.EOF when there is none. Any other error
// is Problems.
func (d *Decoder) Decode(v any) error {
	doc, err := d.next()
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return d.malformed(err)
	}
	w := &walk{file: d.file}
	w.value(doc, reflect.TypeOf(v))
	if len(w.problems) > 0 {
		return w.problems
	}
	if err := doc.Decode(v); err != nil {
		return d.malformed(err)
	}
	return nil
}

// next parses a document. The library panics on a few inputs that it did not
// foresee; that is malformed input to us.
func (d *Decoder) next() (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, fmt.Errorf("it is no YAML: %v", r)
		}
	}()
	doc = new(yaml.Node)
	return doc, d.dec.Decode(doc)
}

// malformed gives the library's complaints a place and plain words.
func (d *Decoder) malformed(err error) Problems {
	texts := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		texts = typed.Errors
	}
	var out Problems
	for _, text := range texts {
		p := Problem{Pos: diag.Position{File: d.file}, What: text}
		if rest, ok := strings.CutPrefix(text, "line "); ok {
			number, what, _ := strings.Cut(rest, ": ")
			if line, err := strconv.Atoi(number); err == nil {
				p.Pos.Line, p.What = line, what
			}
		}
		p.What = plain(p.What)
		out = append(out, p)
	}
	return out
}

// misfit is how the YAML library says that a scalar is of another type.
func misfit() *regexp.Regexp {
	return regexp.MustCompile("^cannot unmarshal !!\\w+ `(.*)` into (.*)$")
}

// plain says what a scalar should have been, without Go's types.
func plain(text string) string {
	parts := misfit().FindStringSubmatch(text)
	if parts == nil {
		return text
	}
	want := "is not what is wanted here"
	switch kind := strings.TrimLeft(parts[2], "*"); {
	case kind == "bool":
		want = "is neither true nor false"
	case kind == "time.Duration":
		want = "is no length of time, as 30m or 1h"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		want = "is no whole number"
	case strings.HasPrefix(kind, "float"):
		want = "is no number"
	}
	return fmt.Sprintf("%q %s", parts[1], want)
}

// maxNodes bounds what aliases may expand to.
const maxNodes = 100_000

// walk compares a document's shape with that of a type.
type walk struct {
	file     string
	problems Problems
	nodes    int
}

func (w *walk) fail(n *yaml.Node, hint, format string, args ...any) {
	w.problems = append(w.problems, Problem{
		Pos: diag.Position{File: w.file, Line: n.Line, Column: n.Column}, What: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// ownWay reports whether a type reads itself.
func ownWay(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	p := reflect.PointerTo(t)
	return t == reflect.TypeFor[yaml.Node]() || p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func (w *walk) value(n *yaml.Node, t reflect.Type) {
	w.nodes++
	if w.nodes > maxNodes {
		if w.nodes == maxNodes+1 {
			w.fail(n, "", "the file's aliases expand to too much")
		}
		return
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
		w.value(n.Content[0], t)
		return
	case n.Kind == yaml.AliasNode:
		w.value(n.Alias, t)
		return
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null", ownWay(t):
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		w.fields(n, t)
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			w.fail(n, "", "want a mapping, of names to values")
			return
		}
		for i := 1; i < len(n.Content); i += 2 {
			w.value(n.Content[i], t.Elem())
		}
	case reflect.Slice, reflect.Array:
		if n.Kind != yaml.SequenceNode {
			w.fail(n, "", "want a list, as [a, b]")
			return
		}
		for _, item := range n.Content {
			w.value(item, t.Elem())
		}
	case reflect.Interface:
	default:
		if n.Kind != yaml.ScalarNode {
			w.fail(n, "", "want one value, not a list or a mapping")
		}
	}
}

// fields compares a mapping with a struct.
func (w *walk) fields(n *yaml.Node, t reflect.Type) {
	known := map[string]reflect.Type{}
	collect(t, known)
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	if n.Kind != yaml.MappingNode {
		w.fail(n, "", "want a mapping with the fields %s", strings.Join(names, ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		field, ok := known[key.Value]
		switch {
		case ok:
			w.value(n.Content[i+1], field)
		case key.Tag != "!!merge":
			hint := "the fields here are " + strings.Join(names, ", ")
			if near := diag.DidYouMean(key.Value, names); near != "" {
				hint = near + " (" + hint + ")"
			}
			w.fail(key, hint, "unknown field %q", key.Value)
		}
	}
}

// collect gathers a struct's fields by their names in YAML.
func collect(t reflect.Type, known map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-":
		case strings.Contains(options, "inline"):
			collect(f.Type, known)
		case name == "":
			known[strings.ToLower(f.Name)] = f.Type
		default:
			known[name] = f.Type
		}
	}
}
