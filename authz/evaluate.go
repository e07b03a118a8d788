package authz

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/rule"
)

// Evaluate answers req with everything that led to the answer. facts may be
// nil, which means DefaultFacts.
func Evaluate(req *Request, pols *Policies, facts *Facts) Decision {
	return explain(req, pols, facts, rule.Set{})
}

// Decide answers as Evaluate does, by the same code, without saying why and
// without allocating memory. It takes conditions on unknown keys for
// independent of each other: where it answers Unknown, Evaluate may find that
// the answer is the same whatever they are.
func Decide(req *Request, pols *Policies, facts *Facts) Outcome {
	if facts == nil {
		facts = defaultFacts()
	}
	e := evaluation{req: req, pols: pols, facts: facts}
	return e.run()
}

// Settle gives the outcome of Evaluate alone: it knows where what is unknown makes
// no difference, and takes less time and memory than saying why.
func Settle(req *Request, pols *Policies, facts *Facts) Outcome {
	if facts == nil {
		facts = defaultFacts()
	}
	rec := recorder{brief: true}
	e := evaluation{req: req, pols: pols, facts: facts, rec: &rec}
	d := Decision{Outcome: e.run()}
	if d.Outcome == Unknown {
		e.depend(&d)
	}
	return d.Outcome
}

func explain(req *Request, pols *Policies, facts *Facts, off rule.Set) Decision {
	if facts == nil {
		facts = defaultFacts()
	}
	rec := recorder{}
	e := evaluation{req: req, pols: pols, facts: facts, rec: &rec}
	e.Off = off
	return rec.finish(e.run(), &e)
}

// An evaluation is the work on one request. It lives on the stack: whatever
// outlives it (the recorder's findings) is copied.
type evaluation struct {
	condition.Comparer
	req   *Request
	pols  *Policies
	facts *Facts
	rec   *recorder // nil: only the answer is wanted

	cross    bool // caller and owner of the resource are different accounts
	limiting bool // the layer at hand only limits
	doubtful bool // whether the denies of the layer at hand count is not known

	serviceBit services
	looked     int // statements compared
	actionLen  int
	actionBuf  [80]byte
	longAction string // used instead of actionBuf by actions that don't fit
}

// prepare takes the request apart once.
func (e *evaluation) prepare() {
	req := e.req
	p := &req.Principal
	e.prepareAction()
	e.serviceBit = serviceOf(e.service())
	e.SetResource(req.Resource)
	e.Owner = req.ResourceAccount
	if e.Owner == "" && e.IsARN && isAccountID(e.Segments[4]) {
		e.Owner = arn.AccountID(e.Segments[4])
	}
	if e.Owner == "" {
		e.Owner = p.Account()
	}
	e.cross = p.signed() && e.Owner != p.Account() && !e.Off.Has(rule.CrossAccountBothSides)
	e.Multivalued, e.Context = e.facts.Multivalued, &req.Context.keys
	e.Caller = condition.Caller{Kind: condition.Kind(p.Kind), Self: &p.ARN, ID: p.ID, ServiceName: p.ServiceName}
	if p.Kind == RoleSession {
		role := &e.Caller.Role
		*role = p.Entity
		if name, _, ok := p.ARN.RoleSession(); ok && role.IsZero() {
			*role = arn.ARN{Partition: p.ARN.Partition, Service: "iam", Account: p.ARN.Account, Owner: p.ARN.Owner}
			role.Resource = roleResource(name)
		}
	}
}

// roleResource is the resource part of the ARN of a role without a path.
// Sessions normally come with their role, so that nothing is built here.
func roleResource(name string) string { return "role/" + name }

func (e *evaluation) prepareAction() {
	action := e.req.Action
	if len(action) > len(e.actionBuf) {
		e.longAction = strings.ToLower(action)
		return
	}
	for i := range len(action) {
		c := action[i]
		if c >= 'A' && c <= 'Z' && !e.Off.Has(rule.ActionCase) {
			c += 'a' - 'A'
		}
		e.actionBuf[i] = c
	}
	e.actionLen = len(action)
}

// action is the request's action in lower case.
func (e *evaluation) action() string {
	if e.longAction != "" {
		return e.longAction
	}
	return condition.View(e.actionBuf[:e.actionLen])
}

// service is the prefix of the request's action.
func (e *evaluation) service() string {
	prefix, _, _ := strings.Cut(e.action(), ":")
	return prefix
}

// verdict is what the policies of one layer say together.
type verdict struct {
	deny  term
	allow grants
}

// open is the verdict of a layer that does not apply, or does not limit.
func open() verdict { return verdict{allow: grants{toCaller: yes}} }

// policies asks every statement of list.
func (e *evaluation) policies(list []*Policy) verdict {
	var v verdict
	for _, p := range list {
		if p == nil {
			continue
		}
		if e.rec != nil {
			e.rec.layer().Documents++
		}
		e.policy(p, &v)
	}
	return v
}

// policy asks the statements of p that could match.
func (e *evaluation) policy(p *Policy, v *verdict) {
	if p.services&e.serviceBit == 0 || p.index != nil && e.byRules() && e.indexed(p, v) {
		return
	}
	for i := range p.statements {
		s := &p.statements[i]
		e.ask(p, s, e.actionFit(s), v)
	}
}

// ask adds what one statement says.
func (e *evaluation) ask(p *Policy, s *statement, fit actionFit, v *verdict) {
	e.looked++
	g := e.statement(p, s, fit)
	if s.deny {
		v.deny = e.or(v.deny, e.any(&g))
		return
	}
	for class, t := range g {
		e.add(&v.allow, grantClass(class), t)
	}
}

// statement compares one statement with the request: to whom it would apply,
// and whether it does.
func (e *evaluation) statement(p *Policy, s *statement, fit actionFit) grants {
	action := e.actionMatches(p, s, fit)
	if action == no {
		return grants{}
	}
	resource := e.and(action, e.resourceMatches(s))
	if resource == no {
		return grants{}
	}
	who := e.principalMatch(p, s)
	named := e.any(&who)
	if named == no && e.rec == nil {
		return who
	}
	conditions := e.conditionsMatch(s)
	if s.deny && e.doubtful {
		conditions = e.and(conditions, e.doubt())
	}
	fits := e.and(resource, conditions)
	for class := range who {
		who[class] = e.and(who[class], fits)
	}
	if e.rec != nil {
		e.rec.statement(e, p, s, named, fits)
	}
	return who
}

// actionFit is how the request's action meets the patterns of a statement.
type actionFit uint8

const (
	actionMisses actionFit = iota
	actionBlank            // it matches what is left of one without white space
	actionFits
)

func (e *evaluation) actionFit(s *statement) actionFit {
	switch {
	case anyMatches(s.actions, e.action()):
		return actionFits
	case anyMatches(s.blanks, e.action()):
		return actionBlank
	}
	return actionMisses
}

func (e *evaluation) actionMatches(p *Policy, s *statement, fit actionFit) term {
	switch {
	case fit == actionFits:
		return formula.Of(!s.notAction)
	case fit == actionMisses:
		return formula.Of(s.notAction)
	case e.rec == nil:
		return perhaps
	}
	return e.openTerm(blankQuestion(s, p.source))
}

func anyMatches(patterns []condition.Pattern, action string) bool {
	for i := range patterns {
		if patterns[i].Matches(action) {
			return true
		}
	}
	return false
}

func (e *evaluation) resourceMatches(s *statement) term {
	if s.resources == nil {
		return formula.Of(!e.Off.Has(rule.ResourceAbsent))
	}
	t := no
	for i := range s.resources {
		t = e.or(t, e.resourceTerm(&s.resources[i]))
		if t == yes {
			break
		}
	}
	if s.notResource {
		return e.not(t)
	}
	return t
}

// conditionsMatch reports whether all conditions of s hold. With a recorder
// every one is compared, without one the first that fails ends it.
func (e *evaluation) conditionsMatch(s *statement) term {
	all := yes
	for i := range s.conditions {
		c := &s.conditions[i]
		got := e.Lookup(&c.Key)
		m := e.Compare(c, &got)
		if e.rec != nil {
			e.rec.condition(e, c, &got, m)
		} else if m == no && !e.Off.Has(rule.ConditionsAnd) {
			return no
		}
		t := e.conditionTerm(c, &got, m)
		if e.Off.Has(rule.ConditionsAnd) && i > 0 {
			all = e.or(all, t)
		} else {
			all = e.and(all, t)
		}
	}
	return all
}
