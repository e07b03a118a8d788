package store

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// PrincipalError is a principal that a policy may not name: it does not exist,
// cannot be seen yet, or is not one.
type PrincipalError struct {
	Type  string // "AWS", "Federated", …
	Value string // as written
}

// Error is AWS's message.
func (e *PrincipalError) Error() string {
	return fmt.Sprintf("Invalid principal in policy: %q:%q", strings.Replace(strings.ToUpper(e.Type), "CANONICALUSER", "CanonicalUser", 1), e.Value)
}

// Canonical checks that every principal text names exists and can be seen, and
// returns text as it is to be stored: users and roles as their unique ids, bare account
// ids as root ARNs. AWS stores principals so, which is why a deleted and
// re-created role is not trusted again (IAM user guide, "AWS JSON policy
// elements: Principal"). The error is a *PrincipalError or a parse error. The
// caller holds the lock.
func (w *World) Canonical(text string) (string, error) {
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return "", err
	}
	var edits edits
	for _, entry := range principals(doc) {
		stored, err := w.canonicalEntry(entry)
		if err != nil {
			return "", err
		}
		edits.replace(entry.Value, stored)
	}
	return edits.apply(text), nil
}

// Present returns a stored policy as AWS shows it: unique ids as ARNs while
// their user or role lives, as ids after it is gone. The caller holds the lock.
func (w *World) Present(stored string) string {
	if !strings.Contains(stored, PrefixRole) && !strings.Contains(stored, PrefixUser) {
		return stored
	}
	doc, err := policy.Parse([]byte(stored))
	if err != nil {
		return stored
	}
	var edits edits
	for _, entry := range principals(doc) {
		if live, ok := w.arnOfID(entry.Value.Value); ok && entry.Type == "AWS" {
			edits.replace(entry.Value, live.String())
		}
	}
	return edits.apply(stored)
}

func principals(doc *policy.Document) []policy.PrincipalEntry {
	var all []policy.PrincipalEntry
	for i := range doc.Statements {
		for _, p := range []*policy.Principals{doc.Statements[i].Principal, doc.Statements[i].NotPrincipal} {
			if p != nil {
				all = append(all, p.Entries...)
			}
		}
	}
	return all
}

func (w *World) canonicalEntry(entry policy.PrincipalEntry) (string, error) {
	value := entry.Value.Value
	invalid := &PrincipalError{Type: entry.Type, Value: value}
	switch entry.Type {
	case "AWS":
		return w.canonicalAWS(value, invalid)
	case "Federated":
		// AWS does not ask whether the provider exists: the role is refused when it is assumed.
		if a, err := arn.Parse(value); err == nil && a.Type() != "oidc-provider" && a.Type() != "saml-provider" {
			return "", invalid
		}
	case "Service":
		if !strings.Contains(value, ".") || strings.ContainsAny(value, "*?") {
			return "", invalid
		}
	}
	return value, nil
}

func (w *World) canonicalAWS(value string, invalid *PrincipalError) (string, error) {
	if value == "*" {
		return value, nil
	}
	if id, err := arn.ParseAccountID(value); err == nil {
		if w.Accounts[id] == nil {
			return "", invalid
		}
		return arn.Root(Partition, id).String(), nil
	}
	if strings.HasPrefix(value, PrefixRole) || strings.HasPrefix(value, PrefixUser) {
		if _, ok := w.arnOfID(value); !ok {
			return "", invalid
		}
		return value, nil
	}
	a, err := arn.Parse(value)
	if err != nil || w.Accounts[a.Account] == nil || a.Partition != Partition {
		return "", invalid
	}
	if stored, ok := w.canonicalARN(a); ok {
		return stored, nil
	}
	return "", invalid
}

// canonicalARN is how the principal a is stored; ok is false when it cannot be
// seen. Sessions are stored as they are written.
func (w *World) canonicalARN(a arn.ARN) (stored string, ok bool) {
	iam, seen := &w.Accounts[a.Account].IAM, w.Horizon(a.Account)
	switch {
	case a.Service == "iam" && a.Resource == "root":
		return a.String(), true
	case a.Service == "iam" && a.Type() == "role":
		if role := w.RoleByARN(a); role != nil {
			return role.ID, true
		}
	case a.Service == "iam" && a.Type() == "user":
		if user := w.UserByARN(a); user != nil {
			return user.ID, true
		}
	case a.Service == "sts" && a.Type() == "assumed-role":
		name, _, complete := a.RoleSession()
		if role := iam.Role(name).At(seen); complete && role != nil && role.Name == name {
			return a.String(), true
		}
	case a.Service == "sts" && a.Type() == "federated-user":
		return a.String(), a.Name() != "" && !strings.ContainsAny(a.Resource, "*?")
	}
	return "", false
}

// arnOfID is the ARN of the live user or role with a unique id.
func (w *World) arnOfID(id string) (arn.ARN, bool) {
	ref, ok := w.Principals[id]
	if !ok {
		return arn.ARN{}, false
	}
	t := w.Horizon(ref.Account)
	if role, account := w.RoleByID(id, t); role != nil {
		return role.RoleARN(account), true
	}
	if user, account := w.UserByID(id, t); user != nil {
		return user.UserARN(account), true
	}
	return arn.ARN{}, false
}

// NewPrincipal gives a role or user a unique id that is known from now on. The
// caller holds the write lock.
func (w *World) NewPrincipal(account arn.AccountID, kind, name string) string {
	prefix := PrefixRole
	if kind == "user" {
		prefix = PrefixUser
	}
	id := w.ids.Unique(prefix)
	w.Principals[id] = PrincipalRef{Account: account, Kind: kind, Name: name}
	return id
}

// edits replaces strings of a JSON text in place, so that the rest stays as it
// was written.
type edits []edit

type edit struct {
	offset int // of the opening quote
	value  string
}

func (e *edits) replace(old policy.Text, value string) {
	if old.Value != value {
		*e = append(*e, edit{old.Pos.Offset, value})
	}
}

func (e edits) apply(text string) string {
	var b strings.Builder
	done := 0
	for _, edit := range e {
		end := edit.offset + 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		b.WriteString(text[done:edit.offset])
		b.WriteByte('"')
		b.WriteString(edit.value) // ARNs and ids need no escapes
		b.WriteByte('"')
		done = min(end+1, len(text))
	}
	b.WriteString(text[done:])
	return b.String()
}

// Visible is the newest version of v that others can see in account. The
// caller holds the lock.
func Visible[T any](w *World, account arn.AccountID, v *Versioned[T]) *T {
	return v.At(w.Horizon(account))
}
