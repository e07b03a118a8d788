// Package declared lints stile's own declarations: what package access has to
// say about them, and lint's rules on the policies they stand for.
//
// Start with [Check]. With an inventory the documents are those the compiler
// writes; without one they are made of what is declared alone. Places are
// those of the declarations.
package declared

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// Marker is in every file of declarations.
const Marker = "stile.dev/"

// Check reports what is the matter with a set of declarations; set is nil when
// they could not be read. inv may be nil: then what only the compiler can write
// (trust in an issuer, keys of secrets) is not looked at.
func Check(set *access.Set, inv *inventory.Inventory) rule.List {
	var list rule.List
	if set == nil {
		return nil
	}
	c := &checker{set: set}
	for _, a := range set.Accounts {
		c.own = append(c.own, a.ID)
	}
	for _, a := range set.Accesses {
		c.access(a)
	}
	if inv != nil {
		c.compiled(inv)
	}
	list = append(list, c.list...)
	list.Sort()
	return list
}

type checker struct {
	set  *access.Set
	own  []arn.AccountID
	list rule.List
}

// document checks a document that a declaration at pos stands for.
func (c *checker) document(doc *policy.Document, kind policy.Kind, ctx lint.Context, pos access.Pos) {
	ctx.Organization = c.own
	for _, f := range lint.Check(doc, kind, ctx) {
		f.Pos = pos
		if !slices.ContainsFunc(c.list, func(other rule.Finding) bool {
			return other.Pos == pos && other.Code == f.Code && other.Summary == f.Summary
		}) {
			c.list = append(c.list, f)
		}
	}
}

func (c *checker) access(a *access.Access) {
	target, account := "", arn.AccountID("")
	if len(a.To.Accounts) > 0 {
		target = a.To.Accounts[0]
	}
	region := "us-east-1"
	if t, ok := c.set.Account(target); ok {
		account = t.ID
		if len(t.Regions) > 0 {
			region = t.Regions[0]
		}
	}
	fill := strings.NewReplacer("${account}", string(account), "${region}", region)
	for _, item := range a.Allow {
		if len(item.Actions) == 0 {
			continue // a bundle of the catalog's
		}
		st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts(item.Actions...), Resources: policy.Texts(filled(fill, item.Resources)...)}
		if len(st.Resources) == 0 {
			st.Resources = policy.Texts("*")
		}
		for _, cond := range item.Conditions {
			st.Conditions = append(st.Conditions, policy.Cond(cond.Operator, cond.Key, filled(fill, cond.Values)...))
		}
		c.document(policy.NewDocument(st), policy.Identity, lint.Context{Subject: "Access " + a.Name, Account: account}, item.Pos)
	}
	for _, from := range a.From {
		c.externalID(a, from)
	}
	c.duration(a)
}

func filled(fill *strings.Replacer, texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = fill.Replace(t)
	}
	return out
}

// externalID checks the id a caller must send (T10).
func (c *checker) externalID(a *access.Access, from access.Caller) {
	who, kind := from.Role, "role"
	if from.User != nil {
		who, kind = from.User, "user"
	}
	if who == nil || who.ExternalID == "" {
		return
	}
	account, ok := c.set.Account(who.Account)
	if !ok {
		return
	}
	st := policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("sts:AssumeRole"), Principal: policy.AWS(arn.IAM("aws", account.ID, kind, "/", who.Name).String()),
		Conditions: []policy.Condition{policy.Cond("StringEquals", "sts:ExternalId", who.ExternalID)},
	}
	c.document(policy.NewDocument(st), policy.Trust, lint.Context{Subject: "Access " + a.Name, NodeRoles: []string{}}, from.Pos)
}

// duration is T21: a caller that is a role, or goes through one, has its
// sessions chained.
func (c *checker) duration(a *access.Access) {
	chained := a.Via == access.Chain || slices.ContainsFunc(a.From, func(from access.Caller) bool { return from.Role != nil }) && a.Via != access.ResourcePolicy
	if a.Session.MaxDuration <= time.Hour || !chained {
		return
	}
	c.list.Add(rule.Finding{
		Pos: a.Pos, Subject: "Access " + a.Name, Code: rule.ChainedSession, Anchor: "session.maxDuration",
		Summary: fmt.Sprintf("sessions last one hour, not %s: the role is assumed with the session of another", a.Session.MaxDuration),
		Detail:  "A session started with the session of another role ends after an hour, whatever is asked for.",
		Hint:    "declare maxDuration: 1h, or let the workload come by web identity",
	})
}

// compiled checks the documents that the compiler writes for the declarations.
func (c *checker) compiled(inv *inventory.Inventory) {
	wanted, diags := compile.Compile(c.set, inv)
	c.list.AddDiagnostics(diags)
	if wanted == nil {
		return
	}
	for i := range wanted.Roles {
		r := &wanted.Roles[i]
		ctx := lint.Context{Subject: string(r.Account) + " role/" + r.Name, Name: r.Name, Account: r.Account, NodeRoles: []string{}}
		ctx.Privileged = slices.ContainsFunc(slices.Collect(maps.Values(r.Inline)), lint.IsAdministrator)
		c.document(r.Trust, policy.Trust, ctx, c.place(r.For))
		for _, name := range slices.Sorted(maps.Keys(r.Inline)) {
			c.document(r.Inline[name], policy.Identity, ctx, c.place(r.For))
		}
	}
	for i := range wanted.Callers {
		p := &wanted.Callers[i]
		ctx := lint.Context{Subject: string(p.Account) + " " + p.Kind + "/" + p.Name, Account: p.Account}
		c.document(p.Document, policy.Identity, ctx, c.place(p.For))
	}
}

// place is that of the first declaration a document is for.
func (c *checker) place(names []string) access.Pos {
	for _, a := range c.set.Accesses {
		if slices.Contains(names, a.Name) {
			return a.Pos
		}
	}
	return access.Pos{}
}
