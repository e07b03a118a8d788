package wire

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
)

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// encodeQuery writes OpResponse with OpResult, where the operation has one, and
// ResponseMetadata.
func (m *Model) encodeQuery(op *Operation, requestID string, v reflect.Value, a *answer) error {
	var b bytes.Buffer
	b.WriteByte('<')
	b.WriteString(op.Name)
	b.WriteString("Response")
	if m.namespace != "" {
		writeAttribute(&b, "xmlns", m.namespace)
	}
	b.WriteByte('>')
	if op.output != nil {
		if op.resultWrapper != "" {
			b.WriteString("<" + op.resultWrapper + ">")
		}
		if err := m.xmlMembers(&b, op.output, v); err != nil {
			return err
		}
		if op.resultWrapper != "" {
			b.WriteString("</" + op.resultWrapper + ">")
		}
	}
	b.WriteString("<ResponseMetadata>")
	writeElement(&b, "RequestId", requestID)
	b.WriteString("</ResponseMetadata></" + op.Name + "Response>")
	a.body = b.Bytes()
	return nil
}

// xmlDocument writes a structure as a whole document.
func (m *Model) xmlDocument(s *shape, name string, v reflect.Value) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xmlHeader)
	mb := &member{name: name, wire: name, shape: s, namespace: s.namespace}
	if mb.namespace == nil && m.namespace != "" {
		mb.namespace = &namespaceFile{URI: m.namespace}
	}
	err := m.xmlElement(&b, mb, name, v)
	return b.Bytes(), err
}

// xmlMembers writes the elements of a structure's members.
func (m *Model) xmlMembers(b *bytes.Buffer, s *shape, v reflect.Value) error {
	return m.members(s, v, func(mb *member, v reflect.Value) error {
		if mb.location != "" || mb.attribute {
			return nil
		}
		v, ok := present(v)
		if !ok {
			if mb.required && mb.shape.kind == kindList && !mb.flattened {
				writeElement(b, mb.wire, "")
			}
			return nil
		}
		return m.xmlMember(b, mb, v)
	})
}

func (m *Model) xmlMember(b *bytes.Buffer, mb *member, v reflect.Value) error {
	switch {
	case mb.shape.kind == kindList:
		return m.xmlListElements(b, mb, v)
	case mb.shape.kind == kindMap:
		return m.xmlMapElements(b, mb, v)
	}
	return m.xmlElement(b, mb, mb.wire, v)
}

// xmlElement writes one element: a structure with its attributes, or a scalar.
func (m *Model) xmlElement(b *bytes.Buffer, mb *member, name string, v reflect.Value) error {
	v, ok := indirect(v)
	if !ok {
		return nil
	}
	if mb.shape.kind == kindList || mb.shape.kind == kindMap {
		inner := *mb
		inner.wire = name
		return m.xmlMember(b, &inner, v)
	}
	if mb.shape.kind != kindStructure {
		text, err := scalarText(mb, v, formatISO)
		if err != nil {
			return err
		}
		writeElement(b, name, text)
		return nil
	}
	b.WriteByte('<')
	b.WriteString(name)
	if ns := mb.namespace; ns != nil {
		attribute := "xmlns"
		if ns.Prefix != "" {
			attribute += ":" + ns.Prefix
		}
		writeAttribute(b, attribute, ns.URI)
	}
	if err := m.xmlAttributes(b, mb.shape, v); err != nil {
		return err
	}
	b.WriteByte('>')
	if err := m.xmlMembers(b, mb.shape, v); err != nil {
		return err
	}
	b.WriteString("</" + name + ">")
	return nil
}

func (m *Model) xmlAttributes(b *bytes.Buffer, s *shape, v reflect.Value) error {
	return m.members(s, v, func(mb *member, v reflect.Value) error {
		v, ok := present(v)
		if !mb.attribute || !ok {
			return nil
		}
		text, err := scalarText(mb, v, formatISO)
		if err != nil {
			return err
		}
		writeAttribute(b, mb.wire, text)
		return nil
	})
}

func (m *Model) xmlListElements(b *bytes.Buffer, mb *member, v reflect.Value) error {
	if v.Kind() != reflect.Slice {
		return fmt.Errorf("member %s: a %s is no list", mb.name, v.Type())
	}
	name := flatName(mb)
	if !mb.flattened {
		name = mb.shape.element.wire
		b.WriteString("<" + mb.wire + ">")
	}
	for i := range v.Len() {
		if err := m.xmlElement(b, mb.shape.element, name, v.Index(i)); err != nil {
			return err
		}
	}
	if !mb.flattened {
		b.WriteString("</" + mb.wire + ">")
	}
	return nil
}

func (m *Model) xmlMapElements(b *bytes.Buffer, mb *member, v reflect.Value) error {
	if v.Kind() != reflect.Map {
		return fmt.Errorf("member %s: a %s is no map", mb.name, v.Type())
	}
	entry := mb.wire
	if !mb.flattened {
		entry = "entry"
		b.WriteString("<" + mb.wire + ">")
	}
	for _, key := range sortedKeys(v) {
		b.WriteString("<" + entry + ">")
		if err := m.xmlElement(b, mb.shape.key, mb.shape.key.wire, key); err != nil {
			return err
		}
		if err := m.xmlElement(b, mb.shape.value, mb.shape.value.wire, v.MapIndex(key)); err != nil {
			return err
		}
		b.WriteString("</" + entry + ">")
	}
	if !mb.flattened {
		b.WriteString("</" + mb.wire + ">")
	}
	return nil
}

func writeElement(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	escape(b, text)
	b.WriteString("</" + name + ">")
}

func writeAttribute(b *bytes.Buffer, name, text string) {
	b.WriteString(" " + name + `="`)
	escape(b, text)
	b.WriteByte('"')
}

// escape writes text for an element or an attribute; characters that XML cannot
// hold become U+FFFD. A bytes.Buffer does not fail.
func escape(b *bytes.Buffer, text string) {
	_ = xml.EscapeText(b, []byte(text))
}
