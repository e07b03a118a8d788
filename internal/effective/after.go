package effective

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// After is inv as it would be once w has been applied and what gone lists has
// been deleted. inv is not changed; what is not touched is shared with it.
// Unique ids of roles that do not exist yet are made up.
func After(inv *inventory.Inventory, w *compile.Wanted, gone ...ledger.Entry) *inventory.Inventory {
	o := &overlay{inv: &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{}}, own: map[arn.AccountID]bool{}}
	if inv != nil {
		o.inv.Organization, o.inv.OrgState = inv.Organization, inv.OrgState
		maps.Copy(o.inv.Accounts, inv.Accounts)
	}
	for _, e := range gone {
		o.remove(e)
	}
	for _, p := range w.Providers {
		o.provider(w.Scope, p)
	}
	for i := range w.Roles {
		o.role(w.Scope, &w.Roles[i])
	}
	for i := range w.Callers {
		o.caller(&w.Callers[i])
	}
	for i := range w.Statements {
		o.statement(&w.Statements[i])
	}
	return o.inv
}

// overlay copies what it changes, one account at a time.
type overlay struct {
	inv *inventory.Inventory
	own map[arn.AccountID]bool // accounts that are already copies
}

func (o *overlay) account(id arn.AccountID) *inventory.Account {
	if o.own[id] {
		return o.inv.Accounts[id]
	}
	a := &inventory.Account{ID: id}
	if old := o.inv.Accounts[id]; old != nil {
		*a = *old
	}
	a.Roles, a.Users, a.Providers = cloned(a.Roles), cloned(a.Users), cloned(a.Providers)
	a.Secrets, a.Keys = cloned(a.Secrets), cloned(a.Keys)
	o.inv.Accounts[id], o.own[id] = a, true
	return a
}

func cloned[T any](m map[string]*T) map[string]*T {
	if m == nil {
		return map[string]*T{}
	}
	return maps.Clone(m)
}

func (o *overlay) provider(scope string, p compile.Provider) {
	a := o.account(p.Account)
	made := &inventory.OIDCProvider{
		ARN: arn.OIDCProvider("aws", p.Account, p.URL).String(), URL: p.URL, ClientIDs: slices.Clone(p.ClientIDs),
		Tags: map[string]string{compile.TagScope: scope, compile.TagAccess: strings.Join(p.For, " ")},
	}
	if old := a.Providers[p.URL]; old != nil {
		if old.Tags[compile.TagScope] == scope {
			old = &inventory.OIDCProvider{ARN: old.ARN, URL: old.URL, ClientIDs: old.ClientIDs, Tags: made.Tags}
		}
		*made = *old
		for _, id := range p.ClientIDs {
			if !slices.Contains(made.ClientIDs, id) {
				made.ClientIDs = append(slices.Clone(made.ClientIDs), id)
			}
		}
	}
	a.Providers[p.URL] = made
}

func (o *overlay) role(scope string, r *compile.Role) {
	a := o.account(r.Account)
	key := strings.ToLower(r.Name)
	made := &inventory.Role{ARN: r.ARN().String(), Name: r.Name, ID: "AROA" + strings.ToUpper(r.Name), Path: r.Path}
	if old := a.Roles[key]; old != nil {
		*made = *old
	}
	made.Trust, made.Boundary, made.Description = r.Trust.String(), r.Boundary, r.Description
	made.MaxSession = int(r.MaxSession / time.Second)
	made.Inline, made.Attached = map[string]string{}, nil
	for name, doc := range r.Inline {
		made.Inline[name] = doc.String()
	}
	made.Tags = maps.Clone(made.Tags)
	if made.Tags == nil {
		made.Tags = map[string]string{}
	}
	made.Tags[compile.TagScope] = scope
	made.Tags[compile.TagAccess] = strings.Join(r.For, " ")
	a.Roles[key] = made
}

func (o *overlay) caller(p *compile.CallerPolicy) {
	o.setInline(p.Account, p.Kind, p.Name, func(inline map[string]string) { inline[p.PolicyName] = p.Document.String() })
}

// setInline changes the inline policies of a role or user that exists.
func (o *overlay) setInline(id arn.AccountID, kind, name string, change func(map[string]string)) {
	a := o.account(id)
	key := strings.ToLower(name)
	if kind == "user" {
		if u := a.Users[key]; u != nil {
			changed := *u
			changed.Inline = changedInline(u.Inline, change)
			a.Users[key] = &changed
		}
		return
	}
	if r := a.Roles[key]; r != nil {
		changed := *r
		changed.Inline = changedInline(r.Inline, change)
		a.Roles[key] = &changed
	}
}

func changedInline(old map[string]string, change func(map[string]string)) map[string]string {
	out := maps.Clone(old)
	if out == nil {
		out = map[string]string{}
	}
	change(out)
	return out
}

func (o *overlay) statement(s *compile.Statement) {
	o.document(s.Account, s.Kind, s.Target, func(doc *policy.Document) *policy.Document { return doc.Merge(s.Statement) })
}

// document changes the policy of a secret or key that exists.
func (o *overlay) document(id arn.AccountID, kind compile.TargetKind, target string, change func(*policy.Document) *policy.Document) {
	a := o.account(id)
	if kind == compile.KeyPolicy {
		if k := a.Keys[target]; k != nil {
			changed := *k
			changed.Policy = changedText(k.Policy, change)
			a.Keys[target] = &changed
		}
		return
	}
	for key, s := range a.Secrets {
		if s != nil && s.ARN == target {
			changed := *s
			changed.Policy = changedText(s.Policy, change)
			a.Secrets[key] = &changed
		}
	}
}

// changedText applies change to a document; one that cannot be read stays.
func changedText(text string, change func(*policy.Document) *policy.Document) string {
	var doc *policy.Document
	if text != "" {
		parsed, err := policy.Parse([]byte(text))
		if err != nil {
			return text
		}
		doc = parsed
	}
	out := change(doc)
	if len(out.Statements) == 0 {
		return ""
	}
	return out.String()
}

// remove takes away what a ledger entry names.
func (o *overlay) remove(e ledger.Entry) {
	a := o.account(e.Account)
	switch e.Kind {
	case ledger.Provider:
		a.Providers[e.Name()] = nil
	case ledger.Role:
		a.Roles[strings.ToLower(e.Name())] = nil
	case ledger.RolePolicy, ledger.UserPolicy:
		kind, holder, policyName, _ := e.Inline()
		o.setInline(e.Account, kind, holder, func(inline map[string]string) { delete(inline, policyName) })
	case ledger.SecretSid, ledger.KeySid:
		target, sid, _ := e.Statement()
		o.document(e.Account, compile.TargetOf(e.Kind), target, func(doc *policy.Document) *policy.Document { return doc.WithoutSid(sid) })
	}
}
