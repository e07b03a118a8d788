package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

// Hop is one edge of a chain with what allows it.
type Hop struct {
	From  Node  `json:"from"`
	To    Node  `json:"to"`
	Way   Way   `json:"way"`
	Proof Proof `json:"proof"`
	// Parts has the permissions the hop takes: assuming the role, and passing
	// tags or a source identity where it is not to be had without.
	Parts []Part `json:"parts"`
	// Needs says what the caller has to pass or have, beside permissions; Notes
	// what happens with the session's tags.
	Needs []string `json:"needs,omitempty"`
	Notes []string `json:"notes,omitempty"`
	// MaxSession is how long the role's sessions last at most, in seconds; 0 when
	// that is not known.
	MaxSession int `json:"maxSession,omitempty"`
}

// Part is one permission that a hop or a use takes.
type Part struct {
	Action   string         `json:"action"`
	Resource string         `json:"resource"`
	Outcome  authz.Outcome  `json:"outcome"`
	Grants   []Grant        `json:"grants,omitempty"` // the statements that allow it, on both sides
	If       string         `json:"if,omitempty"`     // what has to hold, in words, where the outcome is Unknown
	Open     []string       `json:"open,omitempty"`   // what would have to be known
	Unread   []string       `json:"unread,omitempty"` // documents that could still block it
	Decision authz.Decision `json:"-"`
}

// Grant is a statement that allows a permission.
type Grant struct {
	Side   authz.Side   `json:"side"`
	Source authz.Source `json:"source"`
	Index  int          `json:"statement"` // in the document, from 0
	Sid    string       `json:"sid,omitempty"`
	Pos    policy.Pos   `json:"pos"`
}

// Hop explains an edge; false when there is none.
func (g *Graph) Hop(from, to NodeID) (Hop, bool) {
	e, ok := g.Edge(from, to)
	if !ok {
		return Hop{}, false
	}
	a, b := &g.nodes[from], &g.nodes[to]
	h := Hop{From: a.Node, To: b.Node, Way: e.Way, Proof: e.Proof}
	d := g.doorOf[g.roleOf(to)]
	h.MaxSession = d.role.MaxSession
	for _, q := range g.asked(a, d, e) {
		h.Parts = append(h.Parts, partOf(q.Action, d.role.ARN, g.explain(q, a, d)))
	}
	h.Needs, h.Notes = g.needs(a, d, e), g.notes(a, e)
	return h, true
}

// roleOf is the role that a Role or Session node is about.
func (g *Graph) roleOf(n NodeID) NodeID {
	if g.nodes[n].Kind == Session {
		return g.nodes[n].role
	}
	return n
}

func (g *Graph) explain(q effective.Question, n *node, d *door) authz.Decision {
	if n.Kind == External || n.Kind == Everyone {
		_, decision := g.askStranger(q)
		return decision
	}
	side := n.side
	if side == nil {
		side = g.view.Caller(q.Principal)
	}
	return g.view.Explain(q, side, d.guard)
}

// asked is the questions that an edge was decided by, as [finder.decide] and its
// like put them.
func (g *Graph) asked(n *node, d *door, e Edge) []effective.Question {
	q := n.asks(assumeRole, d.role.ARN)
	q.Context = chosen(n.context)
	actions := []string{assumeRole}
	switch {
	case n.Kind == External || n.Kind == Everyone:
		q.Context = strangerContext(n)
	case e.Way == ByWebIdentity:
		return []effective.Question{g.tokenQuestion(n, d)}
	case e.Way == BySAML:
		q.Context = authz.Context{}
		q.Context.Set("SAML:aud", samlAudience)
		actions = []string{assumeSAML}
	case n.Kind == Pod:
		q.Context = n.context.Clone()
		if len(g.doorTags(n)) > 0 {
			actions = append(actions, tagSession)
		}
	case n.Kind == Session:
		n.tags.set(&q.Context, "aws:RequestTag/")
		actions = append(actions, tagSession)
	}
	for _, pass := range []struct {
		needed bool
		action string
	}{{e.Tags, tagSession}, {e.SourceIdentity, setSourceIdentity}} {
		if pass.needed {
			actions = append(actions, pass.action)
		}
	}
	if e.Tags || e.SourceIdentity {
		for _, key := range slices.Concat(n.tagKeys, d.tagKeys) {
			q.Context.SetUnknown(key)
		}
	}
	var out []effective.Question
	for _, action := range actions {
		q.Action = action
		out = append(out, q)
	}
	return out
}

// tokenQuestion is the best of what is asked for the bearer of a token.
func (g *Graph) tokenQuestion(n *node, d *door) effective.Question {
	best, outcome := effective.Question{}, authz.ImplicitDeny
	for _, p := range d.names.Providers {
		if trustees.IsSAML(p.Name) || !strings.HasPrefix(n.Key, "web:"+trustees.Issuer(p.Name)+":") {
			continue
		}
		for _, q := range g.bearerQuestions(n, d, p) {
			if o := g.ask(q, n, d); best.Action == "" || better(outcome, o) != outcome {
				best, outcome = q, o
			}
		}
	}
	return best
}

// needs tells in words what has to come with a hop.
func (g *Graph) needs(n *node, d *door, e Edge) []string {
	var out []string
	if ids := wanted(d.doc, "sts:externalid"); len(ids) > 0 && e.Way != ByWebIdentity && e.Way != BySAML {
		out = append(out, "external id "+quoted(ids))
	}
	if e.Tags {
		out = append(out, "session tags"+wantedTags(d.doc))
	}
	if e.SourceIdentity {
		text := "a source identity"
		if ids := wanted(d.doc, sourceIdentityKey); len(ids) > 0 {
			text += " " + quoted(ids)
		}
		out = append(out, text)
	}
	if e.Way == BySAML {
		out = append(out, "the identity provider offers the role to the person")
	}
	if n.Kind == External {
		out = append(out, "account "+string(n.Account)+" allows it, which is not in the inventory")
	}
	return out
}

// notes tells what happens with session tags on a hop.
func (g *Graph) notes(n *node, e Edge) []string {
	switch {
	case n.Kind == Session:
		return []string{"the session's tags are transitive: they are passed on, which takes sts:TagSession"}
	case e.Way == ByPodIdentity && len(g.doorTags(n)) > 0:
		return []string{"EKS tags the session: " + strings.Join(g.doorTags(n), ", ")}
	}
	return nil
}

// doorTags are the tags that come with the pods' session, none without tags.
func (g *Graph) doorTags(n *node) []string {
	values, present, _ := n.context.Get("aws:TagKeys")
	if !present {
		return nil
	}
	return values
}

// wanted lists the values that Allow statements want of a key, given in lower case.
func wanted(doc *policy.Document, key string) []string {
	var out []string
	for i := range doc.Statements {
		for _, c := range doc.Statements[i].Conditions {
			if doc.Statements[i].Effect == policy.Allow && strings.EqualFold(c.Key, key) && !policy.SplitOperator(c.Operator).Negated() {
				out = append(out, policy.Values(c.Values)...)
			}
		}
	}
	return sortedUnique(out)
}

// wantedTags lists the tags that a trust policy wants, as " team=orders".
func wantedTags(doc *policy.Document) string {
	var out []string
	for i := range doc.Statements {
		for _, c := range doc.Statements[i].Conditions {
			if name, isTag := cutFold(c.Key, "aws:RequestTag/"); isTag {
				out = append(out, name+"="+strings.Join(policy.Values(c.Values), "|"))
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " " + strings.Join(sortedUnique(out), ", ")
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, " or ")
}

// condition says what a decision that is open depends on, "if sts:ExternalId = x",
// "" for others.
func condition(d *authz.Decision) string {
	switch {
	case d.Outcome != authz.Unknown:
		return ""
	case d.Residual == nil:
		return "depending on " + strings.Join(d.Missing, ", ")
	}
	text := strings.TrimPrefix(d.Residual.String(), "allowed ")
	if rest, ok := strings.CutPrefix(text, "when "); ok {
		return "if " + rest
	}
	return text
}

// partOf takes from a decision what allows it and what is open.
func partOf(action, resource string, d authz.Decision) Part {
	p := Part{Action: action, Resource: resource, Outcome: d.Outcome, If: condition(&d), Open: d.Missing, Decision: d}
	for i := range d.Layers {
		l := &d.Layers[i]
		p.Unread = append(p.Unread, l.Unread...)
		switch l.Layer {
		case authz.LayerIdentity, authz.LayerResource, authz.LayerTrust, authz.LayerKey, authz.LayerGrant:
		case authz.LayerSCP, authz.LayerRCP, authz.LayerEndpoint, authz.LayerBoundary, authz.LayerSession:
			continue // they limit what others allow
		}
		for _, s := range l.Statements {
			if s.Effect == policy.Allow && s.Match != authz.No {
				p.Grants = append(p.Grants, Grant{Side: l.Side, Source: s.Source, Index: s.Index, Sid: s.Sid, Pos: s.Pos})
			}
		}
	}
	return p
}

// bearerQuestions asks for a token of a provider with each audience that the
// provider accepts, or with an audience that is not known.
func (g *Graph) bearerQuestions(n *node, d *door, p trustees.Provider) []effective.Question {
	issuer := trustees.Issuer(p.Name)
	q := effective.Question{Principal: n.principal, Action: assumeWebIdentity, Resource: d.role.ARN, Context: n.context.Clone()}
	a, err := arn.Parse(p.Name)
	if err != nil {
		q.Principal.ServiceName = p.Name // a built-in provider
		q.Context.SetUnknown(issuer + ":aud")
		return []effective.Question{q}
	}
	q.Principal.Provider = a
	account := g.inv.Accounts[a.Account]
	if account == nil {
		return nil // a provider of another account than the role's
	}
	known, state := inventory.Get(account.Providers, a.Name())
	if state != inventory.Exists {
		if state == inventory.Absent || account.Kind(inventory.KindProviders, "") == inventory.Exists {
			return nil
		}
		q.Context.SetUnknown(issuer + ":aud")
		return []effective.Question{q}
	}
	var out []effective.Question
	for _, audience := range known.ClientIDs {
		with := q
		with.Context = q.Context.Clone()
		with.Context.Set(issuer+":aud", audience)
		out = append(out, with)
	}
	return out
}
