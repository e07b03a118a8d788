package clients_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// everyKind runs a story for each client in a world of its own, whose doors
// take turns.
func everyKind(t *testing.T, clock func() store.Clock, story func(t *testing.T, w *world, c client)) {
	t.Helper()
	for i, k := range kinds(t) {
		d := doors[i%len(doors)]
		t.Run(k.name+" through the "+d.name, func(t *testing.T) {
			t.Parallel()
			var at store.Clock
			if clock != nil {
				at = clock()
			}
			w := newWorldAt(t, d, at)
			story(t, w, k.start(t, w))
		})
	}
}

func want(t *testing.T, c client, s step) answer {
	t.Helper()
	got := c.call(t, s.call)
	s.check(t, got)
	return got
}

// A role that is deleted and created anew is another one: who trusted it trusts
// a unique id that nobody has any more, until it is declared and applied again.
func TestRecreatedRoleIsTrustedOnlyAfterApply(t *testing.T) {
	t.Parallel()
	everyKind(t, nil, func(t *testing.T, w *world, c client) {
		want(t, c, step{call: whoami("deploy"), output: in{"Account": "222222222222"}})
		if out, code := w.runStile(t, "plan", exampleDir(t, "assume-role")); code != 0 {
			t.Fatalf("planning again finds something to change: %s", out)
		}
		w.recreateDeployer(t)
		c.forget(t)
		const deployer = "User: arn:aws:sts::111111111111:assumed-role/ci-deployer/session is not authorized to perform: sts:AssumeRole on resource: " + deployRole
		want(t, c, step{call: whoami("deploy"), code: "AccessDenied", status: 403, message: deployer})
		role := want(t, c, step{call: call{Profile: "orders-prod", Service: "iam", Operation: "GetRole", Input: in{"RoleName": "orders-deploy-reader"}}, output: in{"Role.Arn": deployRole}})
		if trust := trustText(t, role); !strings.Contains(trust, `"AROA`) || strings.Contains(trust, "role/ci-deployer") {
			t.Errorf("the trust policy does not show the unique id of the deleted role: %s", trust)
		}
		out, code := w.runStile(t, "plan", exampleDir(t, "assume-role"))
		if code != 2 || !strings.Contains(out, "orders-deploy-reader") {
			t.Errorf("stile plan: exit %d, want 2 and a step for the role that trusts a ghost:\n%s", code, out)
		}
		w.mustStile(t, "apply", "--yes", exampleDir(t, "assume-role"))
		c.forget(t)
		want(t, c, step{call: whoami("deploy"), output: in{"Arn": "arn:aws:sts::222222222222:assumed-role/orders-deploy-reader/release"}})
	})
}

// trustText is the trust policy of a GetRole answer: text from the Go SDK, an
// object from botocore.
func trustText(t *testing.T, got answer) string {
	t.Helper()
	document := lookup(got.Output, "Role.AssumeRolePolicyDocument")
	if text, ok := document.(string); ok {
		return unescape(t, text)
	}
	return asJSON(t, document)
}

// recreateDeployer deletes ci-deployer and creates it anew with everything it
// had, its policies included.
func (w *world) recreateDeployer(t *testing.T) {
	t.Helper()
	ctx, c, name := t.Context(), iam.NewFromConfig(w.admin(tooling)), aws.String("ci-deployer")
	policies, err := c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name})
	must(t, err)
	kept := map[string]string{}
	for _, p := range policies.PolicyNames {
		got, err := c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: name, PolicyName: &p})
		must(t, err)
		kept[p] = unescape(t, aws.ToString(got.PolicyDocument))
		_, err = c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: &p})
		must(t, err)
	}
	if len(kept) == 0 {
		t.Fatal("stile gave ci-deployer no policy")
	}
	_, err = c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
	must(t, err)
	_, err = c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trustAdministrator)})
	must(t, err)
	for p, document := range kept {
		_, err := c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: &p, PolicyDocument: &document})
		must(t, err)
	}
}

// A service control policy says no to what both accounts allow, and its name is
// told within the organization.
func TestServiceControlPolicyDenies(t *testing.T) {
	t.Parallel()
	everyKind(t, nil, func(t *testing.T, w *world, c client) {
		list := call{Profile: "target-env", Service: "eks", Operation: "ListClusters", Input: in{}}
		want(t, c, step{call: list, output: in{"clusters.0": "target"}})
		id, arn := w.attachSCP(t, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"eks:List*","Resource":"*"}}`)
		want(t, c, step{call: list, code: "AccessDeniedException", status: 403,
			message: "is not authorized to perform: eks:ListClusters on resource: arn:aws:eks:us-east-1:222222222222:cluster/* with an explicit deny in a service control policy: " + arn})
		want(t, c, step{call: call{Profile: "orders-prod", Service: "eks", Operation: "ListClusters", Input: in{}}, code: "AccessDeniedException", status: 403, message: arn})
		want(t, c, step{call: call{Profile: "tooling", Service: "eks", Operation: "ListClusters", Input: in{}}, output: in{"clusters.0": "ci"}}) // the management account
		o := organizations.NewFromConfig(w.admin(tooling))
		_, err := o.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: &id, TargetId: aws.String(string(orders))})
		must(t, err)
		want(t, c, step{call: list, output: in{"clusters.0": "target"}})
	})
}

// attachSCP puts a service control policy on the account orders, whose root has
// the type switched on.
func (w *world) attachSCP(t *testing.T, document string) (id, arn string) {
	t.Helper()
	ctx, o := t.Context(), organizations.NewFromConfig(w.admin(tooling))
	roots, err := o.ListRoots(ctx, &organizations.ListRootsInput{})
	must(t, err)
	if root := roots.Roots[0]; len(root.PolicyTypes) == 0 {
		_, err := o.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root.Id, PolicyType: orgtypes.PolicyTypeServiceControlPolicy})
		must(t, err)
	}
	made, err := o.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: aws.String("no-lists"), Description: aws.String(""), Type: orgtypes.PolicyTypeServiceControlPolicy, Content: &document,
	})
	must(t, err)
	id, arn = aws.ToString(made.Policy.PolicySummary.Id), aws.ToString(made.Policy.PolicySummary.Arn)
	if !strings.HasPrefix(arn, "arn:aws:organizations::111111111111:policy/o-") || !strings.Contains(arn, "/service_control_policy/p-") {
		t.Errorf("the policy's ARN is %s", arn)
	}
	_, err = o.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: &id, TargetId: aws.String(string(orders))})
	must(t, err)
	return id, arn
}

// behind is how far the clock of TestSessionsExpire is behind the clients': as
// far as a signature may be off, but for a minute.
const behind = 14 * time.Minute

// Credentials of a session end, and clients hear ExpiredToken. The local AWS's
// clock goes from as far behind the clients' as signatures allow to as far
// ahead, which is more than the shortest session.
func TestSessionsExpire(t *testing.T) {
	t.Parallel()
	clock := func() store.Clock {
		c := store.NewClock()
		c.Advance(-behind)
		return c
	}
	for i, k := range kinds(t) {
		d := doors[(i+1)%len(doors)]
		t.Run(k.name+" through the "+d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorldAt(t, d, clock())
			out, err := sts.NewFromConfig(w.admin(tooling)).AssumeRole(t.Context(), &sts.AssumeRoleInput{
				RoleArn: aws.String("arn:aws:iam::111111111111:role/AppRole"), RoleSessionName: aws.String("short"), DurationSeconds: aws.Int32(900),
			})
			must(t, err)
			keys := out.Credentials
			c := k.start(t, w, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
				"AWS_ACCESS_KEY_ID="+*keys.AccessKeyId, "AWS_SECRET_ACCESS_KEY="+*keys.SecretAccessKey, "AWS_SESSION_TOKEN="+*keys.SessionToken)
			get := call{Service: "secretsmanager", Operation: "GetSecretValue", Input: in{"SecretId": w.secret}}
			want(t, c, step{call: whoami(""), output: in{"Arn": "arn:aws:sts::111111111111:assumed-role/AppRole/short"}})
			want(t, c, step{call: get, output: in{"SecretString": secretText}})
			must(t, w.running.Server.World().Advance(2*behind))
			want(t, c, step{call: whoami(""), code: "ExpiredToken", status: 403, message: "The security token included in the request is expired"})
			want(t, c, step{call: get, code: "ExpiredTokenException", status: 400, message: "The security token included in the request is expired"})
		})
	}
}

// TestAsPod has nothing but what the webhook of EKS puts into a pod's environment.
func TestAsPod(t *testing.T) {
	t.Parallel()
	all := kinds(t)
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, d)
			for _, k := range all {
				if !d.proxy && !k.endpointURL {
					continue // it would ask the real STS for the role
				}
				t.Run(k.name, func(t *testing.T) {
					t.Parallel()
					pod := func(token string) client {
						return k.start(t, w, "AWS_ROLE_ARN="+payrollRole, "AWS_WEB_IDENTITY_TOKEN_FILE="+w.tokenFile(token), "AWS_ROLE_SESSION_NAME=pod",
							"AWS_REGION="+region, "AWS_DEFAULT_REGION="+region, "AWS_STS_REGIONAL_ENDPOINTS=regional")
					}
					get := call{Service: "secretsmanager", Operation: "GetSecretValue", Input: in{"SecretId": "AppDemoSecret"}}
					c := pod("payroll")
					want(t, c, step{call: whoami(""), output: in{"Arn": "arn:aws:sts::222222222222:assumed-role/payroll-api/pod"}})
					want(t, c, step{call: get, output: in{"SecretString": secretText}})
					c.forget(t)
					want(t, pod("other"), step{call: get, code: "AccessDenied", status: 403, message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"})
				})
			}
		})
	}
}

// A service that is not served is refused in words its clients can read,
// whatever protocol they speak.
func TestServicesThatAreNotServed(t *testing.T) {
	t.Parallel()
	everyKind(t, nil, func(t *testing.T, _ *world, c client) {
		if talk, ok := c.(*conversation); ok && talk.name == "go" {
			return // it has the services that are served
		}
		for _, q := range []call{
			{Service: "cloudformation", Operation: "ListStacks"},                          // query; not sqs, for which AWS CLI 1 asks the real AWS whatever the environment says
			{Service: "ssm", Operation: "GetParameter", Input: in{"Name": "a"}},           // JSON
			{Service: "lambda", Operation: "GetFunction", Input: in{"FunctionName": "a"}}, // REST-JSON
			{Service: "route53", Operation: "ListHostedZones"},                            // REST-XML
		} {
			q.Profile = "orders-prod"
			if q.Input == nil {
				q.Input = in{}
			}
			want(t, c, step{call: q, code: "UnknownService", status: 400, message: "the local AWS does not serve what this request asks for"})
		}
	})
}
