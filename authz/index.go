package authz

import (
	"strings"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/index"
	"github.com/stile-aws/stile/internal/glob"
)

// worthIndexing is the number of patterns and names from which on looking up is
// cheaper than comparing all.
const worthIndexing = 32

// policyIndex finds the statements of a policy that could match a request: by
// the action's name, by the resource's, and by the caller's. Of these the one
// that leaves fewest is used, in the order written.
type policyIndex struct {
	actions, resources *index.Prefixes
	// callers is nil where the kind of policy has no principals. What is left
	// out by it does not apply, but may come near enough to be explained.
	callers *index.Names
}

// What the note of a posting of an action says.
const (
	isBlank   = 1 << iota // one of the statement's blanks, not of its actions
	isGlob                // the pattern is still to be compared
	noteBits  = iota
	noPattern = ^uint32(0) // found whatever the action is
)

// newIndex makes the index of p; nil when p is small.
func newIndex(p *Policy, least int) *policyIndex {
	size := 0
	for i := range p.statements {
		s := &p.statements[i]
		size += 1 + len(s.actions) + len(s.resources)
		if s.principal != nil {
			size += len(s.principal.entries)
		}
	}
	if size < least {
		return nil
	}
	var actions, resources index.Builder
	x := &policyIndex{}
	for i := range p.statements {
		s, at := &p.statements[i], uint32(i)
		addActions(&actions, s, at)
		addResources(&resources, s, at)
		if s.principal != nil {
			if x.callers == nil {
				x.callers = &index.Names{}
			}
			addCallers(x.callers, s.principal, at)
		}
	}
	x.actions, x.resources = actions.Build(), resources.Build()
	return x
}

func addActions(to *index.Builder, s *statement, at uint32) {
	if s.notAction {
		to.Always(index.Posting{Owner: at, Note: noPattern})
	}
	add := func(list []condition.Pattern, flags uint32) {
		for i := range list {
			note := uint32(i)<<noteBits | flags
			text := list[i].Encoded()
			wild := glob.Index(text)
			switch {
			case wild < 0:
				to.Add(text, true, index.Posting{Owner: at, Note: note})
			case wild == len(text)-1 && text[wild] == glob.AnyRun:
				to.Add(text[:wild], false, index.Posting{Owner: at, Note: note})
			default:
				to.Add(text[:wild], false, index.Posting{Owner: at, Note: note | isGlob})
			}
		}
	}
	add(s.actions, 0)
	add(s.blanks, isBlank)
}

func addResources(to *index.Builder, s *statement, at uint32) {
	if s.resources == nil || s.notResource {
		to.Always(index.Posting{Owner: at})
		return
	}
	for i := range s.resources {
		text, whole := s.resources[i].Literal()
		to.Add(text, whole, index.Posting{Owner: at})
	}
}

// addCallers files a statement under everything that its callers could be found by.
func addCallers(to *index.Names, list *principals, at uint32) {
	if list.negated {
		to.Always(index.Posting{Owner: at})
		return
	}
	for i := range list.entries {
		list.entries[i].file(to, index.Posting{Owner: at})
	}
}

// file files p under what a caller has that entry names. It has to agree with
// evaluation.names and evaluation.callerNames.
func (entry *principalEntry) file(to *index.Names, p index.Posting) {
	inAccount := index.Name{Account: string(entry.arn.Account), Name: entry.arn.Resource}
	switch entry.kind {
	case everyone, canonicalUser:
		to.Always(p)
	case accountEntry:
		to.Add(index.Name{Account: inAccount.Account}, p)
	case entityEntry, sessionEntry:
		to.Add(inAccount, p)
	case uniqueID, serviceEntry:
		to.Add(index.Name{Name: entry.value}, p)
	case federatedEntry:
		if entry.value == "*" {
			to.Always(p)
			return
		}
		to.Add(inAccount, p)
		to.Add(index.Name{Name: entry.value}, p)
	}
}

// indexEntries makes an index of the entries of a long list, by number.
func (list *principals) indexEntries(least int) {
	if len(list.entries) < least {
		return
	}
	list.index = &index.Names{}
	for i := range list.entries {
		list.entries[i].file(list.index, index.Posting{Owner: uint32(i)})
	}
}

// names is room for what a caller can be found by.
type names [6]index.Name

// callerNames puts into buf everything that principals are filed under which
// could name the caller.
func (e *evaluation) callerNames(buf *names) []index.Name {
	p := &e.req.Principal
	role := &e.Caller.Role
	id, _, _ := strings.Cut(p.ID, ":")
	if p.Kind == User {
		id = p.ID
	}
	*buf = names{
		{Account: string(p.ARN.Account)},
		{Account: string(p.ARN.Account), Name: p.ARN.Resource},
		{Account: string(role.Account), Name: role.Resource},
		{Name: id},
		{Name: p.ServiceName},
		{Account: string(p.Provider.Account), Name: p.Provider.Resource},
	}
	if p.Kind == FederatedUser {
		buf[2] = index.Name{Account: string(p.Entity.Account), Name: p.Entity.Resource}
		buf[3] = index.Name{Name: p.EntityID}
	}
	return buf[:]
}

// byRules reports whether everything is compared as AWS does, on which the
// indexes rely: tests turn rules off.
func (e *evaluation) byRules() bool { return e.Off.Empty() }

// indexed asks the statements of p that its index finds. ok is false when it
// finds too much, and all must be asked.
func (e *evaluation) indexed(p *Policy, v *verdict) (ok bool) {
	const few = 8 // not worth another look-up
	x := p.index
	l, ok := x.actions.Lookup(e.action())
	if ok && l.Total() <= few {
		e.askByAction(p, &l, v)
		return true
	}
	byAction := ok
	if other, found := x.resources.Lookup(e.req.Resource); found && (!ok || other.Total() < l.Total()) {
		l, ok, byAction = other, true, false
	}
	if e.rec == nil && x.callers != nil && (!ok || l.Total() > few) {
		var buf names
		if other := x.callers.Lookup(e.callerNames(&buf)); !ok || other.Total() < l.Total() {
			l, ok, byAction = other, true, false
		}
	}
	switch {
	case byAction:
		e.askByAction(p, &l, v)
	case ok:
		e.askFound(p, &l, v)
	}
	return ok
}

// askByAction asks the statements of an answer about actions, which tells what
// of them the action matches.
func (e *evaluation) askByAction(p *Policy, l *index.Lists, v *verdict) {
	posting, ok := l.Next()
	for ok {
		at, fit := posting.Owner, actionMisses
		s := &p.statements[at]
		for ok && posting.Owner == at {
			fit = max(fit, e.noted(s, posting.Note))
			posting, ok = l.Next()
		}
		e.ask(p, s, fit, v)
	}
}

// noted is how the action meets the pattern that a posting was made for.
func (e *evaluation) noted(s *statement, note uint32) actionFit {
	list, fit := s.actions, actionFits
	switch {
	case note == noPattern:
		return actionMisses
	case note&isBlank != 0:
		list, fit = s.blanks, actionBlank
	}
	if note&isGlob != 0 && !list[note>>noteBits].Matches(e.action()) {
		return actionMisses
	}
	return fit
}

// askFound asks the statements of any other answer.
func (e *evaluation) askFound(p *Policy, l *index.Lists, v *verdict) {
	for at, ok := l.NextOwner(); ok; at, ok = l.NextOwner() {
		s := &p.statements[at]
		e.ask(p, s, e.actionFit(s), v)
	}
}

// services tells of documents that name none of an action's service without
// looking at their statements: a caller has many. Each service is one of 64 bits.
type services uint64

const allServices = ^services(0)

func serviceOf(name string) services {
	h := uint64(0)
	for i := range len(name) {
		h = h*31 + uint64(name[i])
	}
	return 1 << (h * 0x9E3779B97F4A7C15 >> 58)
}

// services are those of the actions that s could match.
func (s *statement) services() services {
	if s.notAction {
		return allServices
	}
	found := services(0)
	for _, list := range [...][]condition.Pattern{s.actions, s.blanks} {
		for i := range list {
			service, _, _ := strings.Cut(list[i].Encoded(), ":")
			if glob.Index(service) >= 0 {
				return allServices
			}
			found |= serviceOf(service)
		}
	}
	return found
}
