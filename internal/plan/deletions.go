package plan

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// Needs says what a plan must know of the world beyond compile.Needs: before
// an OIDC provider of ours goes, every role of its account is read, since one
// of somebody else's may trust it by now.
func Needs(in Input) inventory.Request {
	var req inventory.Request
	if in.Ledger == nil {
		return req
	}
	wanted := map[string]bool{}
	for _, p := range in.Wanted.Providers {
		wanted[arn.OIDCProvider("aws", p.Account, p.URL).String()] = true
	}
	for _, e := range in.Ledger.Entries {
		if e.Kind != ledger.Provider || wanted[e.ID] {
			continue
		}
		a := in.Inventory.Accounts[e.Account]
		if _, declared := in.Set.Account(string(e.Account)); declared && (a == nil || !a.Complete && !a.Failed(inventory.AllOfIAM)) {
			req.Account(e.Account).Everything = true
		}
	}
	return req
}

// deletions plans the end of what the ledger knows and nothing wants any more.
func (m *maker) deletions() {
	for _, e := range m.before.Entries {
		if m.claimed[claim{e.Account, e.Kind, e.ID}] {
			continue
		}
		if _, ok := m.in.Set.Account(string(e.Account)); !ok {
			m.fail(CodeUndeclared, "declare the account again (it needs no Access) so that stile can remove what it made there",
				"the scope owns %s %s in account %s, which is not declared any more", e.Kind, e.ID, e.Account)
			continue
		}
		m.deletion(e)
	}
}

func (m *maker) deletion(e ledger.Entry) {
	switch e.Kind {
	case ledger.Provider:
		m.deleteProvider(e)
	case ledger.Role:
		m.deleteRole(e)
	case ledger.RolePolicy, ledger.UserPolicy:
		m.deleteCallerPolicy(e)
	case ledger.SecretSid, ledger.KeySid:
		m.deleteStatement(e)
	}
}

// forget drops the entry of something that is gone already or no longer ours.
func (m *maker) forget(e ledger.Entry, note string, args ...any) {
	m.ledger.Drop(e.Account, e.Kind, e.ID)
	if note != "" {
		m.kept = append(m.kept, m.name(e.Account)+": "+fmt.Sprintf(note, args...))
	}
}

func (m *maker) deleteProvider(e ledger.Entry) {
	url := e.Name()
	if url == "" {
		m.forget(e, "")
		return
	}
	account := m.account(e.Account)
	have, state := inventory.Get(account.Providers, url)
	read := m.read(e.Account, docProvider, url, have, state)
	switch {
	case state == inventory.Absent:
		m.forget(e, "")
		return
	case state != inventory.Exists:
		m.notRead(e.Account, "OIDC provider "+url)
		return
	case !m.ours(have.Tags):
		m.forget(e, "OIDC provider %s is not this scope's any more; kept", url)
		return
	}
	if !account.Complete {
		m.notRead(e.Account, inventory.AllOfIAM) // without every role, somebody's trust could break
		return
	}
	for _, name := range sortedKeys(account.Roles) {
		r := account.Roles[name]
		if r != nil && strings.Contains(r.Trust, e.ID) && !m.ownsRole(e.Account, r) {
			m.kept = append(m.kept, fmt.Sprintf("%s: OIDC provider %s is kept, role %s of somebody else's trusts it", m.name(e.Account), url, r.Name))
			return
		}
	}
	step := Step{ID: read, Verb: Delete, Account: e.Account, Read: read, Summary: "OIDC provider " + url + ": delete"}
	step.Op.Provider = &ProviderOp{ARN: e.ID, URL: "https://" + url}
	m.add(step, &e)
}

func (m *maker) ownsRole(account arn.AccountID, r *inventory.Role) bool {
	return m.ours(r.Tags) && m.before.Find(account, ledger.Role, r.ARN) != nil
}

func (m *maker) deleteRole(e ledger.Entry) {
	name := e.Name()
	if name == "" {
		m.forget(e, "")
		return
	}
	have, state := m.account(e.Account).Role(name)
	read := m.read(e.Account, docRole, name, have, state)
	switch {
	case state == inventory.Absent:
		m.forget(e, "")
		return
	case state != inventory.Exists:
		m.notRead(e.Account, "role "+name)
		return
	case !m.ours(have.Tags) || have.ARN != e.ID:
		m.forget(e, "role %s is not this scope's any more; kept", name)
		return
	}
	for _, who := range m.referrers(have.ARN) {
		m.risk("warning", "plan/referrer", "%s names role %s of %s, which goes: there it will stand as the id %s and mean nobody", who, have.Name, m.name(e.Account), have.ID)
	}
	step := Step{ID: read, Verb: Delete, Account: e.Account, Read: read, Summary: "role " + have.Name + ": delete"}
	step.Op.Role = &RoleOp{Name: have.Name, Path: have.Path, Inline: sortedKeys(have.Inline), Attached: have.Attached}
	if doc, err := policy.Parse([]byte(have.Trust)); err == nil {
		step.before = doc
	}
	m.add(step, &e)
}

// referrers lists the documents of others, in any account that was read, that name a principal.
func (m *maker) referrers(principal string) []string {
	var out []string
	for _, id := range sortedKeys(m.in.Inventory.Accounts) {
		a := m.in.Inventory.Accounts[id]
		for _, name := range sortedKeys(a.Roles) {
			if r := a.Roles[name]; r != nil && strings.Contains(r.Trust, `"`+principal+`"`) && !m.ownsRole(id, r) {
				out = append(out, m.name(id)+": the trust policy of role "+r.Name)
			}
		}
		for _, key := range sortedKeys(a.Secrets) {
			if s := a.Secrets[key]; s != nil && m.foreignMention(s.Policy, principal) {
				out = append(out, m.name(id)+": the policy of secret "+s.Name)
			}
		}
		for _, key := range sortedKeys(a.Keys) {
			if k := a.Keys[key]; k != nil && m.foreignMention(k.Policy, principal) {
				out = append(out, m.name(id)+": the policy of key "+k.ARN)
			}
		}
	}
	return out
}

// foreignMention reports whether a statement that is not ours names principal.
func (m *maker) foreignMention(text, principal string) bool {
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return false
	}
	for _, s := range doc.Statements {
		if s.Principal == nil || strings.HasPrefix(s.Sid, "Stile") {
			continue
		}
		for _, p := range s.Principal.Entries {
			if p.Value.Value == principal {
				return true
			}
		}
	}
	return false
}

func (m *maker) deleteCallerPolicy(e ledger.Entry) {
	kind, name, policyName, ok := e.Inline()
	if !ok {
		m.forget(e, "")
		return
	}
	there, state := m.account(e.Account).Inline(kind, name)
	if state != inventory.Exists && state != inventory.Absent {
		m.notRead(e.Account, kind+" "+name)
		return
	}
	text, exists := there[policyName]
	read := m.read(e.Account, kind+"-policy", name+"/"+policyName, text, stateOf(exists))
	if !exists {
		m.forget(e, "")
		return
	}
	if !m.wrote(&e, text) {
		m.forget(e, "inline policy %s of %s %s was changed by somebody; kept", policyName, kind, name)
		return
	}
	step := Step{ID: read, Verb: Delete, Account: e.Account, Read: read, Summary: fmt.Sprintf("%s %s: remove inline policy %s", kind, name, policyName)}
	step.Op.Inline = &InlineOp{Kind: kind, Name: name, PolicyName: policyName}
	m.add(step, &e)
}

func (m *maker) deleteStatement(e ledger.Entry) {
	target, sid, ok := e.Statement()
	if !ok {
		m.forget(e, "")
		return
	}
	kind := compile.TargetOf(e.Kind)
	r, missing, ok := m.resource(e.Account, kind, target)
	if !ok {
		if missing {
			m.forget(e, "")
		} else {
			m.notRead(e.Account, string(kind)+" "+target)
		}
		return
	}
	there, ok := r.doc.FindSid(sid)
	if !ok {
		m.forget(e, "")
		return
	}
	if !e.Wrote(ledger.HashStatement(*there)) && !nobodys(there) {
		m.forget(e, "statement %s in the policy of %s was changed by somebody; kept", sid, target)
		return
	}
	step := m.merge(r, nil)
	step.Op.Merge.Remove = append(step.Op.Merge.Remove, sid)
	step.Drops = append(step.Drops, e)
	m.gone = append(m.gone, e)
	m.ledger.Drop(e.Account, e.Kind, e.ID)
}
