package localaws_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

func sha256sum(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// control sends a control request as a process on this machine does.
func control(s *localaws.Server, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:7171"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set(localaws.ControlHeader, s.ControlToken())
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestControlIsForTheOwnerOnThisMachine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	s := start(t, func(c *localaws.Config) { c.ControlTokenFile = file })
	written, err := os.ReadFile(file)
	if info, statErr := os.Stat(file); err != nil || statErr != nil || string(written) != s.ControlToken() || info.Mode().Perm() != 0o600 {
		t.Errorf("token file: %v %v", err, statErr)
	}
	for name, c := range map[string]struct{ from, token string }{
		"without a token":            {"127.0.0.1:5000", ""},
		"with a wrong token":         {"127.0.0.1:5000", "guess"},
		"from another machine":       {"192.0.2.1:5000", s.ControlToken()},
		"from nowhere in particular": {"", s.ControlToken()},
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:7171/_stile/state", nil)
		r.RemoteAddr = c.from
		r.Header.Set(localaws.ControlHeader, c.token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 403 || strings.Contains(w.Body.String(), "accounts") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := control(s, "GET", "/_stile/state", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"accounts"`) {
		t.Errorf("state: %d", w.Code)
	}
	if w := control(s, "POST", "/_stile/clock", `{"advance":"1h","x":1}`); w.Code != 400 {
		t.Errorf("an unknown field is accepted: %d", w.Code)
	}
}

func TestControlMovesTheClock(t *testing.T) {
	s := start(t, nil)
	before := s.World().Now()
	if w := control(s, "POST", "/_stile/clock", `{"advance":"2h"}`); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if moved := s.World().Now().Sub(before); moved < 2*time.Hour {
		t.Errorf("the clock moved by %v", moved)
	}
	// Clients sign by the computer's clock, which stands still beside ours.
	if _, err := whoami(t, config(t, s, A)); err != nil {
		t.Errorf("signed by the computer's clock: %v", err)
	}
}

func TestSessionsEndByTheClockThatWasMoved(t *testing.T) {
	s := start(t, nil)
	admin := config(t, s, A)
	out, err := sts.NewFromConfig(admin).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(3600)})
	if err != nil {
		t.Fatal(err)
	}
	session := admin.Copy()
	session.Credentials = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
	for _, step := range []struct{ advance, want string }{{"50m", ""}, {"20m", "ExpiredToken"}} {
		if w := control(s, "POST", "/_stile/clock", `{"advance":"`+step.advance+`"}`); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		_, err := whoami(t, session)
		if step.want == "" && err != nil {
			t.Errorf("after %s: %v", step.advance, err)
		}
		if step.want != "" {
			worldtest.WantError(t, err, step.want, "")
		}
	}
}

func TestControlSwitchesFaultsAndDelay(t *testing.T) {
	s := start(t, nil)
	w := control(s, "POST", "/_stile/faults", `{"kind":"throttle","service":"sts","times":5,"delay":"1s"}`)
	var id struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &id); err != nil || id.ID == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	_, err := whoami(t, config(t, s, A))
	worldtest.WantError(t, err, "Throttling", "")
	if w := control(s, "GET", "/_stile/faults", ""); !strings.Contains(w.Body.String(), `"delay": "1s"`) {
		t.Errorf("list: %s", w.Body)
	}
	if w := control(s, "DELETE", "/_stile/faults/"+id.ID, ""); w.Code != 204 {
		t.Errorf("delete: %d", w.Code)
	}
	for what, body := range map[string]string{
		"an unknown kind":      `{"kind":"earthquake"}`,
		"latency of no time":   `{"kind":"latency"}`,
		"an unknown account":   `{"kind":"throttle","account":"123456789012"}`,
		"an unknown service":   `{"kind":"throttle","service":"foo"}`,
		"an unknown operation": `{"kind":"throttle","service":"iam","operation":"createrole"}`,
	} {
		if w := control(s, "POST", "/_stile/faults", body); w.Code != 400 {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
	if _, err := whoami(t, config(t, s, A)); err != nil {
		t.Error(err)
	}
	if w := control(s, "POST", "/_stile/propagation", `{"account":"111111111111","delay":"1h"}`); w.Code != 204 {
		t.Errorf("propagation: %d %s", w.Code, w.Body)
	}
	client := iam.NewFromConfig(config(t, s, A))
	if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: ptr("late")}); err != nil {
		t.Errorf("the administrator was seen before the delay was set: %v", err)
	}
	key, err := client.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: ptr("late")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = whoami(t, with(s, *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, ""))
	worldtest.WantError(t, err, "InvalidClientTokenId", "")
}

func ptr[T any](v T) *T { return &v }

func TestControlIssuesTokens(t *testing.T) {
	s := start(t, func(c *localaws.Config) { c.Clusters = []localaws.Cluster{{Account: A, Name: "ci"}} })
	w := control(s, "POST", "/_stile/token", `{"account":"111111111111","cluster":"ci","namespace":"payroll","serviceAccount":"api"}`)
	var out struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || strings.Count(out.Token, ".") != 2 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	issuer, _ := s.Issuer(A, "ci")
	key := strings.TrimPrefix(issuer, "https://")
	client := iam.NewFromConfig(config(t, s, B))
	if _, err := client.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &issuer, ClientIDList: []string{"sts.amazonaws.com"}}); err != nil {
		t.Fatal(err)
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/` + key + `"},
		"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + key + `:sub":"system:serviceaccount:payroll:api","` + key + `:aud":"sts.amazonaws.com"}}}]}`
	if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: ptr("api"), AssumeRolePolicyDocument: &trust}); err != nil {
		t.Fatal(err)
	}
	got, err := sts.NewFromConfig(with(s, "", "", "")).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: ptr("arn:aws:iam::222222222222:role/api"), RoleSessionName: ptr("pod"), WebIdentityToken: &out.Token,
	})
	if err != nil || *got.AssumedRoleUser.Arn != "arn:aws:sts::222222222222:assumed-role/api/pod" {
		t.Errorf("%v %v", got, err)
	}
	for body, status := range map[string]int{
		`{"account":"111111111111","cluster":"none","namespace":"a","serviceAccount":"b"}`: 404,
		`{"account":"111111111111","cluster":"ci","namespace":"a"}`:                        400,
	} {
		if w := control(s, "POST", "/_stile/token", body); w.Code != status {
			t.Errorf("%s: %d, want %d", body, w.Code, status)
		}
	}
	if w := control(s, "GET", "/_stile/accounts", ""); !strings.Contains(w.Body.String(), issuer) || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("accounts: %s", w.Body)
	}
}

func TestDenialsAreExplained(t *testing.T) {
	s := start(t, nil)
	cfg := config(t, s, A)
	makeRole(t, cfg, "weak", `{"AWS":"111111111111"}`)
	session, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::111111111111:role/weak"), RoleSessionName: ptr("s1")})
	if err != nil {
		t.Fatal(err)
	}
	c := session.Credentials
	_, err = iam.NewFromConfig(with(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)).ListUsers(t.Context(), &iam.ListUsersInput{})
	worldtest.WantError(t, err, "AccessDenied",
		"User: arn:aws:sts::111111111111:assumed-role/weak/s1 is not authorized to perform: iam:ListUsers on resource: arn:aws:iam::111111111111:user/ because no identity-based policy allows the iam:ListUsers action")
	var denials []gate.Denial
	w := control(s, "GET", "/_stile/denials", "")
	if err := json.Unmarshal(w.Body.Bytes(), &denials); err != nil {
		t.Fatal(err)
	}
	if len(denials) != 1 || denials[0].Action != "iam:ListUsers" || denials[0].Account != A || !strings.Contains(denials[0].By, "identity-based policy in account 111111111111") {
		t.Errorf("denials %+v", denials)
	}
}

func TestLatencyTakesItsTimeAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, nil)
		s.Faults().Add(s.World().Now(), service.Fault{Kind: service.Latency, Delay: 3 * time.Second, Times: 1})
		begin := time.Now()
		if _, err := whoami(t, config(t, s, A)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("the call took %v, want 3s", took)
		}
	})
}

func hex(sum [32]byte) string { return fmt.Sprintf("%x", sum) }

func reader(body string) io.ReadCloser { return io.NopCloser(strings.NewReader(body)) }

// drain reads an answer to its end, so that the connection is used again.
func drain(resp *http.Response) int {
	_, err := io.Copy(io.Discard, resp.Body)
	if resp.Body.Close() != nil || err != nil {
		return 0
	}
	return resp.StatusCode
}
