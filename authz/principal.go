package authz

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/rule"
	"github.com/stile-aws/stile/policy"
)

// grantClass says to whom an Allow of a resource-based policy is given, which
// decides what implicit denies of other policies it outweighs in the same
// account (the table in "Policy evaluation logic", and iam-semantics).
type grantClass uint8

const (
	// toAccount delegates: the caller's own policies must allow as well.
	toAccount grantClass = iota
	// toEntity is given to the role or user behind a session: boundary and
	// session policy limit it, a missing identity policy does not.
	toEntity
	// toCaller is given to the caller itself: no implicit deny limits it.
	toCaller
	classCount
)

// grants is what statements of a resource-based policy give, by class.
type grants [classCount]term

func (e *evaluation) add(g *grants, c grantClass, t term) { g[c] = e.or(g[c], t) }

func (e *evaluation) any(g *grants) term {
	return e.or(g[toAccount], e.or(g[toEntity], g[toCaller]))
}

// principalMatch says how well s, of p, names the caller, class by class.
func (e *evaluation) principalMatch(p *Policy, s *statement) grants {
	var g grants
	if s.principal == nil {
		g[toCaller] = yes
		return g
	}
	if s.principal.negated {
		g[toCaller] = e.principalTerm(p, s, e.notPrincipal(s))
		return g
	}
	if x := s.principal.index; x != nil && e.byRules() {
		var buf names
		l := x.Lookup(e.callerNames(&buf))
		for i, ok := l.NextOwner(); ok; i, ok = l.NextOwner() {
			e.entryMatch(p, s, &s.principal.entries[i], &g)
		}
		return g
	}
	for i := range s.principal.entries {
		e.entryMatch(p, s, &s.principal.entries[i], &g)
	}
	return g
}

// entryMatch adds what one entry says.
func (e *evaluation) entryMatch(p *Policy, s *statement, entry *principalEntry, g *grants) {
	class, m := e.names(entry, s)
	if m == yes && p.source.Layer == LayerEndpoint {
		m = e.endpointNames(entry)
	}
	if m != no {
		e.add(g, class, e.principalTerm(p, s, m))
	}
}

// endpointNames is what a principal of an endpoint's policy that names the
// caller means. With gateway endpoints, which S3 and DynamoDB have beside
// others, a principal is named by aws:PrincipalArn, and an account is its root
// user only; which kind of endpoint it is nobody says.
func (e *evaluation) endpointNames(entry *principalEntry) term {
	service := e.service()
	switch {
	case service != "s3" && service != "dynamodb", e.Off.Has(rule.EndpointGateway):
		return yes
	case entry.kind == everyone, entry.kind == accountEntry && e.req.Principal.Kind == Root:
		return yes
	}
	return perhaps
}

// names reports whether entry names the caller, and as what.
func (e *evaluation) names(entry *principalEntry, s *statement) (grantClass, term) {
	p := &e.req.Principal
	switch entry.kind {
	case everyone:
		return e.namesEveryone(s)
	case accountEntry:
		if e.Off.Has(rule.PrincipalAccountID) && entry.arn.Partition == "" {
			return toAccount, no
		}
		if e.Off.Has(rule.AccountDelegates) {
			return toCaller, e.namesAccount(entry)
		}
		return toAccount, e.namesAccount(entry)
	case entityEntry:
		return e.namesEntity(entry)
	case sessionEntry:
		return e.namesSession(entry)
	case uniqueID:
		return e.namesUniqueID(entry)
	case serviceEntry:
		return toCaller, formula.Of(p.Kind == Service && p.ServiceName == entry.value && !e.Off.Has(rule.ServicePrincipal))
	case federatedEntry:
		return toCaller, e.namesProvider(entry)
	case canonicalUser:
		// Which account a canonical user id stands for is not among the facts.
		return toAccount, truthOr(p.Account() != "" && !e.Off.Has(rule.CanonicalUser))
	}
	return toAccount, no
}

// truthOr is Maybe or No.
func truthOr(open bool) term {
	if open {
		return perhaps
	}
	return no
}

// namesEveryone is "*". It covers callers with and without an identity; for
// AWS services and bearers of tokens only the policies that limit are
// documented to do so.
func (e *evaluation) namesEveryone(s *statement) (grantClass, term) {
	switch e.req.Principal.Kind {
	case Service, WebIdentity, SAML:
		if s.deny || e.limiting || e.Off.Has(rule.StarService) {
			return toCaller, yes
		}
		return toCaller, perhaps
	case Anonymous:
		return toCaller, formula.Of(!e.Off.Has(rule.Anonymous))
	case Root, User, RoleSession, FederatedUser:
	}
	if e.Off.Has(rule.StarGrant) || (s.namesPrincipalARN && e.Off.Has(rule.StarPrincipalARN)) {
		return toAccount, yes
	}
	return toCaller, yes
}

// namesAccount compares an account principal with the caller's account.
func (e *evaluation) namesAccount(entry *principalEntry) term {
	caller := &e.req.Principal.ARN
	if caller.Account == "" || caller.Account != entry.arn.Account {
		return no
	}
	return formula.Of(entry.arn.Partition == "" || entry.arn.Partition == caller.Partition)
}

// namesEntity compares the ARN of a user or role.
func (e *evaluation) namesEntity(entry *principalEntry) (grantClass, term) {
	p := &e.req.Principal
	switch p.Kind {
	case User:
		return toCaller, formula.Of(e.sameARN(&entry.arn, &p.ARN) && !e.Off.Has(rule.UserGrant))
	case RoleSession:
		class := toEntity
		if e.Off.Has(rule.RoleGrantLimited) {
			class = toCaller
		}
		return class, formula.Of(e.sameARN(&entry.arn, &e.Caller.Role) && !e.Off.Has(rule.RoleGrant))
	case FederatedUser:
		return toEntity, formula.Of(e.sameARN(&entry.arn, &p.Entity) && !e.Off.Has(rule.FederatedUserOfUser))
	case Anonymous, Root, WebIdentity, SAML, Service:
	}
	return toEntity, no
}

// namesSession compares the ARN of a session. "You cannot use a wildcard to
// match part of a principal name or ARN."
func (e *evaluation) namesSession(entry *principalEntry) (grantClass, term) {
	p := &e.req.Principal
	off := p.Kind == RoleSession && e.Off.Has(rule.SessionGrant) || p.Kind == FederatedUser && e.Off.Has(rule.FederatedGrant)
	if p.Kind != RoleSession && p.Kind != FederatedUser || !e.sameARN(&entry.arn, &p.ARN) {
		return toCaller, no
	}
	if off {
		return toEntity, yes
	}
	return toCaller, yes
}

// namesUniqueID compares what AWS stores in place of the ARN of a user or role.
func (e *evaluation) namesUniqueID(entry *principalEntry) (grantClass, term) {
	p := &e.req.Principal
	if entry.value == "" || e.Off.Has(rule.UniqueID) {
		return toEntity, no
	}
	switch p.Kind {
	case User:
		return toCaller, formula.Of(p.ID == entry.value)
	case RoleSession:
		id, _, _ := strings.Cut(p.ID, ":")
		return toEntity, formula.Of(id == entry.value)
	case FederatedUser:
		return toEntity, formula.Of(p.EntityID == entry.value && !e.Off.Has(rule.FederatedUserOfUser))
	case Anonymous, Root, WebIdentity, SAML, Service:
	}
	return toEntity, no
}

// namesProvider compares a Federated principal with the issuer of the caller's token.
func (e *evaluation) namesProvider(entry *principalEntry) term {
	p := &e.req.Principal
	switch p.Kind {
	case WebIdentity:
		if e.Off.Has(rule.WebIdentity) {
			return no
		}
	case SAML:
		if e.Off.Has(rule.SAML) {
			return no
		}
	case Anonymous, Root, User, RoleSession, FederatedUser, Service:
		return no
	}
	if entry.value == "*" && e.limiting {
		return yes // an endpoint policy for whoever brings a token or an assertion
	}
	if p.Provider.IsZero() {
		return formula.Of(p.ServiceName != "" && p.ServiceName == entry.value)
	}
	return formula.Of(e.sameARN(&entry.arn, &p.Provider))
}

// sameARN compares ARNs to the letter, whatever way they were built.
func (e *evaluation) sameARN(a, b *arn.ARN) bool {
	if a.Partition != b.Partition || a.Service != b.Service || a.Account != b.Account || a.Region != b.Region {
		return false
	}
	switch {
	case e.Off.Has(rule.PrincipalCase):
		return strings.EqualFold(a.Resource, b.Resource)
	case e.Off.Has(rule.PrincipalNoWildcard):
		p := condition.Compile(a.Resource, condition.Syntax{Wildcards: true})
		return p.Matches(b.Resource)
	case e.Off.Has(rule.RolePath):
		return a.Type() == b.Type() && a.Name() == b.Name()
	}
	return a.Resource == b.Resource
}

// notPrincipal reports whether a statement with NotPrincipal covers the
// caller. AWS checks a session, its role and their account in turn: a caller
// that is not listed itself is covered; one that is listed without its
// parents may be ("the effect of the policy might be to explicitly deny
// access to the AWS account").
func (e *evaluation) notPrincipal(s *statement) term {
	p := &e.req.Principal
	if s.deny && e.pols.Boundary != nil && p.hasPolicies() && !e.Off.Has(rule.NotPrincipalBoundary) {
		return yes
	}
	if s.deny && e.Off.Has(rule.NotPrincipalDeny) || !s.deny && e.Off.Has(rule.NotPrincipalAllow) {
		return no
	}
	self, parents, all := e.listed(s.principal)
	switch {
	case self && (all || e.Off.Has(rule.NotPrincipalParents)):
		return no
	case self && s.deny:
		return perhaps
	case self:
		return no
	case parents && !s.deny:
		return perhaps
	}
	return yes
}

// listed reports whether the caller itself is among the entries of a
// NotPrincipal, whether any of its parents is, and whether all are.
func (e *evaluation) listed(list *principals) (self, parents, all bool) {
	var byClass [classCount]bool
	if list.index != nil && e.byRules() {
		var buf names
		l := list.index.Lookup(e.callerNames(&buf))
		for i, ok := l.NextOwner(); ok; i, ok = l.NextOwner() {
			if e.lists(&list.entries[i], &byClass) {
				return true, true, true
			}
		}
	} else {
		for i := range list.entries {
			if e.lists(&list.entries[i], &byClass) {
				return true, true, true
			}
		}
	}
	account, entity, caller := byClass[toAccount], byClass[toEntity], byClass[toCaller]
	switch e.req.Principal.Kind {
	case Root:
		return account, account, account
	case User:
		return caller, account, account
	case RoleSession, FederatedUser:
		return caller, account || entity, account && entity
	case Anonymous, WebIdentity, SAML, Service:
	}
	return caller, caller, caller
}

// lists adds what one entry of a NotPrincipal names; everybody is true when it
// is everybody.
func (e *evaluation) lists(entry *principalEntry, byClass *[classCount]bool) (everybody bool) {
	if entry.kind == everyone {
		return true
	}
	class, m := e.names(entry, &statement{deny: true, written: &policy.Statement{}})
	byClass[class] = byClass[class] || m == yes
	return false
}

// hasPolicies reports whether identity-based policies apply to the caller.
func (p *Principal) hasPolicies() bool {
	return p.Kind == User || p.Kind == RoleSession || p.Kind == FederatedUser
}

// signed reports whether the caller belongs to an account, so that there is a
// caller's side to evaluate.
func (p *Principal) signed() bool { return p.hasPolicies() || p.Kind == Root }
