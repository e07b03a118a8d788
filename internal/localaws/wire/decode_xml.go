package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
)

// element is an XML element without its namespace.
type element struct {
	name       string
	attributes []xml.Attr
	children   []*element
	text       []byte
}

// named returns the children of that name.
func (e *element) named(name string) []*element {
	var out []*element
	for _, child := range e.children {
		if child.name == name {
			out = append(out, child)
		}
	}
	return out
}

// parseXML parses a document. Directives, and with them entities and external
// references, are refused.
func parseXML(body []byte) (*element, error) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	root := &element{}
	stack := []*element{root}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			if len(stack) > maxDepth {
				return nil, errors.New("nested too deeply")
			}
			child := &element{name: token.Name.Local, attributes: token.Copy().Attr}
			top.children = append(top.children, child)
			stack = append(stack, child)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text = append(top.text, token...)
		case xml.Directive:
			return nil, errors.New("directives are not accepted")
		}
	}
	if len(root.children) != 1 {
		return nil, errors.New("not exactly one root element")
	}
	return root.children[0], nil
}

func (m *Model) decodeXMLBody(s *shape, body []byte, v reflect.Value) *Error {
	root, err := parseXML(body)
	if err != nil {
		return m.malformed("The XML you provided was not well-formed or did not validate against our published schema")
	}
	return m.xmlStructure(s, root, v)
}

func (m *Model) xmlStructure(s *shape, el *element, v reflect.Value) *Error {
	v = target(v)
	b, err := m.bind(s, v.Type())
	if err != nil {
		return m.NewError("InternalFailure", "%v", err)
	}
	union := v.Kind() == reflect.Interface
	for i := range b.fields {
		f := &b.fields[i]
		if f.location != "" {
			continue
		}
		found := el.member(f.member)
		if len(found) == 0 {
			continue
		}
		slot := v
		if union {
			slot = reflect.New(f.concrete)
			v.Set(slot)
			slot = slot.Elem()
		}
		if e := m.xmlValue(f.member, found, slot.Field(f.index)); e != nil {
			return e
		}
	}
	return nil
}

// member returns the elements, or the attribute as one, that hold a member.
func (e *element) member(mb *member) []*element {
	if mb.attribute {
		local := mb.wire[strings.LastIndexByte(mb.wire, 0x3a)+1:]
		for _, attribute := range e.attributes {
			if attribute.Name.Local == local || attribute.Name.Local == mb.wire {
				return []*element{{text: []byte(attribute.Value)}}
			}
		}
		return nil
	}
	return e.named(flatName(mb))
}

// flatName is the name of a member's element: a flattened list is named by its
// elements where they have a name.
func flatName(mb *member) string {
	if mb.flattened && mb.shape.kind == kindList && mb.shape.element.locationName != "" {
		return mb.shape.element.locationName
	}
	return mb.wire
}

func (m *Model) xmlValue(mb *member, found []*element, v reflect.Value) *Error {
	switch mb.shape.kind {
	case kindStructure:
		return m.xmlStructure(mb.shape, found[0], v)
	case kindList:
		if !mb.flattened {
			found = found[0].named(mb.shape.element.wire)
		}
		return m.xmlList(mb.shape, found, v)
	case kindMap:
		if !mb.flattened {
			found = found[0].named("entry")
		}
		return m.xmlMap(mb.shape, found, v)
	}
	return m.setText(mb, string(found[0].text), v)
}

func (m *Model) xmlList(s *shape, items []*element, v reflect.Value) *Error {
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if e := m.xmlValue(s.element, []*element{item}, out.Index(i)); e != nil {
			return e
		}
	}
	v.Set(out)
	return nil
}

func (m *Model) xmlMap(s *shape, entries []*element, v reflect.Value) *Error {
	out := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, entry := range entries {
		keys, values := entry.named(s.key.wire), entry.named(s.value.wire)
		if len(keys) == 0 || len(values) == 0 {
			return m.malformed("An entry of a map has no key or no value")
		}
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if e := m.xmlValue(s.key, keys, key); e != nil {
			return e
		}
		if e := m.xmlValue(s.value, values, value); e != nil {
			return e
		}
		out.SetMapIndex(key, value)
	}
	v.Set(out)
	return nil
}
