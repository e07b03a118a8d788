package remedy

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// world is one question with its documents.
type world struct {
	options Options
	req     *authz.Request
	pols    *authz.Policies
	facts   *authz.Facts
}

// place is where a document stands among the policies.
type place struct {
	layer authz.Layer // LayerResource stands for trust and key policies, too
	level int         // of SCPs
	index int         // among the documents there; -1 for one that does not exist yet
}

func (w *world) evaluate(pols *authz.Policies) authz.Decision {
	return authz.Evaluate(w.req, pols, w.facts)
}

func (w *world) decide(pols *authz.Policies) authz.Outcome { return authz.Decide(w.req, pols, w.facts) }

// list has the documents at a place.
func list(pols *authz.Policies, at place) []*authz.Policy {
	one := func(p *authz.Policy) []*authz.Policy {
		if p == nil {
			return nil
		}
		return []*authz.Policy{p}
	}
	switch at.layer {
	case authz.LayerIdentity:
		return pols.Identity
	case authz.LayerBoundary:
		return one(pols.Boundary)
	case authz.LayerSession:
		return pols.Session
	case authz.LayerSCP:
		return pols.SCPs[at.level].Policies
	case authz.LayerEndpoint:
		return one(pols.Endpoint)
	case authz.LayerResource, authz.LayerTrust, authz.LayerKey:
		return one(pols.Resource)
	case authz.LayerRCP, authz.LayerGrant:
	}
	return nil
}

// put replaces the documents at a place in a copy of pols.
func put(pols *authz.Policies, at place, docs []*authz.Policy) {
	first := func() *authz.Policy {
		if len(docs) == 0 {
			return nil
		}
		return docs[0]
	}
	switch at.layer {
	case authz.LayerIdentity:
		pols.Identity = docs
	case authz.LayerBoundary:
		pols.Boundary = first()
	case authz.LayerSession:
		pols.Session, pols.HasSession = docs, true
	case authz.LayerSCP:
		pols.SCPs = slices.Clone(pols.SCPs)
		pols.SCPs[at.level].Policies = docs
	case authz.LayerEndpoint:
		pols.Endpoint = first()
	case authz.LayerResource, authz.LayerTrust, authz.LayerKey:
		pols.Resource = first()
	case authz.LayerRCP, authz.LayerGrant:
	}
}

// policy is the document at a place, nil for one that does not exist yet.
func (w *world) policy(at place) *authz.Policy {
	docs := list(w.pols, at)
	if at.index < 0 || at.index >= len(docs) {
		return nil
	}
	return docs[at.index]
}

// apply makes edits, and fills in what their documents become. ok is false when
// AWS would refuse one of them.
func (w *world) apply(edits []Edit) (pols *authz.Policies, ok bool) {
	changed := *w.pols
	byPlace := map[place][]*Edit{}
	revoked := map[int]bool{}
	for i := range edits {
		e := &edits[i]
		if e.Kind == Revoke {
			revoked[e.Index] = true
			continue
		}
		byPlace[e.at] = append(byPlace[e.at], e)
	}
	// Later documents first, so that one that goes moves none that is to change.
	places := slices.SortedFunc(maps.Keys(byPlace), func(a, b place) int { return b.index - a.index })
	for _, at := range places {
		if !w.edit(&changed, at, byPlace[at]) {
			return nil, false
		}
	}
	if len(revoked) > 0 {
		changed.Grants = nil
		for i, g := range w.pols.Grants {
			if !revoked[i] {
				changed.Grants = append(changed.Grants, g)
			}
		}
	}
	return &changed, true
}

// edit makes the edits of one document.
func (w *world) edit(pols *authz.Policies, at place, edits []*Edit) bool {
	old := w.policy(at)
	docs := slices.Clone(list(pols, at))
	result := edited(old, edits)
	if len(result.Statements) == 0 {
		if old == nil || w.mustStay() && at.layer == authz.LayerResource {
			return false
		}
		put(pols, at, slices.Delete(docs, at.index, at.index+1))
		return true
	}
	kind := w.kind(at.layer)
	if old != nil && len(policy.Validate(result, kind)) > len(policy.Validate(old.Document(), kind)) || old == nil && len(policy.Validate(result, kind)) > 0 {
		return false
	}
	compiled, err := authz.Compile(result, edits[0].Document)
	if err != nil {
		return false
	}
	for _, e := range edits {
		if old != nil || e.New {
			e.Result = result
		}
	}
	if at.index < 0 {
		docs = append(docs, compiled)
	} else {
		docs[at.index] = compiled
	}
	put(pols, at, docs)
	return true
}

// mustStay reports whether the resource cannot be without a policy.
func (w *world) mustStay() bool {
	l := w.resourceLayer()
	return l == authz.LayerTrust || l == authz.LayerKey
}

// edited is a document after edits; old may be nil.
func edited(old *authz.Policy, edits []*Edit) *policy.Document {
	out := policy.NewDocument()
	if old != nil {
		*out = *old.Document()
		out.Single, out.Statements = false, nil
		for i := range old.Document().Statements {
			out.Statements = append(out.Statements, after(edits, i, &old.Document().Statements[i])...)
		}
	}
	for _, e := range edits {
		if e.Kind == Add {
			out.Statements = append(out.Statements, e.After...)
		}
	}
	return out
}

// after is what takes the place of statement i.
func after(edits []*Edit, i int, st *policy.Statement) []policy.Statement {
	for _, e := range edits {
		if e.Kind == Detach || e.Kind != Add && e.Index == i {
			return e.After
		}
	}
	return []policy.Statement{*st}
}

func (w *world) kind(l authz.Layer) policy.Kind {
	switch l {
	case authz.LayerSCP:
		return policy.SCP
	case authz.LayerRCP:
		return policy.RCP
	case authz.LayerEndpoint:
		return policy.Endpoint
	case authz.LayerBoundary:
		return policy.Boundary
	case authz.LayerSession:
		return policy.Session
	case authz.LayerIdentity:
		return policy.Identity
	case authz.LayerResource, authz.LayerTrust, authz.LayerKey, authz.LayerGrant:
	}
	switch w.resourceLayer() {
	case authz.LayerTrust:
		return policy.Trust
	case authz.LayerKey:
		return policy.Key
	default:
		return policy.Resource
	}
}

// resourceLayer is the kind of policy that guards the resource.
func (w *world) resourceLayer() authz.Layer {
	if w.pols.Resource != nil {
		return w.pols.Resource.Source().Layer
	}
	action := strings.ToLower(w.req.Action)
	a, err := arn.Parse(w.req.Resource)
	switch {
	case err != nil:
	case strings.HasPrefix(action, "sts:") && a.Service == "iam" && a.Type() == "role":
		return authz.LayerTrust
	case strings.HasPrefix(action, "kms:") && a.Type() == "key":
		return authz.LayerKey
	}
	return authz.LayerResource
}

// owner is the account of the resource.
func (w *world) owner() arn.AccountID {
	if w.req.ResourceAccount != "" {
		return w.req.ResourceAccount
	}
	if a, err := arn.Parse(w.req.Resource); err == nil && a.Account != "" {
		return a.Account
	}
	return w.req.Principal.Account()
}

// takesPolicy reports whether a statement can be put into a policy of the resource.
func (w *world) takesPolicy() bool {
	if w.pols.Resource != nil {
		return w.guards()
	}
	return w.carrier() != ""
}

// carrier is the resource whose policy guards the request's, "" for none.
func (w *world) carrier() string {
	a, err := arn.Parse(w.req.Resource)
	switch {
	case err != nil, (a.Service == "iam" || a.Service == "sts") && w.resourceLayer() != authz.LayerTrust:
		return ""
	case w.options.Carrier != nil:
		return w.options.Carrier(w.req.Resource)
	}
	return w.req.Resource
}

// fixed says why the policy of the resource is nobody's to change, "" where it is
// its owner's.
func (w *world) fixed() string {
	a, err := arn.Parse(w.req.Resource)
	switch {
	case w.req.ResourceAWSManaged:
		return "the policy of a KMS key that AWS manages cannot be changed"
	case err == nil && a.Service == "iam" && w.resourceLayer() == authz.LayerTrust && strings.HasPrefix(a.Path(), "/aws-service-role/"):
		return "the trust policy of a service-linked role is its service's and cannot be changed"
	}
	return ""
}

// guards reports whether the policy of the resource has a say about the
// action, as a trust policy has about sessions alone.
func (w *world) guards() bool {
	service, _, _ := strings.Cut(strings.ToLower(w.req.Action), ":")
	switch w.pols.Resource.Source().Layer {
	case authz.LayerTrust:
		return service == "sts"
	case authz.LayerKey:
		return service == "kms"
	default:
		return true
	}
}

// matches asks how one statement would meet the request in a layer.
func (w *world) matches(st policy.Statement, at place, src authz.Source, version policy.Version) authz.Match {
	doc := policy.NewDocument(st)
	doc.Version = version
	p, err := authz.Compile(doc, src)
	if err != nil {
		return authz.No
	}
	alone := *w.pols
	put(&alone, at, []*authz.Policy{p})
	d := w.evaluate(&alone)
	for i := range d.Layers {
		if l := &d.Layers[i]; l.Layer == src.Layer && (l.Layer != authz.LayerSCP || l.Node == w.pols.SCPs[at.level].Node) {
			for _, s := range l.Statements {
				return s.Match
			}
		}
	}
	return authz.No
}

// outcome is what a layer says, ImplicitDeny where it says nothing.
func outcome(d *authz.Decision, l authz.Layer) authz.Outcome {
	for i := range d.Layers {
		if d.Layers[i].Layer == l {
			return d.Layers[i].Outcome
		}
	}
	return authz.ImplicitDeny
}
