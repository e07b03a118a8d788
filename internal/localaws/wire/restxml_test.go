package wire_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// A model of our own in botocore's format, with the corners of rest-xml that S3
// has. test/conformance compares the real S3 model with botocore.
const things = `{
 "metadata": {"apiVersion": "2026-01-01", "endpointPrefix": "s3", "protocol": "rest-xml", "xmlNamespace": ""},
 "operations": {
  "PutThing":   {"http": {"method": "PUT", "requestUri": "/{Box}/{Key+}"}, "input": {"shape": "PutThing"}, "output": {"shape": "PutThingOut"}},
  "CopyThing":  {"http": {"method": "PUT", "requestUri": "/{Box}/{Key+}"}, "input": {"shape": "CopyThing"}},
  "GetThing":   {"http": {"method": "GET", "requestUri": "/{Box}/{Key+}"}, "input": {"shape": "Named"}, "output": {"shape": "GetThingOut"}},
  "HeadThing":  {"http": {"method": "HEAD", "requestUri": "/{Box}/{Key+}"}, "input": {"shape": "Named"}, "output": {"shape": "HeadThingOut"}},
  "GetPolicy":  {"http": {"method": "GET", "requestUri": "/{Box}/{Key+}/policy"}, "input": {"shape": "Named"}, "output": {"shape": "GetPolicyOut"}},
  "GetGrants":  {"http": {"method": "GET", "requestUri": "/{Box}/{Key+}?acl"}, "input": {"shape": "Named"}, "output": {"shape": "Grants"}},
  "OldGrants":  {"http": {"method": "GET", "requestUri": "/{Box}/{Key+}?acl"}, "input": {"shape": "Named"}, "deprecated": true},
  "PutGrants":  {"http": {"method": "PUT", "requestUri": "/{Box}/{Key+}?acl"}, "input": {"shape": "PutGrants"}},
  "Watch":      {"http": {"method": "POST", "requestUri": "/{Box}"}, "output": {"shape": "WatchOut"}}
 },
 "shapes": {
  "String": {"type": "string"}, "Integer": {"type": "integer"}, "Long": {"type": "long"}, "Blob": {"type": "blob"}, "Time": {"type": "timestamp"},
  "Named": {"type": "structure", "required": ["Box", "Key"], "members": {
    "Box": {"shape": "String", "location": "uri", "locationName": "Box"}, "Key": {"shape": "String", "location": "uri", "locationName": "Key"}}},
  "PutThing": {"type": "structure", "payload": "Body", "required": ["Box", "Key"], "members": {
    "Box": {"shape": "String", "location": "uri", "locationName": "Box"}, "Key": {"shape": "String", "location": "uri", "locationName": "Key"},
    "Metadata": {"shape": "StringMap", "location": "headers", "locationName": "x-amz-meta-"},
    "Until": {"shape": "Time", "location": "header", "locationName": "x-amz-until"},
    "Body": {"shape": "Blob"}}},
  "PutThingOut": {"type": "structure", "members": {"ETag": {"shape": "String", "location": "header", "locationName": "ETag"}, "Status": {"shape": "Integer", "location": "statusCode"}}},
  "CopyThing": {"type": "structure", "required": ["Box", "Key", "Source"], "members": {
    "Box": {"shape": "String", "location": "uri", "locationName": "Box"}, "Key": {"shape": "String", "location": "uri", "locationName": "Key"},
    "Source": {"shape": "String", "location": "header", "locationName": "x-amz-copy-source"}}},
  "GetThingOut": {"type": "structure", "payload": "Body", "members": {
    "Body": {"shape": "Blob"}, "Metadata": {"shape": "StringMap", "location": "headers", "locationName": "x-amz-meta-"},
    "LastModified": {"shape": "Time", "location": "header", "locationName": "Last-Modified"}}},
  "HeadThingOut": {"type": "structure", "members": {"ContentLength": {"shape": "Long", "location": "header", "locationName": "Content-Length"}}},
  "GetPolicyOut": {"type": "structure", "payload": "Policy", "members": {"Policy": {"shape": "String"}}},
  "StringMap": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "String"}},
  "Grants": {"type": "structure", "members": {
    "Grants": {"shape": "GrantList", "locationName": "AccessControlList"}, "Names": {"shape": "NameList"}, "Counts": {"shape": "Counts"}, "When": {"shape": "Time"}}},
  "GrantList": {"type": "list", "member": {"shape": "Grant", "locationName": "Grant"}},
  "Grant": {"type": "structure", "members": {"Kind": {"shape": "String", "locationName": "xsi:type", "xmlAttribute": true}, "ID": {"shape": "String"}},
    "xmlNamespace": {"prefix": "xsi", "uri": "http://www.w3.org/2001/XMLSchema-instance"}},
  "NameList": {"type": "list", "flattened": true, "member": {"shape": "String", "locationName": "Name"}},
  "Counts": {"type": "map", "flattened": true, "locationName": "Count", "key": {"shape": "String", "locationName": "Key"}, "value": {"shape": "Integer", "locationName": "N"}},
  "PutGrants": {"type": "structure", "payload": "Grants", "required": ["Box", "Key"], "members": {
    "Box": {"shape": "String", "location": "uri", "locationName": "Box"}, "Key": {"shape": "String", "location": "uri", "locationName": "Key"},
    "Grants": {"shape": "Grants", "locationName": "Policy"}}},
  "WatchOut": {"type": "structure", "payload": "Events", "members": {"Events": {"shape": "Events"}}},
  "Events": {"type": "structure", "eventstream": true, "members": {}},
  "NoSuchKey": {"type": "structure", "exception": true, "members": {"Key": {"shape": "String"}}, "error": {"httpStatusCode": 404}}
 }
}`

type (
	putThingInput struct {
		Box, Key *string
		Metadata map[string]string
		Until    *time.Time
		Body     io.Reader
	}
	grant struct {
		Kind, ID *string
	}
	grants struct {
		Grants []grant
		Names  []string
		Counts map[string]int32
		When   *time.Time
	}
	putGrantsInput struct {
		Box, Key *string
		Grants   *grants
	}
)

func loadThings(tb testing.TB) *wire.Model {
	tb.Helper()
	m, err := wire.Parse("s3", []byte(things))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestMatchRESTRoutes(t *testing.T) {
	cases := []struct {
		name, method, path, header string
		want                       string
	}{
		{"a greedy label", "GET", "/box/a/b/c", "", "GetThing"},
		{"a literal after a greedy label", "GET", "/box/a/b/policy", "", "GetPolicy"},
		{"the literal alone is the label's value", "GET", "/box/policy", "", "GetThing"},
		{"a query literal", "GET", "/box/a?acl", "", "GetGrants"},
		{"a query literal rather than a deprecated twin", "GET", "/box/a?x=1&acl=", "", "GetGrants"},
		{"a required header", "PUT", "/box/a", "x-amz-copy-source", "CopyThing"},
		{"no such header", "PUT", "/box/a", "", "PutThing"},
		{"too short a path", "GET", "/box", "", ""},
		{"an empty label", "GET", "//a", "", ""},
	}
	m := loadThings(t)
	for _, c := range cases {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.header != "" {
			r.Header.Set(c.header, "x")
		}
		op, e := m.Match(r, nil)
		switch {
		case c.want == "" && (e == nil || e.Code != "UnknownOperationException" || e.Status != 404):
			t.Errorf("%s: Match = %v, %v, want UnknownOperationException", c.name, op, e)
		case c.want != "" && (e != nil || op.Name != c.want):
			t.Errorf("%s: Match = %v, %v, want %s", c.name, op, e, c.want)
		}
	}
}

func TestDecodePayloadAndHeaders(t *testing.T) {
	m := loadThings(t)
	r := httptest.NewRequest("PUT", "/box/a%2Fb/c%20d", nil)
	r.Header.Set("X-Amz-Meta-Team", "blue")
	r.Header.Set("X-Amz-Until", "Sun, 22 Nov 2026 10:00:00 GMT")
	body := []byte("hello")
	op, e := m.Match(r, body)
	if e != nil {
		t.Fatal(e)
	}
	var in putThingInput
	if e := op.Decode(r, body, &in); e != nil {
		t.Fatal(e)
	}
	if *in.Key != "a/b/c d" || in.Metadata["team"] != "blue" || !in.Until.Equal(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("Decode = %q, %v, %v", *in.Key, in.Metadata, in.Until)
	}
	if got, err := io.ReadAll(in.Body); err != nil || string(got) != "hello" {
		t.Errorf("Body = %q, %v", got, err)
	}
}

const grantsXML = `<Policy xmlns="http://example.com/"><AccessControlList>` +
	`<Grant xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="User"><ID>a &amp; b</ID></Grant><Grant/></AccessControlList>` +
	`<Name>x</Name><Unknown><Name>no</Name></Unknown><Name>y</Name><Count><Key>k</Key><N>7</N></Count><When>2026-11-22T10:00:00Z</When></Policy>`

func someGrants() *grants {
	user, id, when := "User", "a & b", time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return &grants{Grants: []grant{{&user, &id}, {}}, Names: []string{"x", "y"}, Counts: map[string]int32{"k": 7}, When: &when}
}

func TestDecodeXML(t *testing.T) {
	m := loadThings(t)
	r := httptest.NewRequest("PUT", "/box/a?acl", nil)
	op, e := m.Match(r, nil)
	if e != nil {
		t.Fatal(e)
	}
	var in putGrantsInput
	if e := op.Decode(r, []byte(grantsXML), &in); e != nil {
		t.Fatal(e)
	}
	if diff := cmp.Diff(someGrants(), in.Grants); diff != "" {
		t.Errorf("Decode (-want +got):\n%s", diff)
	}
	broken := map[string]string{
		"no element":           `text`,
		"an open element":      `<Policy>`,
		"two roots":            `<Policy/><Policy/>`,
		"a directive":          `<!DOCTYPE x [<!ENTITY a "b">]><Policy/>`,
		"an unknown entity":    `<Policy><Name>&a;</Name></Policy>`,
		"nested past reason":   strings.Repeat("<a>", 10000) + strings.Repeat("</a>", 10000),
		"a word for a number":  `<Policy><Count><Key>k</Key><N>x</N></Count></Policy>`,
		"a map without a key":  `<Policy><Count><N>1</N></Count></Policy>`,
		"a time that is wrong": `<Policy><When>soon</When></Policy>`,
	}
	for name, body := range broken {
		if e := op.Decode(r, []byte(body), new(putGrantsInput)); e == nil || e.Code != "MalformedXML" || e.Status != 400 {
			t.Errorf("%s: Decode = %v, want MalformedXML", name, e)
		}
	}
}

func TestEncodeXML(t *testing.T) {
	op, _ := loadThings(t).Operation("GetGrants")
	w := httptest.NewRecorder()
	if err := op.Encode(w, requestID, someGrants()); err != nil {
		t.Fatal(err)
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Grants><Count><Key>k</Key><N>7</N></Count><AccessControlList>` +
		`<Grant xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="User"><ID>a &amp; b</ID></Grant>` +
		`<Grant xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"></Grant></AccessControlList>` +
		`<Name>x</Name><Name>y</Name><When>2026-11-22T10:00:00Z</When></Grants>`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if w.Header().Get("X-Amz-Request-Id") != requestID {
		t.Errorf("headers %v lack the request id as S3 names it", w.Header())
	}
}

func TestEncodeStreamsAndHeaders(t *testing.T) {
	op, _ := loadThings(t).Operation("GetThing")
	modified := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	body := &closer{Reader: strings.NewReader("hello")}
	w := httptest.NewRecorder()
	err := op.Encode(w, requestID, &struct {
		Body         io.ReadCloser
		Metadata     map[string]string
		LastModified *time.Time
	}{body, map[string]string{"Team": "blue"}, &modified})
	if err != nil || w.Body.String() != "hello" || !body.closed {
		t.Errorf("Encode = %v, body %q, closed %v", err, w.Body, body.closed)
	}
	lower := strings.ToLower("X-Amz-Meta-Team")
	if got := w.Header()[lower]; !cmp.Equal(got, []string{"blue"}) {
		t.Errorf("headers %v, want x-amz-meta-team in lower case", w.Header())
	}
	if got, want := w.Header().Get("Last-Modified"), "Sun, 22 Nov 2026 10:00:00 GMT"; got != want {
		t.Errorf("Last-Modified = %q, want %q", got, want)
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestEncodeTakesTheStatusFromAMember(t *testing.T) {
	op, _ := loadThings(t).Operation("PutThing")
	type output struct {
		ETag   *string
		Status int32
	}
	for status, want := range map[int32]int{0: 200, 201: 201} {
		w := httptest.NewRecorder()
		if err := op.Encode(w, requestID, &output{Status: status}); err != nil || w.Code != want {
			t.Errorf("status %d: Encode = %v, wrote %d, want %d", status, err, w.Code, want)
		}
	}
	if err := op.Encode(httptest.NewRecorder(), requestID, &output{Status: 7}); err == nil {
		t.Error("Encode of status 7 succeeded")
	}
}

func TestEncodeOfHeadKeepsTheLengthOfTheThing(t *testing.T) {
	op, _ := loadThings(t).Operation("HeadThing")
	length := int64(4096)
	w := httptest.NewRecorder()
	if err := op.Encode(w, requestID, &struct{ ContentLength *int64 }{&length}); err != nil || w.Header().Get("Content-Length") != "4096" {
		t.Errorf("Encode = %v, headers %v", err, w.Header())
	}
}

func TestEncodeTextPayload(t *testing.T) {
	op, _ := loadThings(t).Operation("GetPolicy")
	w := httptest.NewRecorder()
	text := `{"Version":"2012-10-17"}`
	if err := op.Encode(w, requestID, &struct{ Policy *string }{&text}); err != nil || w.Body.String() != text {
		t.Errorf("Encode = %v, body %q", err, w.Body)
	}
}

func TestEventStreamsAreRefused(t *testing.T) {
	op, _ := loadThings(t).Operation("Watch")
	err := op.Encode(httptest.NewRecorder(), requestID, &struct{ Events *struct{} }{&struct{}{}})
	if err == nil || !strings.Contains(err.Error(), "event streams") {
		t.Errorf("Encode = %v, want a refusal", err)
	}
}

func TestS3Errors(t *testing.T) {
	m := loadThings(t)
	e := m.NewError("NoSuchKey", "The specified key does not exist.")
	e.Fields = map[string]any{"Key": "a"}
	w := httptest.NewRecorder()
	m.EncodeError(w, requestID, e)
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>a</Key><RequestId>` + requestID + `</RequestId></Error>`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Code != 404 {
		t.Errorf("status %d, body (-want +got):\n%s", w.Code, diff)
	}
}
