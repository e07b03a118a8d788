package hostile_test

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// TestWrongSignaturesWriteNothing takes valid requests that write and changes
// one thing about each.
func TestWrongSignaturesWriteNothing(t *testing.T) {
	t.Parallel()
	aws := newTarget(t, nil)
	all := aws.record(t)
	id, _, _ := aws.Administrator(tooling)
	other, _, _ := aws.Administrator(orders)
	header := func(name, value string) func(*http.Request, *string) {
		return func(r *http.Request, _ *string) { r.Header.Set(name, value) }
	}
	again := func(name, value string) func(*http.Request, *string) {
		return func(r *http.Request, _ *string) { r.Header.Add(name, value) }
	}
	chunks := func(sha string) func(*http.Request, *string) {
		return func(r *http.Request, body *string) {
			r.Header.Set("X-Amz-Content-Sha256", sha)
			r.Header.Set("Content-Encoding", "aws-chunked")
			evil := strings.ReplaceAll(*body, "written", "evil")
			*body = hexLen(evil) + "\r\n" + evil + "\r\n0\r\n\r\n"
		}
	}
	changes := map[string]func(*http.Request, *string){
		"no signature":                       func(r *http.Request, _ *string) { r.Header.Del("Authorization") },
		"an empty signature":                 header("Authorization", ""),
		"a bearer token":                     header("Authorization", "Bearer "+id),
		"basic authentication":               header("Authorization", "Basic "+id),
		"signature version 2":                header("Authorization", "AWS "+id+":c2lnbmF0dXJl"),
		"another algorithm":                  authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
		"no algorithm":                       authorization("AWS4-HMAC-SHA256", "none"),
		"the asymmetric algorithm":           authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
		"another account's key":              authorization(id, other),
		"an unknown key":                     authorization(id, "AKIAIOSFODNN7EXAMPLE"),
		"no key":                             authorization(id, ""),
		"another day":                        authorization("/20261122/", "/20261121/"),
		"another region":                     authorization("/us-east-1/", "/eu-west-1/"),
		"another terminator":                 authorization("aws4_request", "aws4_response"),
		"a service that signs no body":       authorization("/aws4_request", "/s3/aws4_request"),
		"one header fewer":                   authorization("host;", ""),
		"one header more":                    authorization("host;", "host;x-evil;"),
		"no signed headers":                  authorization("SignedHeaders=", "SignedHeaders=;"),
		"two signatures":                     again("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
		"a signature in the query as well":   query("X-Amz-Signature", "00"),
		"a session token":                    header("X-Amz-Security-Token", "token"),
		"an x-amz header that is not signed": header("X-Amz-Meta-Evil", "1"),
		"another body":                       func(_ *http.Request, body *string) { *body = strings.ReplaceAll(*body, "written", "evil") },
		"a longer body":                      func(_ *http.Request, body *string) { *body += "&Path=/evil/" },
		"another body in chunks":             chunks("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
		"another body in signed chunks":      chunks("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
		"an unsigned payload":                unsigned,
		"a parameter in the query":           query("Path", "/evil/"),
		"an action in the query":             query("Action", "DeleteUser"),
		"another method":                     func(r *http.Request, _ *string) { r.Method = http.MethodPut },
		"another path":                       func(r *http.Request, _ *string) { r.URL.Path += "evil" },
		"another host":                       func(r *http.Request, _ *string) { r.Host = "iam.amazonaws.com" },
		"an earlier time":                    header("X-Amz-Date", "20261122T115959Z"),
		"two times":                          again("X-Amz-Date", "20261122T120000Z"),
		"another target":                     again("X-Amz-Target", "secretsmanager.DeleteSecret"),
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			for _, r := range all {
				data := r.changed(change)
				if string(data) == string(r.bytes) {
					continue // this one has nothing to change
				}
				aws.unchanged(t, func() {
					if got := status(aws.raw(t, data)); got < 400 {
						t.Errorf("%s: status %d", r.name, got)
					}
				})
			}
		})
	}
	for _, r := range all[:7] { // and the control: as they are, they write
		t.Run("control: "+r.name, func(t *testing.T) {
			before := aws.digest(t)
			answer := aws.raw(t, r.bytes)
			if status(answer) != http.StatusOK || aws.digest(t) == before {
				t.Errorf("a valid request changed nothing: %s", answer)
			}
		})
	}
}

func query(name, value string) func(*http.Request, *string) {
	return func(r *http.Request, _ *string) { r.URL.RawQuery += "&" + name + "=" + url.QueryEscape(value) }
}

// unsigned says that the body is not signed, which only S3 knows.
func unsigned(r *http.Request, body *string) {
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	*body = strings.ReplaceAll(*body, "written", "evil") + "&"
}

func hexLen(s string) string {
	return strings.TrimLeft(hex.EncodeToString([]byte{byte(len(s) >> 16), byte(len(s) >> 8), byte(len(s))}), "0")
}

// TestNothingIsServedUnsigned calls every operation of every service without a
// signature. One is meant to be called so, and wants a token.
func TestNothingIsServedUnsigned(t *testing.T) {
	t.Parallel()
	aws := newTarget(t, nil)
	aws.unchanged(t, func() {
		for _, service := range wire.Services() {
			model, err := wire.Load(service)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range model.Operations() {
				for _, data := range unsignedRequests(model, op) {
					if got := status(aws.raw(t, []byte(data))); got < 400 || got >= 500 {
						t.Errorf("%s %s: status %d\n%s", service, op, got, data)
					}
				}
			}
		}
	})
}

func unsignedRequests(model *wire.Model, op string) []string {
	host := "Host: " + model.EndpointPrefix + ".us-east-1.amazonaws.com\r\n"
	switch model.Protocol {
	case wire.Query:
		body := "Action=" + op + "&Version=" + model.APIVersion + "&RoleArn=" + podRole + "&RoleSessionName=session&WebIdentityToken=aaaa.bbbb.cccc"
		return []string{
			"POST / HTTP/1.1\r\n" + host + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + decimal(len(body)) + "\r\n\r\n" + body,
			"GET /?" + body + " HTTP/1.1\r\n" + host + "\r\n",
		}
	case wire.JSON:
		return []string{"POST / HTTP/1.1\r\n" + host + "Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: " + model.TargetPrefix + "." + op + "\r\nContent-Length: 2\r\n\r\n{}"}
	case wire.RestJSON, wire.RestXML:
	}
	var all []string
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		for _, path := range []string{"/clusters", "/clusters/ci", "/clusters/ci/access-entries", "/tags/arn:aws:eks:us-east-1:111111111111:cluster%2Fci"} {
			all = append(all, method+" "+path+" HTTP/1.1\r\n"+host+"Content-Length: 2\r\n\r\n{}")
		}
	}
	return all
}
