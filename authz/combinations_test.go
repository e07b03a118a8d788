package authz_test

import (
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// Every combination of who calls, to whom a resource's policy gives, and what
// each other policy says, by a second telling of AWS's rules: as sentences, with
// no evaluator behind them.

// says is what a policy says about the call.
type says uint8

const (
	absent says = iota
	allows
	otherwise // something else: an implicit deny
	denies
	countSays
)

// gives is to whom the resource's policy gives the call.
type gives uint8

const (
	toNobody gives = iota
	toAccount
	toEntity
	toSession
	toEveryone
	toEveryoneByARN // with a condition on aws:PrincipalArn
	toService
	countGives
)

type combination struct {
	kind                           authz.PrincipalKind
	cross, key, linked, management bool
	gives                          gives
	identity, boundary, session    says
	scp, rcp                       says
}

// want is the answer by the IAM User Guide's "Policy evaluation logic" and its
// table of resource-based policies and implicit denies.
func (c *combination) want() authz.Outcome {
	iam := c.kind == authz.User || c.kind == authz.RoleSession || c.kind == authz.FederatedUser
	signed := iam || c.kind == authz.Root
	scps := signed && !c.linked && !c.management // of the caller's account
	rcps := !c.linked                            // of the resource's account
	// "An explicit deny in any of these policies overrides the allow."
	if iam && (c.identity == denies || c.boundary == denies || c.session == denies) || scps && c.scp == denies || rcps && c.rcp == denies {
		return authz.ExplicitDeny
	}
	if scps && c.scp == otherwise {
		return authz.ImplicitDeny
	}
	// "If a permissions boundary, or session policy is present, it might override
	// the allow with an implicit deny." A federated user has no more than its
	// session policies give.
	limited := iam && (c.boundary == otherwise || c.session == otherwise || c.kind == authz.FederatedUser && c.session == absent)
	own := c.kind == authz.Root || iam && c.identity == allows && !limited
	given, direct, entity := c.given()
	switch {
	case !signed:
		return outcomeOf(given)
	case c.cross: // "only if both evaluations return a decision of Allow"
		return outcomeOf(own && given)
	case direct, entity && !limited:
		return authz.Allowed
	case c.key: // "must explicitly allow access for principals"
		return outcomeOf(own && given && c.gives == toAccount)
	}
	return outcomeOf(own)
}

// given is whether the resource's policy gives the call to the caller, direct
// whether to the user or session that calls, so that nothing of its own limits
// it, and entity whether to the role, or to the user that federated.
func (c *combination) given() (given, direct, entity bool) {
	switch c.gives {
	case toAccount:
		given = c.kind != authz.Anonymous && c.kind != authz.Service
	case toEntity:
		direct, entity = c.kind == authz.User, c.kind == authz.RoleSession || c.kind == authz.FederatedUser
	case toSession:
		direct = c.kind == authz.RoleSession || c.kind == authz.FederatedUser
	case toEveryone:
		direct = c.kind != authz.Service
	case toEveryoneByARN:
		direct = c.kind != authz.Service && c.kind != authz.Anonymous
	case toService:
		direct = c.kind == authz.Service
	case toNobody, countGives:
	}
	return given || direct || entity, direct, entity
}

func outcomeOf(allowed bool) authz.Outcome {
	if allowed {
		return authz.Allowed
	}
	return authz.ImplicitDeny
}

// eachCombination calls check for all that there can be.
func eachCombination(check func(c *combination)) {
	kinds := []authz.PrincipalKind{authz.Anonymous, authz.Root, authz.User, authz.RoleSession, authz.FederatedUser, authz.Service}
	says4 := int(countSays)
	for n := range len(kinds) * 32 * int(countGives) * says4 * says4 * says4 * says4 {
		next := func(radix int) int {
			digit := n % radix
			n /= radix
			return digit
		}
		flag := func() bool { return next(2) > 0 }
		c := combination{kind: kinds[next(len(kinds))], cross: flag(), key: flag(), linked: flag(), management: flag()}
		if flag() {
			c.rcp = denies
		}
		c.gives = gives(next(int(countGives)))
		c.identity, c.boundary, c.session, c.scp = says(next(says4)), says(next(says4)), says(next(says4)), says(next(says4))
		if c.possible() {
			check(&c)
		}
	}
}

// possible is whether such a caller has such policies.
func (c *combination) possible() bool {
	iam := c.kind == authz.User || c.kind == authz.RoleSession || c.kind == authz.FederatedUser
	switch {
	case c.linked && (c.kind != authz.RoleSession || c.boundary != absent),
		!iam && (c.identity != absent || c.boundary != absent),
		c.session != absent && c.kind != authz.RoleSession && c.kind != authz.FederatedUser:
		return false
	}
	return iam || c.kind == authz.Root || !c.cross && !c.management && c.scp == absent
}

// combiner holds the documents of which combinations are made.
type combiner struct {
	t     *testing.T
	plain map[authz.Layer][countSays]*authz.Policy
}

func (b *combiner) policy(l authz.Layer, s says) *authz.Policy {
	list := b.plain[l]
	if s == absent || list[s] != nil {
		return list[s]
	}
	st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	switch s {
	case otherwise:
		st.Actions = policy.Texts("ec2:*")
	case denies:
		st.Effect = policy.Deny
	case absent, allows, countSays:
	}
	if l == authz.LayerRCP {
		st.Principal = policy.Everyone()
	}
	list[s] = b.compile(l, st)
	b.plain[l] = list
	return list[s]
}

func (b *combiner) compile(l authz.Layer, statements ...policy.Statement) *authz.Policy {
	b.t.Helper()
	p, err := authz.Compile(policy.NewDocument(statements...), authz.Source{Layer: l, Name: "p"})
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// combinedCallers are the callers, all of account 111111111111, with the ARNs of
// their entity.
func combinedCallers(t *testing.T) map[authz.PrincipalKind]authz.Principal {
	t.Helper()
	return map[authz.PrincipalKind]authz.Principal{
		authz.Anonymous:     {},
		authz.Root:          {Kind: authz.Root, ARN: arn.Root("aws", "111111111111")},
		authz.User:          {Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u"), ID: "AIDAU"},
		authz.RoleSession:   {Kind: authz.RoleSession, ARN: mustARN(t, "arn:aws:sts::111111111111:assumed-role/r/s"), Entity: mustARN(t, "arn:aws:iam::111111111111:role/r"), ID: "AROAR:s"},
		authz.FederatedUser: {Kind: authz.FederatedUser, ARN: mustARN(t, "arn:aws:sts::111111111111:federated-user/f"), Entity: mustARN(t, "arn:aws:iam::111111111111:user/u"), ID: "111111111111:f"},
		authz.Service:       {Kind: authz.Service, ServiceName: "sns.amazonaws.com"},
	}
}

// gift is the statement of the resource's policy.
func gift(g gives, p *authz.Principal) (st policy.Statement, ok bool) {
	st = policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	entity := p.ARN
	if !p.Entity.IsZero() {
		entity = p.Entity
	}
	if entity.IsZero() || p.Kind == authz.Root {
		entity = arn.IAM("aws", "111111111111", "user", "/", "somebody")
	}
	switch g {
	case toNobody, countGives:
		return st, false
	case toAccount:
		st.Principal = policy.AWS("111111111111")
	case toEntity:
		st.Principal = policy.AWS(entity.String())
	case toSession:
		session := p.ARN.String()
		if p.Kind != authz.RoleSession && p.Kind != authz.FederatedUser {
			session = "arn:aws:sts::111111111111:assumed-role/else/s"
		}
		st.Principal = policy.AWS(session)
	case toEveryone:
		st.Principal = policy.Everyone()
	case toEveryoneByARN:
		st.Principal, st.Conditions = policy.Everyone(), []policy.Condition{policy.Cond("ArnLike", "aws:PrincipalArn", "arn:aws:*::111111111111:*")}
	case toService:
		st.Principal = policy.ServicePrincipal("sns.amazonaws.com")
	}
	return st, true
}

func TestEveryCombination(t *testing.T) {
	b := &combiner{t: t, plain: map[authz.Layer][countSays]*authz.Policy{}}
	callers := combinedCallers(t)
	resources := map[authz.PrincipalKind][2][countGives]*authz.Policy{}
	for kind, p := range callers {
		var byLayer [2][countGives]*authz.Policy
		for i, l := range []authz.Layer{authz.LayerResource, authz.LayerKey} {
			for g := range countGives {
				if st, ok := gift(g, &p); ok {
					byLayer[i][g] = b.compile(l, st)
				}
			}
		}
		resources[kind] = byLayer
	}
	total := 0
	eachCombination(func(c *combination) {
		total++
		req := &authz.Request{Principal: callers[c.kind], Action: "dynamodb:GetItem", Resource: "arn:aws:dynamodb:us-east-1:111111111111:table/t", ResourceAccount: "111111111111"}
		layer := 0
		if c.key {
			req.Action, req.Resource, layer = "kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:key/k", 1
		}
		if c.cross {
			req.ResourceAccount = "222222222222"
		}
		req.Principal.ServiceLinked, req.Principal.Management = c.linked, c.management
		pols := &authz.Policies{Resource: resources[c.kind][layer][c.gives], Boundary: b.policy(authz.LayerBoundary, c.boundary)}
		if p := b.policy(authz.LayerIdentity, c.identity); p != nil {
			pols.Identity = []*authz.Policy{p}
		}
		if p := b.policy(authz.LayerSession, c.session); p != nil {
			pols.Session, pols.HasSession = []*authz.Policy{p}, true
		}
		if p := b.policy(authz.LayerSCP, c.scp); p != nil {
			pols.SCPs = []authz.Level{{Node: "r", Policies: []*authz.Policy{p}}}
			if c.scp == denies {
				pols.SCPs[0].Policies = append(pols.SCPs[0].Policies, b.policy(authz.LayerSCP, allows))
			}
		}
		if p := b.policy(authz.LayerRCP, c.rcp); p != nil {
			pols.RCPs = []authz.Level{{Node: "r", Policies: []*authz.Policy{p}}}
		}
		got, want := authz.Decide(req, pols, nil), c.want()
		if c.kind == authz.Service && (c.gives == toEveryone || c.gives == toEveryoneByARN) && got == authz.Unknown && want == authz.ImplicitDeny {
			return // whether everyone stands for services AWS does not say
		}
		if got != want {
			t.Errorf("%+v: %v, want %v\n%s", *c, got, want, authz.Evaluate(req, pols, nil).Text())
		}
	})
	if total < 10_000 {
		t.Errorf("%d combinations", total)
	}
	t.Logf("%d combinations", total)
}
