package authz

// settle combines the layers by "Policy evaluation logic" and "Cross-account
// policy evaluation logic".
func (e *evaluation) settle(a *answers) Outcome {
	deny := or(or(or(a.scp.deny, a.rcp.deny), or(a.endpoint.deny, a.boundary.deny)),
		or(or(a.session.deny, a.identity.deny), a.resource.deny))
	if e.off.has(ruleExplicitDeny) {
		deny = No
	}
	allow := e.allowed(a)
	switch {
	case deny == Yes:
		return e.denied(ExplicitDeny)
	case allow == No:
		e.blame(a)
		return e.denied(ImplicitDeny)
	case allow == Yes && deny == No:
		e.credit(a)
		return Allowed
	}
	if e.rec != nil && e.cross && a.own() == No && a.grant.any() != No {
		e.rec.lack("whether a KMS grant is enough across accounts")
		e.rec.decided(Allowed, LayerGrant)
	}
	return e.denied(Unknown)
}

// allowed is whether there is an allow that no implicit deny takes away.
func (e *evaluation) allowed(a *answers) Match {
	if a.blocked {
		return No
	}
	outer := and(a.scp.allow.any(), and(a.rcp.allow.any(), a.endpoint.allow.any()))
	return and(outer, e.granted(a))
}

// granted is whether caller and resource, as far as each is needed, agree.
func (e *evaluation) granted(a *answers) Match {
	given := a.given()
	if !e.req.Principal.signed() {
		return given.any()
	}
	own := a.own()
	if e.cross {
		// AWS says both that IAM policies of the caller's account must allow
		// and that a grant may take their place ("Troubleshooting key access").
		alone := and(a.grant.any(), Maybe)
		return or(and(own, given.any()), and(alone, a.limits()))
	}
	direct := or(given[toCaller], and(given[toEntity], a.limits()))
	if e.off.has(ruleSameAccountUnion) {
		return and(own, direct)
	}
	if a.needsResource {
		return or(and(given[toAccount], own), direct)
	}
	return or(own, direct)
}

// given is what the resource's side gives, grants included.
func (a *answers) given() grants {
	g := a.resource.allow
	for class, m := range a.grant {
		g.add(grantClass(class), m)
	}
	return g
}

// limits is what boundary and session policy leave of a grant.
func (a *answers) limits() Match { return and(a.boundary.allow.any(), a.session.allow.any()) }

// own is what the caller's own policies give: "the intersection of the IAM
// entity's identity-based policy and the session policies", and the boundary.
func (a *answers) own() Match { return and(a.identity.allow.any(), a.limits()) }

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
	own := signed && a.own() == Yes
	delegated := a.given()[toAccount] == Yes
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
		return g.any() == Yes
	case g[toCaller] == Yes || and(g[toEntity], a.limits()) == Yes:
		return true
	}
	return a.needsResource && own && g[toAccount] == Yes
}

// blame records the layers that kept the request from being allowed, the one
// AWS would name first.
func (e *evaluation) blame(a *answers) {
	if e.rec == nil {
		return
	}
	if a.scp.allow.any() == No {
		e.rec.blamed(LayerSCP)
	}
	if a.endpoint.allow.any() == No {
		e.rec.blamed(LayerEndpoint)
	}
	given := a.given()
	signed := e.req.Principal.signed()
	// The resource's side is to blame where it was needed and gave nothing.
	if a.blocked || ((e.cross || !signed || a.needsResource) && given.any() == No) {
		e.blameOwn(a, e.cross)
		e.rec.blamed(LayerResource, LayerTrust, LayerKey)
		return
	}
	if signed {
		e.blameOwn(a, e.cross || given[toEntity] == No)
	}
}

// blameOwn records which of the caller's own layers does not allow. identity
// is false where nothing was asked of the identity-based policies.
func (e *evaluation) blameOwn(a *answers, identity bool) {
	if identity && a.identity.allow.any() == No {
		e.rec.blamed(LayerIdentity)
	}
	if a.boundary.allow.any() == No {
		e.rec.blamed(LayerBoundary)
	}
	if a.session.allow.any() == No {
		e.rec.blamed(LayerSession)
	}
}
