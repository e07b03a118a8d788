package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
)

const (
	address = "orders-prod/payroll-api"
	payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"
	roleARN = "arn:aws:iam::222222222222:role/stile/payroll-api"
)

// world is a local AWS to which the example payroll was applied, behind a door
// that can give sessions a shorter life than AWS allows. The local AWS refuses
// them when it is over, as it does with every other.
type world struct {
	*routetest.World
	token string   // file with the service account's token
	base  []string // the environment of a client without any credentials
	// serving are the stile serve of this world, in the order of their start.
	serving []*served

	mu     sync.Mutex // guards the rest
	life   time.Duration
	minted []credential
	calls  []use
	gate   func(use) // holds answers
	broken func(http.ResponseWriter, *http.Request) bool
}

// credential is a session that the local AWS made.
type credential struct {
	id, secret, token string
	expires           time.Time
}

// use is a request that was answered.
type use struct {
	action string // of the query protocol
	key    string // the access key id that signed it
	status int
}

// newWorld starts a world. Sessions are as long as they were asked for until
// shorten.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: routetest.New(t)}
	example, err := filepath.Abs("../../examples/payroll")
	must(t, err)
	w.Apply(t, example)
	w.token = w.Token(t, "payroll/api")
	_, err = w.IAM(routetest.Orders).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String("payroll-api"), PolicyName: aws.String("pages"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}}`),
	})
	must(t, err)
	door, err := frontdoor.Listen(t.Context(), "127.0.0.1:0", w)
	must(t, err)
	t.Cleanup(func() { must(t, door.Close()) })
	for i, v := range w.Env {
		if strings.HasPrefix(v, "AWS_ENDPOINT_URL=") {
			w.Env[i] = "AWS_ENDPOINT_URL=" + door.URL()
		}
	}
	w.base = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_ENDPOINT_URL=" + door.URL(),
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0", "STILE_BROKER=off", "XDG_RUNTIME_DIR=" + w.Runtime,
		"XDG_STATE_HOME=" + w.Dir + "/state",
	}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shorten gives the sessions to come a life of their own; 0 AWS's.
func (w *world) shorten(life time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life = life
}

// hold has gate see every answer before the client does.
func (w *world) hold(gate func(use)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = gate
}

// breakSTS has f answer the requests for credentials that it wants to.
func (w *world) breakSTS(f func(rw http.ResponseWriter, r *http.Request) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = f
}

// sessions is how many sessions were made so far.
func (w *world) sessions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.minted)
}

// session finds a session by its access key id.
func (w *world) session(id string) (credential, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.minted {
		if c.id == id {
			return c, true
		}
	}
	return credential{}, false
}

// used are the answered calls of an action.
func (w *world) used(action string) []use {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []use
	for _, u := range w.calls {
		if u.action == action {
			all = append(all, u)
		}
	}
	return all
}

var signer = regexp.MustCompile(`Credential=([^/]+)/`)

// ServeHTTP lets the local AWS answer, and makes the sessions it gives shorter.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	u := use{}
	if form, err := url.ParseQuery(string(body)); err == nil {
		u.action = form.Get("Action")
	}
	if m := signer.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		u.key = m[1]
	}
	gives := strings.HasPrefix(u.action, "AssumeRole")
	w.mu.Lock()
	life, gate, broken := w.life, w.gate, w.broken
	w.mu.Unlock()
	if gives && broken != nil && broken(rw, r) {
		return
	}
	got := httptest.NewRecorder()
	w.Server.ServeHTTP(got, r)
	answer := got.Body.Bytes()
	if gives && got.Code == http.StatusOK {
		if answer, err = w.issue(answer, life); err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	u.status = got.Code
	if gate != nil {
		gate(u)
	}
	w.mu.Lock()
	w.calls = append(w.calls, u)
	w.mu.Unlock()
	for name, values := range got.Header() {
		rw.Header()[name] = values
	}
	rw.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	rw.WriteHeader(got.Code)
	_, _ = rw.Write(answer) // the client is gone if this fails
}

// issue notes the session in an answer of STS and gives it another life.
func (w *world) issue(answer []byte, life time.Duration) ([]byte, error) {
	text := string(answer)
	c := credential{id: element(text, "AccessKeyId"), secret: element(text, "SecretAccessKey"), token: element(text, "SessionToken")}
	opened := w.Server.World().Open(c.id, c.token)
	if opened == nil {
		return nil, errors.New("the answer holds no session of the local AWS")
	}
	session := *opened
	c.expires = session.Expires
	if life > 0 {
		session.Expires = w.Server.World().Now().Add(life).Truncate(time.Second)
		token, err := w.Server.World().Seal(&session)
		if err != nil {
			return nil, err
		}
		text = strings.Replace(text, c.token, token, 1)
		text = strings.Replace(text, element(text, "Expiration"), session.Expires.UTC().Format(time.RFC3339), 1)
		c.token, c.expires = token, session.Expires
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.minted = append(w.minted, c)
	return []byte(text), nil
}

// element is the text of an element of XML that is there once.
func element(text, name string) string {
	_, rest, _ := strings.Cut(text, "<"+name+">")
	value, _, _ := strings.Cut(rest, "</"+name+">")
	return value
}

// untilRefused waits until the local AWS refuses a session because it has expired.
func (w *world) untilRefused(t *testing.T, id string) {
	t.Helper()
	c, ok := w.session(id)
	if !ok {
		t.Fatalf("the local AWS made no session %s", id)
	}
	if err := w.refused(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func (w *world) refused(ctx context.Context, c credential) error {
	client := sts.NewFromConfig(aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(w.Server)},
		Credentials: credentials.NewStaticCredentialsProvider(c.id, c.secret, c.token), RetryMaxAttempts: 1,
	})
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "ExpiredToken" {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// quiet fails if a text holds the secret of any session that was made, or a token.
func (w *world) quiet(t *testing.T, text string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.minted {
		if strings.Contains(text, c.secret) || strings.Contains(text, c.token) {
			t.Errorf("a secret is in: %s", text)
		}
	}
	if strings.Contains(text, "eyJ") {
		t.Errorf("a token is in: %s", text)
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
