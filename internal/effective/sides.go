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
	policies   authz.Policies
	said       said
	management bool            // the side's account is its organization's management account
	taggable   bool            // of a caller: see [View.taggable]
	refused    *authz.Decision // of a caller: see noProvider
	guarded    *guarded        // nil: of a caller
}

// said is what documents speak of that decides how requests are completed.
type said struct {
	keys     []string // condition keys, sorted, lower case
	userid   bool     // a document has aws:userid as a policy variable
	sessions []arn.ARN
	roles    []arn.ARN     // named with a path
	userIDs  []policy.Text // values that documents compare aws:userid with
	anyTags  bool          // the caller's session may have tags of which nothing is known
}

// guarded is the resource of a guard.
type guarded struct {
	resource string // what the resource of the question stands for
	owner    arn.AccountID
	managed  bool           // it is a key that AWS manages
	known    authz.Context  // keys that the resource and the way to it tell
	key      *inventory.Key // the resource, where it is one
}

// Caller gathers what p brings to every request it makes: its identity
// policies, its boundary and the service control policies above its account.
func (v *View) Caller(p authz.Principal) *Side {
	var pols authz.Policies
	v.callerPolicies(&p, &pols)
	v.scps(p.Account(), &pols)
	s := v.sideOf(pols)
	s.management, s.taggable = v.isManagement(p.Account()), v.taggable(&p)
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
	key := v.keyOf(q.Resource)
	s.guarded = &guarded{resource: q.Resource, owner: q.ResourceAccount, managed: q.managed != "" || key != nil && key.AWSManaged, known: known, key: key}
	s.management = v.isManagement(ownerOf(&authz.Request{Resource: q.Resource, ResourceAccount: q.ResourceAccount, Principal: q.Principal}))
	if key != nil {
		s.policies.Grants = grantsOf(key, "")
		var m mentions
		for i := range key.Grants {
			m.principal(key.Grants[i].Grantee)
			m.principal(key.Grants[i].Retiring)
		}
		s.said.sessions, s.said.roles = joined(s.said.sessions, m.sessions), joined(s.said.roles, m.roles)
	}
	return s
}

// sideOf looks through the documents for what decides how requests are completed.
func (v *View) sideOf(pols authz.Policies) *Side {
	s := &Side{policies: pols}
	to := &s.said
	for p := range each(&s.policies) {
		m := v.mentionsOf(p)
		to.keys = merged(nil, to.keys, m.keys)
		to.userid = to.userid || m.userIDVariable
		to.sessions, to.roles = joined(to.sessions, m.sessions), joined(to.roles, m.roles)
		to.userIDs = joined(to.userIDs, m.userIDs)
	}
	return s
}

// Policies has the documents of the side, which must not be changed. Those of
// the other side are not among them.
func (s *Side) Policies() *authz.Policies { return &s.policies }

// draft is room for what a decision hands to authz, which keeps nothing of it.
type draft struct {
	request  authz.Request
	policies authz.Policies
	room     [16]string // for the keys that documents mention
}

// Decide answers q as [View.Ask] does, by sides gathered before: caller that
// of q's principal, guard that of its action and resource. It says nothing of
// why. Safe for concurrent use.
func (v *View) Decide(q Question, caller, guard *Side) authz.Outcome {
	return v.decide(&q, caller, guard, authz.Decide)
}

// Settle is Decide, and where that leaves the question open the outcome of
// [View.Explain]: what single conditions leave open, all of them together may
// settle, as a tag that one statement wants and another one refuses.
func (v *View) Settle(q Question, caller, guard *Side) authz.Outcome {
	o := v.decide(&q, caller, guard, authz.Decide)
	if o != authz.Unknown {
		return o
	}
	return v.decide(&q, caller, guard, authz.Settle)
}

func (v *View) decide(q *Question, caller, guard *Side, by func(*authz.Request, *authz.Policies, *authz.Facts) authz.Outcome) authz.Outcome {
	if caller.refused != nil {
		return caller.refused.Outcome
	}
	d := v.drafts.Get().(*draft)
	defer v.drafts.Put(d)
	d.policies = join(q, caller, guard)
	both := caller.with(guard, q, d.room[:])
	ask := func(p *authz.Principal) authz.Outcome {
		request(&d.request, q, p, caller, guard)
		v.completeFor(&d.request, &both)
		return by(&d.request, &d.policies, v.Facts())
	}
	o := ask(&q.Principal)
	variants := v.variants(&q.Principal, &both)
	for i := range variants {
		switch other := ask(&variants[i].principal); {
		case other == o:
		case denied(other) && denied(o):
			o = authz.ImplicitDeny
		default:
			return authz.Unknown
		}
	}
	return o
}

// Explain is Decide with everything that led to the answer.
func (v *View) Explain(q Question, caller, guard *Side) authz.Decision {
	if caller.refused != nil {
		d := *caller.refused
		d.Action, d.Resource = q.Action, q.Resource
		return d
	}
	pols := join(&q, caller, guard)
	both := caller.with(guard, &q, nil)
	return decideAll(&q.Principal, v.variants(&q.Principal, &both), func(p *authz.Principal) authz.Decision {
		var req authz.Request
		request(&req, &q, p, caller, guard)
		v.complete(&req, &both)
		return authz.Evaluate(&req, &pols, v.Facts())
	})
}

// request makes req q as asked by p, without what [View.complete] adds.
func request(req *authz.Request, q *Question, p *authz.Principal, caller, guard *Side) {
	target := guard.guarded
	req.Principal, req.Action, req.Resource, req.ResourceAccount = *p, q.Action, target.resource, target.owner
	req.ResourceManagement, req.ResourceAWSManaged = guard.management, target.managed
	req.Context.CopyFrom(&q.Context)
	if q.ResourceAccount != "" {
		req.ResourceAccount = q.ResourceAccount
	}
	req.Principal.Management = req.Principal.Management || caller.management
	if target.key != nil && viaService(&req.Context) {
		openConstraints(target.key, &req.Context)
	}
	target.known.All(func(key string, values []string, _ bool) bool {
		setAbsent(&req.Context, key, values...)
		return true
	})
}

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

// join is the documents that decide q.
func join(q *Question, caller, guard *Side) authz.Policies {
	pols := caller.policies
	g := &guard.policies
	pols.Session, pols.HasSession = q.Session, q.Session != nil
	pols.Resource, pols.RCPs, pols.Grants, pols.Endpoint = g.Resource, g.RCPs, g.Grants, g.Endpoint
	if key := guard.guarded.key; key != nil {
		if source, _, _ := q.Context.Get("aws:SourceArn"); len(source) == 1 {
			pols.Grants = grantsOf(key, source[0])
		}
	}
	pols.Unread = slices.Clip(joined(pols.Unread, g.Unread))
	return pols
}

// with joins what a caller and a guard mention. Keys that both have are put in room.
func (s *Side) with(guard *Side, q *Question, room []string) said {
	a, b := &s.said, &guard.said
	return said{
		keys: merged(room, a.keys, b.keys), userid: a.userid || b.userid, anyTags: q.AnyTags && s.taggable,
		sessions: joined(a.sessions, b.sessions), roles: joined(a.roles, b.roles), userIDs: joined(a.userIDs, b.userIDs),
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

// merged joins two sorted lists without repetitions, in room where neither will do.
func merged(room, a, b []string) []string {
	if len(a) == 0 || len(b) == 0 {
		return joined(a, b)
	}
	room = room[:0]
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(a[0], b[0]); {
		case c < 0:
			room, a = append(room, a[0]), a[1:]
		case c > 0:
			room, b = append(room, b[0]), b[1:]
		default:
			room, a, b = append(room, a[0]), a[1:], b[1:]
		}
	}
	return append(append(room, a...), b...)
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
