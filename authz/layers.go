package authz

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/rule"
)

// answers holds what each layer said. A layer that does not apply is open.
type answers struct {
	scp, rcp, endpoint, boundary, session, identity verdict
	resource                                        verdict
	grant                                           grants
	// blocked is set when no policy can allow the request; the layer at hand
	// has recorded why.
	blocked bool
	// console is yes unless the caller's kind of session can call the
	// operation from the console only.
	console term
	// needsResource is set when the caller's own policies are not enough in
	// the same account either: role trust and KMS key policies.
	needsResource bool
}

// run asks all layers and combines what they say.
func (e *evaluation) run() Outcome {
	e.prepare()
	if e.neverAllowed() {
		return ImplicitDeny
	}
	a := answers{console: e.askConsole()}
	if e.needsNoPermission() {
		return e.settleConsole(&a)
	}
	a.scp = e.askSCPs()
	a.endpoint = e.askEndpoint()
	a.boundary = e.askBoundary()
	a.session = e.askSession()
	a.identity = e.askIdentity()
	a.rcp = e.askRCPs()
	e.askResource(&a)
	a.grant = e.askGrants()
	return e.settle(&a)
}

// needsNoPermission holds for operations that cannot be denied to anybody who
// has signed the request.
func (e *evaluation) needsNoPermission() bool {
	if !e.facts.NoPermission[e.action()] || !e.req.Principal.signed() || e.Off.Has(rule.NoPermissionNeeded) {
		return false
	}
	e.note(LayerIdentity, CallerSide, Allowed, "the operation needs no permission, and no policy can deny it")
	return true
}

// neverAllowed holds for operations that some kinds of caller cannot use,
// whatever the policies say.
func (e *evaluation) neverAllowed() bool {
	text := ""
	switch kind := e.req.Principal.Kind; {
	case kind == Root && e.facts.RootForbidden[e.action()] && !e.Off.Has(rule.RootCannotAssume):
		text = "the root user cannot call this operation"
	case kind == FederatedUser && e.service() == "sts" && e.callsSTS("getcalleridentity") && !e.Off.Has(rule.FederatedSTS):
		text = "a federated user cannot call STS operations other than sts:GetCallerIdentity"
	default:
		return false
	}
	e.note(LayerIdentity, CallerSide, ImplicitDeny, text)
	return true
}

// note records a layer that no statement explains.
func (e *evaluation) note(l Layer, side Side, o Outcome, text string) {
	if e.rec != nil {
		e.rec.begin(l, side, e.account(side), "")
		e.rec.end(o, text)
	}
}

func (e *evaluation) account(side Side) arn.AccountID {
	if side == CallerSide && e.req.Principal.signed() {
		return e.req.Principal.Account()
	}
	return e.Owner
}

// resourceSide is the side of the resource's policies, which is the caller's
// when there is one account only.
func (e *evaluation) resourceSide() Side {
	if e.cross || !e.req.Principal.signed() {
		return ResourceSide
	}
	return CallerSide
}

// layer asks the policies of a layer and what is said to be unread in it.
func (e *evaluation) layer(l Layer, side Side, list []*Policy) verdict {
	if e.rec != nil {
		account := e.account(side)
		if l == LayerEndpoint && list[0] != nil {
			account = list[0].source.Account // which need not be the caller's
		}
		e.rec.begin(l, side, account, "")
	}
	v := e.policies(list)
	if e.unread(l) {
		v.deny = e.or(v.deny, e.unreadTerm(l, true))
		allows := e.unreadTerm(l, false)
		for class := range v.allow {
			v.allow[class] = e.or(v.allow[class], allows)
		}
	}
	e.end(l, &v)
	return v
}

// end closes the record of a layer.
func (e *evaluation) end(l Layer, v *verdict) {
	if e.rec != nil {
		e.rec.end(e.outcome(v), "")
		if e.unread(l) {
			e.rec.unread(e.pols.Unread, l)
		}
	}
}

// unread reports whether there is a document of layer l that is not known.
func (e *evaluation) unread(l Layer) bool {
	if e.Off.Has(rule.Unread) {
		return false
	}
	for i := range e.pols.Unread {
		if e.pols.Unread[i].Source.Layer == l {
			return true
		}
	}
	return false
}

// outcome is a layer's own answer.
func (e *evaluation) outcome(v *verdict) Outcome {
	switch allow := e.any(&v.allow); {
	case v.deny == yes:
		return ExplicitDeny
	case v.deny != no:
		return Unknown
	case allow == yes:
		return Allowed
	case allow != no:
		return Unknown
	}
	return ImplicitDeny
}

// askSCPs asks the levels of the caller's account. "SCPs affect only IAM users
// and roles that are managed by accounts that are part of the organization",
// the root user of member accounts included; every level must allow.
func (e *evaluation) askSCPs() verdict {
	p := &e.req.Principal
	switch {
	case e.pols.SCPs == nil && !e.unread(LayerSCP):
		return open()
	case !p.signed() && !e.Off.Has(rule.SCPCallerOnly):
		return open()
	case p.Management && !e.Off.Has(rule.SCPManagement):
		e.note(LayerSCP, CallerSide, NotApplicable, "SCPs do not affect the management account")
		return open()
	case p.ServiceLinked && !e.Off.Has(rule.SCPServiceLinked):
		e.note(LayerSCP, CallerSide, NotApplicable, "SCPs do not affect service-linked roles")
		return open()
	case e.Off.Has(rule.SCP):
		return open()
	}
	return e.levels(LayerSCP, CallerSide, e.pols.SCPs)
}

// levels asks SCPs or RCPs: every level must allow, one policy of a level is
// enough, and any policy may deny.
func (e *evaluation) levels(l Layer, side Side, levels []Level) verdict {
	all := open()
	for i := range levels {
		v := e.level(l, side, &levels[i])
		all.deny = e.or(all.deny, v.deny)
		if i > 0 && e.Off.Has(rule.SCPLevels) {
			all.allow[toCaller] = e.or(all.allow[toCaller], e.any(&v.allow))
		} else {
			all.allow[toCaller] = e.and(all.allow[toCaller], e.any(&v.allow))
		}
	}
	if e.unread(l) {
		// It may be a deny, or what is missing at one of the levels, or a level of its own.
		all.deny = e.or(all.deny, e.unreadTerm(l, true))
		all.allow[toCaller] = e.unreadTerm(l, false)
		e.note(l, side, Unknown, "")
		e.end(l, &verdict{deny: perhaps})
	}
	return all
}

func (e *evaluation) level(l Layer, side Side, level *Level) verdict {
	if e.rec != nil {
		e.rec.begin(l, side, e.account(side), level.Node)
	}
	list := level.Policies
	if e.Off.Has(rule.SCPOr) && len(list) > 1 {
		list = list[:1]
	}
	v := e.policies(list)
	if l == LayerRCP && !e.Off.Has(rule.RCPFullAccess) {
		// "This policy is automatically attached … You cannot detach this policy."
		v.allow[toCaller] = yes
	}
	if e.rec != nil {
		e.rec.end(e.outcome(&v), "")
	}
	return v
}

func (e *evaluation) askEndpoint() verdict {
	if (e.pols.Endpoint == nil && !e.unread(LayerEndpoint)) || e.Off.Has(rule.Endpoint) {
		return open()
	}
	e.limiting = true
	one := [1]*Policy{e.pols.Endpoint}
	v := e.layer(LayerEndpoint, CallerSide, one[:])
	e.limiting = false
	return v
}

func (e *evaluation) askBoundary() verdict {
	if !e.req.Principal.hasPolicies() || e.Off.Has(rule.Boundary) {
		return open()
	}
	if e.pols.Boundary == nil {
		return e.unreadLimit(LayerBoundary, yes)
	}
	one := [1]*Policy{e.pols.Boundary}
	return e.layer(LayerBoundary, CallerSide, one[:])
}

// unreadLimit is the verdict of a layer without a document: whatever holds
// without one, or open when there may be one that could not be read.
func (e *evaluation) unreadLimit(l Layer, without term) verdict {
	if !e.unread(l) {
		return verdict{allow: grants{toCaller: without}}
	}
	v := verdict{deny: e.unreadTerm(l, true), allow: grants{toCaller: e.unreadTerm(l, false)}}
	e.note(l, CallerSide, Unknown, "")
	e.end(l, &v)
	return v
}

// askSession asks the session policies. A role session without any is not
// limited; a federated user without any has nothing.
func (e *evaluation) askSession() verdict {
	p := &e.req.Principal
	if p.Kind != RoleSession && p.Kind != FederatedUser || e.Off.Has(rule.SessionPolicy) {
		return open()
	}
	if e.pols.HasSession || len(e.pols.Session) > 0 {
		return e.layer(LayerSession, CallerSide, e.pols.Session)
	}
	if p.Kind == RoleSession || e.Off.Has(rule.FederatedNeedsSession) {
		return e.unreadLimit(LayerSession, yes)
	}
	if !e.unread(LayerSession) {
		e.note(LayerSession, CallerSide, ImplicitDeny, "a federated user without session policies has no permissions of its own")
	}
	return e.unreadLimit(LayerSession, no)
}

// askIdentity asks the caller's own policies. The root user needs none.
func (e *evaluation) askIdentity() verdict {
	p := &e.req.Principal
	federatedRoot := p.Kind == FederatedUser && p.Entity.Resource == "root"
	switch {
	case !p.signed():
		return verdict{}
	case (p.Kind == Root || federatedRoot) && !e.Off.Has(rule.RootFullAccess):
		e.note(LayerIdentity, CallerSide, Allowed, "the account's root user has full access")
		return open()
	}
	v := e.layer(LayerIdentity, CallerSide, e.pols.Identity)
	if e.Off.Has(rule.DefaultDeny) && e.any(&v.allow) == no {
		v.allow[toCaller] = yes
	}
	return v
}

// askRCPs asks the levels of the resource's account, where RCPs apply at all.
func (e *evaluation) askRCPs() verdict {
	if e.pols.RCPs == nil && !e.unread(LayerRCP) {
		return open()
	}
	if why := e.rcpException(); why != "" || e.Off.Has(rule.RCP) {
		e.note(LayerRCP, e.resourceSide(), NotApplicable, why)
		return open()
	}
	_, known := e.facts.RCPServices[e.service()]
	e.limiting, e.doubtful = true, !known && !e.Off.Has(rule.RCPServices)
	v := e.levels(LayerRCP, e.resourceSide(), e.pols.RCPs)
	e.limiting, e.doubtful = false, false
	return v
}

// rcpException says why RCPs do not affect the request ("Resources and
// entities not restricted by RCPs"), or nothing.
func (e *evaluation) rcpException() string {
	affected, known := e.facts.RCPServices[e.service()]
	switch {
	case e.req.ResourceManagement && !e.Off.Has(rule.RCPManagement):
		return "RCPs do not affect resources of the management account"
	case e.req.Principal.ServiceLinked && !e.Off.Has(rule.RCPServiceLinked):
		return "RCPs do not affect calls by service-linked roles"
	case strings.HasPrefix(e.Rest, "role/aws-service-role/") && e.Segments[2] == "iam" && !e.Off.Has(rule.RCPServiceLinkedTrust):
		return "RCPs do not affect the trust policies of service-linked roles"
	case e.req.ResourceAWSManaged && !e.Off.Has(rule.RCPManagedKey):
		return "RCPs do not affect AWS managed KMS keys"
	case e.action() == "kms:retiregrant" && !e.Off.Has(rule.RCPRetireGrant):
		return "RCPs do not affect kms:RetireGrant"
	case known && !affected && !e.Off.Has(rule.RCPServices):
		return "the service does not support RCPs"
	case e.req.Resource == "*" && !e.Off.Has(rule.RCPNoResource):
		return "RCPs affect actions on resources only"
	}
	return ""
}

// askResource asks the policy attached to the resource.
func (e *evaluation) askResource(a *answers) {
	kind := e.resourceLayer()
	a.needsResource = kind == LayerTrust && !e.Off.Has(rule.TrustExplicit) || kind == LayerKey && !e.Off.Has(rule.KeyExplicit)
	p := e.pols.Resource
	if p != nil && !e.applies(p) {
		p = nil
	}
	if why := e.cannotCross(); why != "" {
		e.note(kind, e.resourceSide(), ImplicitDeny, why)
		a.blocked = true
		return
	}
	switch {
	case e.keepsPolicy():
		e.note(kind, e.resourceSide(), Allowed, "the policy of a bucket cannot keep the root user of its account from it")
	case e.retires():
		e.askRetire(a)
	case p != nil || e.unread(kind):
		one := [1]*Policy{p}
		a.resource = e.layer(kind, e.resourceSide(), one[:])
	case e.rec != nil && (a.needsResource || e.cross || !e.req.Principal.signed()):
		e.note(kind, e.resourceSide(), ImplicitDeny, e.req.Resource+" has no "+kind.policyType()+" that applies")
	}
}

// keepsPolicy holds for the root user of the resource's account who asks for the
// resource's policy itself, which that cannot deny.
func (e *evaluation) keepsPolicy() bool {
	return e.req.Principal.Kind == Root && !e.cross && e.facts.OwnersOnly[e.action()] && !e.Off.Has(rule.RootKeepsPolicy)
}

// resourceLayer is the kind of policy that guards the resource for this action.
func (e *evaluation) resourceLayer() Layer {
	if p := e.pols.Resource; p != nil && e.applies(p) {
		return p.source.Layer
	}
	switch {
	case trustAction(e.action()) && !e.ofFederatedUser():
		return LayerTrust
	case strings.HasPrefix(e.action(), "kms:") && strings.HasPrefix(e.Rest, "key/"):
		return LayerKey
	}
	return LayerResource
}

// applies reports whether p guards the resource for this action: a trust
// policy decides who may assume a role and nothing else about it, a key policy
// about KMS operations.
func (e *evaluation) applies(p *Policy) bool {
	switch p.source.Layer {
	case LayerTrust:
		return trustAction(e.action()) || e.Off.Has(rule.TrustActions)
	case LayerKey:
		return strings.HasPrefix(e.action(), "kms:") || e.Off.Has(rule.KeyActions)
	case LayerSCP, LayerRCP, LayerEndpoint, LayerBoundary, LayerSession, LayerIdentity, LayerResource, LayerGrant:
	}
	return true
}

// trustAction reports whether action, in lower case, is one that trust policies grant.
func trustAction(action string) bool {
	name, ok := strings.CutPrefix(action, "sts:")
	if !ok {
		return false
	}
	switch name {
	case "assumerole", "assumerolewithwebidentity", "assumerolewithsaml", "tagsession", "setsourceidentity", "setcontext":
		return true
	}
	return false
}

// cannotCross says why the request cannot work across accounts whatever the
// policies say, or nothing.
func (e *evaluation) cannotCross() string {
	if !e.cross {
		return ""
	}
	operations, limited := e.facts.CrossAccount[e.service()]
	switch {
	case limited && !operations[e.action()] && !e.Off.Has(rule.KeyCrossAccount), e.facts.OwnersOnly[e.action()] && !e.Off.Has(rule.OwnersOnly):
		return "the operation does not work on resources of other accounts"
	case e.IsARN && e.Segments[1] != e.req.Principal.ARN.Partition && !e.Off.Has(rule.Partition):
		return "access is never delegated between partitions"
	}
	return ""
}

// askGrants asks the KMS grants on the key, of which some may not be known.
func (e *evaluation) askGrants() grants {
	var all grants
	unread := e.unread(LayerGrant)
	if len(e.pols.Grants) == 0 && !unread || !strings.HasPrefix(e.action(), "kms:") || e.Off.Has(rule.Grant) {
		return all
	}
	if e.rec != nil {
		e.rec.begin(LayerGrant, e.resourceSide(), e.Owner, "")
	}
	for i := range e.pols.Grants {
		class, t := e.grant(&e.pols.Grants[i])
		e.add(&all, class, t)
		if e.rec != nil && t != no {
			e.rec.grant(&e.pols.Grants[i], match(t))
		}
	}
	if unread {
		e.add(&all, toCaller, e.unreadTerm(LayerGrant, false))
	}
	e.end(LayerGrant, &verdict{allow: all})
	return all
}

func (e *evaluation) grant(g *Grant) (grantClass, term) {
	if e.retires() && g.Retiring != "" {
		if class, m := e.namesGrantee(g.Retiring); m == yes {
			return class, yes
		}
	}
	class, m := e.namesGrantee(g.Grantee)
	if m != yes {
		return class, no
	}
	_, name, _ := strings.Cut(e.action(), ":")
	for _, operation := range g.Operations {
		if strings.EqualFold(operation, name) {
			return class, e.grantConstraint(g, name)
		}
	}
	return class, no
}

// grantConstraint is whether the request meets the constraint of g. "Grant
// constraints are not applied to operations that do not support an encryption
// context, such as … DescribeKey or RetireGrant"; of a new grant they ask that
// it be as strict.
func (e *evaluation) grantConstraint(g *Grant, operation string) term {
	if g.EncryptionContext != nil && !e.Off.Has(rule.GrantContext) && !e.Off.Has(rule.GrantContextOperations) {
		switch {
		case operation == "describekey" || operation == "retiregrant":
			return yes
		case operation == "creategrant" && e.rec == nil:
			return perhaps
		case operation == "creategrant":
			return e.openTerm(grantQuestion(g))
		}
	}
	return e.grantTerm(g, e.Constraint(g.EncryptionContext, g.Equals))
}

// retires reports whether the request is kms:RetireGrant, over which the grants
// themselves decide.
func (e *evaluation) retires() bool {
	return e.action() == "kms:retiregrant" && !e.Off.Has(rule.RetireGrant)
}

// askRetire stands for the key policy: "The kms:RetireGrant permission is not
// effective in a key policy". The account of the key can retire its grants, and
// let its users and roles do so.
func (e *evaluation) askRetire(a *answers) {
	if e.cross || !e.req.Principal.signed() {
		e.note(LayerKey, e.resourceSide(), ImplicitDeny, "the grant says who retires it, not the key policy")
		return
	}
	a.resource.allow[toAccount] = yes
	e.note(LayerKey, e.resourceSide(), Allowed, "the account of a key can retire its grants, and let its users and roles do so")
}

func (e *evaluation) namesGrantee(grantee string) (grantClass, term) {
	entry := compileAWSPrincipal(grantee)
	if entry.kind == uniqueID && strings.Contains(grantee, ".") {
		entry = principalEntry{kind: serviceEntry, value: grantee}
	}
	if entry.kind == everyone {
		return toAccount, no
	}
	return e.names(&entry, &statement{})
}
