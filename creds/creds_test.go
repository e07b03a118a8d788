package creds_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
)

func TestWebIdentityReadsTheTokenAgainForEachFetch(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := creds.NewWebIdentity(w.config(tooling), creds.TokenFile(file), creds.Role{ARN: hubARN, SessionName: "payroll-api", Duration: 4 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Retrieve without the file = %v, want that it does not exist", err)
	}
	write("not a token")
	_, err = p.Retrieve(t.Context())
	if code := codeOf(err); code != "InvalidIdentityToken" {
		t.Errorf("Retrieve with a bad token = %v, want InvalidIdentityToken", err)
	}
	token, err := w.token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(token + "\n")
	got, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(got.Expires); left < 3*time.Hour+59*time.Minute {
		t.Errorf("the session lasts %s, want the four hours asked for", left)
	}
	if got.AccountID != string(tooling) {
		t.Errorf("AccountID = %q, want %s", got.AccountID, tooling)
	}
	if got, want := w.identify(t, p), "arn:aws:sts::111111111111:assumed-role/hub/payroll-api"; got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestAssumeRoleSendsEveryParameter(t *testing.T) {
	w := newWorld(t)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	p, err := creds.NewAssumeRole(w.config(orders), w.admin(orders), creds.Role{
		ARN: targetARN, SessionName: "jane", Duration: 4 * time.Hour, ExternalID: "x-1", SourceIdentity: "jane.doe",
		Tags: map[string]string{"team": "orders", "env": "prod"}, TransitiveTags: []string{"team"},
		Policy: policy, PolicyARNs: []string{"arn:aws:iam::aws:policy/AdministratorAccess"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(got.Expires); left < 3*time.Hour+59*time.Minute {
		t.Errorf("the session lasts %s, want the four hours a user's session may last", left)
	}
	want := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {targetARN}, "RoleSessionName": {"jane"}, "DurationSeconds": {"14400"},
		"ExternalId": {"x-1"}, "SourceIdentity": {"jane.doe"},
		"Tags.member.1.Key": {"env"}, "Tags.member.1.Value": {"prod"}, "Tags.member.2.Key": {"team"}, "Tags.member.2.Value": {"orders"},
		"TransitiveTagKeys.member.1": {"team"}, "Policy": {policy}, "PolicyArns.member.1.arn": {"arn:aws:iam::aws:policy/AdministratorAccess"},
	}
	if diff := cmp.Diff([]url.Values{want}, w.wire.asked("AssumeRole")); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestChainAsksForWhatIsGranted(t *testing.T) {
	w := newWorld(t)
	cache := newCache(t, creds.Config{})
	hub := w.hub(t, creds.Role{SessionName: "ci-payroll-api", Duration: 2 * time.Hour})
	p, err := cache.Chain(w.config(tooling), hub, creds.Role{ARN: targetARN, Duration: 4 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, second := w.wire.asked("AssumeRoleWithWebIdentity")[0], w.wire.asked("AssumeRole")[0]
	if got := first.Get("DurationSeconds"); got != "7200" {
		t.Errorf("the first hop asks for %s s, want 7200", got)
	}
	if got := second.Get("DurationSeconds"); got != "3600" {
		t.Errorf("the chained hop asks for %s s, want 3600", got)
	}
	if got, want := w.identify(t, p), "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"; got != want {
		t.Errorf("identity %s, want %s under the caller's name", got, want)
	}
	again, err := cache.Chain(w.config(tooling), w.hub(t, creds.Role{SessionName: "ci-payroll-api", Duration: 2 * time.Hour}), creds.Role{ARN: targetARN, Duration: 4 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if again != p {
		t.Error("the same chain is another credential, want the same")
	}
}

func TestTheCallersNameIsTheSourceIdentityOfTheWholeChain(t *testing.T) {
	w := newWorld(t)
	cache := newCache(t, creds.Config{})
	target := creds.Role{ARN: targetARN, SourceIdentity: creds.CallerName}
	first, err := cache.Chain(w.config(tooling), w.hub(t, creds.Role{SessionName: "ci-payroll-api"}), target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.wire.asked("AssumeRole")[0].Get("SourceIdentity"); got != "ci-payroll-api" || first.SourceIdentity() != got {
		t.Errorf("the source identity is %q for AWS and %q for us, want the caller's name", got, first.SourceIdentity())
	}
	second, err := cache.Chain(w.config(tooling), first, target)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = second.Retrieve(t.Context()) // the role does not trust itself; what was asked for counts
	if form := w.wire.asked("AssumeRole")[1]; form.Has("SourceIdentity") || second.SourceIdentity() != "ci-payroll-api" {
		t.Errorf("the second hop asks for source identity %q, which AWS lets nobody set again", form.Get("SourceIdentity"))
	}
}

func TestTargetsBehindOneHubShareItsCredential(t *testing.T) {
	w := newWorld(t)
	cache := newCache(t, creds.Config{})
	for i := range 5 {
		p, err := cache.Chain(w.config(tooling), w.hub(t, creds.Role{}), creds.Role{ARN: targetARN, SessionName: fmt.Sprintf("caller-%d", i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Retrieve(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if hub, target := w.wire.calls("AssumeRoleWithWebIdentity"), w.wire.calls("AssumeRole"); hub != 1 || target != 5 {
		t.Errorf("%d calls for the hub and %d for the targets, want 1 and 5", hub, target)
	}
}

// A role that is deleted and made again has another unique id, and its old
// sessions are dead although they have not expired.
func TestChainRecoversFromARecreatedHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		p, err := cache.Chain(w.config(tooling), w.hub(t, creds.Role{}), creds.Role{ARN: targetARN})
		if err != nil {
			t.Fatal(err)
		}
		old, err := p.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute) // past the time when a refusal may mean that STS has not heard of the hub's session yet
		w.deleteHub(t)
		w.makeHub(t)
		p.Invalidate(old.AccessKeyID)
		// The trust policy now names a unique id that is gone, as on AWS, so STS
		// denies; what matters here is that the hub was entered anew.
		_, err = p.Retrieve(t.Context())
		if got := codeOf(err); got != "AccessDenied" {
			t.Fatalf("Retrieve = %v, want AccessDenied", err)
		}
		if got := w.wire.calls("AssumeRoleWithWebIdentity"); got != 2 {
			t.Errorf("the hub was entered %d times, want 2", got)
		}
	})
}

func TestErrorsNameTheHopThatFailed(t *testing.T) {
	w := newWorld(t)
	cache := newCache(t, creds.Config{})
	broken := creds.TokenFunc("nobody", func(context.Context) (string, error) { return "", errors.New("no token here") })
	hub, err := creds.NewWebIdentity(w.config(tooling), broken, creds.Role{ARN: hubARN})
	if err != nil {
		t.Fatal(err)
	}
	p, err := cache.Chain(w.config(tooling), hub, creds.Role{ARN: targetARN})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Retrieve(t.Context())
	failed, ok := errors.AsType[*creds.Error](err)
	if !ok || failed.Role != hubARN || err.Error() != "assuming role "+hubARN+": no token here" {
		t.Errorf("Retrieve = %v, want the hub's failure alone", err)
	}
	p, err = cache.Chain(w.config(tooling), w.hub(t, creds.Role{}), creds.Role{ARN: "arn:aws:iam::222222222222:role/other"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Retrieve(t.Context())
	failed, ok = errors.AsType[*creds.Error](err)
	if !ok || failed.Role != "arn:aws:iam::222222222222:role/other" || codeOf(err) != "AccessDenied" {
		t.Errorf("Retrieve = %v, want AccessDenied for the target", err)
	}
}

func TestWrongRequestsAreRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name string
		role creds.Role
		want string
	}{
		{"no ARN", creds.Role{}, "parsing ARN"},
		{"a user's ARN", creds.Role{ARN: "arn:aws:iam::222222222222:user/jane"}, "is not the ARN of a role"},
		{"a session's ARN", creds.Role{ARN: "arn:aws:sts::222222222222:assumed-role/r/s"}, "is not the ARN of a role"},
		{"a session name with a space", creds.Role{ARN: targetARN, SessionName: "jane doe"}, "session name"},
		{"a session name of one character", creds.Role{ARN: targetARN, SessionName: "j"}, "session name"},
		{"a session name of 65 characters", creds.Role{ARN: targetARN, SessionName: strings.Repeat("j", 65)}, "session name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := creds.NewAssumeRole(w.config(orders), w.admin(orders), c.role); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewAssumeRole = %v, want %q", err, c.want)
			}
			if _, err := creds.NewWebIdentity(w.config(orders), creds.TokenFile("token"), c.role); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewWebIdentity = %v, want %q", err, c.want)
			}
		})
	}
	if _, err := creds.NewWebIdentity(w.config(orders), creds.TokenFile("token"), creds.Role{ARN: targetARN, ExternalID: "x"}); err == nil {
		t.Error("NewWebIdentity takes an external id, which STS has no parameter for")
	}
	if _, err := creds.NewWebIdentity(w.config(orders), creds.Token{}, creds.Role{ARN: targetARN}); err == nil {
		t.Error("NewWebIdentity takes no token")
	}
}

func TestCredentialsAreKeyedByTheRequest(t *testing.T) {
	w := newWorld(t)
	cache := newCache(t, creds.Config{})
	full := func() creds.Role {
		return creds.Role{
			ARN: targetARN, SessionName: "jane", Duration: time.Hour, ExternalID: "x", SourceIdentity: "jane",
			Tags: map[string]string{"a": "1", "b": "2"}, TransitiveTags: []string{"a"}, Policy: "{}", PolicyARNs: []string{"p"},
		}
	}
	of := func(source creds.Provider, region string, change func(*creds.Role)) *creds.Cached {
		role := full()
		change(&role)
		cfg := w.config(orders)
		cfg.Region = region
		p, err := cache.Chain(cfg, source, role)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	base := of(w.admin(orders), "us-east-1", func(*creds.Role) {})
	if of(w.admin(orders), "eu-west-1", func(*creds.Role) {}) != base {
		t.Error("another Region is another credential, want the same")
	}
	seen := map[string]string{base.Key(): "the whole"}
	for name, change := range map[string]func(*creds.Role){
		"role":            func(r *creds.Role) { r.ARN = hubARN },
		"session name":    func(r *creds.Role) { r.SessionName = "john" },
		"duration":        func(r *creds.Role) { r.Duration = 2 * time.Hour },
		"external id":     func(r *creds.Role) { r.ExternalID = "" },
		"source identity": func(r *creds.Role) { r.SourceIdentity = "john" },
		"tag value":       func(r *creds.Role) { r.Tags["a"] = "2" },
		"tag":             func(r *creds.Role) { delete(r.Tags, "b") },
		"transitive tags": func(r *creds.Role) { r.TransitiveTags = nil },
		"policy":          func(r *creds.Role) { r.Policy = "" },
		"policy ARNs":     func(r *creds.Role) { r.PolicyARNs = []string{"p", "q"} },
	} {
		key := of(w.admin(orders), "us-east-1", change).Key()
		if other, ok := seen[key]; ok {
			t.Errorf("another %s has the key of %s", name, other)
		}
		seen[key] = name
	}
	if of(w.admin(tooling), "us-east-1", func(*creds.Role) {}) == base {
		t.Error("another source has the same credential")
	}
}

func TestSessionName(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"jane.doe@example.com":         "jane.doe@example.com",
		"ci/payroll/api":               "ci-payroll-api",
		"zoë ☃ müller":                 "zo-m-ller",
		"x":                            "x-stile",
		strings.Repeat("a", 64):        strings.Repeat("a", 64),
		strings.Repeat("a", 65):        strings.Repeat("a", 55) + "-635361c4",
		strings.Repeat("a", 64) + "/b": strings.Repeat("a", 55) + "-bd60b4a7",
	} {
		if got := creds.SessionName(in); got != want {
			t.Errorf("SessionName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSessionNamesAreValidWhateverTheCaller(t *testing.T) {
	valid := regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	rapid.Check(t, func(r *rapid.T) {
		in := rapid.StringN(1, -1, 200).Draw(r, "caller")
		if got := creds.SessionName(in); !valid.MatchString(got) || creds.SessionName(got) != got {
			r.Fatalf("SessionName(%q) = %q", in, got)
		}
	})
}

func TestIdentityIsItsPrincipal(t *testing.T) {
	session := creds.Identity{ARN: mustARN(t, "arn:aws:sts::111111111111:assumed-role/deploy/jane")}
	user := creds.Identity{ARN: mustARN(t, "arn:aws:iam::111111111111:user/team/jane")}
	for _, c := range []struct {
		who  creds.Identity
		arn  string
		want bool
	}{
		{session, "arn:aws:iam::111111111111:role/deploy", true},
		{session, "arn:aws:iam::111111111111:role/ci/deploy", true},
		{session, "arn:aws:iam::222222222222:role/deploy", false},
		{session, "arn:aws:iam::111111111111:role/deployer", false},
		{session, "arn:aws:iam::111111111111:user/deploy", false},
		{session, "arn:aws-cn:iam::111111111111:role/deploy", false},
		{user, "arn:aws:iam::111111111111:user/team/jane", true},
		{user, "arn:aws:iam::111111111111:user/jane", false},
		{user, "jane", false},
	} {
		if got := c.who.Is(c.arn); got != c.want {
			t.Errorf("%s.Is(%s) = %v, want %v", c.who.ARN, c.arn, got, c.want)
		}
	}
	if session.SessionName() != "jane" || user.SessionName() != "jane" {
		t.Errorf("session names %q and %q, want jane", session.SessionName(), user.SessionName())
	}
}

func mustARN(t *testing.T, s string) arn.ARN {
	t.Helper()
	a, err := arn.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNothingSecretIsPrinted(t *testing.T) {
	w := newWorld(t)
	cache := newCache(t, creds.Config{})
	hub := w.hub(t, creds.Role{})
	role := creds.Role{ARN: targetARN, ExternalID: "external-7"}
	assume, err := creds.NewAssumeRole(w.config(tooling), hub, role)
	if err != nil {
		t.Fatal(err)
	}
	cached, err := cache.Chain(w.config(tooling), hub, role)
	if err != nil {
		t.Fatal(err)
	}
	got, err := cached.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, adminSecret, _ := w.Administrator(orders)
	secrets := []string{got.AccessKeyID, got.SecretAccessKey, got.SessionToken, adminSecret, "external-7"}
	for _, v := range []any{hub, assume, cached, cache, w.admin(orders), creds.TokenFunc("t", w.token)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, s := range secrets {
				if strings.Contains(text, s) || strings.Contains(text, fmt.Sprintf("%x", s)) {
					t.Errorf("%T printed by %s holds a secret", v, verb)
				}
			}
		}
	}
}
