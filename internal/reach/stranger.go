package reach

import (
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/policy"
)

// strangerRole is the name of the made-up roles that stand for principals of
// accounts that are not in the inventory.
const strangerRole = "stile-example"

// anyPrincipal is the name of the Everyone node, nobodysAccount the account of
// the role that stands for it.
const (
	anyPrincipal   = "any principal of any AWS account"
	nobodysAccount = arn.AccountID("000000000000")
)

// stranger is some role session of an account.
func stranger(id arn.AccountID) authz.Principal {
	return authz.Principal{
		Kind: authz.RoleSession, Entity: arn.IAM("aws", id, "role", "/", strangerRole), ARN: arn.SessionARN("aws", id, strangerRole, "stile"),
	}
}

// elsewhere is an organization that is nobody's.
const elsewhere = "o-elsewhere00"

// strangerContext leaves open what a made-up principal of an account is called.
// Any principal of any account is one of another organization: those of this
// one that are not in the inventory are among the gaps.
func strangerContext(n *node) authz.Context {
	c := chosen(n.context)
	if n.principal.Entity.Name() != strangerRole {
		return c
	}
	c.SetUnknown("aws:PrincipalArn")
	c.SetUnknown("aws:userid")
	if n.Kind == Everyone {
		c.SetUnknown("aws:PrincipalAccount")
		c.Set("aws:PrincipalOrgID", elsewhere)
		c.Set("aws:PrincipalOrgPaths", elsewhere+"/r-else/")
	}
	return c
}

// askStranger asks the resource's side alone: whatever the caller's account
// allows is taken as allowed.
func (g *Graph) askStranger(q effective.Question) (authz.Outcome, authz.Decision) {
	req, pols := g.view.Prepare(q)
	pols.Identity, pols.Boundary, pols.SCPs = []*authz.Policy{g.everything}, nil, nil
	pols.Unread = slices.DeleteFunc(slices.Clone(pols.Unread), func(u authz.Unread) bool { return onCallersSide(u.Source.Layer) })
	d := authz.Evaluate(req, pols, g.view.Facts())
	return d.Outcome, d
}

func onCallersSide(l authz.Layer) bool {
	switch l {
	case authz.LayerSCP, authz.LayerBoundary, authz.LayerSession, authz.LayerIdentity:
		return true
	case authz.LayerRCP, authz.LayerEndpoint, authz.LayerResource, authz.LayerTrust, authz.LayerKey, authz.LayerGrant:
	}
	return false
}

// administrator is the identity policy that a stranger is taken to have.
func administrator() *authz.Policy {
	doc := policy.NewDocument(policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")})
	p, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity, Name: "whatever the caller's account allows (not in the inventory)"})
	if err != nil {
		return nil // it compiles
	}
	return p
}
