package authz

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/formula"
)

// Evaluate answers req with everything that led to the answer. facts may be
// nil, which means DefaultFacts.
func Evaluate(req *Request, pols *Policies, facts *Facts) Decision {
	return explain(req, pols, facts, ruleset{})
}

// Decide answers as Evaluate does, by the same code, without saying why and
// without allocating memory.
func Decide(req *Request, pols *Policies, facts *Facts) Outcome {
	if facts == nil {
		facts = defaultFacts()
	}
	e := evaluation{req: req, pols: pols, facts: facts}
	return e.run()
}

func explain(req *Request, pols *Policies, facts *Facts, off ruleset) Decision {
	if facts == nil {
		facts = defaultFacts()
	}
	rec := recorder{}
	e := evaluation{req: req, pols: pols, facts: facts, off: off, rec: &rec}
	return rec.finish(e.run(), &e)
}

// An evaluation is the work on one request. It lives on the stack: whatever
// outlives it (the recorder's findings) is copied.
type evaluation struct {
	req   *Request
	pols  *Policies
	facts *Facts
	off   ruleset
	rec   *recorder // nil: only the answer is wanted

	owner    arn.AccountID // whose resource it is
	cross    bool          // caller and owner are different accounts
	role     arn.ARN       // behind a role session
	limiting bool          // the layer at hand only limits
	bare     bool          // the context has every key, and nothing is derived
	doubtful bool          // whether the denies of the layer at hand count is not known

	isARN    bool // the resource has six components
	segments [5]string
	rest     string

	actionLen    int
	actionBuf    [80]byte
	longAction   string // used instead of actionBuf by actions that don't fit
	principalARN [256]byte
	scratch      [512]byte
}

// prepare takes the request apart once.
func (e *evaluation) prepare() {
	req := e.req
	p := &req.Principal
	e.prepareAction()
	e.prepareResource()
	e.owner = req.ResourceAccount
	if e.owner == "" && e.isARN && isAccountID(e.segments[4]) {
		e.owner = arn.AccountID(e.segments[4])
	}
	if e.owner == "" {
		e.owner = p.Account()
	}
	e.cross = p.signed() && e.owner != p.Account() && !e.off.has(ruleCrossAccountBothSides)
	if p.Kind == RoleSession {
		e.role = p.Entity
		if e.role.IsZero() {
			if name, _, ok := p.ARN.RoleSession(); ok {
				e.role = arn.ARN{Partition: p.ARN.Partition, Service: "iam", Account: p.ARN.Account, Owner: p.ARN.Owner}
				e.role.Resource = roleResource(name)
			}
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
		if c >= 'A' && c <= 'Z' && !e.off.has(ruleActionCase) {
			c += 'a' - 'A'
		}
		e.actionBuf[i] = c
	}
	e.actionLen = len(action)
}

func (e *evaluation) prepareResource() {
	rest := e.req.Resource
	for i := range e.segments {
		segment, after, ok := strings.Cut(rest, ":")
		if !ok {
			return
		}
		e.segments[i], rest = segment, after
	}
	e.rest = rest
	e.isARN = e.segments[0] == "arn"
}

// action is the request's action in lower case.
func (e *evaluation) action() string {
	if e.longAction != "" {
		return e.longAction
	}
	return view(e.actionBuf[:e.actionLen])
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
		if p != nil {
			e.policy(p, &v)
		}
	}
	return v
}

func (e *evaluation) policy(p *Policy, v *verdict) {
	for i := range p.statements {
		s := &p.statements[i]
		g := e.statement(p, s)
		if s.deny {
			v.deny = e.or(v.deny, e.any(&g))
			continue
		}
		for class, t := range g {
			e.add(&v.allow, grantClass(class), t)
		}
	}
}

// statement compares one statement with the request: to whom it would apply,
// and whether it does.
func (e *evaluation) statement(p *Policy, s *statement) grants {
	if !e.actionMatches(s) {
		return grants{}
	}
	resource := e.resourceMatches(s)
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
		e.rec.statement(e, p, s, match(named), match(fits))
	}
	return who
}

func (e *evaluation) actionMatches(s *statement) bool {
	action := e.action()
	for i := range s.actions {
		if s.actions[i].matches(action) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (e *evaluation) resourceMatches(s *statement) term {
	if s.resources == nil {
		return formula.Of(!e.off.has(ruleResourceAbsent))
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

// resource compares one ARN of a statement with the request's. "You can use
// wildcard characters (* and ?) within any ARN segment (the parts separated by
// colons)"; what comes after the fifth colon is one segment.
func (e *evaluation) resource(p *resourcePattern) Match {
	switch {
	case p.everything:
		return Yes
	case p.malformed:
		return No
	case e.off.has(ruleResourceStar) && e.req.Resource == "*":
		return Yes
	case !e.isARN:
		return No // actions without resource-level permissions need "*"
	}
	m := e.segmentsMatch(p)
	if m == No && p.beyond != nil {
		// "If the * wildcard is the last character of a resource ARN segment, it
		// can expand to match beyond the colon boundaries", says the IAM User
		// Guide; that it cannot, say the guides of services. So it is open.
		return and(e.pattern(p.beyond, e.req.Resource), Maybe)
	}
	return m
}

// segmentsMatch compares an ARN of a statement with the request's segment by segment.
func (e *evaluation) segmentsMatch(p *resourcePattern) Match {
	for i := range p.head {
		if !p.head[i].matches(e.segments[i]) && !e.off.has(ruleResourceSegments) {
			return No
		}
	}
	if p.incomplete {
		return Maybe
	}
	if e.off.has(ruleResourceCase) {
		return e.pattern(&p.rest, strings.ToLower(e.rest))
	}
	return e.pattern(&p.rest, e.rest)
}
