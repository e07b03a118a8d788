package wire

import (
	"bytes"
	"encoding/base64"
	"io"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a document. DynamoDB, which nests deepest,
// allows 32 levels of an item; each costs two levels of JSON.
const maxDepth = 512

// Decode fills in, a pointer to the SDK's XxxInput, from a request that Match
// accepted. Members that the model does not know are ignored, as AWS does. An
// empty list that was sent is an empty, non-nil slice; one that was not is nil.
func (op *Operation) Decode(r *http.Request, body []byte, in any) *Error {
	if op.input == nil {
		return nil
	}
	m := op.Model
	v := reflect.ValueOf(in)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic("wire: Decode of a non-pointer " + v.Kind().String())
	}
	v = v.Elem()
	switch m.Protocol {
	case Query:
		return m.decodeQuery(op, r, body, v)
	case JSON:
		return m.decodeJSONBody(op.input, body, v)
	}
	return op.decodeREST(r, body, v)
}

// decodeREST reads labels, query, headers and body.
func (op *Operation) decodeREST(r *http.Request, body []byte, v reflect.Value) *Error {
	m := op.Model
	b, err := m.bind(op.input, v.Type())
	if err != nil {
		return m.NewError("InternalFailure", "%v", err)
	}
	labels, err := op.route.labels(splitPath(r))
	if err != nil {
		return m.malformed("The path cannot be decoded")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return m.malformed("The query string contains a syntax error")
	}
	inBody := false
	for i := range b.fields {
		f := &b.fields[i]
		fv := v.Field(f.index)
		var e *Error
		switch f.location {
		case "uri":
			if text, ok := labels[f.wire]; ok {
				e = m.setText(f.member, text, fv)
			}
		case "querystring":
			e = m.setQuery(f, b, query, fv)
		case "header":
			e = m.setHeader(f.member, r.Header, fv)
		case "headers":
			e = m.setPrefixed(f.member, r.Header, fv)
		default:
			inBody = inBody || f.name != op.input.payload
		}
		if e != nil {
			return e
		}
	}
	if f := b.byName[op.input.payload]; f != nil {
		return m.setPayload(f.member, body, v.Field(f.index))
	}
	if !inBody || len(body) == 0 {
		return nil
	}
	if m.Protocol == RestXML {
		return m.decodeXMLBody(op.input, body, v)
	}
	return m.decodeJSONBody(op.input, body, v)
}

// setQuery sets a member that is in the query string. A map takes every
// parameter that no other member names.
func (m *Model) setQuery(f *field, b *binding, query url.Values, v reflect.Value) *Error {
	if f.shape.kind == kindMap {
		return m.setQueryMap(f, b, query, v)
	}
	values, ok := query[f.wire]
	if !ok {
		return nil
	}
	if f.shape.kind == kindList {
		return m.setTextList(f.shape.element, values, v)
	}
	return m.setText(f.member, values[0], v)
}

func (m *Model) setQueryMap(f *field, b *binding, query url.Values, v reflect.Value) *Error {
	out := reflect.MakeMap(v.Type())
	for name, values := range query {
		if b.byWire[name] != nil {
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		var e *Error
		if f.shape.value.shape.kind == kindList {
			e = m.setTextList(f.shape.value.shape.element, values, elem)
		} else {
			e = m.setText(f.shape.value, values[0], elem)
		}
		if e != nil {
			return e
		}
		out.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), elem)
	}
	if out.Len() > 0 {
		v.Set(out)
	}
	return nil
}

func (m *Model) setTextList(element *member, values []string, v reflect.Value) *Error {
	out := reflect.MakeSlice(v.Type(), len(values), len(values))
	for i, value := range values {
		if e := m.setText(element, value, out.Index(i)); e != nil {
			return e
		}
	}
	v.Set(out)
	return nil
}

func (m *Model) setHeader(mb *member, header http.Header, v reflect.Value) *Error {
	values := header.Values(mb.wire)
	if len(values) == 0 {
		return nil
	}
	if mb.shape.kind != kindList {
		return m.setText(mb, values[0], v)
	}
	var parts []string
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			parts = append(parts, strings.TrimSpace(part))
		}
	}
	return m.setTextList(mb.shape.element, parts, v)
}

// setPrefixed sets a map from the headers that begin with the member's name,
// as x-amz-meta-.
func (m *Model) setPrefixed(mb *member, header http.Header, v reflect.Value) *Error {
	prefix := http.CanonicalHeaderKey(mb.wire)
	out := reflect.MakeMap(v.Type())
	for name, values := range header {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || rest == "" {
			continue
		}
		out.SetMapIndex(reflect.ValueOf(strings.ToLower(rest)), reflect.ValueOf(strings.Join(values, ",")))
	}
	if out.Len() > 0 {
		v.Set(out)
	}
	return nil
}

// setPayload sets the member that is the whole body.
func (m *Model) setPayload(mb *member, body []byte, v reflect.Value) *Error {
	switch {
	case v.Type() == reflect.TypeFor[io.Reader]():
		v.Set(reflect.ValueOf(bytes.NewReader(body)))
		return nil
	case v.Type() == reflect.TypeFor[io.ReadCloser]():
		v.Set(reflect.ValueOf(io.NopCloser(bytes.NewReader(body))))
		return nil
	case len(body) == 0:
		return nil
	case mb.shape.kind == kindBlob:
		v.SetBytes(bytes.Clone(body))
		return nil
	case mb.shape.kind == kindString:
		return m.setText(mb, string(body), v)
	case m.Protocol == RestXML:
		return m.decodeXMLBody(mb.shape, body, target(v))
	}
	return m.decodeJSONBody(mb.shape, body, target(v))
}

// setText sets a scalar from its textual form, which is the same in query
// parameters, labels, headers and XML. Only timestamps differ by place.
func (m *Model) setText(mb *member, text string, v reflect.Value) *Error {
	v = target(v)
	switch mb.shape.kind {
	case kindString:
		return m.setString(text, v)
	case kindBoolean:
		switch {
		case strings.EqualFold(text, "true"):
			v.SetBool(true)
		case strings.EqualFold(text, "false"):
			v.SetBool(false)
		default:
			return m.malformed("%q is not a valid boolean", text)
		}
	case kindInteger:
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil || v.OverflowInt(n) {
			return m.malformed("%q is not a valid integer", text)
		}
		v.SetInt(n)
	case kindFloat:
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return m.malformed("%q is not a valid number", text)
		}
		v.SetFloat(n)
	case kindBlob:
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return m.malformed("The value is not valid base64")
		}
		v.SetBytes(data)
	case kindTimestamp:
		t, ok := parseTime(text)
		if !ok {
			return m.malformed("%q is not a valid timestamp", text)
		}
		v.Set(reflect.ValueOf(t))
	default:
		return m.malformed("Start of structure or map found where not expected")
	}
	return nil
}

func (m *Model) setString(text string, v reflect.Value) *Error {
	if !utf8.ValidString(text) {
		return m.malformed("The value is not valid UTF-8")
	}
	if v.Type() == reflect.TypeFor[time.Time]() { // S3's Expires is a string in the model
		if t, ok := parseTime(text); ok {
			v.Set(reflect.ValueOf(t))
		}
		return nil
	}
	v.SetString(text)
	return nil
}

// parseTime accepts every form the protocols use: ISO 8601, HTTP dates and
// seconds since 1970.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "20060102T150405Z", http.TimeFormat, time.RFC1123Z} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return time.Time{}, false
	}
	return epoch(seconds)
}

// epoch converts seconds since 1970, to milliseconds as AWS keeps them. Times
// past the year 9999 cannot be written back and are refused.
func epoch(seconds float64) (time.Time, bool) {
	if math.IsNaN(seconds) || math.Abs(seconds) > 253402300799 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), true
}
