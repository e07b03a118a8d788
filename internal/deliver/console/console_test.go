package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/deliver/console"
)

var session = aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "the-secret", SessionToken: "the-token"}

// endpoint is AWS's sign-in endpoint as its documentation describes it.
func endpoint(t *testing.T, got *url.Values) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" || r.URL.Path != "/federation" || r.ParseForm() != nil {
			t.Errorf("%s asks for %s", r.Method, r.URL)
		}
		*got = r.PostForm
		var s struct{ SessionID, SessionKey, SessionToken string }
		if json.Unmarshal([]byte(r.PostForm.Get("Session")), &s) != nil || s.SessionKey != "the-secret" || s.SessionToken != "the-token" || s.SessionID != "ASIAEXAMPLE" ||
			r.PostForm.Get("SessionDuration") == "43200" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"SigninToken":"signin+token/=="}`))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestURLSignsIn(t *testing.T) {
	var form url.Values
	s := endpoint(t, &form)
	for name, c := range map[string]struct {
		req         console.Request
		destination string
	}{
		"the console's home": {console.Request{}, "https://console.aws.amazon.com/console/home"},
		"a Region":           {console.Request{Region: "eu-west-1"}, "https://console.aws.amazon.com/console/home?region=eu-west-1"},
		"a service":          {console.Request{Region: "eu-west-1", Service: "dynamodbv2/home"}, "https://console.aws.amazon.com/dynamodbv2/home?region=eu-west-1"},
		"another partition":  {console.Request{Region: "cn-north-1", Service: "s3"}, "https://console.amazonaws.cn/s3?region=cn-north-1"},
		"a page":             {console.Request{Service: "https://eu-west-1.console.aws.amazon.com/sqs/v3/home#/queues"}, "https://eu-west-1.console.aws.amazon.com/sqs/v3/home#/queues"},
	} {
		c.req.Endpoint, c.req.Issuer = s.URL, "https://sso.example"
		text, err := console.URL(t.Context(), http.DefaultClient, session, c.req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Path != "/federation" {
			t.Fatalf("%s: %q, %v", name, text, err)
		}
		q := u.Query()
		if q.Get("Action") != "login" || q.Get("SigninToken") != "signin+token/==" || q.Get("Issuer") != "https://sso.example" || q.Get("Destination") != c.destination {
			t.Errorf("%s: %v, want destination %s", name, q, c.destination)
		}
		if strings.Contains(text, "secret") || form.Has("SessionDuration") {
			t.Errorf("%s: %s with %v", name, text, form)
		}
	}
}

func TestWhatCannotSignInIsSaid(t *testing.T) {
	var form url.Values
	s := endpoint(t, &form)
	user := session
	user.SessionToken = ""
	expired := session
	expired.SessionToken = "old"
	for name, c := range map[string]struct {
		credentials aws.Credentials
		req         console.Request
		want        string
	}{
		"a user's own keys":       {user, console.Request{}, "enter a role first"},
		"expired credentials":     {expired, console.Request{}, "status 400"},
		"a chained role's length": {session, console.Request{Duration: 12 * time.Hour}, "for which a duration cannot be chosen"},
		"too long a session":      {session, console.Request{Duration: 13 * time.Hour}, "want 15m0s to 12h0m0s"},
		"a page of others":        {session, console.Request{Service: "https://evil.example/"}, "not of the console"},
		"a page that looks right": {session, console.Request{Service: "https://console.aws.amazon.com.evil.example/"}, "not of the console"},
		"a page with a user":      {session, console.Request{Service: "https://console.aws.amazon.com@evil.example/"}, "not of the console"},
		"a Region that is a host": {session, console.Request{Region: "evil.example/"}, "is no Region"},
		"a Region with a user":    {session, console.Request{Region: "eu-west-1@evil.example/"}, "is no Region"},
		"a page without TLS":      {session, console.Request{Service: "http://console.aws.amazon.com/"}, "not of the console"},
	} {
		c.req.Endpoint = s.URL
		text, err := console.URL(t.Context(), http.DefaultClient, c.credentials, c.req)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "the-secret") || strings.Contains(err.Error(), "the-token") {
			t.Errorf("%s: %q, %v, want an error with %q", name, text, err, c.want)
		}
	}
}
