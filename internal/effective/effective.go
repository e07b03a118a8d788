// Package effective asks authz what an inventory really grants: it turns the
// documents of an [inventory.Inventory] into authz's inputs, for every layer
// and on both sides of a request.
//
// Start with [New] and [View.Ask] for one question, [View.Walk] for a route
// of several hops with what it ends in, and [After] for the inventory as it
// will be once a Wanted has been applied. Everything that decides and was not
// read makes the answer unknown; see [View.Ask] for what this version does not
// look at.
//
// It is pure, decides nothing itself and makes no findings: internal/verify
// does.
package effective

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// View answers questions about one inventory, which must not change meanwhile.
// It remembers compiled documents, so use one View for many questions. Not
// safe for concurrent use.
type View struct {
	inv      *inventory.Inventory
	paths    map[string][]*inventory.Node // from the organization's root down to a node, by its id
	compiled map[compiledKey]compiled
}

type compiledKey struct {
	source authz.Source
	text   string
}

type compiled struct {
	policy *authz.Policy
	reason string // why it could not be compiled
}

// New makes a View of inv; nil is an empty inventory.
func New(inv *inventory.Inventory) *View {
	if inv == nil {
		inv = &inventory.Inventory{}
	}
	v := &View{inv: inv, paths: map[string][]*inventory.Node{}, compiled: map[compiledKey]compiled{}}
	if inv.Organization != nil {
		v.walkTree(inv.Organization.Root, nil)
	}
	return v
}

// walkTree notes the path to n and to all nodes below it.
func (v *View) walkTree(n *inventory.Node, above []*inventory.Node) {
	if n == nil {
		return
	}
	path := append(slices.Clip(above), n)
	v.paths[n.ID] = path
	for _, c := range n.Children {
		v.walkTree(c, path)
	}
}

// Question is one request to decide.
type Question struct {
	Principal authz.Principal
	Action    string
	Resource  string // ARN, or "*"
	// ResourceAccount owns the resource; "" means the account of the ARN, or
	// the caller's.
	ResourceAccount arn.AccountID
	// Context has the condition keys that are known. Keys that the documents
	// mention and that are neither here nor known to be absent from such a
	// request count as unknown.
	Context authz.Context
	// Example says that Resource is made up after a pattern, so that a secret
	// of that name has no policy to read.
	Example bool
}

// Ask decides q with every document of the inventory that applies. What is
// not in an inventory is not looked at: resource control policies, VPC
// endpoint policies, KMS grants, and policies of resources other than roles,
// secrets and keys.
func (v *View) Ask(q Question) authz.Decision {
	return v.decide(q, v.policies(q))
}

// decide answers q by documents gathered already.
func (v *View) decide(q Question, pols *authz.Policies) authz.Decision {
	return anySession(q, pols, func(p authz.Principal) authz.Decision {
		req := v.request(q, p)
		req.Context = q.Context.Clone()
		v.complete(&req, pols)
		return authz.Evaluate(&req, pols, nil)
	})
}

// request is q asked by p, without its context.
func (v *View) request(q Question, p authz.Principal) authz.Request {
	req := authz.Request{Principal: p, Action: q.Action, Resource: q.Resource, ResourceAccount: q.ResourceAccount}
	req.Principal.Management = v.isManagement(p.Account())
	return req
}

// policies gathers every document that applies to q.
func (v *View) policies(q Question) *authz.Policies {
	pols := &authz.Policies{}
	v.callerPolicies(&q.Principal, pols)
	v.scps(q.Principal.Account(), pols)
	v.guardPolicies(q, pols)
	return pols
}

// guardPolicies gathers what stands on the side of q's resource.
func (v *View) guardPolicies(q Question, pols *authz.Policies) {
	v.resourcePolicy(q, pols)
}

// Trust decides whether the trust policy of a role alone would let caller
// assume it: whatever the caller's own account may allow is taken as allowed.
// It is the question to ask about strangers.
func (v *View) Trust(q Question) authz.Decision {
	pols := &authz.Policies{Identity: []*authz.Policy{v.everything()}}
	v.resourcePolicy(q, pols)
	return anySession(q, pols, func(p authz.Principal) authz.Decision {
		req := authz.Request{Principal: p, Action: q.Action, Resource: q.Resource, Context: q.Context.Clone()}
		v.complete(&req, pols)
		return authz.Evaluate(&req, pols, nil)
	})
}

// Meets decides whether q's request to a secret or key meets conditions, as
// far as those are about who calls: Allowed, ImplicitDeny or Unknown.
func (v *View) Meets(q Question, conditions []policy.Condition) authz.Outcome {
	st := policy.Statement{
		Effect: policy.Allow, Principal: &policy.Principals{Everyone: true}, Actions: policy.Texts("*"), Resources: policy.Texts("*"), Conditions: conditions,
	}
	p, unread := v.compile(policy.NewDocument(st).String(), authz.Source{Layer: authz.LayerResource, Name: "conditions on the caller"})
	if unread != nil {
		return authz.Unknown
	}
	req := authz.Request{Principal: q.Principal, Action: q.Action, Resource: q.Resource, Context: q.Context.Clone()}
	pols := &authz.Policies{Resource: p}
	v.complete(&req, pols)
	return authz.Evaluate(&req, pols, nil).Outcome
}

func (v *View) everything() *authz.Policy {
	src := authz.Source{Layer: authz.LayerIdentity, Name: "an administrator's policy, assumed"}
	p, _ := v.compile(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, src)
	return p
}

// compile prepares a document; what can't be is told as unread.
func (v *View) compile(text string, src authz.Source) (*authz.Policy, *authz.Unread) {
	key := compiledKey{src, text}
	c, ok := v.compiled[key]
	if !ok {
		doc, err := policy.Parse([]byte(text))
		if err == nil {
			c.policy, err = authz.Compile(doc, src)
		}
		if err != nil {
			c = compiled{reason: err.Error()}
		}
		v.compiled[key] = c
	}
	if c.policy == nil {
		return nil, &authz.Unread{Source: src, Reason: c.reason}
	}
	return c.policy, nil
}

func (v *View) isManagement(id arn.AccountID) bool {
	if id == "" {
		return false
	}
	if a := v.inv.Accounts[id]; a != nil && a.Member.Management == id {
		return true
	}
	return v.inv.Organization != nil && v.inv.Organization.ManagementAccount == id
}

// callerPolicies adds the identity policies and the boundary of the caller's
// role or user.
func (v *View) callerPolicies(p *authz.Principal, pols *authz.Policies) {
	entity := p.ARN
	if p.Kind == authz.RoleSession {
		entity = p.Entity
	}
	account := v.inv.Accounts[entity.Account]
	switch entity.Type() {
	case "role":
		r, state := account.Role(entity.Name())
		if state == inventory.Exists && r.ARN == entity.String() {
			v.add(account, identity{kind: "role", name: r.Name, inline: r.Inline, attached: r.Attached, boundary: r.Boundary}, pols)
			return
		}
		v.unreadEntity(state, "role/"+entity.Name(), entity.Account, pols)
	case "user":
		u, state := account.User(entity.Name())
		if state == inventory.Exists && u.ARN == entity.String() {
			v.add(account, identity{kind: "user", name: u.Name, inline: u.Inline, attached: u.Attached, boundary: u.Boundary}, pols)
			for _, g := range u.Groups {
				v.add(account, identity{kind: "group", name: g.Name, inline: g.Inline, attached: g.Attached}, pols)
			}
			return
		}
		v.unreadEntity(state, "user/"+entity.Name(), entity.Account, pols)
	}
}

// unreadEntity says that the policies of a principal are not known. One that
// does not exist has none.
func (v *View) unreadEntity(state inventory.Lookup, name string, id arn.AccountID, pols *authz.Policies) {
	if state == inventory.Absent || state == inventory.Exists {
		return
	}
	for _, l := range []authz.Layer{authz.LayerIdentity, authz.LayerBoundary} {
		pols.Unread = append(pols.Unread, authz.Unread{Source: authz.Source{Layer: l, Account: id, Name: "policies of " + name}, Reason: reasonOf(state)})
	}
}

func reasonOf(state inventory.Lookup) string {
	if state == inventory.NotAsked {
		return "it was not looked for"
	}
	return "it could not be read"
}

// identity is what an IAM entity carries.
type identity struct {
	kind, name string
	inline     map[string]string
	attached   []string
	boundary   string
}

func (v *View) add(account *inventory.Account, e identity, pols *authz.Policies) {
	for _, name := range slices.Sorted(maps.Keys(e.inline)) {
		src := authz.Source{Layer: authz.LayerIdentity, Account: account.ID, Name: e.kind + "/" + e.name + " inline policy " + name}
		v.addIdentity(e.inline[name], src, pols)
	}
	for _, ref := range slices.Sorted(slices.Values(e.attached)) {
		src := managedSource(authz.LayerIdentity, account.ID, ref)
		m, state := inventory.Get(account.Managed, ref)
		if state != inventory.Exists {
			pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: reasonOf(state)})
			continue
		}
		v.addIdentity(m.Document, src, pols)
	}
	if e.boundary == "" {
		return
	}
	src := managedSource(authz.LayerBoundary, account.ID, e.boundary)
	m, state := inventory.Get(account.Managed, e.boundary)
	if state != inventory.Exists {
		pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: reasonOf(state)})
		return
	}
	p, unread := v.compile(m.Document, src)
	pols.Boundary = p
	addUnread(pols, unread)
}

func (v *View) addIdentity(text string, src authz.Source, pols *authz.Policies) {
	p, unread := v.compile(text, src)
	if p != nil {
		pols.Identity = append(pols.Identity, p)
	}
	addUnread(pols, unread)
}

func addUnread(pols *authz.Policies, u *authz.Unread) {
	if u != nil {
		pols.Unread = append(pols.Unread, *u)
	}
}

func managedSource(l authz.Layer, id arn.AccountID, ref string) authz.Source {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	return authz.Source{Layer: l, Account: id, Name: name, ARN: ref}
}

// scps adds the service control policies on the way down to the caller's account.
func (v *View) scps(id arn.AccountID, pols *authz.Policies) {
	if id == "" {
		return // bearers of tokens are in no account yet
	}
	path, unread := v.orgPathOf(id)
	if unread != "" {
		src := authz.Source{Layer: authz.LayerSCP, Name: "service control policies"}
		pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: unread})
		return
	}
	org := v.inv.Organization
	for _, node := range path {
		level := authz.Level{Node: node.ID}
		for _, ref := range node.SCPs {
			src := authz.Source{Layer: authz.LayerSCP, Account: org.ManagementAccount, Name: ref}
			scp := org.Policies[ref]
			if scp == nil {
				pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: "it was not read"})
				continue
			}
			src.Name, src.ARN = scp.Name, scp.ARN
			p, unread := v.compile(scp.Document, src)
			if p != nil {
				level.Policies = append(level.Policies, p)
			}
			addUnread(pols, unread)
		}
		pols.SCPs = append(pols.SCPs, level)
	}
}

// orgPathOf gives an account's place in the organization read, nil when it is in
// none, or says why it is not known. An account that is not in the tree is in no
// organization only when it says so itself.
func (v *View) orgPathOf(id arn.AccountID) (path []*inventory.Node, unread string) {
	var said inventory.Membership
	if a := v.inv.Accounts[id]; a != nil {
		said = a.Member
	}
	org := v.inv.Organization
	switch {
	case said.State == inventory.Absent:
		return nil, ""
	case said.State == inventory.Exists && (org == nil || org.ID != said.Organization):
		return nil, "account " + string(id) + " is in organization " + said.Organization + ", which was not read"
	}
	if path = v.paths[string(id)]; path != nil {
		return path, ""
	}
	switch {
	case v.inv.OrgState == inventory.Absent && said.State == inventory.NotAsked:
		return nil, ""
	case org == nil && v.inv.OrgState != inventory.Absent:
		return nil, reasonOf(v.inv.OrgState)
	case said.Why != "":
		return nil, "whether account " + string(id) + " is in an organization could not be read: " + said.Why
	}
	return nil, "which organization account " + string(id) + " is in is not known"
}

// resourcePolicy adds the policy of the role, secret or key that q is about.
func (v *View) resourcePolicy(q Question, pols *authz.Policies) {
	a, err := arn.Parse(q.Resource)
	if err != nil {
		return
	}
	account := v.inv.Accounts[a.Account]
	switch {
	case a.Service == "iam" && a.Type() == "role":
		v.trustPolicy(account, a, pols)
	case a.Service == "secretsmanager" && a.Type() == "secret" && !q.Example:
		v.secretPolicy(account, a, pols)
	case a.Service == "kms" && a.Type() == "key":
		v.keyPolicy(account, a, pols)
	}
}

func (v *View) trustPolicy(account *inventory.Account, a arn.ARN, pols *authz.Policies) {
	src := authz.Source{Layer: authz.LayerTrust, Account: a.Account, Name: "role/" + a.Name()}
	r, state := account.Role(a.Name())
	if state == inventory.Exists && r.ARN == a.String() {
		v.setResource(r.Trust, src, pols)
		return
	}
	v.unreadResource(state, src, pols)
}

func (v *View) secretPolicy(account *inventory.Account, a arn.ARN, pols *authz.Policies) {
	src := authz.Source{Layer: authz.LayerResource, Account: a.Account, Name: "secret " + a.Name()}
	s, state := findSecret(account, a.String())
	if state == inventory.Exists {
		if s.Policy != "" {
			v.setResource(s.Policy, src, pols)
		}
		return
	}
	v.unreadResource(state, src, pols)
}

func (v *View) keyPolicy(account *inventory.Account, a arn.ARN, pols *authz.Policies) {
	src := authz.Source{Layer: authz.LayerKey, Account: a.Account, Name: "key " + a.Name()}
	state := inventory.NotAsked
	if account != nil {
		var k *inventory.Key
		if k, state = inventory.Get(account.Keys, a.String()); state == inventory.Exists {
			v.setResource(k.Policy, src, pols)
			return
		}
	}
	v.unreadResource(state, src, pols)
}

func (v *View) setResource(text string, src authz.Source, pols *authz.Policies) {
	p, unread := v.compile(text, src)
	pols.Resource = p
	addUnread(pols, unread)
}

func (v *View) unreadResource(state inventory.Lookup, src authz.Source, pols *authz.Policies) {
	if state == inventory.Absent || state == inventory.Exists {
		return
	}
	pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: reasonOf(state)})
}

// findSecret finds a secret by its full ARN, whatever it was asked by.
func findSecret(account *inventory.Account, full string) (*inventory.Secret, inventory.Lookup) {
	s, state := account.Secret(full)
	if account != nil && state == inventory.NotAsked && absentByName(account, full) {
		state = inventory.Absent
	}
	return s, state
}

// absentByName reports whether a secret was looked for by a pattern that full
// fits, and was not there.
func absentByName(account *inventory.Account, full string) bool {
	for pattern, s := range account.Secrets {
		if s == nil && strings.ContainsAny(pattern, "*?") && compile.Within(full, pattern) {
			return true
		}
	}
	return false
}

// Principal gives the caller that an IAM ARN stands for: a user, or a session
// of a role. The role or user need not be in the inventory; its unique id is
// then unknown.
func (v *View) Principal(text string) (authz.Principal, error) {
	a, err := arn.Parse(text)
	if err != nil {
		return authz.Principal{}, err
	}
	account := v.inv.Accounts[a.Account]
	switch {
	case a.Service == "iam" && a.Type() == "user":
		p := authz.Principal{Kind: authz.User, ARN: a}
		if u, _ := account.User(a.Name()); u != nil {
			p.ID = u.ID
		}
		return p, nil
	case a.Service == "iam" && a.Type() == "role":
		return v.Session(a), nil
	case a.Service == "iam" && a.Resource == "root":
		return authz.Principal{Kind: authz.Root, ARN: a}, nil
	}
	if role, session, ok := a.RoleSession(); ok {
		p := authz.Principal{Kind: authz.RoleSession, ARN: a}
		if r, _ := account.Role(role); r != nil {
			p.Entity, _ = arn.Parse(r.ARN)
			if r.ID != "" {
				p.ID = r.ID + ":" + session
			}
		}
		return p, nil
	}
	return authz.Principal{}, fmt.Errorf("finding principal %s: want a role, a user, a role session or an account's root", text)
}
