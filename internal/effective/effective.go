// Package effective asks authz what an inventory really grants: it turns the
// documents of an [inventory.Inventory] into authz's inputs, for every layer
// and on both sides of a request.
//
// Start with [New] and [View.Ask] for one question, [View.AskAll] for one with
// everything that AWS asks along with it, [View.Walk] for a route of several
// hops with what it ends in, and [After] for the inventory as it will be once a
// Wanted has been applied. Everything that decides and was not read makes the
// answer unknown, unless [Options] say otherwise.
//
// It is pure, decides nothing itself and makes no findings: internal/verify
// does.
package effective

import (
	"maps"
	"slices"
	"sync"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// View answers questions about one inventory, which must not change meanwhile.
// It remembers compiled documents, so use one View for many questions. Safe for
// concurrent use.
type View struct {
	inv     *inventory.Inventory
	options Options

	compiled sync.Map  // compiledKey to *compiled
	mentions sync.Map  // *authz.Policy to *mentions
	about    sync.Map  // aboutKey to *authz.Policy or []authz.Level
	callers  sync.Map  // ARN of a role or user to *callerSide
	places   sync.Map  // account id to *place
	assumed  sync.Map  // line of Assumed to nothing
	never    sync.Map  // presenceOf to whether a key is never there
	drafts   sync.Pool // of *draft
	tree     func() *inventory.Tree
	buckets  func() map[string]arn.AccountID
}

type compiledKey struct {
	source authz.Source
	text   string
}

type compiled struct {
	policy *authz.Policy
	reason string // why it could not be compiled
}

// Options say how a View takes what is not in its inventory. The zero Options
// make every answer unknown that may turn on something unread.
type Options struct {
	// Assume takes what nobody looked for to be as it mostly is: no organization,
	// no resource control policies, no KMS grants, and no policy on a resource of
	// the caller's own account. [View.Assumed] lists what was taken so. Roles,
	// secrets and keys, the policies of an organization that is known, resources
	// of other accounts, and whatever was looked for and could not be read stay
	// unknown.
	Assume bool
}

// New makes a View of inv; nil is an empty inventory.
func New(inv *inventory.Inventory) *View { return Options{}.New(inv) }

// New is the function of that name under options.
func (o Options) New(inv *inventory.Inventory) *View {
	if inv == nil {
		inv = &inventory.Inventory{}
	}
	v := &View{inv: inv, options: o}
	v.drafts.New = func() any { return new(draft) }
	v.tree = sync.OnceValue(func() *inventory.Tree { return inventory.NewTree(inv.Organization) })
	v.buckets = sync.OnceValue(v.findBuckets)
	return v
}

// Question is one request to decide.
type Question struct {
	Principal authz.Principal
	Action    string
	Resource  string // ARN, or "*"
	// ResourceAccount owns the resource; "" means the account of the ARN, for a
	// bucket the account it is known in, or else the caller's.
	ResourceAccount arn.AccountID
	// Context has the condition keys that are known. Keys that the documents
	// mention and that are neither here nor known to be absent from such a
	// request count as unknown.
	Context authz.Context
	// Session has the policies passed when the caller's session was made.
	Session []*authz.Policy
	// Endpoint is the ARN or id of the VPC endpoint the request goes through;
	// "" for none, and then no endpoint's policy is asked.
	Endpoint string
	// PassRole is the ARN of the role that the call hands to a service, for
	// [View.AskAll]; "" when it hands over none, or none is known.
	PassRole string
	// Via names the keys of Context, as AWS spells them, that tell which service
	// asks on the caller's behalf and for what; see [View.Parts].
	Via []string
	// Example says that Resource is made up after a pattern, so that a resource
	// of that name has no policy to read.
	Example bool
	// AnyTags says that nothing is known of the tags the caller's session was made
	// with: where somebody may have passed some, aws:PrincipalTag/… that Context
	// does not have are not known, the tags of the role itself included, in whose
	// place those of the session stand.
	AnyTags bool

	// managed is the service whose AWS managed key Resource stands for, where it
	// is not known which key that is.
	managed string
}

// Of is the question of a principal of which no more is known than who it is. A role
// stands for whichever of its sessions: with the role's own tags where nobody may
// pass others, and otherwise with tags that are not known, since a tag of the
// session stands in the place of the role's of the same key (IAM User Guide, "Pass
// session tags in AWS STS"). Whoever asks what a role may do asks by it, so that
// all give the same answer.
func Of(p authz.Principal, action, resource string) Question {
	return Question{Principal: p, Action: action, Resource: resource, AnyTags: true}
}

// Ask decides q with every document of the inventory that applies.
func (v *View) Ask(q Question) authz.Decision { return v.Explain(q, v.Caller(q.Principal), v.Guard(q)) }

// Outcome is the outcome of Ask alone, at a fraction of the cost.
func (v *View) Outcome(q Question) authz.Outcome {
	return v.Decide(q, v.Caller(q.Principal), v.Guard(q))
}

// Prepare gives what Ask would hand to authz: the request with every condition
// key that is known, and the documents that apply. Both may be changed by the
// caller, the documents themselves may not.
func (v *View) Prepare(q Question) (*authz.Request, *authz.Policies) {
	caller, guard := v.Caller(q.Principal), v.Guard(q)
	pols := join(&q, caller, guard)
	var req authz.Request
	request(&req, &q, &q.Principal, caller, guard)
	said := &v.sideOf(pols).said
	said.anyTags = q.AnyTags && caller.taggable
	v.complete(&req, said)
	return &req, &pols
}

// Facts are what the View tells authz about AWS's services.
func (v *View) Facts() *authz.Facts { return catalog.Facts() }

// Trust decides whether the trust policy of a role alone would let caller
// assume it: whatever the caller's own account may allow is taken as allowed.
// It is the question to ask about strangers.
func (v *View) Trust(q Question) authz.Decision {
	pols := &authz.Policies{Identity: []*authz.Policy{v.everything()}}
	v.resourcePolicy(&q, pols)
	said := &v.sideOf(*pols).said
	return decideAll(&q.Principal, v.variants(&q.Principal, said), func(p *authz.Principal) authz.Decision {
		req := authz.Request{Principal: *p, Action: q.Action, Resource: q.Resource, Context: q.Context.Clone()}
		v.complete(&req, said)
		return authz.Evaluate(&req, pols, v.Facts())
	})
}

// Meets decides whether q's request to a secret or key meets conditions, as
// far as those are about who calls: Allowed, ImplicitDeny or Unknown.
func (v *View) Meets(q Question, conditions []policy.Condition) authz.Outcome {
	st := policy.Statement{
		Effect: policy.Allow, Principal: &policy.Principals{Everyone: true}, Actions: policy.Texts("*"), Resources: policy.Texts("*"), Conditions: conditions,
	}
	p, unread := v.compile(policy.NewDocument(st).String(), authz.Source{Layer: authz.LayerResource, Name: "conditions on the caller"})
	if unread != nil {
		return authz.Unknown
	}
	req := authz.Request{Principal: q.Principal, Action: q.Action, Resource: q.Resource, Context: q.Context.Clone()}
	pols := &authz.Policies{Resource: p}
	v.complete(&req, &v.sideOf(*pols).said)
	return authz.Evaluate(&req, pols, v.Facts()).Outcome
}

func (v *View) everything() *authz.Policy {
	src := authz.Source{Layer: authz.LayerIdentity, Name: "an administrator's policy, assumed"}
	p, _ := v.compile(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, src)
	return p
}

// compile prepares a document; what can't be is told as unread.
func (v *View) compile(text string, src authz.Source) (*authz.Policy, *authz.Unread) {
	key := compiledKey{src, text}
	known, ok := v.compiled.Load(key)
	if !ok {
		known, _ = v.compiled.LoadOrStore(key, v.compileNew(text, src))
	}
	c := known.(*compiled)
	if c.policy == nil {
		return nil, &authz.Unread{Source: src, Reason: c.reason}
	}
	return c.policy, nil
}

func (v *View) compileNew(text string, src authz.Source) *compiled {
	if why, unknown := inventory.WhyUnknown(text); unknown {
		return &compiled{reason: why}
	}
	doc, err := policy.ParseText(text)
	if err != nil {
		return &compiled{reason: err.Error()}
	}
	p, err := authz.Compile(doc, src)
	if err != nil {
		return &compiled{reason: err.Error()}
	}
	return &compiled{policy: p}
}

func addUnread(pols *authz.Policies, u *authz.Unread) {
	if u != nil {
		pols.Unread = append(pols.Unread, *u)
	}
}

func reasonOf(state inventory.Lookup) string {
	if state == inventory.NotAsked {
		return "it was not looked for"
	}
	return "it could not be read"
}

// Assumed lists, sorted, what questions so far took to be as Options.Assume
// says, because nobody looked.
func (v *View) Assumed() []string {
	lines := map[string]bool{}
	v.assumed.Range(func(line, _ any) bool {
		lines[line.(string)] = true
		return true
	})
	return slices.Sorted(maps.Keys(lines))
}

// assume reports whether something that nobody looked for is taken to be as it
// mostly is, and keeps that it was.
func (v *View) assume(state inventory.Lookup, line string) bool {
	if !v.options.Assume || state != inventory.NotAsked {
		return false
	}
	v.assumed.Store(line, nil)
	return true
}
