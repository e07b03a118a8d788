package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
)

func (m *Model) decodeJSONBody(s *shape, body []byte, v reflect.Value) *Error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var doc any
	if err := decoder.Decode(&doc); err != nil || decoder.More() {
		return m.malformed("The request body is not valid JSON")
	}
	d := jsonDecoder{model: m}
	return d.structure(s, doc, v, 0)
}

// jsonDecoder walks a parsed document and the model together.
type jsonDecoder struct {
	model *Model
}

func (d *jsonDecoder) value(mb *member, doc any, v reflect.Value, depth int) *Error {
	if doc == nil {
		return nil
	}
	if depth > maxDepth {
		return d.model.malformed("The request body is nested too deeply")
	}
	switch mb.shape.kind {
	case kindStructure:
		return d.structure(mb.shape, doc, v, depth)
	case kindList:
		return d.list(mb.shape, doc, v, depth)
	case kindMap:
		return d.mapping(mb.shape, doc, v, depth)
	}
	return d.scalar(mb, doc, target(v))
}

func (d *jsonDecoder) structure(s *shape, doc any, v reflect.Value, depth int) *Error {
	object, ok := doc.(map[string]any)
	if !ok {
		return d.model.malformed("%s found where a structure was expected", jsonName(doc))
	}
	v = target(v)
	b, err := d.model.bind(s, v.Type())
	if err != nil {
		return d.model.NewError("InternalFailure", "%v", err)
	}
	if v.Kind() == reflect.Interface {
		return d.union(b, object, v, depth)
	}
	if len(object) < len(b.fields) { // inputs are sparse: look up what was sent
		for name, child := range object {
			f := b.byWire[name]
			if f == nil || f.location != "" {
				continue
			}
			if e := d.value(f.member, child, v.Field(f.index), depth+1); e != nil {
				return e
			}
		}
		return nil
	}
	for i := range b.fields {
		f := &b.fields[i]
		child, ok := object[f.wire]
		if !ok || f.location != "" {
			continue
		}
		if e := d.value(f.member, child, v.Field(f.index), depth+1); e != nil {
			return e
		}
	}
	return nil
}

// union sets the one member that was sent. The texts are DynamoDB's for
// AttributeValue.
func (d *jsonDecoder) union(b *binding, object map[string]any, v reflect.Value, depth int) *Error {
	var chosen *field
	for name, child := range object {
		f := b.byWire[name]
		if f == nil || child == nil {
			continue
		}
		if chosen != nil {
			return d.model.NewError("ValidationException",
				"Supplied %s has more than one datatypes set, must contain exactly one of the supported datatypes", v.Type().Name())
		}
		chosen = f
	}
	if chosen == nil {
		return d.model.NewError("ValidationException",
			"Supplied %s is empty, must contain exactly one of the supported datatypes", v.Type().Name())
	}
	concrete := reflect.New(chosen.concrete)
	if e := d.value(chosen.member, object[chosen.wire], concrete.Elem().Field(chosen.index), depth+1); e != nil {
		return e
	}
	v.Set(concrete)
	return nil
}

func (d *jsonDecoder) list(s *shape, doc any, v reflect.Value, depth int) *Error {
	items, ok := doc.([]any)
	if !ok {
		return d.model.malformed("%s found where a list was expected", jsonName(doc))
	}
	out := reflect.MakeSlice(v.Type(), 0, len(items))
	for _, item := range items {
		if item == nil {
			continue // AWS's lists are dense: null is no element
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		if e := d.value(s.element, item, elem, depth+1); e != nil {
			return e
		}
		out = reflect.Append(out, elem)
	}
	v.Set(out)
	return nil
}

func (d *jsonDecoder) mapping(s *shape, doc any, v reflect.Value, depth int) *Error {
	object, ok := doc.(map[string]any)
	if !ok {
		return d.model.malformed("%s found where a map was expected", jsonName(doc))
	}
	out := reflect.MakeMapWithSize(v.Type(), len(object))
	for name, child := range object {
		if child == nil {
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		if e := d.value(s.value, child, elem, depth+1); e != nil {
			return e
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), elem)
	}
	v.Set(out)
	return nil
}

func (d *jsonDecoder) scalar(mb *member, doc any, v reflect.Value) *Error {
	text, isText := doc.(string)
	number, isNumber := doc.(json.Number)
	switch mb.shape.kind {
	case kindString:
		if isText {
			return d.model.setString(text, v)
		}
	case kindBoolean:
		if b, ok := doc.(bool); ok {
			v.SetBool(b)
			return nil
		}
	case kindInteger:
		if n, ok := integer(number); isNumber && ok && !v.OverflowInt(n) {
			v.SetInt(n)
			return nil
		}
	case kindFloat:
		// NaN and Infinity are strings in AWS's JSON.
		if n, err := strconv.ParseFloat(string(number)+text, 64); err == nil {
			v.SetFloat(n)
			return nil
		}
	case kindBlob:
		if data, err := base64.StdEncoding.DecodeString(text); isText && err == nil {
			v.SetBytes(data)
			return nil
		}
	case kindTimestamp:
		if t, ok := parseTime(string(number) + text); ok {
			v.Set(reflect.ValueOf(t))
			return nil
		}
	}
	return d.model.malformed("%s can not be converted to %s", jsonName(doc), kindName(mb.shape.kind))
}

// integer reads a JSON number that is whole, 1.0 and 1e3 included.
func integer(number json.Number) (int64, bool) {
	if n, err := number.Int64(); err == nil {
		return n, true
	}
	f, err := number.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

// jsonName is AWS's name of what was found, as its messages have it.
func jsonName(doc any) string {
	switch doc := doc.(type) {
	case string:
		return "STRING_VALUE"
	case json.Number:
		return "NUMBER_VALUE"
	case bool:
		if doc {
			return "TRUE_VALUE"
		}
		return "FALSE_VALUE"
	case []any:
		return "Start of list"
	case map[string]any:
		return "Start of structure or map"
	}
	return "NULL_VALUE"
}

func kindName(k kind) string {
	switch k {
	case kindString:
		return "a String"
	case kindBoolean:
		return "a Boolean"
	case kindInteger:
		return "an Integer"
	case kindFloat:
		return "a Double"
	case kindBlob:
		return "a Blob"
	case kindTimestamp:
		return "a Timestamp"
	case kindList:
		return "a List"
	case kindMap:
		return "a Map"
	case kindStructure:
		return "a Structure"
	}
	return "a value"
}
