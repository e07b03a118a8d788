// Package gate is the one place where the local AWS asks authz: may this
// caller do this?
//
// Start with [Gate.Check]. It gathers everything that applies to the caller
// and the resource (identity policies of the user, its groups or the role,
// boundary, session policies, SCPs and RCPs along the organization's tree), as
// the world looked one propagation delay ago, fills the request context, and
// lets authz decide. Services say what is asked as an [Access]; they never
// judge policies themselves.
//
// The package authenticates nobody (package service does) and knows no
// service's API.
package gate

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// Caller is who makes a request, authenticated.
type Caller struct {
	Principal authz.Principal
	// AccessKey is the id of the key the request was signed with, "" when it
	// was not signed.
	AccessKey string
	// Session is the session behind temporary credentials, nil for long-term
	// keys and unsigned requests.
	Session *store.Session
	// Claims has the condition keys that a token's bearer brings, as
	// "oidc.example.com/id/1:sub"; nil for others.
	Claims map[string][]string
}

// Account is the caller's account, "" for callers without one.

func (c *Caller) Account() arn.AccountID { return c.Principal.ARN.Account }

// Access is one thing that a request wants to do.
type Access struct {
	// Action as policies spell it: "dynamodb:GetItem".
	Action string
	// Resource is the ARN acted on, or "*" for actions without one.
	Resource string
	// Account owns the resource; "" means the account in the ARN, or the
	// caller's where it has none.
	Account arn.AccountID
	// Policy is the resource's own policy (resource, trust or key policy), nil
	// when it has none. Compile it with [Gate.Compile].
	Policy *authz.Policy
	// Grants are the KMS grants on the key.
	Grants []authz.Grant
	// AWSManaged is set for keys that AWS manages, which no RCP affects.
	AWSManaged bool
	// ResourceTags become aws:ResourceTag/… and the service's own spelling of
	// it (secretsmanager:ResourceTag/…).
	ResourceTags map[string]string
	// RequestTags are the tags the request sets; they become aws:RequestTag/…
	// and, with TagKeys, aws:TagKeys. Nil: the request sets none.
	RequestTags map[string]string
	// TagKeys are keys that the request removes.
	TagKeys []string
	// Context has further condition keys, the service's own
	// ("sts:ExternalId"). An empty value list means present but null.
	Context map[string][]string
	// Via names the services that ask on the caller's behalf, first one first
	// ("secretsmanager.amazonaws.com"); nil when the caller asks itself.
	Via []string
}

// Facts are what is known of the HTTP request behind an Access.
type Facts struct {
	Now       time.Time
	Region    string
	SourceIP  netip.Addr
	UserAgent string
	TLS       bool
	// RequestID ties a denial to the answer the client got.
	RequestID string
}

// Gate asks authz on behalf of one world. It is safe for concurrent use as far
// as the world's lock is held: every method that takes no text needs it held.
type Gate struct {
	world    *store.World
	compiled *compiled
	denials  *Denials
}

// New makes a gate for world.
func New(world *store.World) *Gate {
	return &Gate{world: world, compiled: newCompiled(), denials: newDenials()}
}

// Compile returns the compiled form of a policy text, from a bounded cache. The
// error is that of policy.Parse or authz.Compile.
func (g *Gate) Compile(text string, src authz.Source) (*authz.Policy, error) {
	return g.compiled.get(text, src)
}

// Denials are the requests that were refused lately.
func (g *Gate) Denials() *Denials { return g.denials }

// Verdict is the gate's answer.
type Verdict struct {
	Allowed bool
	// Decision explains a denial; it is empty for allowed requests.
	Decision authz.Decision
	// Message is AWS's message for a denial.
	Message string
	// By names who said no in one line: layer, account, document, statement.
	By string
}

// Check decides one access of caller. The caller of Check holds the world's lock.
func (g *Gate) Check(caller *Caller, access *Access, facts *Facts) Verdict {
	req := g.request(caller, access, facts)
	pols, err := g.policies(caller, access, &req)
	if err != nil {
		// A document that does not compile was never accepted by a service: fail closed.
		return Verdict{Message: "a policy that applies to this request cannot be read: " + err.Error(), By: err.Error()}
	}
	if authz.Decide(&req, &pols, nil) == authz.Allowed {
		return Verdict{Allowed: true}
	}
	decision := authz.Evaluate(&req, &pols, nil)
	if decision.Allowed() || answered(caller, &decision) { // whatever the keys are that Decide lacked
		return Verdict{Allowed: true}
	}
	verdict := Verdict{Decision: decision, Message: g.message(caller, &req, decision), By: By(&decision)}
	g.denials.add(newDenial(caller, &req, &verdict, facts))
	return verdict
}

// ofConsole begins what authz cannot know of a user's temporary credentials.
const ofConsole = "whether the user signed in to the console"

// answered reports that nothing is open but whether the user signed in to the
// console, and that they did.
func answered(caller *Caller, d *authz.Decision) bool {
	if caller.Session == nil || caller.Session.Kind != store.Console || d.Outcome != authz.Unknown || len(d.Missing) == 0 {
		return false
	}
	return !slices.ContainsFunc(d.Missing, func(what string) bool { return !strings.HasPrefix(what, ofConsole) })
}
