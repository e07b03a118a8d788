package sts_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
	localiam "github.com/stile-aws/stile/internal/localaws/iam"
	localkms "github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	localsts "github.com/stile-aws/stile/internal/localaws/sts"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const (
	assumeAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Resource":"*"}]}`
	targetARN = "arn:aws:iam::222222222222:role/target"
)

// cloud serves IAM and STS; web identity tokens are verified by an issuer's keys.
func cloud(t *testing.T) *worldtest.Cloud {
	t.Helper()
	return cloudWith(t, oidc.NewVerifier(oidc.VerifierConfig{Fetch: func(context.Context, string) ([]byte, error) {
		return nil, fmt.Errorf("nothing is served")
	}}))
}

func cloudWith(t *testing.T, verifier *oidc.Verifier) *worldtest.Cloud {
	t.Helper()
	return worldtest.New(t, localsts.New(verifier), localiam.New())
}

// clocked makes a client follow the cloud's clock when that was moved far.
func clocked(cfg aws.Config) aws.Config {
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 2
			o.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: map[string]struct{}{"SignatureDoesNotMatch": {}}}}
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	return cfg
}

// admin makes roles in an account.
func admin(c *worldtest.Cloud, account arn.AccountID) *iam.Client {
	return iam.NewFromConfig(clocked(c.User(account, "admin", worldtest.AllowAll)))
}

func statement(effect, principal, actions, condition string) string {
	s := `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` + actions
	if condition != "" {
		s += `,"Condition":` + condition
	}
	return s + "}"
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// trust lets principals assume and tag.
func trust(principal string) string {
	return document(statement("Allow", `{"AWS":"`+principal+`"}`, `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`, ""))
}

func makeRole(t *testing.T, client *iam.Client, name, trust, policy string) {
	t.Helper()
	_, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust, MaxSessionDuration: aws.Int32(43200)})
	if err != nil {
		t.Fatalf("CreateRole(%s): %v", name, err)
	}
	if policy == "" {
		return
	}
	_, err = client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("p"), PolicyDocument: &policy})
	if err != nil {
		t.Fatalf("PutRolePolicy(%s): %v", name, err)
	}
}

func assume(t *testing.T, cfg aws.Config, role string, change func(*sts.AssumeRoleInput)) (*sts.AssumeRoleOutput, error) {
	t.Helper()
	in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("session")}
	if change != nil {
		change(in)
	}
	return sts.NewFromConfig(cfg).AssumeRole(t.Context(), in)
}

// as is the configuration of the session just made.
func as(c *worldtest.Cloud, creds *types.Credentials) aws.Config {
	return clocked(c.Config(*creds.AccessKeyId, *creds.SecretAccessKey, *creds.SessionToken))
}

func mustAssume(t *testing.T, c *worldtest.Cloud, cfg aws.Config, role string, change func(*sts.AssumeRoleInput)) aws.Config {
	t.Helper()
	out, err := assume(t, cfg, role, change)
	if err != nil {
		t.Fatalf("AssumeRole(%s): %v", role, err)
	}
	return as(c, out.Credentials)
}

func whoami(t *testing.T, cfg aws.Config) (*sts.GetCallerIdentityOutput, error) {
	t.Helper()
	return sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
}

func TestCallerIdentityIsNeverDenied(t *testing.T) {
	c := cloud(t)
	for _, policy := range []string{"", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`} {
		name := fmt.Sprintf("nobody%d", len(policy))
		out, err := whoami(t, c.User(worldtest.A, name, policy))
		if err != nil || *out.Arn != "arn:aws:iam::111111111111:user/"+name || *out.Account != "111111111111" || !strings.HasPrefix(*out.UserId, "AIDA") {
			t.Errorf("with policy %q: %v %v", policy, out, err)
		}
	}
}

func TestCrossAccountTrustMatrix(t *testing.T) {
	c := cloud(t)
	a, b := admin(c, worldtest.A), admin(c, worldtest.B)
	makeRole(t, a, "exact", trust("111111111111"), "")
	users := map[string]aws.Config{"none": c.User(worldtest.A, "none", ""), "allow": c.User(worldtest.A, "allow", assumeAll)}
	trusts := map[string]string{
		"root": "arn:aws:iam::111111111111:root", "other account": "arn:aws:iam::333333333333:root",
		"exact none": "arn:aws:iam::111111111111:user/none", "exact allow": "arn:aws:iam::111111111111:user/allow",
		"another role": "arn:aws:iam::111111111111:role/exact",
	}
	allowed := map[string]bool{"allow/root": true, "allow/exact allow": true}
	for name, principal := range trusts {
		role := "for-" + strings.ReplaceAll(name, " ", "-")
		makeRole(t, b, role, trust(principal), "")
		for user, cfg := range users {
			t.Run(user+"/"+name, func(t *testing.T) {
				target := "arn:aws:iam::222222222222:role/" + role
				out, err := assume(t, cfg, target, nil)
				if allowed[user+"/"+name] {
					if err != nil {
						t.Fatal(err)
					}
					if want := "arn:aws:sts::222222222222:assumed-role/" + role + "/session"; *out.AssumedRoleUser.Arn != want {
						t.Errorf("session %s, want %s", *out.AssumedRoleUser.Arn, want)
					}
					return
				}
				worldtest.WantError(t, err, "AccessDenied", "User: arn:aws:iam::111111111111:user/"+user+" is not authorized to perform: sts:AssumeRole on resource: "+target)
			})
		}
	}
	t.Run("a role that does not exist", func(t *testing.T) {
		_, err := assume(t, users["allow"], "arn:aws:iam::222222222222:role/nowhere", nil)
		worldtest.WantError(t, err, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/nowhere")
	})
	t.Run("in the same account an exact principal needs no policy", func(t *testing.T) {
		makeRole(t, a, "here", trust("arn:aws:iam::111111111111:user/none"), "")
		if _, err := assume(t, users["none"], "arn:aws:iam::111111111111:role/here", nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("in the same account a policy without trust is not enough", func(t *testing.T) {
		makeRole(t, a, "closed", trust("333333333333"), "")
		_, err := assume(t, users["allow"], "arn:aws:iam::111111111111:role/closed", nil)
		worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	})
}

// What is not here is refused, not passed over.
func TestProvidedContextsAreRefused(t *testing.T) {
	c := cloud(t)
	makeRole(t, admin(c, worldtest.A), "target", trust("111111111111"), "")
	_, err := assume(t, c.User(worldtest.A, "u", worldtest.AllowAll), "arn:aws:iam::111111111111:role/target", func(in *sts.AssumeRoleInput) {
		in.ProvidedContexts = []types.ProvidedContext{{ProviderArn: aws.String("arn:aws:iam::aws:contextProvider/IdentityCenter"), ContextAssertion: aws.String("a.b.c.d")}}
	})
	worldtest.WantError(t, err, "ValidationError", "ProvidedContexts")
}

func TestExternalID(t *testing.T) {
	c := cloud(t)
	makeRole(t, admin(c, worldtest.B), "target", document(statement("Allow", `{"AWS":"111111111111"}`, `"sts:AssumeRole"`, `{"StringEquals":{"sts:ExternalId":"right"}}`)), "")
	user := c.User(worldtest.A, "user", assumeAll)
	for name, id := range map[string]*string{"absent": nil, "wrong": aws.String("wrong")} {
		_, err := assume(t, user, targetARN, func(in *sts.AssumeRoleInput) { in.ExternalId = id })
		if err == nil {
			t.Errorf("with the external id %s the role was assumed", name)
			continue
		}
		worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	}
	if _, err := assume(t, user, targetARN, func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("right") }); err != nil {
		t.Error(err)
	}
}

func TestDurationsAndChaining(t *testing.T) {
	c := cloud(t)
	b := admin(c, worldtest.B)
	makeRole(t, b, "long", trust("111111111111"), assumeAll)
	makeRole(t, b, "next", trust("222222222222"), "")
	short := trust("111111111111")
	if _, err := b.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("short"), AssumeRolePolicyDocument: &short}); err != nil {
		t.Fatal(err)
	}
	user := c.User(worldtest.A, "user", assumeAll)
	lasting := func(n int32) func(*sts.AssumeRoleInput) {
		return func(in *sts.AssumeRoleInput) { in.DurationSeconds = &n }
	}
	_, err := assume(t, user, "arn:aws:iam::222222222222:role/short", lasting(7200))
	worldtest.WantError(t, err, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	_, err = assume(t, user, "arn:aws:iam::222222222222:role/short", lasting(899))
	worldtest.WantError(t, err, "ValidationError", "durationSeconds")
	out, err := assume(t, user, "arn:aws:iam::222222222222:role/long", lasting(43200))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out.Credentials.Expiration.Sub(c.Clock.Now()), 12*time.Hour; got.Round(time.Second) != want {
		t.Errorf("the session lasts %v, want %v", got, want)
	}
	session := as(c, out.Credentials)
	next := "arn:aws:iam::222222222222:role/next"
	_, err = assume(t, session, next, lasting(3601))
	worldtest.WantError(t, err, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	if _, err := assume(t, session, next, lasting(3600)); err != nil {
		t.Error(err)
	}
	_, err = assume(t, user, "target", nil)
	worldtest.WantError(t, err, "ValidationError", "")
	_, err = assume(t, user, "arn:aws:iam::222222222222:user/someone", nil)
	worldtest.WantError(t, err, "ValidationError", "is invalid")
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

func TestSessionTags(t *testing.T) {
	c := cloud(t)
	a, b := admin(c, worldtest.A), admin(c, worldtest.B)
	makeRole(t, a, "hub", trust("111111111111"), assumeAll)
	makeRole(t, b, "untagged", document(statement("Allow", `{"AWS":"arn:aws:iam::111111111111:role/hub"}`, `"sts:AssumeRole"`, "")), "")
	makeRole(t, b, "blue", document(statement("Allow", `{"AWS":"arn:aws:iam::111111111111:role/hub"}`, `["sts:AssumeRole","sts:TagSession"]`,
		`{"StringEquals":{"aws:PrincipalTag/team":"blue"}}`)), "")
	user := c.User(worldtest.A, "user", assumeAll)
	const hub, untagged, blue = "arn:aws:iam::111111111111:role/hub", "arn:aws:iam::222222222222:role/untagged", "arn:aws:iam::222222222222:role/blue"
	tagged := func(transitive bool, tags ...types.Tag) func(*sts.AssumeRoleInput) {
		return func(in *sts.AssumeRoleInput) {
			in.Tags = tags
			if transitive {
				in.TransitiveTagKeys = []string{*tags[0].Key}
			}
		}
	}
	plain := mustAssume(t, c, user, hub, nil)
	_, err := assume(t, plain, untagged, tagged(false, tag("team", "blue")))
	worldtest.WantError(t, err, "AccessDenied", "is not authorized to perform: sts:TagSession on resource: "+untagged)
	if _, err := assume(t, plain, untagged, nil); err != nil {
		t.Errorf("without tags: %v", err)
	}
	_, err = assume(t, plain, blue, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	once := mustAssume(t, c, user, hub, tagged(false, tag("team", "blue")))
	if _, err := assume(t, once, blue, nil); err != nil {
		t.Errorf("the session's own tag does not count: %v", err)
	}
	passing := mustAssume(t, c, user, hub, tagged(true, tag("team", "blue")))
	_, err = assume(t, passing, untagged, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:TagSession") // inherited tags need the permission as well
	_, err = assume(t, passing, blue, tagged(false, tag("Team", "red")))
	worldtest.WantError(t, err, "InvalidParameterValue", "conflicts with a transitive tag key")
	if _, err := assume(t, passing, blue, tagged(false, tag("stage", "prod"))); err != nil {
		t.Error(err)
	}
	_, err = assume(t, user, hub, func(in *sts.AssumeRoleInput) { in.TransitiveTagKeys = []string{"team"} })
	worldtest.WantError(t, err, "ValidationError", "transitive tag key must be included")
	_, err = assume(t, user, hub, tagged(false, tag("a", "1"), tag("A", "2")))
	worldtest.WantError(t, err, "InvalidParameterValue", "Duplicate tag keys")
	var many []types.Tag
	for i := range 9 {
		many = append(many, tag(fmt.Sprintf("T%d", i), strings.Repeat("a", 250)))
	}
	_, err = assume(t, user, hub, tagged(false, many...))
	worldtest.WantError(t, err, "PackedPolicyTooLarge", "Packed size of session tags consumes 498% of allotted space.")
}

// Tags that a session passed on are seen by the policies of the third hop.
func TestTransitiveTagsReachTheThirdHop(t *testing.T) {
	c := cloud(t)
	a := admin(c, worldtest.A)
	for _, name := range []string{"one", "two"} {
		makeRole(t, a, name, trust("111111111111"), assumeAll)
	}
	makeRole(t, a, "three", document(statement("Allow", `{"AWS":"111111111111"}`, `["sts:AssumeRole","sts:TagSession"]`,
		`{"StringEquals":{"aws:PrincipalTag/team":"blue","aws:RequestTag/team":"blue"}}`)), "")
	user := c.User(worldtest.A, "user", assumeAll)
	role := func(name string) string { return "arn:aws:iam::111111111111:role/" + name }
	for _, transitive := range []bool{true, false} {
		one := mustAssume(t, c, user, role("one"), func(in *sts.AssumeRoleInput) {
			in.Tags = []types.Tag{tag("team", "blue")}
			if transitive {
				in.TransitiveTagKeys = []string{"team"}
			}
		})
		two := mustAssume(t, c, one, role("two"), nil)
		_, err := assume(t, two, role("three"), nil)
		if transitive && err != nil {
			t.Errorf("a transitive tag is lost: %v", err)
		}
		if !transitive {
			worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
		}
	}
}

func TestSourceIdentityStays(t *testing.T) {
	c := cloud(t)
	a, b := admin(c, worldtest.A), admin(c, worldtest.B)
	makeRole(t, a, "hub", trust("111111111111"), assumeAll)
	makeRole(t, b, "alice", document(
		statement("Allow", `{"AWS":"111111111111"}`, `["sts:AssumeRole","sts:SetSourceIdentity"]`, `{"StringEquals":{"sts:SourceIdentity":"alice"}}`)), "")
	makeRole(t, b, "closed", document(statement("Allow", `{"AWS":"111111111111"}`, `"sts:AssumeRole"`, "")), "")
	user := c.User(worldtest.A, "user", assumeAll)
	alice := mustAssume(t, c, user, "arn:aws:iam::111111111111:role/hub", func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("alice") })
	out, err := assume(t, alice, "arn:aws:iam::222222222222:role/alice", nil)
	if err != nil || aws.ToString(out.SourceIdentity) != "alice" {
		t.Fatalf("inherited source identity: %v %v", out, err)
	}
	_, err = assume(t, alice, "arn:aws:iam::222222222222:role/alice", func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("bob") })
	worldtest.WantError(t, err, "AccessDenied", "source identity")
	_, err = assume(t, alice, "arn:aws:iam::222222222222:role/closed", nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:SetSourceIdentity")
}

func TestSessionPoliciesLimit(t *testing.T) {
	c := cloud(t)
	a := admin(c, worldtest.A)
	makeRole(t, a, "wide", trust("111111111111"), worldtest.AllowAll)
	user := c.User(worldtest.A, "user", assumeAll)
	wide := "arn:aws:iam::111111111111:role/wide"
	list := func(cfg aws.Config) error {
		_, err := iam.NewFromConfig(cfg).ListUsers(t.Context(), &iam.ListUsersInput{})
		return err
	}
	if err := list(mustAssume(t, c, user, wide, nil)); err != nil {
		t.Fatal(err)
	}
	narrow := document(`{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}`)
	out, err := assume(t, user, wide, func(in *sts.AssumeRoleInput) { in.Policy = &narrow })
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 it is what clients get today
	if packed := aws.ToInt32(out.PackedPolicySize); packed < 1 || packed > 100 {
		t.Errorf("packed size %d %%", packed)
	}
	worldtest.WantError(t, list(as(c, out.Credentials)), "AccessDenied", "because no session policy allows the iam:ListUsers action")
	if _, err := iam.NewFromConfig(as(c, out.Credentials)).ListRoles(t.Context(), &iam.ListRolesInput{}); err != nil {
		t.Error(err)
	}
	managed := mustAssume(t, c, user, wide, func(in *sts.AssumeRoleInput) {
		in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/IAMReadOnlyAccess")}}
	})
	if err := list(managed); err != nil {
		t.Error(err)
	}
	_, err = iam.NewFromConfig(managed).DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("wide")})
	worldtest.WantError(t, err, "AccessDenied", "because no session policy allows the iam:DeleteRole action")
	_, err = assume(t, user, wide, func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{") })
	worldtest.WantError(t, err, "MalformedPolicyDocument", "")
	long := document(`{"Sid":"` + strings.Repeat("x", 2048) + `","Effect":"Allow","Action":"*","Resource":"*"}`)
	_, err = assume(t, user, wide, func(in *sts.AssumeRoleInput) { in.Policy = &long })
	worldtest.WantError(t, err, "PackedPolicyTooLarge", "Packed policy consumes 10")
}

func TestRecreatedRoleIsNotTrusted(t *testing.T) {
	c := cloud(t)
	a, b := admin(c, worldtest.A), admin(c, worldtest.B)
	makeRole(t, a, "hub", trust("111111111111"), assumeAll)
	makeRole(t, b, "target", trust("arn:aws:iam::111111111111:role/hub"), "")
	user := c.User(worldtest.A, "user", assumeAll)
	hub := "arn:aws:iam::111111111111:role/hub"
	before := mustAssume(t, c, user, hub, nil)
	if _, err := assume(t, before, targetARN, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String("hub"), PolicyName: aws.String("p")}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("hub")}); err != nil {
		t.Fatal(err)
	}
	makeRole(t, a, "hub", trust("111111111111"), assumeAll)
	_, err := whoami(t, before)
	worldtest.WantError(t, err, "InvalidClientTokenId", "The security token included in the request is invalid")
	after := mustAssume(t, c, user, hub, nil)
	_, err = assume(t, after, targetARN, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole on resource: "+targetARN)
}

func TestSessionsEnd(t *testing.T) {
	c := cloud(t)
	makeRole(t, admin(c, worldtest.A), "hub", trust("111111111111"), "")
	session := mustAssume(t, c, clocked(c.User(worldtest.A, "user", assumeAll)), "arn:aws:iam::111111111111:role/hub",
		func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(900) })
	out, err := whoami(t, session)
	if err != nil || *out.Arn != "arn:aws:sts::111111111111:assumed-role/hub/session" || !strings.HasSuffix(*out.UserId, ":session") {
		t.Fatalf("%v %v", out, err)
	}
	c.Clock.Advance(901 * time.Second)
	_, err = whoami(t, session)
	worldtest.WantError(t, err, "ExpiredToken", "The security token included in the request is expired")
}

func TestNewTrustIsSeenAfterTheDelay(t *testing.T) {
	c := cloud(t)
	b := admin(c, worldtest.B)
	user := c.User(worldtest.A, "user", assumeAll)
	c.World.SetDelay(worldtest.B, 10*time.Second)
	makeRole(t, b, "target", trust("111111111111"), "")
	_, err := assume(t, user, targetARN, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	c.Clock.Advance(11 * time.Second)
	if _, err := assume(t, user, targetARN, nil); err != nil {
		t.Fatalf("after the delay: %v", err)
	}
	closed := trust("333333333333")
	if _, err := b.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("target"), PolicyDocument: &closed}); err != nil {
		t.Fatal(err)
	}
	if _, err := assume(t, user, targetARN, nil); err != nil {
		t.Errorf("the old trust is forgotten before the delay: %v", err)
	}
	c.Clock.Advance(11 * time.Second)
	_, err = assume(t, user, targetARN, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
}

func TestUserSessions(t *testing.T) {
	c := worldtest.New(t, localsts.New(nil), localiam.New(), localkms.New())
	makeRole(t, admin(c, worldtest.A), "hub", trust("111111111111"), "")
	user := c.User(worldtest.A, "user", worldtest.AllowAll)
	client := sts.NewFromConfig(user)
	token, err := client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	session := as(c, token.Credentials)
	if out, err := whoami(t, session); err != nil || *out.Arn != "arn:aws:iam::111111111111:user/user" {
		t.Errorf("%v %v", out, err)
	}
	_, err = iam.NewFromConfig(session).ListUsers(t.Context(), &iam.ListUsersInput{})
	worldtest.WantError(t, err, "InvalidClientTokenId", "")
	if _, err := assume(t, session, "arn:aws:iam::111111111111:role/hub", nil); err != nil {
		t.Error(err)
	}
	_, err = sts.NewFromConfig(session).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	worldtest.WantError(t, err, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	_, err = client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{SerialNumber: aws.String("arn:aws:iam::111111111111:mfa/u"), TokenCode: aws.String("123456")})
	worldtest.WantError(t, err, "AccessDenied", "MultiFactorAuthentication failed")

	_, err = sts.NewFromConfig(session).GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: token.Credentials.AccessKeyId})
	worldtest.WantError(t, err, "AccessDenied", "Cannot call GetAccessKeyInfo with session credentials")

	federated, err := client.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("visitor"),
		Policy: aws.String(document(`{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*"}`))})
	if err != nil {
		t.Fatal(err)
	}
	visitor := as(c, federated.Credentials)
	if out, err := whoami(t, visitor); err != nil || *out.Arn != "arn:aws:sts::111111111111:federated-user/visitor" || *out.UserId != "111111111111:visitor" {
		t.Errorf("%v %v", out, err)
	}
	_, err = assume(t, visitor, "arn:aws:iam::111111111111:role/hub", nil)
	worldtest.WantError(t, err, "AccessDenied", "")
	_, err = iam.NewFromConfig(visitor).ListRoles(t.Context(), &iam.ListRolesInput{}) // although its session policy allows it
	worldtest.WantError(t, err, "InvalidClientTokenId", "")
	if _, err := kms.NewFromConfig(visitor).ListKeys(t.Context(), &kms.ListKeysInput{}); err == nil {
		t.Error("a federated user goes past its session policy")
	}
	// Without session policies a federated user may do nothing.
	empty, err := client.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("empty")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = kms.NewFromConfig(as(c, empty.Credentials)).ListKeys(t.Context(), &kms.ListKeysInput{})
	worldtest.WantError(t, err, "AccessDeniedException", "kms:ListKeys")
}

func TestAccessKeyInfoTellsTheAccount(t *testing.T) {
	c := cloud(t)
	user := c.User(worldtest.A, "user", worldtest.AllowAll)
	creds, err := c.User(worldtest.X, "other", "").Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := sts.NewFromConfig(user).GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: &creds.AccessKeyID})
	if err != nil || *out.Account != string(worldtest.X) {
		t.Errorf("GetAccessKeyInfo = %v %v, want %s", out, err, worldtest.X)
	}
}

// The external id of the organization decides: the caller's account is found
// in its tree.
func TestOrganizationConditions(t *testing.T) {
	c := cloud(t)
	c.Organize()
	orgID := c.World.Organization.ID
	makeRole(t, admin(c, worldtest.B), "target", document(statement("Allow", `"*"`, `"sts:AssumeRole"`, `{"StringEquals":{"aws:PrincipalOrgID":"`+orgID+`"}}`)), "")
	if _, err := assume(t, c.User(worldtest.A, "inside", assumeAll), targetARN, nil); err != nil {
		t.Error(err)
	}
	_, err := assume(t, c.User(worldtest.X, "outside", assumeAll), targetARN, nil)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
}

func TestLastUseOfARoleIsTold(t *testing.T) {
	c := cloud(t)
	a := admin(c, worldtest.A)
	makeRole(t, a, "hub", trust("111111111111"), "")
	get := func() *iamtypes.RoleLastUsed {
		out, err := a.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("hub")})
		if err != nil {
			t.Fatal(err)
		}
		return out.Role.RoleLastUsed
	}
	if got := get(); got != nil && got.LastUsedDate != nil {
		t.Errorf("an unused role was used at %v", got.LastUsedDate)
	}
	mustAssume(t, c, c.User(worldtest.A, "user", assumeAll), "arn:aws:iam::111111111111:role/hub", nil)
	if got := get(); got == nil || got.LastUsedDate == nil || !got.LastUsedDate.Equal(c.Clock.Now()) || *got.Region != worldtest.Region {
		t.Errorf("last use %+v, want now in %s", got, worldtest.Region)
	}
}
