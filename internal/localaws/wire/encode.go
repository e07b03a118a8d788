package wire

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Encode writes a successful answer: status, request id, headers and body. out
// is a pointer to the SDK's XxxOutput, or nil where there is nothing to say. An
// error means that out does not fit the model; nothing has been written then.
func (op *Operation) Encode(w http.ResponseWriter, requestID string, out any) error {
	m := op.Model
	a := answer{status: op.status, header: http.Header{}, head: op.method == http.MethodHead}
	v := reflect.ValueOf(out)
	if v, ok := indirect(v); ok && v.Kind() != reflect.Struct {
		return fmt.Errorf("encoding output of %s: %s is not a struct", op.Name, v.Type())
	}
	var err error
	switch m.Protocol {
	case Query:
		err = m.encodeQuery(op, requestID, v, &a)
	case JSON:
		a.body = append(a.body, '{')
		if op.output != nil {
			a.body, err = m.jsonMembers(a.body, op.output, v)
		}
		a.body = append(a.body, '}')
	default:
		err = m.encodeREST(op, v, &a)
	}
	if err != nil {
		return fmt.Errorf("encoding output of %s: %w", op.Name, err)
	}
	m.write(w, requestID, &a)
	return nil
}

// answer is an HTTP answer in the making.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream io.ReadCloser // instead of body
	head   bool          // an answer to HEAD: Content-Length is a member's
}

func (m *Model) write(w http.ResponseWriter, requestID string, a *answer) {
	h := w.Header()
	maps.Copy(h, a.header)
	if m.Service == "s3" {
		h.Set("X-Amz-Request-Id", requestID)
		h.Set("X-Amz-Id-2", requestID)
	} else {
		h.Set("X-Amzn-Requestid", requestID)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", m.contentType())
	}
	if a.stream != nil {
		defer a.stream.Close()
		w.WriteHeader(a.status)
		_, _ = io.Copy(w, a.stream) // the client has gone; there is nobody to tell
		return
	}
	if a.status != http.StatusNoContent && !a.head {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	if m.Service == "dynamodb" { // whose clients verify it
		h.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(a.body)), 10))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func (m *Model) contentType() string {
	switch m.Protocol {
	case Query:
		return "text/xml"
	case JSON:
		return "application/x-amz-json-" + m.jsonVersion
	case RestJSON:
		return "application/json"
	}
	return "application/xml"
}

// encodeREST distributes the members of an output over status, headers and
// body.
func (m *Model) encodeREST(op *Operation, v reflect.Value, a *answer) error {
	if op.output == nil {
		if m.Protocol == RestJSON && a.status != http.StatusNoContent {
			a.body = []byte("{}")
		}
		return nil
	}
	inBody := false
	var payload reflect.Value
	var payloadMember *member
	err := m.members(op.output, v, func(mb *member, v reflect.Value) error {
		switch {
		case mb.location == "statusCode":
			return setStatus(v, a)
		case mb.location != "":
			return setHeaders(mb, v, a.header)
		case mb.name == op.output.payload:
			payloadMember, payload = mb, v
		default:
			inBody = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	if op.output.payload != "" {
		return m.encodePayload(payloadMember, payload, a)
	}
	switch {
	case m.Protocol == RestJSON:
		a.body = append(a.body, '{')
		a.body, err = m.jsonMembers(a.body, op.output, v)
		a.body = append(a.body, '}')
	case inBody:
		a.body, err = m.xmlDocument(op.output, op.output.documentName(), v)
	}
	return err
}

// setStatus takes the HTTP status from a member, as Lambda's Invoke has it.
func setStatus(v reflect.Value, a *answer) error {
	v, ok := indirect(v)
	if !ok || !v.CanInt() || v.IsZero() {
		return nil
	}
	if v.Int() < http.StatusOK || v.Int() > 599 {
		return fmt.Errorf("status %d is not one of an answer", v.Int())
	}
	a.status = int(v.Int())
	return nil
}

// documentName is the root element of a structure.
func (s *shape) documentName() string {
	if s.locationName != "" {
		return s.locationName
	}
	return s.name
}

func (m *Model) encodePayload(mb *member, v reflect.Value, a *answer) error {
	if mb == nil {
		return nil
	}
	if mb.shape.eventStream {
		return fmt.Errorf("member %s: event streams are not served", mb.name)
	}
	if v.IsValid() && v.CanInterface() {
		if stream, ok := v.Interface().(io.ReadCloser); ok {
			a.stream = stream
			defaultType(a.header, "binary/octet-stream")
			return nil
		}
	}
	v, ok := indirect(v)
	if !ok {
		return nil
	}
	var err error
	switch {
	case mb.shape.kind == kindBlob:
		defaultType(a.header, "binary/octet-stream")
		a.body = v.Bytes()
	case mb.shape.kind == kindString:
		defaultType(a.header, "text/plain")
		a.body = []byte(v.String())
	case m.Protocol == RestXML:
		name := mb.locationName
		if name == "" {
			name = mb.shape.documentName()
		}
		a.body, err = m.xmlDocument(mb.shape, name, v)
	default:
		a.body, err = m.jsonValue(a.body, mb, v)
	}
	return err
}

func defaultType(h http.Header, contentType string) {
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", contentType)
	}
}

// setHeaders writes a member whose location is header or headers.
func setHeaders(mb *member, v reflect.Value, h http.Header) error {
	v, ok := present(v)
	if !ok {
		return nil
	}
	switch mb.location {
	case "headers":
		for _, key := range v.MapKeys() {
			// Not canonical: S3 sends x-amz-meta- names in lower case, and
			// some clients show them as they came.
			h[strings.ToLower(mb.wire+key.String())] = []string{v.MapIndex(key).String()}
		}
		return nil
	case "header":
	default:
		return fmt.Errorf("member %s: location %q in an output", mb.name, mb.location)
	}
	if mb.shape.kind == kindList {
		var parts []string
		for i := range v.Len() {
			text, err := scalarText(mb.shape.element, v.Index(i), formatHTTP)
			if err != nil {
				return err
			}
			parts = append(parts, text)
		}
		h.Set(mb.wire, strings.Join(parts, ", "))
		return nil
	}
	text, err := scalarText(mb, v, formatHTTP)
	if err != nil {
		return err
	}
	h.Set(mb.wire, text)
	return nil
}

// present is indirect, and false as well for nil slices and maps and for empty
// enums: what the SDK's types mean by absent.
func present(v reflect.Value) (reflect.Value, bool) {
	pointer := v.IsValid() && v.Kind() == reflect.Pointer
	v, ok := indirect(v)
	if !ok {
		return v, false
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v, !v.IsNil()
	case reflect.String:
		return v, pointer || v.Len() > 0
	}
	return v, true
}

// The timestamp formats of the protocols, in the models' spelling.
const (
	formatISO  = "iso8601"
	formatHTTP = "rfc822"
	formatUnix = "unixTimestamp"
)

// scalarText gives a scalar's textual form. The timestamp format is the
// member's or the default.
func scalarText(mb *member, v reflect.Value, defaultFormat string) (string, error) {
	v, ok := indirect(v)
	if !ok {
		return "", nil
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Float32, reflect.Float64:
		return floatText(v.Float()), nil
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	}
	if t, ok := v.Interface().(time.Time); ok {
		return timeText(t, mb.timestampFormat, defaultFormat), nil
	}
	return "", fmt.Errorf("member %s: a %s is no scalar", mb.name, v.Type())
}

func timeText(t time.Time, format, defaultFormat string) string {
	if format == "" {
		format = defaultFormat
	}
	t = t.UTC()
	switch format {
	case formatHTTP:
		return t.Format(http.TimeFormat)
	case formatUnix:
		return unixText(t)
	}
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// unixText is seconds since 1970 with milliseconds only where there are any.
func unixText(t time.Time) string {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.FormatInt(ms/1000, 10)
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
}

func floatText(f float64) string {
	switch text := strconv.FormatFloat(f, 'g', -1, 64); text {
	case "+Inf":
		return "Infinity"
	case "-Inf":
		return "-Infinity"
	default:
		return text
	}
}

// sortedKeys returns a map's keys in order, so that equal values give equal
// bytes.
func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// EncodeError writes e in the model's protocol: an XML ErrorResponse (query), a
// JSON object with __type and message plus x-amzn-errortype (json, rest-json),
// or S3's Error document (rest-xml). Fields that the model does not list for
// the error are left out.
func (m *Model) EncodeError(w http.ResponseWriter, requestID string, e *Error) {
	code, status, fault := m.resolve(e)
	a := answer{status: status, header: http.Header{}}
	s := m.errors[e.Code]
	if err := m.headerMembers(s.orEmpty(), errorFields(e), a.header); err != nil {
		a.header = http.Header{} // fields of a wrong type are left out, as in the body
	}
	if e.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if m.Protocol == Query || m.Protocol == RestXML {
		m.xmlError(&a, s, errorParts{code: code, fault: fault, requestID: requestID}, e)
	} else {
		m.jsonError(&a, s, errorParts{code: code, fault: fault}, e)
	}
	m.write(w, requestID, &a)
}

// headerMembers writes the members of an error that are headers, as Lambda's
// Retry-After.
func (m *Model) headerMembers(s *shape, v reflect.Value, h http.Header) error {
	return m.members(s, v, func(mb *member, v reflect.Value) error {
		if mb.location == "" {
			return nil
		}
		return setHeaders(mb, v, h)
	})
}

// errorParts is what EncodeError resolved.
type errorParts struct {
	code      string
	fault     Fault
	requestID string
}

func (m *Model) jsonError(a *answer, s *shape, parts errorParts, e *Error) {
	name, message := parts.code, "message"
	if s != nil {
		if m.queryCompatible {
			name = s.name
			a.header.Set("X-Amzn-Query-Error", parts.code+";"+string(parts.fault))
		}
		switch {
		case s.find("Message") != nil:
			message = "Message"
		case s.find("error_description") != nil: // of OAuth 2.0, which has no other message
			message = "error_description"
		}
	}
	a.header.Set("X-Amzn-Errortype", name)
	a.body = append(a.body, `{"__type":`...)
	a.body = appendJSONString(a.body, m.typePrefix(s)+name)
	a.body = append(a.body, ',', '"')
	a.body = append(a.body, message...)
	a.body = append(a.body, '"', ':')
	a.body = appendJSONString(a.body, e.Message)
	if fields, err := m.jsonMembers(nil, s.orEmpty(), errorFields(e)); err == nil && len(fields) > 0 {
		a.body = append(a.body, ',')
		a.body = append(a.body, fields...)
	}
	a.body = append(a.body, '}')
}

// typePrefix is the namespace before an error's name in __type. DynamoDB and
// the services with JSON 1.0 have one, JSON 1.1 has none.
func (m *Model) typePrefix(s *shape) string {
	switch {
	case m.Protocol != JSON || m.jsonVersion != "1.0":
		return ""
	case s == nil:
		return "com.amazon.coral.service#"
	case m.Service == "dynamodb":
		return "com.amazonaws.dynamodb.v20120810#"
	}
	return "com.amazonaws." + m.Service + "#"
}

func (m *Model) xmlError(a *answer, s *shape, parts errorParts, e *Error) {
	var b bytes.Buffer
	wrapped := m.Service != "s3"
	if wrapped {
		b.WriteString("<ErrorResponse")
		if m.namespace != "" {
			writeAttribute(&b, "xmlns", m.namespace)
		}
		b.WriteByte('>')
	} else {
		b.WriteString(xmlHeader)
	}
	b.WriteString("<Error>")
	if wrapped {
		writeElement(&b, "Type", string(parts.fault))
	}
	writeElement(&b, "Code", parts.code)
	writeElement(&b, "Message", e.Message)
	start := b.Len()
	if err := m.xmlMembers(&b, s.orEmpty(), errorFields(e)); err != nil {
		b.Truncate(start)
	}
	if !wrapped {
		writeElement(&b, "RequestId", parts.requestID)
	}
	b.WriteString("</Error>")
	if wrapped {
		writeElement(&b, "RequestId", parts.requestID)
		b.WriteString("</ErrorResponse>")
	}
	a.body = b.Bytes()
}

func (s *shape) orEmpty() *shape {
	if s == nil {
		return &shape{kind: kindStructure}
	}
	return s
}

// errorFields returns the error's fields without the message, which has been
// written.
func errorFields(e *Error) reflect.Value {
	fields := maps.Clone(e.Fields)
	delete(fields, "message")
	delete(fields, "Message")
	if fields == nil {
		fields = map[string]any{}
	}
	return reflect.ValueOf(fields)
}
