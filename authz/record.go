package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/residue"
	"github.com/stile-aws/stile/policy"
)

// A recorder collects what an evaluation finds. Strings that live in the
// evaluation's own buffers are copied.
type recorder struct {
	decision Decision
	brief    bool // only the outcome is wanted: nothing is kept of layers but the last
	// conditions of the statement at hand.
	conditions []ConditionResult

	// What was left open, and what the answer is in terms of it.
	arena       formula.Arena
	atoms       []residue.Atom
	atomsByText map[string]term
	allow, deny term
}

// begin opens the result of a layer.
func (r *recorder) begin(l Layer, side Side, account arn.AccountID, node string) {
	if r.brief {
		r.decision.Layers = r.decision.Layers[:0]
	}
	r.decision.Layers = append(r.decision.Layers, LayerResult{Layer: l, Side: side, Account: account, Node: node})
}

// end closes it.
func (r *recorder) end(o Outcome, note string) {
	layer := r.layer()
	layer.Outcome, layer.Note = o, note
}

func (r *recorder) layer() *LayerResult { return &r.decision.Layers[len(r.decision.Layers)-1] }

// condition keeps how one condition met the request.
func (r *recorder) condition(e *evaluation, c *condition.Condition, got *condition.Found, m term) {
	if r.brief {
		return
	}
	result := ConditionResult{
		Operator: c.Written.Operator, Key: c.Written.Key, Match: match(m),
		Present: got.Presence == condition.Present, Pos: c.Written.Pos,
		Unknown: got.Presence == condition.Unknown,
	}
	result.Wanted = make([]string, len(c.Written.Values))
	for i, v := range c.Written.Values {
		result.Wanted[i] = v.Value
		if i < len(c.Patterns) && c.Patterns[i].Varies() {
			result.Wanted[i] = r.substituted(e, &c.Patterns[i], v.Value)
		}
	}
	if n := got.Len(); n > 0 {
		result.Found = make([]string, n)
		for i := range n {
			result.Found[i] = strings.Clone(got.At(i))
		}
	}
	r.conditions = append(r.conditions, result)
}

// substituted shows a value with its variables replaced, as written when one has
// no value, or when that would be too much to show.
func (r *recorder) substituted(e *evaluation, p *condition.Pattern, written string) string {
	x := e.Expand(p)
	if x.Missing || x.Open || x.Long {
		return written
	}
	return strings.NewReplacer("\xFF", "*", "\xFE", "?").Replace(string(x.Text))
}

// statement keeps how one statement met the request, and forgets its conditions.
func (r *recorder) statement(e *evaluation, p *Policy, s *statement, named, fits term) {
	if r.brief {
		return
	}
	result := StatementResult{
		Source: p.source, Index: s.index, Sid: s.written.Sid, Pos: s.written.Pos, Effect: s.written.Effect,
		Match: match(formula.And(min(named, perhaps), min(fits, perhaps))), Conditions: r.conditions,
	}
	r.conditions = nil
	switch {
	case result.Match != No:
	case named == no:
		result.Failed, result.Principals = "Principal", principalsOf(s.written)
	default:
		result.Failed = "Condition"
	}
	if result.Match == Maybe {
		result.Open = e.questions(s, &result, match(named))
	}
	layer := r.layer()
	layer.Statements = append(layer.Statements, result)
}

// maxPrincipals is how many principals of a statement an explanation shows.
const maxPrincipals = 8

// principalsOf lists whom s names.
func principalsOf(s *policy.Statement) []string {
	list := s.Principal
	if list == nil {
		list = s.NotPrincipal
	}
	if list == nil {
		return nil
	}
	if list.Everyone {
		return []string{"*"}
	}
	var out []string
	for i := range list.Entries {
		if i == maxPrincipals {
			return append(out, fmt.Sprintf("… (%d more)", len(list.Entries)-i))
		}
		out = append(out, list.Entries[i].Value.Value)
	}
	return out
}

// questions is what would have to be known to decide a statement.
func (e *evaluation) questions(s *statement, result *StatementResult, named Match) []string {
	var list []string
	if named == Maybe {
		list = append(list, principalQuestion(s, result.Source))
	}
	if anyMatches(s.blanks, e.action()) && !anyMatches(s.actions, e.action()) {
		list = append(list, blankQuestion(s, result.Source))
	}
	if s.deny && e.doubtful {
		list = append(list, rcpQuestion+e.service())
	}
	for i := range s.resources {
		list = append(list, e.resourceQuestions(&s.resources[i])...)
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; result.Conditions[i].Match == Maybe {
			list = append(list, e.conditionQuestions(c, result.Conditions[i].Unknown)...)
		}
	}
	return list
}

const rcpQuestion = "whether resource control policies affect the resources of "

func principalQuestion(s *statement, src Source) string {
	return fmt.Sprintf("whether statement %d of %s covers the principal", s.index+1, src)
}

func blankQuestion(s *statement, src Source) string {
	return fmt.Sprintf("what AWS makes of the white space or comma in an action of statement %d of %s", s.index+1, src)
}

func grantQuestion(g *Grant) string { return "whether the new grant is as strict as grant " + g.ID }

// resourceQuestions is what would have to be known to compare p with the resource.
func (e *evaluation) resourceQuestions(p *condition.Resource) []string {
	list := e.openVariables(&p.Rest)
	if p.Incomplete {
		list = append(list, "what AWS makes of the incomplete ARN "+p.Written)
	}
	if e.RunsOn(p) {
		list = append(list, "whether the wildcard at the end of an ARN segment runs past the colon in "+p.Written)
	}
	return list
}

// conditionQuestions is what would have to be known to decide c, whose key may
// be unknown itself.
func (e *evaluation) conditionQuestions(c *condition.Condition, unknownKey bool) []string {
	if unknownKey && !e.Unclear(c) {
		return []string{c.Key.Name}
	}
	var list []string
	for i := range c.Patterns {
		list = append(list, e.openVariables(&c.Patterns[i])...)
	}
	if list == nil || e.Unclear(c) {
		return []string{fmt.Sprintf("how AWS compares %s with %s", c.Written.Key, c.Written.Operator)}
	}
	return list
}

// openVariables lists the variables of p whose value is not known.
func (e *evaluation) openVariables(p *condition.Pattern) []string {
	var list []string
	p.Variables(func(v *condition.Variable) {
		got, name := e.Lookup(&v.Key), v.Key.Name
		switch {
		case got.Presence == condition.Unknown:
			list = append(list, name)
		case got.Len() > 1 || e.Multivalued[name]:
			list = append(list, "what AWS puts for ${"+name+"}, which has several values")
		case got.Len() == 1 && strings.ContainsAny(got.At(0), "*?"):
			list = append(list, "whether the wildcard in the value of ${"+name+"} is one")
		}
	})
	return list
}

// grant keeps a grant that matches or could.
func (r *recorder) grant(g *Grant, m Match) {
	layer := r.layer()
	result := StatementResult{
		Source: Source{Layer: LayerGrant, Account: layer.Account, Name: "grant " + g.ID}, Effect: policy.Allow, Match: m,
	}
	if m == Maybe {
		result.Open = []string{"the encryption context that grant " + g.ID + " requires"}
	}
	layer.Statements = append(layer.Statements, result)
}

// unread keeps the documents of the layer at hand that are not known.
func (r *recorder) unread(list []Unread, l Layer) {
	layer := r.layer()
	for _, u := range list {
		if u.Source.Layer != l {
			continue
		}
		layer.Unread = append(layer.Unread, u.String())
	}
}

// decided marks the layers of the given kinds that have outcome o as deciding.
func (r *recorder) decided(o Outcome, kinds ...Layer) {
	for i := range r.decision.Layers {
		l := &r.decision.Layers[i]
		if l.Outcome == o && slices.Contains(kinds, l.Layer) && !slices.Contains(r.decision.Deciding, i) {
			r.decision.Deciding = append(r.decision.Deciding, i)
		}
	}
}

// blamed marks the layers of the given kinds that do not allow. Where that is
// so although the layer itself is open (it may even deny), that layer is meant.
func (r *recorder) blamed(kinds ...Layer) {
	before := len(r.decision.Deciding)
	r.decided(ImplicitDeny, kinds...)
	if len(r.decision.Deciding) == before {
		r.decided(Unknown, kinds...)
	}
}

// decidedBy marks every layer that has outcome o as deciding; for Unknown,
// where none is open as a whole, those that could give more than they do.
func (r *recorder) decidedBy(o Outcome) {
	r.mark(func(l *LayerResult) bool { return l.Outcome == o })
	if o == Unknown && r.decision.Deciding == nil {
		r.mark(func(l *LayerResult) bool {
			return slices.ContainsFunc(l.Statements, func(s StatementResult) bool { return s.Match == Maybe })
		})
	}
}

func (r *recorder) mark(decides func(*LayerResult) bool) {
	for i := range r.decision.Layers {
		if decides(&r.decision.Layers[i]) {
			r.decision.Deciding = append(r.decision.Deciding, i)
		}
	}
}

// finish gives the decision.
func (r *recorder) finish(o Outcome, e *evaluation) Decision {
	d := r.decision
	d.Outcome, d.CrossAccount = o, e.cross
	d.Principal, d.Action, d.Resource = e.req.Principal.String(), e.req.Action, e.req.Resource
	if d.Deciding == nil && len(d.Layers) == 1 {
		d.Deciding = []int{0}
	}
	if o == Unknown {
		e.depend(&d)
	}
	return d
}
