package route_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/issuelog"
)

const api = "orders-prod/payroll-api"

// counted is a world whose calls of STS are counted.
type counted struct {
	*routetest.World

	mu    sync.Mutex // guards calls
	calls map[string]int
}

func newCounted(t *testing.T, example string) *counted {
	t.Helper()
	w := &counted{World: routetest.New(t), calls: map[string]int{}}
	if example == "assume-role" {
		w.Deployer(t)
	}
	w.Apply(t, routetest.Example(t, example))
	to, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(to) // the Host that was signed stays
	between := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if form, formErr := url.ParseQuery(string(body)); err == nil && formErr == nil && form.Get("Action") != "" {
			w.mu.Lock()
			w.calls[form.Get("Action")]++
			w.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(between.Close)
	w.Env = append(w.Env, "AWS_ENDPOINT_URL="+between.URL)
	return w
}

// since gives the calls since the last time.
func (w *counted) since() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := maps.Clone(w.calls)
	clear(w.calls)
	return out
}

// key is the access key id that credential-process gives.
func (w *counted) key(t *testing.T, env []string, args ...string) string {
	t.Helper()
	r := w.Stile(t, env, append([]string{"credential-process"}, args...)...)
	var out struct{ AccessKeyId string }
	if err := json.Unmarshal([]byte(r.Stdout), &out); r.Code != 0 || err != nil || r.Stderr != "" {
		t.Errorf("%v: exit %d, %v, %s", args, r.Code, err, r.Stderr)
	}
	return out.AccessKeyId
}

func (w *counted) want(t *testing.T, what string, calls map[string]int) {
	t.Helper()
	if diff := cmp.Diff(calls, w.since()); diff != "" {
		t.Errorf("%s: calls of STS (-want +got):\n%s", what, diff)
	}
}

var byToken = map[string]int{"AssumeRoleWithWebIdentity": 1}

func TestFiftyProcessesOfADeclaredRoleMakeOneCall(t *testing.T) {
	w := newCounted(t, "payroll")
	token := "AWS_WEB_IDENTITY_TOKEN_FILE=" + w.Token(t, "payroll/api")
	keys := make([]string, 50)
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() { keys[i] = w.key(t, []string{token}, api) })
	}
	group.Wait()
	for _, key := range keys {
		if key != keys[0] || key == "" {
			t.Errorf("credentials %q and %q, want one for all", keys[0], key)
		}
	}
	w.want(t, "fifty at once", byToken)
}

func TestAnotherTokenIsAnotherCaller(t *testing.T) {
	w := newCounted(t, "payroll")
	file := w.Token(t, "payroll/api")
	for _, args := range [][]string{{"--token-file", file, api}, {api}} {
		env := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + file}
		first := w.key(t, env, args...)
		if again := w.key(t, env, args...); again != first {
			t.Errorf("%v: got %s, then %s", args, first, again)
		}
		w.want(t, "one token", byToken)
		w.Token(t, "payroll/api") // the kubelet puts another into the same file
		if next := w.key(t, env, args...); next == first {
			t.Errorf("%v: another token gave %s again", args, next)
		}
		w.want(t, "another token", byToken)
	}
	text, err := os.ReadFile(w.Token(t, "other/workload"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Stile(t, nil, "credential-process", "--token-file", file, api).Refused(t, "the token in "+file+" is of system:serviceaccount:other:workload")
}

func TestTheLogOfWhatIsKeptSaysTheSame(t *testing.T) {
	w := newCounted(t, "payroll")
	env := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + w.Token(t, "payroll/api")}
	for range 2 {
		w.key(t, env, api)
	}
	entries, broken, err := issuelog.Read(filepath.Join(w.Dir, "state", "stile"), time.Time{})
	if err != nil || broken > 0 || len(entries) != 2 {
		t.Fatalf("%d entries, %d broken, %v, want 2", len(entries), broken, err)
	}
	ignore := cmp.Options{cmpopts.IgnoreFields(issuelog.Entry{}, "Time"), cmpopts.IgnoreFields(issuelog.Process{}, "PID")}
	if diff := cmp.Diff(entries[0], entries[1], ignore); diff != "" || entries[1].Session == "" || entries[1].AccountName != "orders-prod" || entries[1].Role == "" {
		t.Errorf("logged %+v; -fetched +kept:\n%s", entries[1], diff)
	}
}

// What was applied again may lead elsewhere, or to another role of the same name.
func TestWhatWasAppliedAgainIsFetchedAgain(t *testing.T) {
	w := newCounted(t, "payroll")
	env := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + w.Token(t, "payroll/api")}
	first := w.key(t, env, api)
	w.Apply(t, routetest.Example(t, "payroll"))
	w.since()
	if next := w.key(t, env, api); next == first {
		t.Errorf("got %s again", next)
	}
	w.want(t, "applied again", byToken)
}

func TestSessionPoliciesAreKeptApart(t *testing.T) {
	w := newCounted(t, "payroll")
	env := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + w.Token(t, "payroll/api")}
	seen := map[string]int{}
	for i, args := range [][]string{
		{"--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", api}, {api}, {"--policy-arn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess", api}, {api},
		{"--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", api},
	} {
		key := w.key(t, env, args...)
		if before, ok := seen[key]; ok != (i > 2) || ok && before != map[int]int{3: 1, 4: 0}[i] {
			t.Errorf("%v gave the credentials of request %d", args, before)
		}
		seen[key] = i
	}
	w.want(t, "three kinds", map[string]int{"AssumeRoleWithWebIdentity": 3})
}

// Keys in the environment are their own proof. What a profile's role is anybody's
// guess: STS is asked whose credentials they are, and what follows is kept.
func TestTheDefaultChainIsAskedUnlessTheRequestTells(t *testing.T) {
	w := newCounted(t, "assume-role")
	text, err := os.ReadFile(filepath.Join(w.Dir, "credentials"))
	if err != nil {
		t.Fatal(err)
	}
	deployer := []string{"AWS_PROFILE=deployer"}
	w.since()
	first := w.key(t, deployer, "orders-prod/orders-deploy-reader")
	w.want(t, "a profile with a role", map[string]int{"AssumeRole": 3, "GetCallerIdentity": 1}) // two are the profile's own
	if again := w.key(t, deployer, "orders-prod/orders-deploy-reader"); again != first {
		t.Errorf("got %s, then %s", first, again)
	}
	w.want(t, "the profile again", map[string]int{"AssumeRole": 1, "GetCallerIdentity": 1}) // to prove it
	if err := os.WriteFile(filepath.Join(w.Dir, "credentials"), append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if next := w.key(t, deployer, "orders-prod/orders-deploy-reader"); next == first {
		t.Errorf("other files of AWS gave %s again", next)
	}
}

func TestKeysInTheEnvironmentAreTheirOwnProof(t *testing.T) {
	w := &counted{World: routetest.New(t), calls: map[string]int{}}
	auditor := w.Deployer(t)
	w.Apply(t, routetest.Example(t, "assume-role"))
	first := w.key(t, auditor, "orders-prod/orders-auditor")
	// Whoever asks STS now cannot prove who they are.
	_, err := w.IAM(routetest.Tooling).UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{
		UserName: aws.String("auditor"), AccessKeyId: aws.String(strings.TrimPrefix(auditor[0], "AWS_ACCESS_KEY_ID=")), Status: types.StatusTypeInactive,
	})
	if err != nil {
		t.Fatal(err)
	}
	if again := w.key(t, auditor, "orders-prod/orders-auditor"); again != first {
		t.Errorf("got %s, then %s", first, again)
	}
	w.Stile(t, []string{auditor[0], "AWS_SECRET_ACCESS_KEY=another"}, "credential-process", "orders-prod/orders-auditor").Refused(t, "no credentials of")
}

// What the broker gives is kept too, so that who comes next need not ask it.
func TestTheBrokersCredentialsAreKept(t *testing.T) {
	w := newCounted(t, "payroll")
	w.WithBroker(t)
	env := []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + w.Token(t, "payroll/api")}
	first := w.key(t, env, api)
	if again := w.key(t, env, api); again != first {
		t.Errorf("got %s, then %s", first, again)
	}
	if narrow := w.key(t, env, "--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", api); narrow == first {
		t.Error("a session policy was left out")
	}
	if again := w.key(t, env, api); again != first {
		t.Errorf("after another session policy: got %s, then %s", first, again)
	}
	w.want(t, "by the broker", map[string]int{"AssumeRoleWithWebIdentity": 2})
	r := w.Stile(t, env, "broker", "status", "--json")
	var out struct{ Brokers []client.Status }
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || len(out.Brokers) != 1 || out.Brokers[0].Requests != 3 { // two, and this
		t.Errorf("%v, %+v, want one broker, asked twice", err, out)
	}
}
