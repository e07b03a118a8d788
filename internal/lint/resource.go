package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// managedKey is R01: nobody outside the account can decrypt under the AWS
// managed key, and its key policy cannot be changed (Secrets Manager guide,
// "Access AWS Secrets Manager secrets from a different account").
func (r *report) managedKey(doc *policy.Document) {
	if r.ctx.Secret == nil || !r.awsManaged(r.ctx.Secret.KMSKey) {
		return
	}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if !allows(st, "secretsmanager:GetSecretValue") || st.Principal == nil {
			continue
		}
		if pos, who := r.outsider(st.Principal); who != "" {
			d := rule.Finding{
				Code:    rule.ManagedKey,
				Summary: fmt.Sprintf("%s can never read this secret: it is encrypted with the AWS managed key aws/secretsmanager", who),
				Detail:  "That key works only for principals of the secret's own account, and its policy cannot be changed.",
				Hint:    "encrypt the secret with a key of your own and allow kms:Decrypt in its key policy",
			}
			if r.ctx.Account == "" {
				d.Severity = rule.Medium
				d.Summary = fmt.Sprintf("if %s is of another account, it can never read this secret: it is encrypted with the AWS managed key aws/secretsmanager", who)
			}
			r.add(pos, d)
			return
		}
	}
}

func (r *report) awsManaged(key string) bool {
	return key == "" || strings.HasPrefix(key, "alias/aws/") || strings.Contains(key, ":alias/aws/") || slices.Contains(r.ctx.ManagedKeys, key)
}

// outsider names the first principal of another account.
func (r *report) outsider(p *policy.Principals) (policy.Pos, string) {
	if pos, yes := everyone(p); yes {
		return pos, "the rest of the world"
	}
	for _, e := range p.Entries {
		if e.Type != "AWS" {
			continue
		}
		account := accountOf(e.Value.Value)
		a, err := arn.Parse(e.Value.Value)
		unknownAccount := err == nil && account == "" && a.Service == "iam"
		if r.foreign(account) || unknownAccount {
			return e.Value.Pos, e.Value.Value
		}
	}
	return policy.Pos{}, ""
}

// unmanageable is R05: "Without [the account statement], IAM policies that
// allow access to the key are ineffective" (KMS guide, default key policy).
func (r *report) unmanageable(doc *policy.Document) {
	if r.partial {
		return
	}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if !allows(st, "kms:PutKeyPolicy") || st.Principal == nil {
			continue
		}
		if _, yes := everyone(st.Principal); yes {
			return // reported as open to everyone
		}
		for _, e := range st.Principal.Entries {
			own := r.ctx.Account == "" || accountOf(e.Value.Value) == r.ctx.Account
			if e.Type == "AWS" && (tree.Unresolved(e.Value.Value) || own && isAccount(e.Value.Value)) {
				return
			}
		}
	}
	r.add(doc.Pos, rule.Finding{
		Code:    rule.Unmanageable,
		Summary: "the key policy does not let the account itself manage the key",
		Detail:  "Without that statement IAM policies cannot allow anything on the key; when the named principals are deleted, only AWS support can help.",
		Hint:    `allow "kms:*" to {"AWS": "arn:aws:iam::ACCOUNT:root"}`,
	})
}

// SecretID checks how a caller of one account asks for a secret of another.
// Either account may be unknown (""). Only a full ARN reaches into another
// account: a name is looked up in the caller's own (Secrets Manager guide,
// "Access AWS Secrets Manager secrets from a different account").
func SecretID(pos diag.Position, id string, caller, owner arn.AccountID) rule.List {
	known := caller != "" && owner != ""
	if id == "" || tree.Unresolved(id) || known && caller == owner {
		return nil
	}
	a, err := arn.Parse(id)
	if err == nil && a.Service == "secretsmanager" {
		if secretSuffix(a.Resource) {
			return nil
		}
		return one(rule.Finding{
			Pos: pos, Code: rule.PartialSecret,
			Summary: fmt.Sprintf("%q lacks the hyphen and six characters that end a secret's ARN", id),
			Detail:  "From another account only the complete ARN finds the secret.",
			Hint:    "copy the ARN from the secret's owner, with its ending like -a1B2c3",
		})
	}
	d := rule.Finding{
		Pos: pos, Code: rule.ShortSecret,
		Summary: fmt.Sprintf("the secret name %q is looked up in the caller's own account; for a secret of another account give its full ARN", id),
		Hint:    "arn:aws:secretsmanager:REGION:ACCOUNT:secret:" + id + "-XXXXXX, with the ending the secret really has",
	}
	if known {
		d.Severity = rule.High
		d.Summary = fmt.Sprintf("the secret name %q is looked up in account %s, but the secret is in account %s", id, caller, owner)
	}
	return one(d)
}

// secretSuffix reports whether the resource of a secret's ARN can match a real
// one: it ends in a hyphen and six characters, or in a wildcard.
func secretSuffix(resource string) bool {
	if strings.HasSuffix(resource, "*") || tree.Unresolved(resource) {
		return true
	}
	i := strings.LastIndexByte(resource, '-')
	return i >= 0 && len(resource)-i-1 == 6
}

// one is a list of one finding.
// unreadable tells where a text is not YAML; nothing when err is nil.
func unreadable(file string, err error) rule.List {
	u, ok := errors.AsType[*tree.Unreadable](err)
	if !ok {
		return nil
	}
	return one(rule.Finding{Pos: diag.Position{File: file, Line: u.Line}, Code: rule.Unreadable, Summary: u.Error(), Hint: u.Hint})
}

func one(f rule.Finding) rule.List {
	var list rule.List
	list.Add(f)
	return list
}
