package importer

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

// overlay changes a copy of an inventory. What is not changed is shared with the
// base: every account, map and record is copied before its first change.
type overlay struct {
	inv      *inventory.Inventory
	file     string
	mine     map[arn.AccountID]bool // accounts already copied
	groups   map[groupKey]inventory.Group
	findings diag.List
}

func newOverlay(base *inventory.Inventory, file string) *overlay {
	out := inventory.Inventory{}
	if base != nil {
		out = *base
	}
	out.Accounts = maps.Clone(out.Accounts)
	if out.Accounts == nil {
		out.Accounts = map[arn.AccountID]*inventory.Account{}
	}
	return &overlay{inv: &out, file: file, mine: map[arn.AccountID]bool{}, groups: map[groupKey]inventory.Group{}}
}

// place is where in the input something is said.
type place struct {
	pos     diag.Position
	address string // "aws_iam_role.x", "the resource PayrollRole"
}

func (o *overlay) find(at place, severity diag.Severity, code, summary, hint string) {
	o.findings.Add(diag.Diagnostic{Pos: at.pos, Severity: severity, Code: code, Summary: at.address + ": " + summary, Hint: hint})
}

// account is the copy of an account that may be changed.
func (o *overlay) account(id arn.AccountID) *inventory.Account {
	if o.mine[id] {
		return o.inv.Accounts[id]
	}
	o.mine[id] = true
	a := inventory.Account{ID: id}
	if base := o.inv.Accounts[id]; base != nil {
		a = *base
	}
	a.Problems = slices.Clone(a.Problems)
	a.Roles, a.Users, a.Managed = writable(a.Roles), writable(a.Users), writable(a.Managed)
	a.Providers, a.SAML = writable(a.Providers), writable(a.SAML)
	a.Secrets, a.Keys, a.Clusters = writable(a.Secrets), writable(a.Keys), writable(a.Clusters)
	a.Resources, a.Endpoints = writable(a.Resources), writable(a.Endpoints)
	a.Listed = maps.Clone(a.Listed)
	o.inv.Accounts[id] = &a
	return &a
}

func writable[T any](m map[string]*T) map[string]*T {
	if m == nil {
		return map[string]*T{}
	}
	return maps.Clone(m)
}

// edit replaces the record under key by a changed copy; false when there is none.
func edit[T any](m map[string]*T, key string, change func(*T)) bool {
	old := m[key]
	if old == nil {
		return false
	}
	fresh := *old
	change(&fresh)
	m[key] = &fresh
	return true
}

// put replaces the record under key by one that change fills in, starting from
// what is there unless it is made anew.
func put[T any](m map[string]*T, key string, anew bool, change func(*T)) {
	var fresh T
	if old := m[key]; old != nil && !anew {
		fresh = *old
	}
	change(&fresh)
	m[key] = &fresh
}

// unread records that something of an account cannot be known, and tells why.
func (o *overlay) unread(id arn.AccountID, at place, what, why string) {
	o.problem(id, what, at.address+": "+why)
	o.find(at, diag.Warning, CodeUnread, what+" is not known: "+why, hintFor(why))
}

func (o *overlay) problem(id arn.AccountID, what, why string) {
	a := o.account(id)
	p := inventory.Problem{What: what, Why: why}
	if !slices.Contains(a.Problems, p) {
		a.Problems = append(a.Problems, p)
	}
}

// hidden says that an input makes things that are not read. Then no role or user
// of the account is known to be absent.
func (o *overlay) hidden(id arn.AccountID, what, why string) {
	if id != "" {
		o.problem(id, what, why)
		o.account(id).Complete = false
	}
}

// document is the text of a policy, or what stands for one that is not known.
func (o *overlay) document(id arn.AccountID, at place, what string, v value) string {
	text, why := v.document()
	if why == "" {
		return text
	}
	o.unread(id, at, what, why)
	return inventory.Unknown(at.address + ": " + why)
}

// scalar is a string, or what stands for one that is not known.
func (o *overlay) scalar(id arn.AccountID, at place, what string, v value) string {
	text, why := v.text()
	if why == "" {
		return text
	}
	o.unread(id, at, what, why)
	return inventory.Unknown(at.address + ": " + why)
}

// holder is what carries identity policies: a role, a user or a group.
type holder struct {
	account arn.AccountID
	kind    string // "role", "user" or "group"
	name    string
}

func (h holder) String() string { return h.kind + " " + h.name }

// policies are what a holder carries.
type policies struct {
	inline   map[string]string
	attached []string
}

// change changes the policies of a holder; false when nobody knows it. Of a group
// they are those of all its members' copies.
func (o *overlay) change(h holder, how func(*policies)) bool {
	a, key := o.account(h.account), strings.ToLower(h.name)
	apply := func(inline *map[string]string, attached *[]string) {
		p := policies{maps.Clone(*inline), slices.Clone(*attached)}
		if p.inline == nil {
			p.inline = map[string]string{}
		}
		how(&p)
		*inline, *attached = p.inline, p.attached
	}
	switch h.kind {
	case "role":
		return edit(a.Roles, key, func(r *inventory.Role) { apply(&r.Inline, &r.Attached) })
	case "user":
		return edit(a.Users, key, func(u *inventory.User) { apply(&u.Inline, &u.Attached) })
	}
	g, known := o.group(h.account, h.name)
	if !known {
		return false
	}
	apply(&g.Inline, &g.Attached)
	o.setGroup(h.account, g)
	return true
}

// group finds a group by its members; one without members is known when the
// input made it.
func (o *overlay) group(id arn.AccountID, name string) (inventory.Group, bool) {
	if g, ok := o.groups[groupKey{id, strings.ToLower(name)}]; ok {
		return g, true
	}
	for _, u := range o.account(id).Users {
		if u == nil {
			continue
		}
		for _, g := range u.Groups {
			if strings.EqualFold(g.Name, name) {
				return g, true
			}
		}
	}
	return inventory.Group{Name: name}, false
}

// setGroup gives every member of a group its new policies.
func (o *overlay) setGroup(id arn.AccountID, g inventory.Group) {
	o.groups[groupKey{id, strings.ToLower(g.Name)}] = g
	o.membership(id, func(u *inventory.User) {
		for i := range u.Groups {
			if strings.EqualFold(u.Groups[i].Name, g.Name) {
				u.Groups[i] = g
			}
		}
	})
}

// dropGroup takes a group from all its members.
func (o *overlay) dropGroup(id arn.AccountID, name string) {
	delete(o.groups, groupKey{id, strings.ToLower(name)})
	o.membership(id, func(u *inventory.User) {
		u.Groups = slices.DeleteFunc(u.Groups, func(g inventory.Group) bool { return strings.EqualFold(g.Name, name) })
	})
}

func (o *overlay) membership(id arn.AccountID, change func(*inventory.User)) {
	a := o.account(id)
	for _, key := range slices.Sorted(maps.Keys(a.Users)) {
		edit(a.Users, key, func(u *inventory.User) {
			u.Groups = slices.Clone(u.Groups)
			change(u)
		})
	}
}

// join puts a user into a group; false when the user is not known.
func (o *overlay) join(id arn.AccountID, user, group string) bool {
	g, known := o.group(id, group)
	if !known {
		g.Attached = []string{inventory.Unknown("the policies of group " + group + " were not read")}
	}
	return edit(o.account(id).Users, strings.ToLower(user), func(u *inventory.User) {
		u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(old inventory.Group) bool { return strings.EqualFold(old.Name, group) })
		u.Groups = append(u.Groups, g)
	})
}

// leave takes a user out of a group, whose policies stay known when it was the
// last member.
func (o *overlay) leave(id arn.AccountID, user, group string) bool {
	if g, known := o.group(id, group); known {
		o.groups[groupKey{id, strings.ToLower(group)}] = g
	}
	return edit(o.account(id).Users, strings.ToLower(user), func(u *inventory.User) {
		u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(old inventory.Group) bool { return strings.EqualFold(old.Name, group) })
	})
}

func (o *overlay) setInline(h holder, name, text string) bool {
	return o.change(h, func(p *policies) { p.inline[name] = text })
}

func (o *overlay) deleteInline(h holder, name string) bool {
	return o.change(h, func(p *policies) { delete(p.inline, name) })
}

// attach attaches a managed policy by its ARN, or what stands for one.
func (o *overlay) attach(h holder, policy string) bool {
	if _, unread := inventory.WhyUnknown(policy); unread {
		o.account(h.account).Managed[policy] = &inventory.Managed{ARN: policy, Document: policy}
	}
	return o.change(h, func(p *policies) {
		if !slices.Contains(p.attached, policy) {
			p.attached = append(p.attached, policy)
		}
	})
}

func (o *overlay) detach(h holder, policy string) bool {
	return o.change(h, func(p *policies) {
		p.attached = slices.DeleteFunc(p.attached, func(s string) bool { return s == policy })
	})
}

// resource changes one of the resources that have no type of their own here. It
// is made when it is not there; known says whether it then has no policy unless
// change gives it one.
func (o *overlay) resource(id arn.AccountID, kind, resource string, anew bool, change func(*inventory.Resource)) {
	put(o.account(id).Resources, resource, anew, func(r *inventory.Resource) {
		if r.ARN == "" && anew {
			r.PolicyState = inventory.Absent
		}
		r.ARN, r.Type = resource, kind
		r.Tags = maps.Clone(r.Tags)
		change(r)
	})
}

// setPolicy gives a resource its policy; "" takes it away.
func setPolicy(r *inventory.Resource, text string) {
	r.Policy, r.PolicyState, r.PolicyWhy = text, inventory.Exists, ""
	if why, unread := inventory.WhyUnknown(text); unread {
		r.Policy, r.PolicyState, r.PolicyWhy = "", inventory.Unread, why
	} else if text == "" {
		r.PolicyState = inventory.Absent
	}
}

// secretKey finds the secret that an ARN or name means in an account's map.
func secretKey(a *inventory.Account, id string) (string, bool) {
	if s := a.Secrets[id]; s != nil {
		return id, true
	}
	name := id
	if parsed, err := arn.Parse(id); err == nil {
		name = strings.TrimPrefix(parsed.Resource, "secret:")
	}
	for _, key := range slices.Sorted(maps.Keys(a.Secrets)) {
		if s := a.Secrets[key]; s != nil && (s.ARN == id || s.Name == name) {
			return key, true
		}
	}
	return "", false
}

// keyOf finds the key that an id, ARN, alias or alias ARN means.
func keyOf(a *inventory.Account, id string) (string, bool) {
	if a.Keys[id] != nil {
		return id, true
	}
	name := id
	if parsed, err := arn.Parse(id); err == nil {
		name = parsed.Resource
	}
	for _, key := range slices.Sorted(maps.Keys(a.Keys)) {
		k := a.Keys[key]
		if k != nil && (strings.HasSuffix(key, ":key/"+strings.TrimPrefix(name, "key/")) || slices.Contains(k.Aliases, name)) {
			return key, true
		}
	}
	return "", false
}
