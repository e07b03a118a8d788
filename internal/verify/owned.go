package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// What the scope owns: providers, roles, inline policies on callers.

// about makes findings on one thing.
type about struct {
	*checker
	account arn.AccountID
	access  string
	what    string
}

func (c *checker) about(account arn.AccountID, reasons []string, format string, args ...any) about {
	access := ""
	if len(reasons) > 0 {
		access = reasons[0]
	}
	return about{c, account, access, fmt.Sprintf(format, args...)}
}

func (a about) found(k Kind, format string, args ...any) {
	a.add(Finding{Kind: k, Account: a.account, Access: a.access, What: a.what, Text: fmt.Sprintf(format, args...)})
}

// missing reports a thing that is not there, or was not read.
func (a about) missing(state inventory.Lookup) {
	if state == inventory.Absent {
		a.found(Missing, "it does not exist; stile apply makes it")
		return
	}
	a.found(Unknown, "it was not read")
}

func (c *checker) provider(p compile.Provider) {
	on := c.about(p.Account, p.For, "OIDC provider %s", p.URL)
	account := c.inv.Accounts[p.Account]
	if account == nil {
		on.missing(inventory.NotAsked)
		return
	}
	have, state := inventory.Get(account.Providers, p.URL)
	if state != inventory.Exists {
		on.missing(state)
		return
	}
	for _, id := range p.ClientIDs {
		if !slices.Contains(have.ClientIDs, id) {
			on.found(Drift, "it does not accept the audience %s", id)
		}
	}
	if have.Tags[compile.TagScope] != c.w.Scope {
		return // somebody else's, used as it is
	}
	for _, id := range have.ClientIDs {
		if !slices.Contains(p.ClientIDs, id) {
			on.found(Drift, "it also accepts the audience %s", id)
		}
	}
}

func (c *checker) role(r *compile.Role) {
	on := c.about(r.Account, r.For, "role %s", r.Name)
	have, state := c.inv.Accounts[r.Account].Role(r.Name)
	if state != inventory.Exists {
		on.missing(state)
		return
	}
	if have.ARN != r.ARN().String() {
		on.found(Drift, "it is %s, with another path", have.ARN)
	}
	if have.Tags[compile.TagScope] != c.w.Scope {
		on.found(Drift, "it does not carry the tag %s=%s, so it is not known to be this scope's", compile.TagScope, c.w.Scope)
	}
	if want := int(r.MaxSession / time.Second); have.MaxSession != want {
		on.found(Drift, "its sessions may last %d s, not %d s", have.MaxSession, want)
	}
	c.boundary(on, r, have)
	c.permissions(r, have)
	c.trust(r, have)
}

func (c *checker) boundary(on about, r *compile.Role, have *inventory.Role) {
	switch {
	case have.Boundary == r.Boundary:
	case have.Boundary == "":
		on.found(Excess, "it has no permissions boundary; %s is wanted", r.Boundary)
	case r.Boundary == "":
		on.found(Drift, "it has the permissions boundary %s, which is not wanted", have.Boundary)
	default:
		on.found(Excess, "its permissions boundary is %s, not %s", have.Boundary, r.Boundary)
	}
}

// permissions verifies that a role's identity policies hold what is wanted,
// and nothing beyond it.
func (c *checker) permissions(r *compile.Role, have *inventory.Role) {
	var declared []policy.Statement
	for _, name := range slices.Sorted(maps.Keys(r.Inline)) {
		declared = append(declared, r.Inline[name].Statements...)
	}
	for _, name := range slices.Sorted(maps.Keys(have.Inline)) {
		on := c.about(r.Account, r.For, "role %s inline policy %s", r.Name, name)
		c.document(on, have.Inline[name], r.Inline[name], declared)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inline)) {
		if _, there := have.Inline[name]; !there {
			c.about(r.Account, r.For, "role %s inline policy %s", r.Name, name).found(Drift, "it is missing")
		}
	}
	for _, ref := range have.Attached {
		on := c.about(r.Account, r.For, "role %s attached policy %s", r.Name, ref)
		m, state := inventory.Get(c.inv.Accounts[r.Account].Managed, ref)
		if state != inventory.Exists {
			on.found(Unknown, "it was not read, so what it allows is not known")
			continue
		}
		c.document(on, m.Document, nil, declared)
	}
}

// document compares an observed document with the one wanted (nil: none) and
// with everything declared for its bearer.
func (c *checker) document(on about, text string, want *policy.Document, declared []policy.Statement) {
	have, err := policy.Parse([]byte(text))
	if err != nil {
		on.found(Unknown, "it cannot be read: %v", err)
		return
	}
	if want != nil && policy.Equal(have, want) {
		return
	}
	if c.beyond(on, have, declared) {
		return
	}
	if want == nil {
		on.found(Drift, "it is not wanted, and allows nothing beyond what is")
		return
	}
	on.found(Drift, "it differs from what is wanted: %s", difference(have, want))
}

// beyond reports the statements of a document that allow more than declared.
func (c *checker) beyond(on about, have *policy.Document, declared []policy.Statement) bool {
	found := false
	for i := range have.Statements {
		st := &have.Statements[i]
		if st.Effect != policy.Allow {
			continue
		}
		switch v, why := c.contained(st, declared); v {
		case beyond:
			on.found(Excess, "%s %s, which is not declared", statementName(i, st), why)
			found = true
		case undecided:
			on.found(Unknown, "%s %s; whether that is within what is declared cannot be decided", statementName(i, st), why)
			found = true
		case within:
		}
	}
	return found
}

func statementName(i int, st *policy.Statement) string {
	if st.Sid != "" {
		return fmt.Sprintf("statement %d (%s)", i+1, st.Sid)
	}
	return fmt.Sprintf("statement %d", i+1)
}

// difference says in a few words how a document differs.
func difference(have, want *policy.Document) string {
	var missing []string
	for i := range want.Statements {
		w := &want.Statements[i]
		if !slices.ContainsFunc(have.Statements, func(h policy.Statement) bool { return h.Canonical() == w.Canonical() }) {
			missing = append(missing, w.Sid)
		}
	}
	if len(missing) > 0 {
		return "statements missing or changed: " + strings.Join(missing, ", ")
	}
	return fmt.Sprintf("%d statements, not %d", len(have.Statements), len(want.Statements))
}

// trust verifies that a role's trust policy admits exactly who is declared.
func (c *checker) trust(r *compile.Role, have *inventory.Role) {
	on := c.about(r.Account, r.For, "role %s trust policy", r.Name)
	if doc, err := policy.Parse([]byte(have.Trust)); err == nil { // document says so when it is not
		for i := range doc.Statements {
			on.ghosts(statementName(i, &doc.Statements[i]), &doc.Statements[i])
		}
	}
	c.document(on, c.withoutIDs(have.Trust), r.Trust, r.Trust.Statements)
	c.strangers(on, r)
}

// withoutIDs writes the ARNs of known principals in place of the unique ids
// that AWS sometimes shows.
func (c *checker) withoutIDs(text string) string {
	if !strings.Contains(text, `"AROA`) && !strings.Contains(text, `"AIDA`) {
		return text
	}
	for id, known := range c.ids {
		text = strings.ReplaceAll(text, `"`+id+`"`, `"`+known+`"`)
	}
	return text
}

// isGhost reports whether a principal is the unique id of a role or user that
// was deleted: IAM shows a live one by its ARN.
func (c *checker) isGhost(principal string) bool {
	_, known := c.ids[principal]
	return !known && arn.IsUniqueID(principal)
}

// ghosts reports unique ids of principals that are gone: a role that was
// deleted and made again is another role to IAM.
func (a about) ghosts(statement string, st *policy.Statement) {
	if st.Principal == nil {
		return
	}
	for _, e := range st.Principal.Entries {
		if a.isGhost(e.Value.Value) {
			a.found(Drift, "%s names %s, a principal that was deleted; one made again under its name has another id", statement, e.Value.Value)
		}
	}
}

// callerPolicy verifies the scope's own inline policy on somebody's role or user.
func (c *checker) callerPolicy(p *compile.CallerPolicy) {
	on := c.about(p.Account, p.For, "%s %s inline policy %s", p.Kind, p.Name, p.PolicyName)
	inline, state := c.inv.Accounts[p.Account].Inline(p.Kind, p.Name)
	if state != inventory.Exists {
		on.missing(state)
		return
	}
	text, there := inline[p.PolicyName]
	if !there {
		on.found(Drift, "it is missing")
		return
	}
	c.document(on, text, p.Document, p.Document.Statements)
}
