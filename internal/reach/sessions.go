package reach

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/reach/grants"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

// sessions follows the tagged sessions of pods along their chains: their tags
// are transitive, so each role they come to has sessions of its own for them.
func (b *builder) sessions() {
	f := &finder{builder: b}
	targets := map[NodeID][]*door{}
	first := len(b.nodes)
	var queue []NodeID
	for _, list := range sorted(b.siblings) {
		queue = append(queue, list...)
	}
	b.targetRoles(f, &queue)
	queued := map[NodeID]bool{}
	for _, n := range queue {
		queued[n] = true
	}
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		role := b.nodes[id].role
		if _, known := targets[role]; !known {
			targets[role] = b.targetsOf(role)
		}
		for _, d := range targets[role] {
			flags, ok := f.decide(&b.nodes[id], d)
			if !ok || d.node == role {
				continue
			}
			next := b.session(d.node, b.nodes[id].tags)
			b.raw = append(b.raw, rawEdge{From: id, To: next, Label: flags})
			if !queued[next] {
				queued[next] = true
				queue = append(queue, next)
			}
		}
		if len(b.nodes)-first > b.cfg.MaxSessions {
			b.gaps = append(b.gaps, Gap{What: "chains of pods with session tags", Why: "there are too many; not all were followed"})
			return
		}
	}
}

// targetRoles adds the chains that EKS makes itself: from the role of an
// association to its target role, with the association's external id.
func (b *builder) targetRoles(f *finder, queue *[]NodeID) {
	for _, list := range sorted(b.sources.pods) {
		for _, p := range list {
			target, known := b.byKey[p.binding.TargetRole]
			if !known || b.doorOf[target] == nil || b.nodes[p.session].Kind != Session {
				continue
			}
			d := b.doorOf[target]
			q := b.targetQuestion(p, d)
			o := f.withTags(q, &b.nodes[p.session], d)
			q.Action = tagSession
			o = worse(o, f.ask(q, &b.nodes[p.session], d))
			if !permits(o) {
				continue
			}
			next := b.session(target, b.nodes[p.session].tags)
			b.raw = append(b.raw, rawEdge{
				From: p.session, To: next, Label: flagsOf(proofOf(o, b.nodes[p.session].unread || d.unread), ByPodIdentity),
			})
			if !slices.Contains(*queue, next) {
				*queue = append(*queue, next)
			}
		}
	}
}

func (b *builder) targetQuestion(p pod, d *door) effective.Question {
	n := &b.nodes[p.session]
	q := effective.Question{Principal: n.principal, Action: assumeRole, Resource: d.role.ARN, Context: n.context.Clone()}
	if p.binding.ExternalID != "" {
		q.Context.Set(externalIDKey, p.binding.ExternalID)
	} else {
		q.Context.SetUnknown(externalIDKey)
	}
	return q
}

// targetsOf lists the roles that a role may be able to assume: those its own
// policies may allow, and those of its account that name it or everyone.
func (b *builder) targetsOf(role NodeID) []*door {
	n := &b.nodes[role]
	found := map[NodeID]bool{}
	for _, d := range b.doorsAt[n.Account] {
		if d.doc != nil && namesRole(&d.names, n) {
			found[d.node] = true
		}
	}
	for _, pattern := range b.assumable(n) {
		if !isPattern(pattern) {
			if id, known := b.byKey[pattern]; known && b.doorOf[id] != nil {
				found[id] = true
			}
			continue
		}
		for i := range b.doors {
			if d := &b.doors[i]; (grants.Glob{Pattern: pattern}).Covers(d.role.ARN) {
				found[d.node] = true
			}
		}
	}
	var out []*door
	for id := range sorted(found) {
		if b.doorOf[id].doc != nil {
			out = append(out, b.doorOf[id])
		}
	}
	return out
}

// assumable lists patterns for all the roles that n's own policies may let it assume.
func (b *builder) assumable(n *node) []string {
	pols := n.side.Policies()
	if slices.ContainsFunc(pols.Unread, func(u authz.Unread) bool { return u.Source.Layer == identityLayer }) {
		return []string{"*"}
	}
	var out []string
	for _, p := range pols.Identity {
		out = append(out, assumable(p.Document())...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// assumable lists patterns for all the roles that a document's Allow statements
// let a caller assume.
func assumable(doc *policy.Document) []string {
	var out []string
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect != policy.Allow || !trustees.Covers(st, "sts:assumerole") {
			continue
		}
		if st.NotResources != nil {
			return []string{"*"}
		}
		for _, r := range st.Resources {
			pattern, _ := grants.Superset(r.Value)
			out = append(out, pattern)
		}
	}
	return out
}

// namesRole reports whether t names a role itself, its sessions or everyone.
func namesRole(t *trustees.Names, n *node) bool {
	id, _, _ := strings.Cut(n.principal.ID, ":")
	entity, _, _ := strings.Cut(n.Key, taggedWith)
	return t.Everyone || slices.Contains(t.Entities, entity) || slices.Contains(t.IDs, id) ||
		slices.ContainsFunc(t.Sessions, func(s arn.ARN) bool {
			role, _, _ := s.RoleSession()
			return s.Account == n.Account && role == n.principal.Entity.Name()
		})
}
