package remedy

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// Close is the function of that name under options.
func (o Options) Close(req *authz.Request, pols *authz.Policies, facts *authz.Facts) ([]Change, error) {
	w := &world{options: o, req: req, pols: pols, facts: facts}
	d := w.evaluate(pols)
	if d.Outcome != authz.Allowed && d.Outcome != authz.Unknown {
		return nil, ErrDenied
	}
	out := append(w.removals(), w.denials()...)
	if len(out) == 0 {
		r := &Refusal{}
		if w.req.Principal.ServiceLinked {
			r.Reasons = append(r.Reasons, Reason{Text: servicesOwn})
		}
		if why := w.fixed(); why != "" {
			r.Reasons = append(r.Reasons, Reason{Text: why})
		}
		for _, i := range d.Deciding {
			if l := &d.Layers[i]; l.Note != "" {
				r.Reasons = append(r.Reasons, Reason{Text: l.Note})
			}
		}
		if len(r.Reasons) == 0 {
			r.Reasons = append(r.Reasons, Reason{Text: "no statement in these documents could deny it: " + d.Summary()})
		}
		return nil, r
	}
	slices.SortStableFunc(out, func(a, b Change) int { return cmp.Compare(len(a.Affects), len(b.Affects)) })
	return out, nil
}

// servicesOwn is why nothing is proposed for what a service-linked role carries.
const servicesOwn = "the policies of a service-linked role are its service's to change"

// A loss is the edits that take the grants of one layer away, with what else
// goes with them.
type loss struct {
	edits   []Edit
	affects []string
}

// removals are the smallest sets of layers to take the grants away from: in the
// same account one that grants is enough, across accounts every side is needed,
// so that there the loss of one closes it.
func (w *world) removals() []Change {
	var losses []loss
	identity, resource := w.loss(place{layer: authz.LayerIdentity}), w.loss(place{layer: authz.LayerResource})
	if w.req.Principal.ServiceLinked {
		identity.edits = nil
	}
	if w.fixed() != "" {
		resource.edits = nil
	}
	for _, l := range []loss{identity, resource, w.grantLoss()} {
		if len(l.edits) > 0 {
			losses = append(losses, l)
		}
	}
	var out []Change
	var found []uint
	for n := 1; n <= len(losses); n++ {
		for mask := uint(1); mask < 1<<len(losses); mask++ {
			if bits.OnesCount(mask) != n || slices.ContainsFunc(found, func(f uint) bool { return f&mask == f }) {
				continue
			}
			var all loss
			for i := range losses {
				if mask&(1<<i) != 0 {
					all.edits, all.affects = append(all.edits, losses[i].edits...), append(all.affects, losses[i].affects...)
				}
			}
			before := len(out)
			if out = w.prove(out, all.edits, authz.ImplicitDeny); len(out) > before {
				out[before].Affects = all.affects
				found = append(found, mask)
			}
		}
	}
	return out
}

// loss takes away from the documents of a layer whatever in them may grant the
// request.
func (w *world) loss(at place) loss {
	var out loss
	for i, p := range list(w.pols, at) {
		at.index = i
		doc := p.Document()
		for j := range doc.Statements {
			st := &doc.Statements[j]
			if st.Effect != policy.Allow || w.matches(*st, at, p.Source(), doc.Version) == authz.No {
				continue
			}
			e := w.edit0(at, list(w.pols, at))
			e.Index, e.Before = j, st
			if ofAWS(p) {
				e.Kind, e.Note = Detach, ""
				out.edits = append(out.edits, e)
				out.affects = append(out.affects, "everything else that "+p.Source().String()+" allows goes with it")
				break
			}
			narrow := w.narrowed(st, p, at)
			if e.Kind, e.After = Alter, narrow.statements; len(e.After) == 0 {
				e.Kind = Remove
			}
			out.edits = append(out.edits, e)
			out.affects = append(out.affects, narrow.affects...)
			out.affects = append(out.affects, others(p)...)
		}
	}
	slices.Sort(out.affects)
	out.affects = slices.Compact(out.affects)
	return out
}

// others says who else is under an identity policy.
func others(p *authz.Policy) []string {
	src := p.Source()
	switch {
	case src.Layer != authz.LayerIdentity:
	case src.ARN != "":
		return []string{"everybody else to whom " + src.String() + " is attached"}
	case strings.HasPrefix(src.Name, "group/"):
		group, _, _ := strings.Cut(src.Name, " ")
		return []string{"every other member of " + group + " (" + string(src.Account) + ")"}
	}
	return nil
}

// grantLoss revokes the KMS grants that give the request.
func (w *world) grantLoss() loss {
	var out loss
	for i, g := range w.pols.Grants {
		alone := *w.pols
		alone.Grants = []authz.Grant{g}
		if o := grantOutcome(w.evaluate(&alone)); o != authz.Allowed && o != authz.Unknown {
			continue
		}
		src := authz.Source{Layer: authz.LayerGrant, Account: w.owner(), Name: g.ID}
		out.edits = append(out.edits, Edit{Kind: Revoke, Account: w.owner(), Layer: authz.LayerGrant, Document: src, Index: i})
		if len(g.Operations) > 1 || g.Grantee != entityOf(&w.req.Principal).String() && g.Grantee != w.req.Principal.ServiceName {
			out.affects = append(out.affects, fmt.Sprintf("grant %s also gives %s %s", g.ID, g.Grantee, strings.Join(g.Operations, ", ")))
		}
	}
	return out
}

func grantOutcome(d authz.Decision) authz.Outcome { return outcome(&d, authz.LayerGrant) }

// denials are statements that deny exactly the request: in the caller's own
// policies, in the resource's, and where neither can be, at the level of the
// organization nearest to the caller.
func (w *world) denials() []Change {
	var out []Change
	p := &w.req.Principal
	c, why := w.exactly()
	try := func(at place) {
		docs := list(w.pols, at)
		at.index = slices.IndexFunc(docs, func(p *authz.Policy) bool { return !ofAWS(p) })
		if at.layer == authz.LayerIdentity {
			at.index = -1
		}
		e := w.edit0(at, docs)
		if e.Kind, e.Index = Add, -1; e.Layer == authz.LayerSCP && e.New {
			e.Document.Account, e.Account = "", ""
		}
		e.After = []policy.Statement{w.statement(policy.Deny, e.Layer, &c)}
		out = w.prove(out, []Edit{e}, authz.ImplicitDeny)
	}
	if (p.Kind == authz.User || p.Kind == authz.RoleSession || p.Kind == authz.FederatedUser && p.Entity.Type() == "user") && !p.ServiceLinked {
		try(place{layer: authz.LayerIdentity})
	}
	if w.takesPolicy() && why == "" && w.fixed() == "" {
		try(place{layer: authz.LayerResource})
	}
	if len(out) == 0 && len(w.pols.SCPs) > 0 && c.inCondition != nil {
		try(place{layer: authz.LayerSCP, level: len(w.pols.SCPs) - 1})
	}
	return out
}
