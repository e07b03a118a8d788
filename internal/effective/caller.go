package effective

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// callerSide is what a role or user carries, prepared once.
type callerSide struct {
	identity []*authz.Policy
	boundary *authz.Policy
	unread   []authz.Unread
	taggable bool // a role whose sessions somebody may give tags
}

// callerPolicies adds the identity policies and the boundary of the caller's
// role or user.
func (v *View) callerPolicies(p *authz.Principal, pols *authz.Policies) {
	entity := entityOf(p)
	if kind := entity.Type(); kind != "role" && kind != "user" {
		return
	}
	side := v.carried(entity)
	pols.Identity, pols.Boundary = side.identity, side.boundary
	pols.Unread = append(pols.Unread, side.unread...)
}

// carried is carries, remembered.
func (v *View) carried(entity arn.ARN) *callerSide {
	known, ok := v.callers.Load(entity)
	if !ok {
		known, _ = v.callers.LoadOrStore(entity, v.carries(entity))
	}
	return known.(*callerSide)
}

// taggable reports whether p is a session that may have been made with tags.
func (v *View) taggable(p *authz.Principal) bool {
	if p.Kind == authz.RoleSession {
		return v.carried(entityOf(p)).taggable
	}
	return p.Kind == authz.FederatedUser
}

// passesTags reports whether a role's trust policy lets anybody pass session tags,
// as far as that is known. "All roles … must have a trust policy with the
// sts:TagSession permission."
func (v *View) passesTags(r *inventory.Role, role arn.ARN) bool {
	var doc *policy.Document
	if p, _ := v.compile(r.Trust, trustSource(role)); p != nil {
		doc = p.Document()
	} else if parsed, err := policy.ParseText(r.Trust); err == nil {
		doc = parsed
	} else {
		return true
	}
	return slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool {
		return st.Effect == policy.Allow && isAbout(&st, "sts:tagsession")
	})
}

// entityOf is the role or user whose policies a principal has.
func entityOf(p *authz.Principal) arn.ARN {
	switch p.Kind {
	case authz.RoleSession:
		if role, _, ok := p.ARN.RoleSession(); ok && p.Entity.IsZero() {
			return arn.IAM(p.ARN.Partition, p.ARN.Account, "role", "/", role) // as authz takes it
		}
		return p.Entity
	case authz.FederatedUser:
		return p.Entity
	case authz.Anonymous, authz.Root, authz.User, authz.WebIdentity, authz.SAML, authz.Service:
	}
	return p.ARN
}

// carries reads what a role or user carries.
func (v *View) carries(entity arn.ARN) *callerSide {
	side := &callerSide{}
	account := v.inv.Accounts[entity.Account]
	switch entity.Type() {
	case "role":
		r, state := account.Role(entity.Name())
		if state == inventory.Exists && r.ARN == entity.String() {
			side.taggable = v.passesTags(r, entity)
			v.add(account, identity{kind: "role", name: r.Name, inline: r.Inline, attached: r.Attached, boundary: r.Boundary}, side)
			return side
		}
		side.taggable = state != inventory.Absent
		side.unreadEntity(state, "role/"+entity.Name(), entity.Account)
	case "user":
		u, state := account.User(entity.Name())
		if state == inventory.Exists && u.ARN == entity.String() {
			v.add(account, identity{kind: "user", name: u.Name, inline: u.Inline, attached: u.Attached, boundary: u.Boundary}, side)
			for _, g := range u.Groups {
				v.add(account, identity{kind: "group", name: g.Name, inline: g.Inline, attached: g.Attached}, side)
			}
			return side
		}
		side.unreadEntity(state, "user/"+entity.Name(), entity.Account)
	}
	return side
}

// unreadEntity says that the policies of a principal are not known. One that
// does not exist has none.
func (s *callerSide) unreadEntity(state inventory.Lookup, name string, id arn.AccountID) {
	if state == inventory.Absent || state == inventory.Exists {
		return
	}
	for _, l := range []authz.Layer{authz.LayerIdentity, authz.LayerBoundary} {
		s.unread = append(s.unread, authz.Unread{Source: authz.Source{Layer: l, Account: id, Name: "policies of " + name}, Reason: reasonOf(state)})
	}
}

// identity is what an IAM entity carries.
type identity struct {
	kind, name string
	inline     map[string]string
	attached   []string
	boundary   string
}

func (v *View) add(account *inventory.Account, e identity, side *callerSide) {
	for _, name := range slices.Sorted(maps.Keys(e.inline)) {
		src := authz.Source{Layer: authz.LayerIdentity, Account: account.ID, Name: e.kind + "/" + e.name + " inline policy " + name}
		side.addIdentity(v.compile(e.inline[name], src))
	}
	for _, ref := range slices.Sorted(slices.Values(e.attached)) {
		side.addIdentity(v.managed(account, authz.LayerIdentity, ref))
	}
	if e.boundary == "" {
		return
	}
	p, unread := v.managed(account, authz.LayerBoundary, e.boundary)
	side.boundary = p
	side.addUnread(unread)
}

// managed prepares a managed policy for a layer.
func (v *View) managed(account *inventory.Account, l authz.Layer, ref string) (*authz.Policy, *authz.Unread) {
	src := authz.Source{Layer: l, Account: account.ID, Name: ref[strings.LastIndexByte(ref, '/')+1:], ARN: ref}
	m, state := inventory.Get(account.Managed, ref)
	if state != inventory.Exists {
		return nil, &authz.Unread{Source: src, Reason: reasonOf(state)}
	}
	return v.compile(m.Document, src)
}

func (s *callerSide) addIdentity(p *authz.Policy, unread *authz.Unread) {
	if p != nil {
		s.identity = append(s.identity, p)
	}
	s.addUnread(unread)
}

func (s *callerSide) addUnread(u *authz.Unread) {
	if u != nil {
		s.unread = append(s.unread, *u)
	}
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
	case a.Service == "iam" && a.Type() == "saml-provider":
		return authz.Principal{Kind: authz.SAML, Provider: a}, nil
	case a.Service == "iam" && a.Type() == "oidc-provider":
		return authz.Principal{Kind: authz.WebIdentity, Provider: a}, nil
	}
	if role, session, ok := a.RoleSession(); ok {
		p := authz.Principal{Kind: authz.RoleSession, ARN: a}
		if r, _ := account.Role(role); r != nil {
			p.Entity, _ = arn.Parse(r.ARN)
			p.ServiceLinked = serviceLinked(p.Entity)
			if r.ID != "" {
				p.ID = r.ID + ":" + session
			}
		}
		return p, nil
	}
	return authz.Principal{}, fmt.Errorf("finding principal %s: want a role, a user, a role session, an identity provider or an account's root", text)
}

func serviceLinked(role arn.ARN) bool { return strings.HasPrefix(role.Path(), "/aws-service-role/") }

// noProvider refuses bearers of tokens and assertions of an identity provider
// that is known not to be there: STS looks for it before it looks at policies.
func (v *View) noProvider(p *authz.Principal) (authz.Decision, bool) {
	if p.Provider.IsZero() {
		return authz.Decision{}, false
	}
	if _, state := v.provider(p.Provider); state != inventory.Absent {
		return authz.Decision{}, false
	}
	d := nobody("there is no identity provider " + p.Provider.String())
	d.Principal = p.String()
	return d, true
}

// provider looks for an identity provider; audiences are those an OIDC
// provider accepts.
func (v *View) provider(a arn.ARN) (audiences []string, state inventory.Lookup) {
	account := v.inv.Accounts[a.Account]
	if account == nil {
		return nil, inventory.NotAsked
	}
	if a.Type() == "saml-provider" {
		_, state = inventory.Get(account.SAML, a.String())
		return nil, orListed(state, account.Kind(inventory.KindSAML, ""))
	}
	p, state := inventory.Get(account.Providers, a.Name())
	if state == inventory.Exists {
		audiences = p.ClientIDs
	}
	return audiences, state
}

// orListed is the state of one thing, given whether every one of its kind was
// listed.
func orListed(state, listed inventory.Lookup) inventory.Lookup {
	switch {
	case state != inventory.NotAsked:
		return state
	case listed == inventory.Exists:
		return inventory.Absent
	}
	return listed
}
