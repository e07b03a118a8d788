package authz

import "github.com/stile-aws/stile/authz/internal/rule"

// settle combines the layers by "Policy evaluation logic" and "Cross-account
// policy evaluation logic".
func (e *evaluation) settle(a *answers) Outcome {
	deny := e.or(e.or(e.or(a.scp.deny, a.rcp.deny), e.or(a.endpoint.deny, a.boundary.deny)),
		e.or(e.or(a.session.deny, a.identity.deny), a.resource.deny))
	if e.Off.Has(rule.ExplicitDeny) {
		deny = no
	}
	allow := e.allowed(a)
	if e.rec != nil {
		e.rec.allow, e.rec.deny = allow, deny
	}
	switch {
	case deny == yes:
		return e.denied(ExplicitDeny)
	case allow == no:
		e.blame(a)
		return e.denied(ImplicitDeny)
	case allow == yes && deny == no:
		e.credit(a)
		return Allowed
	}
	if e.rec != nil && e.cross && e.own(a) == no && e.any(&a.grant) != no {
		e.rec.decided(Allowed, LayerGrant)
	}
	return e.denied(Unknown)
}

// allowed is whether there is an allow that no implicit deny takes away.
func (e *evaluation) allowed(a *answers) term {
	if a.blocked {
		return no
	}
	outer := e.and(e.any(&a.scp.allow), e.and(e.any(&a.rcp.allow), e.any(&a.endpoint.allow)))
	return e.and(a.console, e.and(outer, e.granted(a)))
}

// granted is whether caller and resource, as far as each is needed, agree.
func (e *evaluation) granted(a *answers) term {
	given := e.given(a)
	if !e.req.Principal.signed() {
		return e.any(&given)
	}
	own := e.own(a)
	if e.cross {
		return e.or(e.and(own, e.any(&given)), e.grantAlone(a))
	}
	direct := e.or(given[toCaller], e.and(given[toEntity], e.limits(a)))
	if e.Off.Has(rule.SameAccountUnion) {
		return e.and(own, direct)
	}
	if a.needsResource {
		return e.or(e.and(given[toAccount], own), direct)
	}
	return e.or(own, direct)
}

// grantAlone is what a KMS grant gives in another account to a caller whose
// own policies do not allow it.
func (e *evaluation) grantAlone(a *answers) term {
	if e.retires() {
		// "Principals specified in the grant can retire a grant without the
		// kms:RetireGrant permission."
		return e.and(e.or(a.grant[toEntity], a.grant[toCaller]), e.limits(a))
	}
	// AWS says both that IAM policies of the caller's account must allow
	// and that a grant may take their place ("Troubleshooting key access").
	alone := e.and(e.any(&a.grant), e.limits(a))
	if alone == no {
		return no
	}
	return e.and(alone, e.openTerm("whether a KMS grant is enough across accounts"))
}

// given is what the resource's side gives, grants included.
func (e *evaluation) given(a *answers) grants {
	g := a.resource.allow
	for class, t := range a.grant {
		e.add(&g, grantClass(class), t)
	}
	return g
}

// limits is what boundary and session policy leave of a grant.
func (e *evaluation) limits(a *answers) term {
	return e.and(e.any(&a.boundary.allow), e.any(&a.session.allow))
}

// own is what the caller's own policies give: "the intersection of the IAM
// entity's identity-based policy and the session policies", and the boundary.
func (e *evaluation) own(a *answers) term { return e.and(e.any(&a.identity.allow), e.limits(a)) }

// denied records the layers that settled an outcome by being of it themselves.
func (e *evaluation) denied(o Outcome) Outcome {
	if e.rec != nil && o != ImplicitDeny {
		e.rec.decidedBy(o)
	}
	return o
}

// credit records the layers that granted the request.
func (e *evaluation) credit(a *answers) {
	if e.rec == nil {
		return
	}
	signed := e.req.Principal.signed()
	given := e.given(a)
	own := signed && e.own(a) == yes
	delegated := given[toAccount] == yes
	if own && (e.cross || !a.needsResource || delegated) {
		e.rec.decided(Allowed, LayerIdentity)
	}
	if e.gave(a, a.resource.allow, own) {
		e.rec.decided(Allowed, LayerResource, LayerTrust, LayerKey)
	}
	if e.gave(a, a.grant, own) {
		e.rec.decided(Allowed, LayerGrant)
	}
}

// gave reports whether g, from the resource's side, was part of an allow.
func (e *evaluation) gave(a *answers, g grants, own bool) bool {
	switch {
	case e.cross || !e.req.Principal.signed():
		return e.any(&g) == yes
	case g[toCaller] == yes || e.and(g[toEntity], e.limits(a)) == yes:
		return true
	}
	return a.needsResource && own && g[toAccount] == yes
}

// blame records the layers that kept the request from being allowed, the one
// AWS would name first.
func (e *evaluation) blame(a *answers) {
	if e.rec == nil {
		return
	}
	if e.any(&a.scp.allow) == no {
		e.rec.blamed(LayerSCP)
	}
	if e.any(&a.endpoint.allow) == no {
		e.rec.blamed(LayerEndpoint)
	}
	given := e.given(a)
	signed := e.req.Principal.signed()
	// The resource's side is to blame where it was needed and gave nothing.
	if a.blocked || ((e.cross || !signed || a.needsResource) && e.any(&given) == no) {
		e.blameOwn(a, e.cross)
		e.rec.blamed(LayerResource, LayerTrust, LayerKey)
		return
	}
	if signed && (e.cross || given[toCaller] != yes) { // what is given to the caller itself no layer of its own limits
		e.blameOwn(a, e.cross || given[toEntity] == no && given[toCaller] == no)
	}
}

// blameOwn records which of the caller's own layers does not allow. identity
// is false where nothing was asked of the identity-based policies.
func (e *evaluation) blameOwn(a *answers, identity bool) {
	if identity && e.any(&a.identity.allow) == no {
		e.rec.blamed(LayerIdentity)
	}
	if e.any(&a.boundary.allow) == no {
		e.rec.blamed(LayerBoundary)
	}
	if e.any(&a.session.allow) == no {
		e.rec.blamed(LayerSession)
	}
}
