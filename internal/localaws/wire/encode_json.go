package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// jsonMembers appends the members of a structure without the braces.
func (m *Model) jsonMembers(b []byte, s *shape, v reflect.Value) ([]byte, error) {
	start := len(b)
	err := m.members(s, v, func(mb *member, v reflect.Value) error {
		if mb.location != "" {
			return nil
		}
		v, ok := present(v)
		empty := !ok && mb.required && mb.shape.kind == kindList
		if !ok && !empty {
			return nil
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = appendJSONString(b, mb.wire)
		b = append(b, ':')
		if empty {
			b = append(b, '[', ']')
			return nil
		}
		var err error
		b, err = m.jsonValue(b, mb, v)
		return err
	})
	return b, err
}

func (m *Model) jsonValue(b []byte, mb *member, v reflect.Value) ([]byte, error) {
	v, ok := indirect(v)
	if !ok {
		return append(b, "null"...), nil
	}
	var err error
	switch mb.shape.kind {
	case kindStructure:
		b = append(b, '{')
		b, err = m.jsonMembers(b, mb.shape, v)
		return append(b, '}'), err
	case kindList:
		return m.jsonList(b, mb, v)
	case kindMap:
		return m.jsonMap(b, mb, v)
	}
	return jsonScalar(b, mb, v)
}

func (m *Model) jsonList(b []byte, mb *member, v reflect.Value) ([]byte, error) {
	if v.Kind() != reflect.Slice {
		return b, fmt.Errorf("member %s: a %s is no list", mb.name, v.Type())
	}
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = m.jsonValue(b, mb.shape.element, v.Index(i)); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func (m *Model) jsonMap(b []byte, mb *member, v reflect.Value) ([]byte, error) {
	if v.Kind() != reflect.Map {
		return b, fmt.Errorf("member %s: a %s is no map", mb.name, v.Type())
	}
	b = append(b, '{')
	for i, key := range sortedKeys(v) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, key.String())
		b = append(b, ':')
		var err error
		if b, err = m.jsonValue(b, mb.shape.value, v.MapIndex(key)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func jsonScalar(b []byte, mb *member, v reflect.Value) ([]byte, error) {
	text, err := scalarText(mb, v, formatUnix)
	if err != nil {
		return b, err
	}
	quoted := true
	switch mb.shape.kind {
	case kindBoolean, kindInteger:
		quoted = false
	case kindFloat:
		quoted = text == "NaN" || text == "Infinity" || text == "-Infinity"
	case kindTimestamp:
		_, isTime := v.Interface().(time.Time)
		quoted = !isTime || mb.timestampFormat != "" && mb.timestampFormat != formatUnix
	}
	if quoted {
		return appendJSONString(b, text), nil
	}
	return append(b, text...), nil
}

// appendJSONString appends s quoted. Text without anything to escape, which is
// nearly all, is copied.
func appendJSONString(b []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return append(b, `""`...)
	}
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}
