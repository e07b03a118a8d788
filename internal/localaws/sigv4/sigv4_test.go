package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/stile-aws/stile/internal/localaws/sigv4"
)

const (
	keyID    = "AKIDEXAMPLE"
	secret   = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	tempID   = "ASIAEXAMPLE"
	tempTok  = "FwoGZXIvYXdzE+/token==with%odd  chars"
	inactive = "AKIDOFF"
)

func instant() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// lookup knows a long-term key, a temporary one that ends in an hour, and one
// that is switched off.
func lookup(id string) (sigv4.Credential, bool) {
	switch id {
	case keyID:
		return sigv4.Credential{SecretAccessKey: secret}, true
	case tempID:
		return sigv4.Credential{SecretAccessKey: secret + "t", SessionToken: tempTok, Expires: instant().Add(time.Hour)}, true
	case inactive:
		return sigv4.Credential{SecretAccessKey: secret, Inactive: true}, true
	}
	return sigv4.Credential{}, false
}

// call is a request before signing.
type call struct {
	method, url, service, region string
	body                         string
	header                       map[string]string
	temporary                    bool
}

func (c call) request(t testing.TB) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	return r
}

func (c call) credentials() aws.Credentials {
	if c.temporary {
		return aws.Credentials{AccessKeyID: tempID, SecretAccessKey: secret + "t", SessionToken: tempTok}
	}
	return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
}

func (c call) payloadHash() string {
	sum := sha256.Sum256([]byte(c.body))
	return hex.EncodeToString(sum[:])
}

func signer(service string) *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
}

// sign signs with the SDK's signer and gives the request as the server reads
// it from the wire.
func (c call) sign(t testing.TB) *http.Request {
	t.Helper()
	r := c.request(t)
	hash := c.payloadHash()
	if c.service == "s3" {
		if v := r.Header.Get("X-Amz-Content-Sha256"); v != "" {
			hash = v
		} else {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
	}
	if err := signer(c.service).SignHTTP(t.Context(), c.credentials(), r, hash, c.service, c.region, instant()); err != nil {
		t.Fatal(err)
	}
	return overTheWire(t, r, c.body)
}

func (c call) presign(t testing.TB, expires string) *http.Request {
	t.Helper()
	r := c.request(t)
	if expires != "" {
		q := r.URL.Query()
		q.Set("X-Amz-Expires", expires)
		r.URL.RawQuery = q.Encode()
	}
	hash := c.payloadHash()
	if c.service == "s3" {
		hash = "UNSIGNED-PAYLOAD"
	}
	u, header, err := signer(c.service).PresignHTTP(t.Context(), c.credentials(), r, hash, c.service, c.region, instant())
	if err != nil {
		t.Fatal(err)
	}
	out, err := http.NewRequestWithContext(t.Context(), c.method, u, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k != "Host" && k != "Content-Length" {
			out.Header[k] = v
		}
	}
	return overTheWire(t, out, c.body)
}

// overTheWire writes a request as a client does and reads it as a server does.
func overTheWire(t testing.TB, r *http.Request, body string) *http.Request {
	t.Helper()
	r.Body = io.NopCloser(strings.NewReader(body))
	r.ContentLength = int64(len(body))
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return readRequest(t, b.Bytes())
}

func verify(r *http.Request, body string, now time.Time) (sigv4.Scope, error) {
	return sigv4.Verify(r, []byte(body), lookup, now, sigv4.Options{})
}

// wantKind fails the test unless err is a failure of the kind.
func wantKind(t testing.TB, err error, want sigv4.Kind) *sigv4.Failure {
	t.Helper()
	f, ok := errors.AsType[*sigv4.Failure](err)
	if !ok || f.Kind != want {
		t.Fatalf("Verify = %v, want a failure of kind %v", err, want)
	}
	return f
}

func calls() map[string]call {
	return map[string]call{
		"query protocol by POST": {method: "POST", url: "https://sts.us-east-1.amazonaws.com/", service: "sts", region: "us-east-1",
			body: "Action=GetCallerIdentity&Version=2011-06-15", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}},
		"temporary key": {method: "POST", url: "https://iam.amazonaws.com/", service: "iam", region: "us-east-1", body: "Action=ListRoles", temporary: true},
		"awsJson": {method: "POST", url: "http://127.0.0.1:7171/", service: "secretsmanager", region: "eu-west-1", body: `{"SecretId":"x"}`,
			header: map[string]string{"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.1"}},
		"path encoded twice":                 {method: "GET", url: "https://eks.us-east-1.amazonaws.com/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A1%3Acluster%2Fci?x=1&a=b%20c", service: "eks", region: "us-east-1"},
		"query needs sorting after encoding": {method: "GET", url: "https://eks.us-east-1.amazonaws.com/clusters?b=2&a=%2B&a=%20&a-b=1&a=~&A=1&e=", service: "eks", region: "us-east-1"},
		"S3 key with odd characters":         {method: "PUT", url: "https://bkt.s3.eu-west-1.amazonaws.com/a%20b/c%2Bd%3D%C3%A9%26x%252F.txt", service: "s3", region: "eu-west-1", body: "data"},
		"S3 key with an escaped slash":       {method: "GET", url: "https://bkt.s3.eu-west-1.amazonaws.com/a%2Fb", service: "s3", region: "eu-west-1"},
		"S3 key with repeated slashes":       {method: "GET", url: "https://bkt.s3.eu-west-1.amazonaws.com/a//b/../c", service: "s3", region: "eu-west-1"},
		"S3 unsigned payload": {method: "PUT", url: "https://bkt.s3.eu-west-1.amazonaws.com/k", service: "s3", region: "eu-west-1", body: "data",
			header: map[string]string{"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}},
		"header values with blanks": {method: "PUT", url: "https://bkt.s3.eu-west-1.amazonaws.com/k", service: "s3", region: "eu-west-1", body: "data",
			header: map[string]string{"X-Amz-Meta-Text": "  two   spaces\tand a tab  "}},
	}
}

func TestVerifyAcceptsWhatTheSDKSigns(t *testing.T) {
	for name, c := range calls() {
		t.Run(name, func(t *testing.T) {
			scope, err := verify(c.sign(t), c.body, instant().Add(time.Minute))
			if err != nil {
				if f, ok := errors.AsType[*sigv4.Failure](err); ok {
					t.Log(f.Canonical)
				}
				t.Fatalf("Verify: %v", err)
			}
			if scope.Service != c.service || scope.Region != c.region || scope.Presigned || !scope.Time.Equal(instant()) {
				t.Errorf("Verify scope = %+v, want %s in %s", scope, c.service, c.region)
			}
		})
	}
}

func TestVerifyAcceptsWhatTheSDKPresigns(t *testing.T) {
	for name, c := range calls() {
		if c.service != "s3" && c.body != "" {
			c.method, c.url, c.body = "GET", c.url+"?"+url.PathEscape("Action")+"=GetCallerIdentity", ""
		}
		delete(c.header, "X-Amz-Content-Sha256")
		t.Run(name, func(t *testing.T) {
			scope, err := verify(c.presign(t, "60"), c.body, instant().Add(30*time.Second))
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if !scope.Presigned || scope.Expires != time.Minute {
				t.Errorf("Verify scope = %+v, want presigned for a minute", scope)
			}
		})
	}
}

func TestParseScopeFindsServiceAndRegionWithoutBelievingThem(t *testing.T) {
	c := calls()["awsJson"]
	r := c.sign(t)
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), keyID, "AKIANOBODY", 1))
	scope, ok, err := sigv4.ParseScope(r)
	if err != nil || !ok || scope.AccessKeyID != "AKIANOBODY" || scope.Service != "secretsmanager" || scope.Region != "eu-west-1" {
		t.Errorf("ParseScope = %+v, %v, %v", scope, ok, err)
	}
	if _, err := verify(r, c.body, instant()); err == nil {
		t.Error("Verify accepted a key that nobody has")
	}
}

func TestParseScopeOfUnsignedRequests(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), "POST", "http://sts.amazonaws.com/?Action=AssumeRoleWithWebIdentity", nil)
	if _, ok, err := sigv4.ParseScope(r); ok || err != nil {
		t.Errorf("ParseScope of an unsigned request = %v, %v, want false, nil", ok, err)
	}
	r.Header.Set("Authorization", "Bearer abc")
	if _, ok, err := sigv4.ParseScope(r); ok || err != nil {
		t.Errorf("ParseScope of a bearer request = %v, %v, want false, nil", ok, err)
	}
	_, err := verify(r, "", instant())
	wantKind(t, err, sigv4.MissingAuthentication)
}

func TestVerifyRefusesEveryChange(t *testing.T) {
	c := call{method: "POST", url: "https://eks.us-east-1.amazonaws.com/clusters/ci?x=1", service: "eks", region: "us-east-1",
		body: `{"name":"n"}`, header: map[string]string{"X-Amz-Meta": "v", "Content-Type": "application/json"}}
	editAuth := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	cases := map[string]struct {
		change func(*http.Request)
		body   string
		want   sigv4.Kind
	}{
		"method":                         {change: func(r *http.Request) { r.Method = "PUT" }, want: sigv4.WrongSignature},
		"path":                           {change: func(r *http.Request) { r.URL.Path += "2" }, want: sigv4.WrongSignature},
		"dot segments":                   {change: func(r *http.Request) { r.URL.Path = "/x/../clusters/ci" }, want: sigv4.WrongSignature},
		"repeated slash":                 {change: func(r *http.Request) { r.URL.Path = "//clusters/ci" }, want: sigv4.WrongSignature},
		"query value":                    {change: func(r *http.Request) { r.URL.RawQuery = "x=2" }, want: sigv4.WrongSignature},
		"query added":                    {change: func(r *http.Request) { r.URL.RawQuery += "&y=1" }, want: sigv4.WrongSignature},
		"query with semicolon added":     {change: func(r *http.Request) { r.URL.RawQuery += "&y;z=1" }, want: sigv4.WrongSignature},
		"query that cannot be decoded":   {change: func(r *http.Request) { r.URL.RawQuery += "&%zz" }, want: sigv4.IncompleteSignature},
		"query dropped":                  {change: func(r *http.Request) { r.URL.RawQuery = "" }, want: sigv4.WrongSignature},
		"host":                           {change: func(r *http.Request) { r.Host = "eks.eu-west-1.amazonaws.com" }, want: sigv4.WrongSignature},
		"signed header":                  {change: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, want: sigv4.WrongSignature},
		"signed header repeated":         {change: func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }, want: sigv4.WrongSignature},
		"signed header dropped":          {change: func(r *http.Request) { r.Header.Del("Content-Type") }, want: sigv4.WrongSignature},
		"amz header added":               {change: func(r *http.Request) { r.Header.Set("X-Amz-Target", "a.B") }, want: sigv4.UnsignedHeaders},
		"token added to a long-term key": {change: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }, want: sigv4.UnsignedHeaders},
		"date":                           {change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260304T050608Z") }, want: sigv4.WrongSignature},
		"body":                           {body: `{"name":"m"}`, want: sigv4.WrongSignature},
		"region":                         {change: editAuth("us-east-1", "us-east-2"), want: sigv4.WrongSignature},
		"service":                        {change: editAuth("/eks/", "/ecs/"), want: sigv4.WrongSignature},
		"service that signs paths once":  {change: editAuth("/eks/", "/s3/"), want: sigv4.MissingContentHash},
		"scope date":                     {change: editAuth("20260304/", "20260303/"), want: sigv4.WrongScope},
		"terminator":                     {change: editAuth("aws4_request", "aws5_request"), want: sigv4.WrongScope},
		"key":                            {change: editAuth(keyID, "AKIAOTHER"), want: sigv4.UnknownKey},
		"inactive key":                   {change: editAuth(keyID, inactive), want: sigv4.InactiveKey},
		"key that needs a token":         {change: editAuth(keyID, tempID), want: sigv4.BadToken},
		"signature":                      {change: editAuth("Signature=", "Signature=0"), want: sigv4.WrongSignature},
		"no signature value":             {change: func(r *http.Request) { r.Header.Set("Authorization", beforeSignature(r)+"Signature=") }, want: sigv4.IncompleteSignature},
		"no signature":                   {change: func(r *http.Request) { r.Header.Set("Authorization", beforeSignature(r)) }, want: sigv4.IncompleteSignature},
		"signature twice":                {change: editAuth(", Signature=", ", Signature=00, Signature="), want: sigv4.IncompleteSignature},
		"host not signed":                {change: editAuth("host;", ""), want: sigv4.IncompleteSignature},
		"signed headers not sorted":      {change: editAuth("content-length;content-type", "content-type;content-length"), want: sigv4.IncompleteSignature},
		"amz header no longer signed":    {change: editAuth(";x-amz-meta", ""), want: sigv4.UnsignedHeaders},
		"blank in the key":               {change: editAuth("Credential=", "Credential= "), want: sigv4.IncompleteSignature},
		"SigV4A":                         {change: editAuth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), want: sigv4.UnsupportedAlgorithm},
		"signature version 2":            {change: func(r *http.Request) { r.Header.Set("Authorization", "AWS AKID:sig") }, want: sigv4.UnsupportedAlgorithm},
		"unknown algorithm":              {change: editAuth("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), want: sigv4.IncompleteSignature},
		"no date":                        {change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, want: sigv4.IncompleteSignature},
		"two authorizations":             {change: func(r *http.Request) { r.Header.Add("Authorization", "x") }, want: sigv4.IncompleteSignature},
		"header and query":               {change: func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Signature=00" }, want: sigv4.AmbiguousAuthentication},
		"no authorization":               {change: func(r *http.Request) { r.Header.Del("Authorization") }, want: sigv4.MissingAuthentication},
	}
	if _, err := verify(c.sign(t), c.body, instant()); err != nil {
		t.Fatalf("Verify of the unchanged request: %v", err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r, body := c.sign(t), c.body
			if tc.change != nil {
				tc.change(r)
			}
			if tc.body != "" {
				body = tc.body
			}
			_, err := verify(r, body, instant())
			f := wantKind(t, err, tc.want)
			if text := f.Error() + f.Canonical; strings.Contains(text, secret) {
				t.Errorf("the failure contains the secret: %s", text)
			}
		})
	}
}

// beforeSignature is the Authorization header up to its signature.
func beforeSignature(r *http.Request) string {
	before, _, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	return before
}

func TestSignatureTime(t *testing.T) {
	c := calls()["query protocol by POST"]
	s3 := call{method: "GET", url: "https://bkt.s3.eu-west-1.amazonaws.com/k", service: "s3", region: "eu-west-1"}
	sts := call{method: "GET", url: "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", service: "sts", region: "us-east-1",
		header: map[string]string{"X-K8s-Aws-Id": "ci"}}
	cases := map[string]struct {
		request *http.Request
		body    string
		after   time.Duration
		want    sigv4.Kind // 0: accepted
		message string
	}{
		"a quarter of an hour old":        {request: c.sign(t), body: c.body, after: 15 * time.Minute},
		"older":                           {request: c.sign(t), body: c.body, after: 15*time.Minute + time.Second, want: sigv4.Skewed, message: "Signature expired: 20260304T050607Z is now earlier than 20260304T050608Z (20260304T052108Z - 15 min.)"},
		"from the near future":            {request: c.sign(t), body: c.body, after: -15 * time.Minute},
		"from the far future":             {request: c.sign(t), body: c.body, after: -16 * time.Minute, want: sigv4.Skewed, message: "Signature not yet current: 20260304T050607Z is still later than 20260304T050507Z (20260304T045007Z + 15 min.)"},
		"presigned, in time":              {request: s3.presign(t, "3600"), after: time.Hour},
		"presigned, too late":             {request: s3.presign(t, "3600"), after: time.Hour + time.Second, want: sigv4.ExpiredPresign, message: "Request has expired"},
		"presigned from the far future":   {request: s3.presign(t, "3600"), after: -time.Hour, want: sigv4.Skewed},
		"presigned for a week":            {request: s3.presign(t, "604800"), after: 7 * 24 * time.Hour},
		"presigned for longer":            {request: s3.presign(t, "604801"), want: sigv4.MalformedPresign},
		"presigned for less than nothing": {request: s3.presign(t, "-1"), want: sigv4.MalformedPresign},
		"presigned for a word":            {request: s3.presign(t, "hour"), want: sigv4.MalformedPresign},
		"presigned without end":           {request: s3.presign(t, ""), want: sigv4.MalformedPresign},
		// An EKS token says 60 seconds and lives for a quarter of an hour.
		"presigned STS, after its 60 seconds": {request: sts.presign(t, "60"), after: 14 * time.Minute},
		"presigned STS, after 15 minutes":     {request: sts.presign(t, "60"), after: 16 * time.Minute, want: sigv4.Skewed},
		"presigned STS for a day":             {request: sts.presign(t, "86400"), after: 16 * time.Minute, want: sigv4.Skewed},
		"presigned STS without an end":        {request: sts.presign(t, ""), after: time.Minute},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := verify(tc.request, tc.body, instant().Add(tc.after))
			if tc.want == 0 {
				if err != nil {
					t.Fatalf("Verify: %v", err)
				}
				return
			}
			if f := wantKind(t, err, tc.want); tc.message != "" && f.Message != tc.message {
				t.Errorf("message %q, want %q", f.Message, tc.message)
			}
		})
	}
}

func TestEKSTokenIsBoundToItsCluster(t *testing.T) {
	c := call{method: "GET", url: "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", service: "sts", region: "us-east-1",
		header: map[string]string{"X-K8s-Aws-Id": "ci"}, temporary: true}
	r := c.presign(t, "60")
	if _, err := verify(r, "", instant()); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	r.Header.Set("X-K8s-Aws-Id", "other")
	_, err := verify(r, "", instant())
	f := wantKind(t, err, sigv4.WrongSignature)
	if strings.Contains(f.Canonical, "FwoGZX") || !strings.Contains(f.Canonical, "x-k8s-aws-id:other") {
		t.Errorf("canonical request shows the session token or not the header:\n%s", f.Canonical)
	}
}

func TestTemporaryCredentials(t *testing.T) {
	c := calls()["temporary key"]
	t.Run("expired", func(t *testing.T) {
		late := func(id string) (sigv4.Credential, bool) {
			cred, ok := lookup(id)
			cred.Expires = instant()
			return cred, ok
		}
		_, err := sigv4.Verify(c.sign(t), []byte(c.body), late, instant(), sigv4.Options{})
		wantKind(t, err, sigv4.ExpiredToken)
	})
	t.Run("another session's token", func(t *testing.T) {
		other := func(id string) (sigv4.Credential, bool) {
			cred, ok := lookup(id)
			cred.SessionToken += "x"
			return cred, ok
		}
		_, err := sigv4.Verify(c.sign(t), []byte(c.body), other, instant(), sigv4.Options{})
		wantKind(t, err, sigv4.BadToken)
	})
	t.Run("expiry is told only to those who know the secret", func(t *testing.T) {
		other := func(string) (sigv4.Credential, bool) {
			return sigv4.Credential{SecretAccessKey: "another", SessionToken: tempTok, Expires: instant().Add(-time.Hour)}, true
		}
		_, err := sigv4.Verify(c.sign(t), []byte(c.body), other, instant(), sigv4.Options{})
		wantKind(t, err, sigv4.WrongSignature)
	})
	t.Run("a key without a secret opens nothing", func(t *testing.T) {
		none := func(string) (sigv4.Credential, bool) { return sigv4.Credential{SessionToken: tempTok}, true }
		_, err := sigv4.Verify(c.sign(t), []byte(c.body), none, instant(), sigv4.Options{})
		wantKind(t, err, sigv4.UnknownKey)
	})
}

func TestS3PayloadHash(t *testing.T) {
	c := calls()["S3 key with odd characters"]
	t.Run("another body", func(t *testing.T) {
		_, err := verify(c.sign(t), "date", instant())
		wantKind(t, err, sigv4.BodyMismatch)
	})
	t.Run("hash changed with the body", func(t *testing.T) {
		r := c.sign(t)
		other := call{body: "date"}
		r.Header.Set("X-Amz-Content-Sha256", other.payloadHash())
		_, err := verify(r, "date", instant())
		wantKind(t, err, sigv4.WrongSignature)
	})
	t.Run("declared unsigned afterwards", func(t *testing.T) {
		r := c.sign(t)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		_, err := verify(r, c.body, instant())
		wantKind(t, err, sigv4.WrongSignature)
	})
	t.Run("missing", func(t *testing.T) {
		r := c.sign(t)
		r.Header.Del("X-Amz-Content-Sha256")
		_, err := verify(r, c.body, instant())
		wantKind(t, err, sigv4.MissingContentHash)
	})
	t.Run("not a hash", func(t *testing.T) {
		r := c.sign(t)
		r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
		_, err := verify(r, c.body, instant())
		wantKind(t, err, sigv4.MissingContentHash)
	})
	t.Run("unsigned payload is for S3 alone", func(t *testing.T) {
		c := call{method: "POST", url: "https://sts.amazonaws.com/", service: "sts", region: "us-east-1", body: "Action=GetCallerIdentity"}
		r := c.request(t)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		if err := signer("sts").SignHTTP(t.Context(), c.credentials(), r, "UNSIGNED-PAYLOAD", "sts", "us-east-1", instant()); err != nil {
			t.Fatal(err)
		}
		_, err := verify(overTheWire(t, r, c.body), c.body, instant())
		wantKind(t, err, sigv4.WrongSignature)
	})
}

func TestOptionsPinTheScope(t *testing.T) {
	c := calls()["awsJson"]
	for name, tc := range map[string]struct {
		opt  sigv4.Options
		want string
	}{
		"service": {sigv4.Options{Service: "kms"}, "Credential should be scoped to correct service: 'kms'. "},
		"region":  {sigv4.Options{Region: "us-east-1"}, "Credential should be scoped to a valid region, not 'eu-west-1'. "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sigv4.Verify(c.sign(t), []byte(c.body), lookup, instant(), tc.opt)
			if f := wantKind(t, err, sigv4.WrongScope); f.Message != tc.want {
				t.Errorf("message %q, want %q", f.Message, tc.want)
			}
		})
	}
}

func TestDateHeaderStandsInForXAmzDate(t *testing.T) {
	c := call{method: "GET", url: "https://eks.us-east-1.amazonaws.com/clusters", service: "eks", region: "us-east-1"}
	r := c.sign(t)
	r.Header.Del("X-Amz-Date")
	r.Header.Set("Date", instant().Format(http.TimeFormat))
	_, err := verify(r, "", instant())
	// x-amz-date is among the signed headers, so this one cannot match; what
	// counts is that the time was read.
	wantKind(t, err, sigv4.WrongSignature)
	scope, _, _ := sigv4.ParseScope(r)
	if !scope.Time.Equal(instant()) {
		t.Errorf("time %v, want %v", scope.Time, instant())
	}
}

func TestKeysRememberWithoutMixing(t *testing.T) {
	keys := sigv4.NewKeys(2)
	for range 3 {
		for name, c := range calls() {
			opt := sigv4.Options{Keys: keys}
			if _, err := sigv4.Verify(c.sign(t), []byte(c.body), lookup, instant(), opt); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			other := func(id string) (sigv4.Credential, bool) {
				cred, ok := lookup(id)
				cred.SecretAccessKey = "changed"
				return cred, ok
			}
			_, err := sigv4.Verify(c.sign(t), []byte(c.body), other, instant(), opt)
			wantKind(t, err, sigv4.WrongSignature)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	cred := sigv4.Credential{SecretAccessKey: secret, SessionToken: tempTok}
	if got := cred.String() + cred.GoString() + sigv4.NewKeys(1).String(); strings.Contains(got, secret) || strings.Contains(got, tempTok) {
		t.Errorf("printed as %q", got)
	}
}
