package effective

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// Leg is one decision on the way of a route.
type Leg struct {
	Caller   string         `json:"caller"` // ARN, or the service account's address
	Action   string         `json:"action"`
	Resource string         `json:"resource"`
	Why      string         `json:"why,omitempty"` // what it is needed for, where it is not what was asked for
	Decision authz.Decision `json:"decision"`
	// Question is what was asked, for asking on; that of a leg where something
	// outside policies stands in the way asks for nothing.
	Question Question `json:"-"`
	// If lists declared conditions on which the answer rests and whose keys are
	// the caller's to set, "" for none: "secretsmanager:VersionStage".
	If []string `json:"if,omitempty"`
}

// Allowed reports whether AWS would let the leg pass, given that the declared
// conditions in If hold.
func (l *Leg) Allowed() bool {
	if l.Decision.Allowed() {
		return true
	}
	return l.Decision.Outcome == authz.Unknown && len(l.If) > 0 && !l.limited() && !slices.ContainsFunc(l.Decision.Missing, func(m string) bool {
		return !slices.ContainsFunc(l.If, func(key string) bool { return strings.EqualFold(m, key) })
	})
}

// limited reports whether what is not known decides about more than the grant:
// that a declared condition holds says nothing of a deny, or of a limit, that
// asks for the same key in another way.
func (l *Leg) limited() bool {
	return slices.ContainsFunc(l.Decision.Layers, func(layer authz.LayerResult) bool {
		limits := layer.Layer == authz.LayerSCP || layer.Layer == authz.LayerRCP || layer.Layer == authz.LayerBoundary
		return slices.ContainsFunc(layer.Statements, func(s authz.StatementResult) bool {
			return s.Match == authz.Maybe && (s.Effect == policy.Deny || limits && layer.Outcome == authz.Unknown)
		})
	})
}

// Walk is what a route's hops and permissions come to.
type Walk struct {
	Hops []Leg // one for each STS permission the hops take, in order
	Uses []Leg // one for each action on each resource allowed at the end
}

// Allowed reports whether every leg is.
func (w *Walk) Allowed() bool {
	return !slices.ContainsFunc(slices.Concat(w.Hops, w.Uses), func(l Leg) bool { return !l.Allowed() })
}

// Walk decides every hop of r and every action it ends in, as AWS would decide
// them just before r expires, or now when that is past. now stands for the time
// of requests of routes that do not expire, too; the zero time leaves it unknown.
func (v *View) Walk(r *compile.Route, now time.Time) Walk {
	if !r.Expires.IsZero() && now.Before(r.Expires) {
		now = r.Expires.Add(-time.Second)
	}
	t := v.start(r, now)
	var w Walk
	for i := range r.Hops {
		w.Hops = append(w.Hops, v.hop(t, &r.Hops[i])...)
	}
	for i := range r.Allow {
		w.Uses = append(w.Uses, v.uses(t, r, &r.Allow[i])...)
	}
	return w
}

// Reach decides the first hops of r and returns what is known of the caller
// after them, as the start of a Question about it. reached is false while the
// caller still holds a token only, and cannot ask AWS for anything.
func (v *View) Reach(r *compile.Route, hops int, now time.Time) (legs []Leg, as Question, reached bool) {
	t := v.start(r, now)
	for i := range r.Hops[:hops] {
		legs = append(legs, v.hop(t, &r.Hops[i])...)
	}
	return legs, Question{Principal: t.principal, Context: t.context()}, !t.token
}

// traveller is who walks a route, and as whom at the moment.
type traveller struct {
	route     *compile.Route
	name      string
	principal authz.Principal
	token     bool // still holds a token and no credentials
	tags      map[string]string
	time      time.Time
}

func (v *View) start(r *compile.Route, now time.Time) *traveller {
	t := &traveller{route: r, name: r.Caller.Name, time: now}
	if r.Caller.Subject != "" {
		t.token = true
		return t
	}
	// The ARN of a Wanted parses; were it not to, nobody is denied everything.
	t.principal, _ = v.Principal(r.Caller.ARN)
	return t
}

// context is what every request of the traveller carries.
func (t *traveller) context() authz.Context {
	var c authz.Context
	if !t.time.IsZero() {
		c.Set("aws:CurrentTime", t.time.UTC().Format(time.RFC3339))
		c.Set("aws:EpochTime", strconv.FormatInt(t.time.Unix(), 10))
	}
	for _, k := range slices.Sorted(maps.Keys(t.tags)) {
		c.Set("aws:PrincipalTag/"+k, t.tags[k])
	}
	return c
}

// hop is one AssumeRole call: a decision for each permission it takes.
func (v *View) hop(t *traveller, h *compile.Hop) []Leg {
	role, err := arn.Parse(h.Role)
	if err != nil {
		return []Leg{t.leg("sts:AssumeRole", h.Role, nobody("its ARN cannot be read"))}
	}
	var legs []Leg
	if h.WebIdentity {
		legs = append(legs, v.exchange(t, h))
	} else {
		for _, action := range hopActions(h) {
			q := Question{Principal: t.principal, Action: action, Resource: h.Role, Context: HopContext(t.context(), h)}
			legs = append(legs, v.asked(t, q))
		}
	}
	t.principal, t.token, t.tags = v.Session(role), false, h.Tags
	t.name = t.principal.ARN.String()
	return legs
}

func hopActions(h *compile.Hop) []string {
	if len(h.Tags) > 0 {
		return []string{"sts:AssumeRole", "sts:TagSession"}
	}
	return []string{"sts:AssumeRole"}
}

// HopContext adds to base what an AssumeRole call of h sends.
func HopContext(base authz.Context, h *compile.Hop) authz.Context {
	c := base.Clone()
	if h.ExternalID != "" {
		c.Set("sts:ExternalId", h.ExternalID)
	}
	keys := slices.Sorted(maps.Keys(h.Tags))
	for _, k := range keys {
		c.Set("aws:RequestTag/"+k, h.Tags[k])
	}
	if len(keys) > 0 {
		c.Set("aws:TagKeys", keys...)
	}
	return c
}

// exchange is AssumeRoleWithWebIdentity, which takes a registered provider
// that accepts the token's audience, and a trust policy that takes the claims.
func (v *View) exchange(t *traveller, h *compile.Hop) Leg {
	const action = "sts:AssumeRoleWithWebIdentity"
	caller := t.route.Caller
	p, why := v.bearer(h.Provider, caller.Audience)
	if why != "" {
		return t.leg(action, h.Role, nobody(why))
	}
	q := Question{Principal: p, Action: action, Resource: h.Role, Context: ClaimsContext(t.context(), caller)}
	return v.asked(t, q)
}

// asked is the leg of a question.
func (v *View) asked(t *traveller, q Question) Leg {
	l := t.leg(q.Action, q.Resource, v.Ask(q))
	l.Question = q
	return l
}

// ClaimsContext adds to base what a service account's token says.
func ClaimsContext(base authz.Context, c compile.Caller) authz.Context {
	out := base.Clone()
	out.Set(c.Issuer+":sub", c.Subject)
	out.Set(c.Issuer+":aud", c.Audience)
	return out
}

// bearer is the bearer of a token of a provider, if STS accepts the token.
func (v *View) bearer(provider, audience string) (authz.Principal, string) {
	a, err := arn.Parse(provider)
	if err != nil {
		return authz.Principal{}, "the provider's ARN cannot be read"
	}
	if v.inv.Accounts[a.Account] == nil {
		return authz.Principal{}, "account " + string(a.Account) + " was not read, so its OIDC providers are not known"
	}
	audiences, state := v.provider(a)
	switch {
	case state == inventory.Absent:
		return authz.Principal{}, "there is no OIDC provider " + provider
	case state != inventory.Exists:
		return authz.Principal{}, "the OIDC provider " + provider + " was not read"
	case !slices.Contains(audiences, audience):
		return authz.Principal{}, "the OIDC provider " + provider + " does not accept the audience " + audience
	}
	return authz.Principal{Kind: authz.WebIdentity, Provider: a}, ""
}

// nobody is the decision where something outside policies stands in the way.
func nobody(why string) authz.Decision {
	return authz.Decision{
		Outcome:  authz.ImplicitDeny,
		Layers:   []authz.LayerResult{{Layer: authz.LayerTrust, Side: authz.ResourceSide, Outcome: authz.ImplicitDeny, Note: why}},
		Deciding: []int{0},
	}
}

func (t *traveller) leg(action, resource string, d authz.Decision) Leg {
	return Leg{Caller: t.name, Action: action, Resource: resource, Decision: d}
}

// uses decides every action of p on every resource of p.
func (v *View) uses(t *traveller, r *compile.Route, p *compile.Permission) []Leg {
	var out []Leg
	if t.token {
		return []Leg{t.leg(strings.Join(p.Actions, ", "), strings.Join(p.Resources, ", "), nobody("a token alone gives no access to AWS"))}
	}
	for _, resource := range p.Resources {
		for _, action := range p.Actions {
			ctx := t.context()
			open := satisfy(&ctx, p.Conditions)
			q := Question{Principal: t.principal, Action: exampleAction(action), ResourceAccount: r.Account, Context: ctx}
			q.Resource, q.Example = v.example(r.Account, action, resource)
			if a, err := arn.Parse(q.Resource); err == nil && a.Account != "" {
				q.ResourceAccount = a.Account // a key may be in a third account
			}
			l := t.leg(action, q.Resource, v.Ask(q))
			l.If = open
			out = append(out, v.whole(q, action, l))
		}
	}
	return out
}

// example is a resource that a pattern describes: one that exists where the
// inventory knows one, else a made-up one.
func (v *View) example(target arn.AccountID, action, pattern string) (resource string, madeUp bool) {
	if pattern == catalog.Everything && catalog.WildcardOnly(action) || !strings.ContainsAny(pattern, "*?") {
		return pattern, false
	}
	if account := v.inv.Accounts[target]; account != nil {
		if s, state := inventory.Get(account.Secrets, pattern); state == inventory.Exists {
			return s.ARN, false
		}
	}
	if pattern == catalog.Everything {
		return pattern, false
	}
	return strings.NewReplacer("*", "stile", "?", "x").Replace(pattern), true
}

// satisfy puts values that meet conditions into ctx, and returns the keys for
// which it knows none, marked as unknown. Keys that say who calls what are
// facts of the request and no business of the caller's: those are left alone.
func satisfy(ctx *authz.Context, conditions []policy.Condition) []string {
	var open []string
	for _, c := range exactFirst(conditions) {
		_, present, _ := ctx.Get(c.Key)
		if present || isFact(c.Key) {
			continue
		}
		if values, ok := meeting(c); ok {
			ctx.Set(c.Key, values...)
			continue
		}
		ctx.SetUnknown(c.Key)
		open = append(open, c.Key)
	}
	return open
}

// exactFirst puts conditions on one value before patterns on the same key.
func exactFirst(conditions []policy.Condition) []policy.Condition {
	rank := func(c policy.Condition) int {
		if strings.HasSuffix(policy.SplitOperator(c.Operator).Base, "Equals") {
			return 0
		}
		return 1
	}
	out := slices.Clone(conditions)
	slices.SortStableFunc(out, func(a, b policy.Condition) int { return rank(a) - rank(b) })
	return out
}

// isFact reports whether a condition key follows from the request itself.
func isFact(key string) bool {
	key = strings.ToLower(key)
	for _, prefix := range []string{"aws:principal", "aws:userid", "aws:username", "aws:resourceaccount", "aws:resourceorg", "aws:requestedregion", "aws:securetransport", "aws:viaawsservice", "aws:calledvia"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// meeting gives values that meet c; ok is false where none is made up: for
// negations, orders and policy variables.
func meeting(c policy.Condition) (values []string, ok bool) {
	op := policy.SplitOperator(c.Operator)
	if op.Negated() || len(c.Values) == 0 || strings.Contains(c.Values[0].Value, "${") {
		return nil, false
	}
	value := c.Values[0].Value
	switch op.Base {
	case "Null":
		return []string{"stile"}, value == "false"
	case "StringLike", "ArnLike", "ArnEquals":
		return []string{strings.NewReplacer("*", "stile", "?", "x").Replace(value)}, true
	case "IpAddress":
		address, _, _ := strings.Cut(value, "/")
		return []string{address}, true
	case "StringEquals", "StringEqualsIgnoreCase", "NumericEquals", "DateEquals", "BinaryEquals", "Bool":
		return []string{value}, true
	}
	return nil, false
}
