package remedy

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// Allow is the function of that name under options.
func (o Options) Allow(req *authz.Request, pols *authz.Policies, facts *authz.Facts) ([]Change, error) {
	w := &world{options: o, req: req, pols: pols, facts: facts}
	d := w.evaluate(pols)
	switch d.Outcome {
	case authz.Allowed:
		return nil, ErrAllowed
	case authz.ExplicitDeny, authz.Unknown:
		return nil, w.refusal(&d, nil)
	case authz.ImplicitDeny, authz.NotApplicable:
	}
	candidates, problems := w.candidates(&d)
	var out []Change
	for _, set := range w.smallest(candidates) {
		out = append(out, w.variants(set)...)
	}
	if len(out) > 0 {
		return out, nil
	}
	if all, ok := w.apply(adds(candidates)); ok {
		d = w.evaluate(all)
	}
	return nil, w.refusal(&d, problems)
}

// A candidate is a kind of policy in which a statement would help.
type candidate struct {
	adds   []Edit // one, or for SCPs one a level
	alters []Edit // each instead of the one in adds
}

func adds(set []candidate) []Edit {
	var out []Edit
	for i := range set {
		out = append(out, set[i].adds...)
	}
	return out
}

// candidates lists the kinds of policy that do not allow the request yet, and
// why others of them are of no use.
func (w *world) candidates(d *authz.Decision) (out []candidate, problems []Reason) {
	p := &w.req.Principal
	c, why := w.exactly()
	if p.Kind == authz.User || p.Kind == authz.RoleSession || p.Kind == authz.FederatedUser {
		switch {
		case outcome(d, authz.LayerIdentity) == authz.Allowed:
		case p.ServiceLinked:
			problems = append(problems, Reason{Text: servicesOwn})
		default:
			out = append(out, w.candidate(place{layer: authz.LayerIdentity}, &c))
		}
	}
	switch {
	case !w.takesPolicy():
	case why != "":
		problems = append(problems, Reason{Text: why})
	case w.fixed() != "":
		problems = append(problems, Reason{Text: w.fixed()})
	default:
		out = append(out, w.candidate(place{layer: authz.LayerResource}, &c))
	}
	if w.pols.Boundary != nil && outcome(d, authz.LayerBoundary) != authz.Allowed {
		out = append(out, w.candidate(place{layer: authz.LayerBoundary}, &c))
	}
	if (w.pols.HasSession || len(w.pols.Session) > 0 || p.Kind == authz.FederatedUser) && outcome(d, authz.LayerSession) != authz.Allowed {
		out = append(out, w.candidate(place{layer: authz.LayerSession}, &c))
	}
	if w.pols.Endpoint != nil && outcome(d, authz.LayerEndpoint) != authz.Allowed {
		if c.inCondition == nil {
			problems = append(problems, Reason{Text: "the endpoint policy cannot name " + p.String() + " alone"})
		} else {
			out = append(out, w.candidate(place{layer: authz.LayerEndpoint}, &c))
		}
	}
	if scps := w.scpCandidate(d, &c); len(scps.adds) > 0 {
		out = append(out, scps)
	}
	return out, problems
}

// candidate is a statement for exactly the request in the documents of one
// layer: in a document of its own for identity policies, otherwise in the first
// there is.
func (w *world) candidate(at place, c *caller) candidate {
	docs := list(w.pols, at)
	at.index = slices.IndexFunc(docs, func(p *authz.Policy) bool { return at.layer != authz.LayerSession || !ofAWS(p) })
	if at.layer == authz.LayerIdentity {
		at.index = -1
	}
	e := w.edit0(at, docs)
	e.Kind, e.Index = Add, -1
	e.After = []policy.Statement{w.withConditions(w.statement(policy.Allow, e.Layer, c), at, docs, &e, c)}
	return candidate{adds: []Edit{e}, alters: w.alters(at, docs, c)}
}

// edit0 is an edit without its statements of the document at a place.
func (w *world) edit0(at place, docs []*authz.Policy) Edit {
	e := Edit{Layer: at.layer, at: at}
	if granting(at.layer) {
		e.Layer = w.resourceLayer()
	}
	if at.layer == authz.LayerSCP {
		e.Node = w.pols.SCPs[at.level].Node
	}
	if at.index >= 0 {
		e.Document = docs[at.index].Source()
		e.Account = e.Document.Account
		e.Note = noteOn(&e)
		return e
	}
	e.Document = authz.Source{Layer: e.Layer, Account: w.req.Principal.Account(), Name: w.newName(e.Layer)}
	e.New = true
	if granting(at.layer) {
		e.Document.Account = w.owner()
		e.New = e.Layer == authz.LayerResource // every role and key has its policy
		if !e.New {
			e.Note = "its policy is not among the documents: add to what is there"
		}
	}
	e.Account = e.Document.Account
	if at.layer == authz.LayerIdentity {
		e.Note = noteOnEntity(&w.req.Principal)
	}
	return e
}

// newName is what a document that is to be made is called.
func (w *world) newName(l authz.Layer) string {
	switch l {
	case authz.LayerIdentity:
		entity := entityOf(&w.req.Principal)
		return "in " + entity.Type() + "/" + entity.Name()
	case authz.LayerSession:
		return "passed when the session is made"
	case authz.LayerSCP:
		return "" // Node says where
	case authz.LayerRCP, authz.LayerEndpoint, authz.LayerBoundary, authz.LayerResource, authz.LayerTrust, authz.LayerKey, authz.LayerGrant:
	}
	return "of " + w.carrier()
}

// noteOn tells what a managed document is to others.
func noteOn(e *Edit) string {
	switch {
	case isAWS(e.Document):
		return "AWS manages it: put a copy with the statement in its place"
	case e.Layer == authz.LayerSCP:
		return "it is for every account below, the statement for this principal alone"
	case e.Document.ARN != "":
		return "it may be attached to others, too"
	}
	return ""
}

// noteOnEntity tells where the policies of a role come from when that is not IAM.
func noteOnEntity(p *authz.Principal) string {
	if p.Kind == authz.RoleSession && strings.HasPrefix(roleOf(p).Path(), "/aws-reserved/sso.amazonaws.com/") {
		return "IAM Identity Center provisions this role: change its permission set"
	}
	return ""
}

// scpCandidate is a statement at each level of the organization that does not
// allow the request.
func (w *world) scpCandidate(d *authz.Decision, c *caller) candidate {
	var out candidate
	if c.inCondition == nil {
		return out
	}
	level := 0
	for i := range d.Layers {
		l := &d.Layers[i]
		if l.Layer != authz.LayerSCP || level >= len(w.pols.SCPs) || l.Node != w.pols.SCPs[level].Node {
			continue
		}
		at := place{layer: authz.LayerSCP, level: level, index: -1}
		level++
		if l.Outcome != authz.ImplicitDeny {
			continue
		}
		docs := list(w.pols, at)
		at.index = slices.IndexFunc(docs, func(p *authz.Policy) bool { return !ofAWS(p) })
		e := w.edit0(at, docs)
		if e.Kind, e.Index = Add, -1; e.New {
			e.Document.Account, e.Account = "", ""
		}
		e.After = []policy.Statement{w.statement(policy.Allow, authz.LayerSCP, c)}
		out.adds = append(out.adds, e)
	}
	return out
}

// ofAWS reports whether nobody but AWS can change a policy.
func ofAWS(p *authz.Policy) bool { return isAWS(p.Source()) }

func isAWS(s authz.Source) bool {
	a, err := arn.Parse(s.ARN)
	return err == nil && a.Owner == "aws"
}

// smallest finds the sets of candidates that allow the request and none of
// which can be left out, those of the fewest edits first.
func (w *world) smallest(candidates []candidate) [][]candidate {
	masks := make([]uint, 0, 1<<len(candidates))
	for mask := uint(1); mask < 1<<len(candidates); mask++ {
		masks = append(masks, mask)
	}
	slices.SortStableFunc(masks, func(a, b uint) int { return bits.OnesCount(a) - bits.OnesCount(b) })
	var found []uint
	var out [][]candidate
	for _, mask := range masks {
		if slices.ContainsFunc(found, func(f uint) bool { return f&mask == f }) {
			continue
		}
		var set []candidate
		for i := range candidates {
			if mask&(1<<i) != 0 {
				set = append(set, candidates[i])
			}
		}
		if pols, ok := w.apply(adds(set)); ok && w.decide(pols) == authz.Allowed {
			found, out = append(found, mask), append(out, set)
		}
	}
	return out
}

// variants are the changes of a set: with statements altered wherever one can
// be, and with statements added only.
func (w *world) variants(set []candidate) []Change {
	added := adds(set)
	altered := slices.Clone(added)
	any, n := false, 0
	for i := range set {
		if len(set[i].alters) > 0 {
			altered[n], any = set[i].alters[0], true
		}
		n += len(set[i].adds)
	}
	var out []Change
	if any {
		out = w.prove(out, altered, authz.Allowed)
	}
	return w.prove(out, added, authz.Allowed)
}

// prove adds a change to out if it gives the request that outcome.
func (w *world) prove(out []Change, edits []Edit, want authz.Outcome) []Change {
	edits = slices.Clone(edits)
	pols, ok := w.apply(edits)
	if !ok {
		return out
	}
	d := w.evaluate(pols)
	if denied := d.Outcome == authz.ImplicitDeny || d.Outcome == authz.ExplicitDeny; d.Outcome != want && !(want == authz.ImplicitDeny && denied) {
		return out
	}
	return append(out, Change{Edits: edits, Decision: d, policies: pols})
}

// refusal says why no change helps: d is the decision that stays.
func (w *world) refusal(d *authz.Decision, problems []Reason) error {
	r := &Refusal{Reasons: problems}
	for i := range d.Layers {
		l := &d.Layers[i]
		for j := range l.Statements {
			if s := &l.Statements[j]; d.Outcome == authz.ExplicitDeny && s.Effect == policy.Deny && s.Match == authz.Yes {
				r.Reasons = append(r.Reasons, Reason{Text: denying(s, l.Node), Document: &s.Source, Index: s.Index, Sid: s.Sid, Node: l.Node})
			}
		}
	}
	if d.Outcome == authz.Unknown {
		r.Reasons = append(r.Reasons, Reason{Text: "it depends on what is not known: " + strings.Join(d.Missing, ", ")})
	}
	if d.Outcome == authz.ImplicitDeny {
		for _, i := range d.Deciding {
			if l := &d.Layers[i]; l.Note != "" && l.Outcome == authz.ImplicitDeny {
				r.Reasons = append(r.Reasons, Reason{Text: l.Note})
			}
		}
	}
	if len(r.Reasons) == 0 {
		r.Reasons = append(r.Reasons, Reason{Text: d.Summary()})
	}
	return r
}

func denying(s *authz.StatementResult, node string) string {
	text := fmt.Sprintf("statement %d", s.Index+1)
	if s.Sid != "" {
		text += " (" + s.Sid + ")"
	}
	text += " of " + s.Source.String()
	if node != "" {
		text += " at " + node
	}
	return text + " denies it, and must change first"
}
