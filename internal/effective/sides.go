package effective

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// A Side is what one side of a request brings to it, gathered once and shared
// by many questions: see [View.Caller], [View.Guard] and [View.Decide]. It
// never changes and may be used by any number of goroutines at once.
type Side struct {
	policies authz.Policies
	keys     []string // condition keys that the documents mention, sorted, lower case
	userid   bool     // a document has aws:userid as a policy variable
	sessions []arn.ARN
	roles    []arn.ARN     // named with a path
	userIDs  []policy.Text // values that documents compare aws:userid with
	anyTags  bool          // the caller's session may have tags of which nothing is known

	// Of a guard:
	target     Question        // what the resource of the question stands for
	known      authz.Context   // keys that the resource and the way to it tell
	key        *inventory.Key  // the resource, where it is one
	management bool            // the owner is the organization's management account
	refused    *authz.Decision // see noProvider
}

// Caller gathers what p brings to every request it makes: its identity
// policies, its boundary and the service control policies above its account.
func (v *View) Caller(p authz.Principal) *Side {
	var pols authz.Policies
	v.callerPolicies(&p, &pols)
	v.scps(p.Account(), &pols)
	s := v.sideOf(pols)
	if d, refused := v.noProvider(&p); refused {
		s.refused = &d
	}
	return s
}

// Guard gathers what the resource of q brings to every request of that action
// to it. The principal of q counts only where nothing else tells who owns the
// resource, its context not at all.
func (v *View) Guard(q Question) *Side {
	var pols authz.Policies
	var known authz.Context
	v.resolve(&q, &known)
	v.endpoint(&q, &known, &pols)
	v.rcps(&q, &pols)
	v.resourcePolicy(&q, &pols)
	s := v.sideOf(pols)
	s.target, s.known = q, known
	s.management = v.isManagement(ownerOf(&authz.Request{Resource: q.Resource, ResourceAccount: q.ResourceAccount, Principal: q.Principal}))
	if s.key = v.keyOf(q.Resource); s.key != nil {
		s.policies.Grants = grantsOf(s.key, "")
		var m mentions
		for i := range s.key.Grants {
			m.principal(s.key.Grants[i].Grantee)
			m.principal(s.key.Grants[i].Retiring)
		}
		s.sessions, s.roles = append(s.sessions, m.sessions...), append(s.roles, m.roles...)
	}
	return s
}

// sideOf looks through the documents for what decides how requests are completed.
func (v *View) sideOf(pols authz.Policies) *Side {
	s := &Side{policies: pols}
	one := true
	for p := range each(&s.policies) {
		m := v.mentionsOf(p)
		if len(m.keys) > 0 {
			one = len(s.keys) == 0
			s.keys = slices.Concat(s.keys, m.keys)
		}
		s.userid = s.userid || m.userIDVariable
		s.sessions, s.roles = append(s.sessions, m.sessions...), append(s.roles, m.roles...)
		s.userIDs = append(s.userIDs, m.userIDs...)
	}
	if !one {
		slices.Sort(s.keys)
		s.keys = slices.Clip(slices.Compact(s.keys))
	}
	return s
}

// Policies has the documents of the side, which must not be changed. Those of
// the other side are not among them.
func (s *Side) Policies() *authz.Policies { return &s.policies }

// Decide answers q as [View.Ask] does, by sides gathered before: caller that
// of q's principal, guard that of its action and resource. It says nothing of
// why. Safe for concurrent use.
func (v *View) Decide(q Question, caller, guard *Side) authz.Outcome {
	if caller.refused != nil {
		return caller.refused.Outcome
	}
	pols := join(&q, caller, guard)
	both := caller.with(guard)
	both.anyTags = q.AnyTags && v.taggable(&q.Principal)
	if len(both.keys) == 0 && !both.userid && len(both.sessions)+len(both.userIDs)+len(pols.Grants) == 0 && !v.pathless(&q.Principal) && q.Principal.Kind != authz.User {
		return v.decidePlainly(&q, &pols, guard)
	}
	decide := func(p *authz.Principal) authz.Outcome {
		req := v.request(&q, p, guard)
		v.completeFor(&req, &both)
		return authz.Decide(&req, &pols, v.Facts())
	}
	o := decide(&q.Principal)
	variants := v.variants(&q.Principal, &both)
	for i := range variants {
		switch other := decide(&variants[i].principal); {
		case other == o:
		case denied(other) && denied(o):
			o = authz.ImplicitDeny
		default:
			return authz.Unknown
		}
	}
	return o
}

// Settle is Decide, and where that leaves the question open [View.Explain]: what
// single conditions leave open, all of them together may settle, as a tag that one
// statement wants and another one refuses.
func (v *View) Settle(q Question, caller, guard *Side) authz.Outcome {
	o := v.Decide(q, caller, guard)
	if o != authz.Unknown {
		return o
	}
	return v.Explain(q, caller, guard).Outcome
}

// decidePlainly is Decide where nothing looks at the request's context, so that
// none has to be made. (Of users it tells what kind of session they have.)
func (v *View) decidePlainly(q *Question, pols *authz.Policies, guard *Side) authz.Outcome {
	req := authz.Request{
		Principal: q.Principal, Action: q.Action, Resource: guard.target.Resource, ResourceAccount: guard.target.ResourceAccount,
		ResourceManagement: guard.management, ResourceAWSManaged: guard.awsManaged(),
	}
	if q.ResourceAccount != "" {
		req.ResourceAccount = q.ResourceAccount
	}
	req.Principal.Management = req.Principal.Management || v.isManagement(q.Principal.Account())
	return authz.Decide(&req, pols, v.Facts())
}

// Explain is Decide with everything that led to the answer.
func (v *View) Explain(q Question, caller, guard *Side) authz.Decision {
	if caller.refused != nil {
		d := *caller.refused
		d.Action, d.Resource = q.Action, q.Resource
		return d
	}
	pols := join(&q, caller, guard)
	both := caller.with(guard)
	both.anyTags = q.AnyTags && v.taggable(&q.Principal)
	return decideAll(&q.Principal, v.variants(&q.Principal, &both), func(p *authz.Principal) authz.Decision {
		req := v.request(&q, p, guard)
		v.complete(&req, &both)
		return authz.Evaluate(&req, &pols, v.Facts())
	})
}

// request is q as asked by p, without what [View.complete] adds.
func (v *View) request(q *Question, p *authz.Principal, guard *Side) authz.Request {
	req := authz.Request{
		Principal: *p, Action: q.Action, Resource: guard.target.Resource, ResourceAccount: guard.target.ResourceAccount,
		ResourceManagement: guard.management, ResourceAWSManaged: guard.awsManaged(), Context: q.Context.Clone(),
	}
	if q.ResourceAccount != "" {
		req.ResourceAccount = q.ResourceAccount
	}
	req.Principal.Management = req.Principal.Management || v.isManagement(p.Account())
	if guard.key != nil && viaService(&req.Context) {
		openConstraints(guard.key, &req.Context)
	}
	guard.known.All(func(key string, values []string, _ bool) bool {
		setAbsent(&req.Context, key, values...)
		return true
	})
	return req
}

// awsManaged reports whether the resource is a key that AWS manages.
func (s *Side) awsManaged() bool { return s.key != nil && s.key.AWSManaged || s.target.managed != "" }

// openConstraints marks the pairs of a service's encryption context that grants
// ask for and that are not known.
func openConstraints(k *inventory.Key, c *authz.Context) {
	for i := range k.Grants {
		for name := range k.Grants[i].EncryptionContext {
			if _, present, known := c.Get(encryptionContext + name); !present && known {
				c.SetUnknown(encryptionContext + name)
			}
		}
	}
}

func join(q *Question, caller, guard *Side) authz.Policies {
	pols := caller.policies
	g := &guard.policies
	pols.Session, pols.HasSession = q.Session, q.Session != nil
	pols.Resource, pols.RCPs, pols.Grants, pols.Endpoint = g.Resource, g.RCPs, g.Grants, g.Endpoint
	if source, _, _ := q.Context.Get("aws:SourceArn"); len(source) == 1 && guard.key != nil {
		pols.Grants = grantsOf(guard.key, source[0])
	}
	if len(g.Unread) > 0 {
		pols.Unread = slices.Concat(pols.Unread, g.Unread)
	}
	return pols
}

// with joins what two sides mention.
func (s *Side) with(other *Side) Side {
	return Side{
		keys: merged(s.keys, other.keys), userid: s.userid || other.userid,
		sessions: joined(s.sessions, other.sessions), roles: joined(s.roles, other.roles), userIDs: joined(s.userIDs, other.userIDs),
	}
}

// joined is both lists as one, without copying where one is empty.
func joined[T any](a, b []T) []T {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return slices.Concat(a, b)
}

// merged joins two sorted lists without repetitions.
func merged(a, b []string) []string {
	if len(a) == 0 || len(b) == 0 {
		return joined(a, b)
	}
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// each yields the compiled documents of pols.
func each(pols *authz.Policies) iter.Seq[*authz.Policy] {
	return func(yield func(*authz.Policy) bool) {
		singles := [...]*authz.Policy{pols.Boundary, pols.Resource, pols.Endpoint}
		ok := yieldAll(singles[:], yield) && yieldAll(pols.Session, yield) && yieldAll(pols.Identity, yield)
		for _, levels := range [...][]authz.Level{pols.SCPs, pols.RCPs} {
			for i := range levels {
				ok = ok && yieldAll(levels[i].Policies, yield)
			}
		}
	}
}

func yieldAll(list []*authz.Policy, yield func(*authz.Policy) bool) bool {
	for _, p := range list {
		if p != nil && !yield(p) {
			return false
		}
	}
	return true
}

// mentions is what a document speaks of, found once.
type mentions struct {
	// keys are the condition keys in conditions and as policy variables, in
	// lower case, sorted.
	keys []string
	// userIDVariable is set when aws:userid stands as a policy variable.
	userIDVariable bool
	sessions       []arn.ARN     // role sessions named as principals
	roles          []arn.ARN     // roles with a path named as principals
	userIDs        []policy.Text // values that aws:userid is compared with
}

func (v *View) mentionsOf(p *authz.Policy) *mentions {
	if known, ok := v.mentions.Load(p); ok {
		return known.(*mentions)
	}
	known, _ := v.mentions.LoadOrStore(p, mentionsIn(p.Document()))
	return known.(*mentions)
}

func mentionsIn(doc *policy.Document) *mentions {
	m := &mentions{}
	keys := map[string]bool{}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		for _, c := range st.Conditions {
			keys[strings.ToLower(c.Key)] = true
			if strings.EqualFold(c.Key, "aws:userid") {
				m.userIDs = append(m.userIDs, c.Values...)
			}
		}
		for _, list := range []*policy.Principals{st.Principal, st.NotPrincipal} {
			m.principals(list)
		}
	}
	used := variablesOf(doc)
	m.userIDVariable = used["aws:userid"]
	maps.Copy(keys, used)
	m.keys = slices.Sorted(maps.Keys(keys))
	return m
}

func (m *mentions) principals(list *policy.Principals) {
	if list == nil {
		return
	}
	for _, e := range list.Entries {
		m.principal(e.Value.Value)
	}
}

// principal takes note of a principal that is treated by more than what a
// session's caller knows of it.
func (m *mentions) principal(text string) {
	a, err := arn.Parse(text)
	if err != nil {
		return
	}
	if _, _, ok := a.RoleSession(); ok {
		m.sessions = append(m.sessions, a)
	} else if a.Service == "iam" && a.Type() == "role" && a.Path() != "/" {
		m.roles = append(m.roles, a)
	}
}
