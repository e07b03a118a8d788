package reach_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach"
	"github.com/stile-aws/stile/internal/verify"
)

// taggedWorld has roles with tags of their own, with and without a trust policy that
// lets callers pass others, and policies on both sides that look at tags.
func taggedWorld(r *rand.Rand) *inventory.Inventory {
	inv := world()
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	condition := func() string {
		return pick(
			`{"StringEquals":{"aws:PrincipalTag/team":"pay"}}`, `{"StringNotEquals":{"aws:PrincipalTag/team":"pay"}}`,
			`{"StringLike":{"aws:PrincipalTag/team":"p*"}}`, `{"Null":{"aws:PrincipalTag/team":"true"}}`, `{"Null":{"aws:PrincipalTag/team":"false"}}`,
			`{"StringEqualsIfExists":{"aws:PrincipalTag/team":["pay","ops"]}}`, `{"StringEquals":{"aws:PrincipalTag/env":"prod"}}`, `{}`,
		)
	}
	statement := func(effect, principal, resource string) string {
		return fmt.Sprintf(`{"Effect":%q,%s"Action":"s3:GetObject","Resource":%q,"Condition":%s}`, effect, principal, resource, condition())
	}
	const bucket = "arn:aws:s3:::reports"
	for i := range 6 {
		own := statement("Allow", "", pick(bucket+"/*", bucket+"/${aws:PrincipalTag/team}/*", "arn:aws:s3:::other/*"))
		if r.IntN(3) == 0 {
			own += "," + statement("Deny", "", bucket+"/*")
		}
		trusts := trust(byARN(roleARN(tooling, fmt.Sprintf("r%d", r.IntN(6)))), pick(assume, andTag), pick("", `{"StringEquals":{"aws:PrincipalTag/team":"pay"}}`))
		made := role(inv, tooling, fmt.Sprintf("r%d", i), own+","+allow(`"sts:*"`, anyRole), trusts)
		made.Tags = map[string]string{}
		for _, key := range []string{"team", "env"} {
			if value := pick("pay", "ops", "prod", ""); value != "" {
				made.Tags[key] = value
			}
		}
	}
	policy := document(statement("Allow", `"Principal":`+byARN(roleARN(tooling, "r0"), roleARN(tooling, "r1"))+",", bucket+"/*"), statement(pick("Allow", "Deny"), `"Principal":`+byARN(roleARN(tooling, "r2"))+",", bucket+"/*"))
	inv.Accounts[tooling].Resources = map[string]*inventory.Resource{bucket: {ARN: bucket, Type: "s3:bucket", Policy: policy, PolicyState: inventory.Exists}}
	return inv
}

// TestWhoCanSaysWhatCanSays asks both about every role, of whose sessions the tags are
// the role's own or somebody else's, and of sessions whose tags are told.
func TestWhoCanSaysWhatCanSays(t *testing.T) {
	const object = "arn:aws:s3:::reports/pay/a"
	outcomes := map[reach.Proof]int{}
	for seed := range uint64(150) {
		inv := taggedWorld(rand.New(rand.NewPCG(seed, 12)))
		g := reach.New(inv, reach.Config{})
		for _, told := range []map[string][]string{nil, {"aws:PrincipalTag/team": {"pay"}}, {"aws:PrincipalTag/team": {"ops"}, "aws:PrincipalTag/env": {"prod"}}} {
			for _, ask := range []struct{ action, resource string }{{"s3:GetObject", object}, {"sts:AssumeRole", roleARN(tooling, "r3")}} {
				q := reach.Query{Action: ask.action, Resource: ask.resource}
				context := map[string][]string{"sts:ExternalId": {"none"}}
				q.Context.Set("sts:ExternalId", "none")
				for key, values := range told {
					q.Context.Set(key, values...)
					context[key] = values
				}
				got := map[string]reach.Proof{}
				w := g.WhoCan(q)
				for _, a := range w.Direct {
					got[a.Node.Key] = a.Proof
					if a.Proof == reach.Conditional && w.Explained(a).If == "" {
						t.Errorf("seed %d: %s %s with %v: conditional, on nothing", seed, a.Node.Name, ask.action, told)
					}
				}
				for _, r := range inv.Accounts[tooling].Roles {
					who, err := access.ParseAddress(r.ARN)
					if err != nil {
						t.Fatal(err)
					}
					answer, err := verify.Options{Strict: true}.Can(inv, verify.Query{Who: who, Action: ask.action, Resource: ask.resource, Context: context})
					if err != nil {
						t.Fatal(err)
					}
					outcomes[got[r.ARN]]++
					if !agrees(answer.Outcome, got[r.ARN]) {
						t.Errorf("seed %d: %s %s %s with %v: can says %v, who-can %v", seed, r.Name, ask.action, ask.resource, told, answer.Outcome, got[r.ARN])
					}
				}
			}
		}
	}
	if outcomes[0] < 100 || outcomes[reach.Proven] < 100 || outcomes[reach.Conditional] < 100 {
		t.Errorf("the worlds are too much alike: %v", outcomes)
	}
}
