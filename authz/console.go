package authz

import (
	"slices"
	"strings"
	"sync"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/rule"
	"github.com/stile-aws/stile/policy"
)

// askConsole is whether the caller's kind of session can call the operation at
// all. GetFederationToken: "You cannot call any IAM operations using the AWS
// CLI or the AWS API. This limitation does not apply to console sessions."
// GetSessionToken: "You cannot call any IAM API operations unless MFA
// authentication information is included in the request. You cannot call any
// STS API except AssumeRole or GetCallerIdentity"; users of the console have
// temporary credentials too, without that limit.
func (e *evaluation) askConsole() term {
	service := e.service()
	t := yes
	switch kind := e.req.Principal.Kind; {
	case kind == FederatedUser && service == "iam" && !e.Off.Has(rule.FederatedIAM):
		t = e.openTerm("whether the federated user signed in to the console, without which it cannot call IAM")
	case kind != User || e.Off.Has(rule.SessionToken):
	case service == "iam":
		if t = e.or(e.consoleKey(longTerm), e.consoleKey(withMFA)); t != yes {
			t = e.or(t, e.openTerm("whether the user signed in to the console, without which a session without MFA cannot call IAM"))
		}
	case service == "sts" && e.callsSTS("assumerole", "getcalleridentity"):
		if t = e.consoleKey(longTerm); t != yes {
			t = e.or(t, e.openTerm("whether the user signed in to the console, without which its session cannot call this STS operation"))
		}
	}
	if t != yes {
		e.note(LayerSession, CallerSide, Unknown, "what the session may call depends on how it was made")
	}
	return t
}

// callsSTS reports that the request calls an operation of STS other than some.
// Actions which "are not directly invocable through any API operation" belong to
// the operation that asks for them: SetContext, SetSourceIdentity and TagSession
// are AssumeRole's, the last GetFederationToken's too, and GetServiceBearerToken
// is other services' (Service Authorization Reference, AWS Security Token
// Service, "API operations" and "Permission-only actions").
func (e *evaluation) callsSTS(others ...string) bool {
	_, operation, _ := strings.Cut(e.action(), ":")
	if !e.Off.Has(rule.PermissionOnly) {
		switch operation {
		case "getservicebearertoken":
			return false
		case "setcontext", "setsourceidentity":
			operation = "assumerole"
		case "tagsession":
			operation = "assumerole"
			if e.ofFederatedUser() {
				operation = "getfederationtoken"
			}
		}
	}
	return !slices.Contains(others, operation)
}

// ofFederatedUser reports that the request is on a federated user: GetFederationToken
// is, which has no trust policy to ask, and so are the tags it passes.
func (e *evaluation) ofFederatedUser() bool { return strings.HasPrefix(e.Rest, "federated-user/") }

// Indexes of consoleConditions.
const (
	longTerm = iota
	withMFA
)

// consoleConditions tell a user's sessions apart. They are what a policy would
// have, so that keys that are not known leave them open in the same way.
var consoleConditions = sync.OnceValue(func() *[2]condition.Condition {
	written := [2]policy.Condition{
		longTerm: policy.Cond("Null", "aws:TokenIssueTime", "true"),
		withMFA:  policy.Cond("Bool", "aws:MultiFactorAuthPresent", "true"),
	}
	var list [2]condition.Condition
	for i := range written {
		if err := new(condition.Compiler).Condition(&written[i], &list[i]); err != nil {
			panic("authz: compiling the conditions of sessions: " + err.Error())
		}
	}
	return &list
})

func (e *evaluation) consoleKey(i int) term {
	c := &consoleConditions()[i]
	got := e.Lookup(&c.Key)
	return e.conditionTerm(c, &got, e.Compare(c, &got))
}

// settleConsole settles an operation that needs no permission.
func (e *evaluation) settleConsole(a *answers) Outcome {
	if a.console == yes {
		return Allowed
	}
	if e.rec != nil {
		e.rec.allow = a.console
	}
	return e.denied(Unknown)
}
