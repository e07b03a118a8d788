package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

func (m *maker) provider(p compile.Provider) {
	have, state := inventory.Get(m.account(p.Account).Providers, p.URL)
	key := m.read(p.Account, docProvider, p.URL, have, state)
	id := arn.OIDCProvider("aws", p.Account, p.URL).String()
	entry := ledger.Entry{Account: p.Account, Kind: ledger.Provider, ID: id}
	step := Step{ID: key, Account: p.Account, Why: p.For, Read: key}
	op := &ProviderOp{ARN: id, URL: "https://" + p.URL, ClientIDs: p.ClientIDs}
	step.Op.Provider = op
	switch {
	case state == inventory.Absent:
		step.Verb, op.Tags = Create, m.tags(p.For)
		step.Summary = "OIDC provider " + p.URL + ": create, for audience " + strings.Join(p.ClientIDs, ", ")
		m.add(step, &entry)
		return
	case state != inventory.Exists:
		m.notRead(p.Account, "OIDC provider "+p.URL)
		return
	}
	step.Verb = Update
	op.ClientIDs = slices.DeleteFunc(slices.Clone(p.ClientIDs), func(c string) bool { return slices.Contains(have.ClientIDs, c) })
	known := m.ours(have.Tags) && m.before.Find(p.Account, ledger.Provider, id) != nil
	adopted := m.in.Adopt && (have.Tags[compile.TagScope] == "" || m.ours(have.Tags))
	if !known && !adopted {
		m.kept = append(m.kept, fmt.Sprintf("%s: OIDC provider %s is not this scope's; used as it is", m.name(p.Account), p.URL))
		if len(op.ClientIDs) > 0 {
			step.Summary = "OIDC provider " + p.URL + ": add audience " + strings.Join(op.ClientIDs, ", ") + " (the provider is not this scope's)"
			m.risk("warning", "plan/foreign-provider", "%s: an audience is added to OIDC provider %s, which this scope does not own and will not take away again", m.name(p.Account), p.URL)
			m.add(step, nil)
		}
		return
	}
	op.Tags = differing(have.Tags, m.tags(p.For))
	if len(op.ClientIDs) == 0 && len(op.Tags) == 0 {
		m.own(entry)
		return
	}
	step.Summary = "OIDC provider " + p.URL + ": update audiences and tags"
	m.add(step, &entry)
}

func (m *maker) notRead(account arn.AccountID, what string) {
	why := "nobody looked for it"
	for _, p := range m.account(account).Problems {
		if p.What == inventory.AllOfIt || strings.EqualFold(p.What, what) {
			why = p.Why
		}
	}
	m.fail(CodeNotRead, "nothing is planned on a guess; mend the access of stile's own role and run again",
		"%s: %s could not be read: %s", m.name(account), what, why)
}

func (m *maker) role(w *compile.Role) {
	have, state := m.account(w.Account).Role(w.Name)
	key := m.read(w.Account, docRole, w.Name, have, state)
	step := Step{ID: key, Account: w.Account, Why: w.For, Read: key}
	entry := ledger.Entry{Account: w.Account, Kind: ledger.Role, ID: w.ARN().String()}
	switch {
	case state == inventory.Absent:
		step.Verb = Create
		step.Summary = "role " + w.Name + ": create, " + trustLine(w.Trust)
		step.Op.Role = &RoleOp{Name: w.Name, Path: w.Path, Trust: w.Trust, Boundary: w.Boundary,
			MaxSession: int(w.MaxSession / time.Second), Description: w.Description, Tags: m.tags(w.For)}
		m.add(step, &entry)
		m.inline(w, nil, key)
		return
	case state != inventory.Exists:
		m.notRead(w.Account, "role "+w.Name)
		return
	case have.Path != w.Path:
		m.fail(CodeMoved, "choose another `as`, or delete the role yourself: a role is never replaced in place",
			"%s: role %s exists as %s, but %s is wanted", m.name(w.Account), w.Name, have.ARN, w.ARN())
		return
	case !m.ours(have.Tags) && !(m.in.Adopt && have.Tags[compile.TagScope] == ""):
		hint := "choose another `as`"
		if have.Tags[compile.TagScope] == "" {
			hint += ", or hand the role over by --adopt"
		}
		m.fail(CodeNotOurs, hint, "%s: role %s exists and %s", m.name(w.Account), w.Name, ownerLine(have.Tags))
		return
	case m.before.Find(w.Account, ledger.Role, entry.ID) == nil && !m.in.Adopt:
		// A run writes to the ledger before it makes anything.
		m.fail(CodeNotOurs, "give one of the two scopes another name; if the ledger was lost, hand the role over by --adopt",
			"%s: role %s carries the tag of scope %q, whose ledger in %s does not know it: another declaration set of that name made it",
			m.name(w.Account), w.Name, m.in.Set.Scope.Name, m.in.Set.Scope.Home.Account)
		return
	}
	op, what := m.roleChange(w, have)
	m.own(entry)
	if len(what) > 0 {
		step.Verb, step.Op.Role = Update, op
		step.Summary = "role " + w.Name + ": " + strings.Join(what, ", ")
		m.add(step, &entry)
	}
	m.inline(w, have, key)
}

func ownerLine(tags map[string]string) string {
	if s := tags[compile.TagScope]; s != "" {
		return fmt.Sprintf("belongs to scope %q", s)
	}
	return "no scope of stile's owns it"
}

// roleChange is what an existing role of ours needs, and how to say it.
func (m *maker) roleChange(w *compile.Role, have *inventory.Role) (*RoleOp, []string) {
	op := &RoleOp{Name: w.Name, Path: w.Path}
	var what []string
	if !same(have.Trust, w.Trust) {
		op.Trust = w.Trust
		what = append(what, "trust policy changed: "+trustLine(w.Trust))
	}
	if have.Boundary != w.Boundary {
		op.Boundary = w.Boundary
		if w.Boundary == "" {
			op.Boundary = "-"
		}
		what = append(what, "permissions boundary")
	}
	if seconds := int(w.MaxSession / time.Second); have.MaxSession != seconds {
		op.MaxSession = seconds
		what = append(what, fmt.Sprintf("longest session %d s", seconds))
	}
	if tags := differing(have.Tags, m.tags(w.For)); len(tags) > 0 {
		op.Tags = tags
		what = append(what, "tags")
	}
	return op, what
}

// inline plans the inline policies of a role of ours: those wanted are put,
// others and attached managed policies are taken off, for nobody declared them.
func (m *maker) inline(w *compile.Role, have *inventory.Role, roleStep string) {
	var there map[string]string
	var attached []string
	if have != nil {
		there, attached = have.Inline, have.Attached
	}
	for _, name := range sortedKeys(w.Inline) {
		if text, ok := there[name]; ok && same(text, w.Inline[name]) {
			continue
		}
		step := Step{ID: roleStep + "/policy/" + name, Verb: Create, Account: w.Account, Why: w.For, Read: roleStep,
			Summary: "role " + w.Name + ": inline policy " + name}
		if _, ok := there[name]; ok {
			step.Verb = Update
		}
		step.Op.Inline = &InlineOp{Kind: "role", Name: w.Name, PolicyName: name, Document: w.Inline[name]}
		m.add(step, nil)
	}
	for _, name := range sortedKeys(there) {
		if _, ok := w.Inline[name]; ok {
			continue
		}
		step := Step{ID: roleStep + "/policy/" + name, Verb: Delete, Account: w.Account, Why: w.For, Read: roleStep,
			Summary: "role " + w.Name + ": remove inline policy " + name + ", which nothing declares"}
		step.Op.Inline = &InlineOp{Kind: "role", Name: w.Name, PolicyName: name}
		m.add(step, nil)
	}
	for _, policyARN := range attached {
		step := Step{ID: roleStep + "/attached/" + policyARN, Verb: Delete, Account: w.Account, Why: w.For, Read: roleStep,
			Summary: "role " + w.Name + ": detach " + policyARN + ", which nothing declares"}
		step.Op.Detach = &DetachOp{Role: w.Name, Policy: policyARN}
		m.add(step, nil)
	}
}

func (m *maker) caller(c compile.CallerPolicy) {
	there, state := m.account(c.Account).Inline(c.Kind, c.Name)
	if state != inventory.Exists {
		m.notRead(c.Account, c.Kind+" "+c.Name)
		return
	}
	text, exists := there[c.PolicyName]
	key := m.read(c.Account, c.Kind+"-policy", c.Name+"/"+c.PolicyName, text, stateOf(exists))
	kind := callerKind(c.Kind)
	entry := ledger.Entry{Account: c.Account, Kind: kind, ID: ledger.InlineID(c.Name, c.PolicyName), Hash: ledger.HashDocument(c.Document)}
	step := Step{ID: key, Verb: Create, Account: c.Account, Why: c.For, Read: key,
		Summary: fmt.Sprintf("%s %s: inline policy %s (the caller's side)", c.Kind, c.Name, c.PolicyName)}
	if exists {
		step.Verb = Update
		if same(text, c.Document) {
			m.own(entry)
			return
		}
		if !m.wrote(m.before.Find(c.Account, kind, entry.ID), text) {
			m.fail(CodeNotOurs, "somebody changed it: delete that inline policy, or restore it, and run again",
				"%s: inline policy %s of %s %s is not as this scope wrote it", m.name(c.Account), c.PolicyName, c.Kind, c.Name)
			return
		}
	}
	step.Op.Inline = &InlineOp{Kind: c.Kind, Name: c.Name, PolicyName: c.PolicyName, Document: c.Document}
	m.add(step, &entry)
}

func callerKind(kind string) ledger.Kind {
	if kind == "user" {
		return ledger.UserPolicy
	}
	return ledger.RolePolicy
}

func stateOf(exists bool) inventory.Lookup {
	if exists {
		return inventory.Exists
	}
	return inventory.Absent
}

// wrote reports whether the ledger says that this scope put text there.
func (m *maker) wrote(e *ledger.Entry, text string) bool {
	doc, err := policy.Parse([]byte(text))
	return err == nil && e.Wrote(ledger.HashDocument(doc))
}

// trustLine says in a few words whom a trust policy lets in.
func trustLine(d *policy.Document) string {
	var who []string
	for i := range d.Statements {
		who = union(who, trusted(&d.Statements[i]))
	}
	return "trusts " + strings.Join(who, ", ")
}

// trusted lists whom a statement is for: the service accounts of its condition
// on a token's sub, else its principals.
func trusted(s *policy.Statement) []string {
	for _, c := range s.Conditions {
		if strings.HasSuffix(c.Key, ":sub") && len(c.Values) > 0 {
			return policy.Values(c.Values)
		}
	}
	switch {
	case s.Principal == nil:
		return []string{"nobody"}
	case s.Principal.Everyone:
		return []string{"everybody"}
	}
	var out []string
	for _, e := range s.Principal.Entries {
		out = append(out, e.Value.Value)
	}
	return out
}
