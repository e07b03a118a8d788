package gate_test

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/policy"
)

const account arn.AccountID = "111111111111"

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

type world struct {
	*store.World
	gate  *gate.Gate
	clock *store.ManualClock
}

func newWorld(t testing.TB) *world {
	t.Helper()
	clock := store.NewManualClock(epoch)
	w, err := store.New(store.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	w.Lock()
	defer w.Unlock()
	if _, err := w.AddAccount(account, "one", ""); err != nil {
		t.Fatal(err)
	}
	return &world{World: w, gate: gate.New(w), clock: clock}
}

// user makes a user and gives the caller that it is.
func (w *world) user(name string, change func(*store.User)) *gate.Caller {
	w.Lock()
	defer w.Unlock()
	u := &store.User{Entity: store.Entity{Name: name, Path: "/", ID: w.NewPrincipal(account, "user", name)}}
	change(u)
	w.Accounts[account].IAM.Users[name] = store.NewVersioned(epoch, u)
	return &gate.Caller{Principal: authz.Principal{Kind: authz.User, ARN: u.UserARN(account), ID: u.ID}}
}

func (w *world) check(caller *gate.Caller, access gate.Access) gate.Verdict {
	w.RLock()
	defer w.RUnlock()
	return w.gate.Check(caller, &access, &gate.Facts{Now: w.Now(), Region: "us-east-1", RequestID: "r1"})
}

func statement(effect, action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Action":"` + action + `","Resource":"*"}]}`
}

func TestEmbeddedPoliciesAreValid(t *testing.T) {
	names := map[string]bool{}
	for _, p := range gate.AWSManagedPolicies() {
		names[p.Name] = true
		doc, err := policy.Parse([]byte(p.Document()))
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if problems := policy.Validate(doc, policy.Managed); len(problems) > 0 {
			t.Errorf("%s: %v", p.Name, problems)
		}
		if found, ok := gate.AWSManaged(p.ARN()); !ok || found != p || !strings.HasPrefix(p.ARN(), "arn:aws:iam::aws:policy/") || !strings.HasPrefix(p.ID, "ANPA") || p.Created.IsZero() {
			t.Errorf("%s is not found by its ARN %s, or is incomplete: %+v", p.Name, p.ARN(), p)
		}
	}
	if !names["AdministratorAccess"] || !names["PowerUserAccess"] {
		t.Errorf("embedded: %v", names)
	}
	for _, p := range gate.AWSOrgPolicies() {
		doc, err := policy.Parse([]byte(p.Content))
		if err != nil || len(policy.Validate(doc, policy.SCP)) > 0 && p.Type == store.ServiceControlPolicy {
			t.Errorf("%s: %v", p.ID, err)
		}
	}
}

func TestPowerUsersMayNotManageUsers(t *testing.T) {
	w := newWorld(t)
	power := w.user("power", func(u *store.User) { u.Attached = []string{"arn:aws:iam::aws:policy/PowerUserAccess"} })
	for action, allowed := range map[string]bool{"dynamodb:GetItem": true, "iam:ListRoles": true, "iam:CreateUser": false, "organizations:DescribeOrganization": true, "organizations:ListAccounts": false} {
		if got := w.check(power, gate.Access{Action: action, Resource: "*"}).Allowed; got != allowed {
			t.Errorf("%s allowed: %v, want %v", action, got, allowed)
		}
	}
}

func TestDerivedPolicies(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ policy, allowed, refused string }{
		{"ReadOnlyAccess",
			"dynamodb:GetItem s3:GetObject s3:ListBucket ec2:DescribeInstances iam:GetRole iam:SimulatePrincipalPolicy sts:GetCallerIdentity sqs:ReceiveMessage " +
				"ssm:GetParameter logs:StartQuery codecommit:GitPull apigateway:GET secretsmanager:DescribeSecret secretsmanager:ListSecrets ecr:GetAuthorizationToken kms:DescribeKey " +
				"codestar-notifications:describeNotificationRule",
			"dynamodb:PutItem s3:PutObject secretsmanager:GetSecretValue secretsmanager:BatchGetSecretValue kms:Decrypt sts:AssumeRole sts:GetFederationToken " +
				"iam:PassRole iam:TagRole lambda:InvokeFunction bedrock:InvokeModel eks:AccessKubernetesApi redshift:GetClusterCredentials ivs:GetStreamKey glue:GetConnection dynamodb:DeleteItem"},
		{"job-function/ViewOnlyAccess",
			"ec2:DescribeInstances dynamodb:ListTables dynamodb:DescribeTable s3:ListAllMyBuckets iam:ListRoles",
			"dynamodb:GetItem s3:GetObject ssm:GetParameter logs:GetLogEvents dynamodb:PutItem"},
		{"SecurityAudit",
			"iam:GetRolePolicy kms:GetKeyPolicy s3:GetBucketPolicy s3:GetObjectAcl lambda:GetPolicy ec2:DescribeSecurityGroups secretsmanager:GetResourcePolicy s3:ListBucket",
			"dynamodb:GetItem s3:GetObject ssm:GetParameter lambda:GetFunction appconfig:GetConfiguration secretsmanager:GetSecretValue iam:PutRolePolicy"},
	} {
		user := w.user(strings.ToLower(path.Base(c.policy)), func(u *store.User) { u.Attached = []string{"arn:aws:iam::aws:policy/" + c.policy} })
		for allowed, actions := range map[bool]string{true: c.allowed, false: c.refused} {
			for _, action := range strings.Fields(actions) {
				if got := w.check(user, gate.Access{Action: action, Resource: "*"}).Allowed; got != allowed {
					t.Errorf("%s: %s allowed: %v, want %v", c.policy, action, got, allowed)
				}
			}
		}
	}
}

// Whatever else the rules let through, nobody writes by a derived policy but
// by the few actions that AWS's own document lists.
func TestDerivedPoliciesWriteNothing(t *testing.T) {
	listed := "config:DeliverConfigSnapshot cognito-identity:GetCredentialsForIdentity cognito-identity:GetOpenIdTokenForDeveloperIdentity"
	for _, name := range []string{"ReadOnlyAccess", "job-function/ViewOnlyAccess", "SecurityAudit"} {
		p, ok := gate.AWSManaged("arn:aws:iam::aws:policy/" + name)
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		doc, err := policy.Parse([]byte(p.Document()))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, pattern := range doc.Statements[0].Actions {
			for _, a := range catalog.ExpandAction(pattern.Value) {
				n++
				if a.Level != catalog.Read && a.Level != catalog.List && !strings.Contains(listed, a.Name) {
					t.Errorf("%s: %s allows %s, which has the level %v", name, pattern.Value, a.Name, a.Level)
				}
			}
		}
		if n < 3000 {
			t.Errorf("%s allows %d actions", name, n)
		}
	}
}

func TestGroupsAndManagedPoliciesCount(t *testing.T) {
	w := newWorld(t)
	w.Lock()
	own := &w.Accounts[account].IAM
	own.Groups["devs"] = store.NewVersioned(epoch, &store.Group{Entity: store.Entity{Name: "Devs", Inline: map[string]string{"p": statement("Allow", "s3:*")}}})
	own.Policies["list"] = store.NewVersioned(epoch, &store.Policy{Name: "list", Path: "/x/", Default: "v2",
		Versions: []store.PolicyVersion{{ID: "v1", Document: statement("Allow", "iam:*")}, {ID: "v2", Document: statement("Allow", "iam:ListRoles")}}})
	w.Unlock()
	u := w.user("u", func(u *store.User) {
		u.Groups = []string{"devs", "gone"}
		u.Attached = []string{"arn:aws:iam::111111111111:policy/x/list", "arn:aws:iam::111111111111:policy/gone", "arn:aws:iam::222222222222:policy/x/list"}
	})
	for action, allowed := range map[string]bool{"s3:GetObject": true, "iam:ListRoles": true, "iam:CreateUser": false} {
		if got := w.check(u, gate.Access{Action: action, Resource: "*"}).Allowed; got != allowed {
			t.Errorf("%s allowed: %v, want %v", action, got, allowed)
		}
	}
}

func TestABoundaryThatCannotBeSeenAllowsNothing(t *testing.T) {
	w := newWorld(t)
	w.SetDelay("", time.Minute)
	w.Lock()
	w.Accounts[account].IAM.Policies["b"] = store.NewVersioned(w.Now(), &store.Policy{Name: "b", Path: "/", Default: "v1",
		Versions: []store.PolicyVersion{{ID: "v1", Document: statement("Allow", "s3:*")}}})
	w.Unlock()
	u := w.user("u", func(u *store.User) {
		u.Boundary = "arn:aws:iam::111111111111:policy/b"
		u.Inline = map[string]string{"p": statement("Allow", "s3:*")}
	})
	verdict := w.check(u, gate.Access{Action: "s3:ListAllMyBuckets", Resource: "*"})
	if verdict.Allowed || !strings.Contains(verdict.Message, "no permissions boundary allows") {
		t.Errorf("before the boundary is seen: %+v", verdict)
	}
	w.clock.Advance(2 * time.Minute)
	if verdict := w.check(u, gate.Access{Action: "s3:ListAllMyBuckets", Resource: "*"}); !verdict.Allowed {
		t.Errorf("after the delay: %s", verdict.Message)
	}
}

// What cannot be read denies; no service accepts such a document.
func TestUnreadablePoliciesDeny(t *testing.T) {
	w := newWorld(t)
	u := w.user("u", func(u *store.User) {
		u.Attached = []string{"arn:aws:iam::aws:policy/AdministratorAccess"}
		u.Inline = map[string]string{"broken": "{"}
	})
	if verdict := w.check(u, gate.Access{Action: "s3:ListAllMyBuckets", Resource: "*"}); verdict.Allowed || verdict.Message == "" {
		t.Errorf("%+v", verdict)
	}
}

func TestDenialsRememberTheLatest(t *testing.T) {
	w := newWorld(t)
	u := w.user("u", func(*store.User) {})
	for i := range 300 {
		w.check(u, gate.Access{Action: fmt.Sprintf("s3:Action%d", i), Resource: "*"})
	}
	recent := w.gate.Denials().Recent()
	if len(recent) != 256 || recent[0].Action != "s3:Action299" || recent[255].Action != "s3:Action44" {
		t.Errorf("%d denials, from %s to %s", len(recent), recent[0].Action, recent[len(recent)-1].Action)
	}
	if d := recent[0]; d.Caller != "arn:aws:iam::111111111111:user/u" || d.RequestID != "r1" || d.Decision.Outcome != authz.ImplicitDeny || len(d.Context) == 0 {
		t.Errorf("denial %+v", d)
	}
}

func TestWhoeverHasNoARNIsNamedAnotherWay(t *testing.T) {
	w := newWorld(t)
	for want, p := range map[string]authz.Principal{
		"anonymous":         {},
		"ec2.amazonaws.com": {Kind: authz.Service, ServiceName: "ec2.amazonaws.com"},
		"arn:aws:iam::111111111111:oidc-provider/x": {Kind: authz.WebIdentity, Provider: arn.IAM("aws", account, "oidc-provider", "/", "x")},
	} {
		w.check(&gate.Caller{Principal: p}, gate.Access{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Account: account})
		if got := w.gate.Denials().Recent()[0].Caller; got != want {
			t.Errorf("caller %q, want %q", got, want)
		}
	}
}

func BenchmarkCheckAllowed(b *testing.B) {
	w := newWorld(b)
	u := w.user("u", func(u *store.User) { u.Attached = []string{"arn:aws:iam::aws:policy/AdministratorAccess"} })
	b.ReportAllocs()
	for b.Loop() {
		if !w.check(u, gate.Access{Action: "s3:ListAllMyBuckets", Resource: "*"}).Allowed {
			b.Fatal("denied")
		}
	}
}
