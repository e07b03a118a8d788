package compile

import (
	"fmt"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/diag"
)

// The codes of this package's diagnostics. They keep their meaning for ever.
// A fault that package access sees already has its code there: what remains to
// be seen here are roles whose names are derived.
const (
	// CodeUnknownName: a declaration names an account or cluster that is not declared.
	CodeUnknownName = "compile/unknown-name"
	// CodeNotObserved: what the declarations refer to was not looked for; a fault of the program, not of the declarations.
	CodeNotObserved = "compile/not-observed"
	// CodeAccountUnread: an account did not answer.
	CodeAccountUnread = "compile/account-unread"
	// CodeUnread: one thing of an account that did answer could not be read.
	CodeUnread = "compile/unread"
	// CodeNoCluster: EKS has no cluster of that name.
	CodeNoCluster = "compile/no-cluster"
	// CodeNoIssuer: a cluster has no OIDC issuer.
	CodeNoIssuer = "compile/no-issuer"
	// CodeNoCaller: a calling role or user does not exist.
	CodeNoCaller = "compile/no-caller"
	// CodeCallerFixed: a caller's own policies cannot be changed by anybody but AWS.
	CodeCallerFixed = "compile/caller-fixed"
	// CodeNoSecret: a secret does not exist, or waits for its deletion.
	CodeNoSecret = "compile/no-secret"
	// CodeManagedKey: a secret is to be shared across accounts under the AWS managed key.
	CodeManagedKey = "compile/aws-managed-key"
	// CodeNoKey: the KMS key of a secret is not known, disabled or gone.
	CodeNoKey = "compile/no-key"
	// CodeNoBoundary: the permissions boundary of an account does not exist.
	CodeNoBoundary = "compile/no-boundary"
	// CodeBadResource: a resource is no ARN, or does not fit what is allowed on it.
	CodeBadResource = "compile/bad-resource"
	// CodeForeignResource: a resource is in another account than the target.
	CodeForeignResource = "compile/foreign-resource"
	// CodeForeignKey: a resource is under the key of another account, which nothing in the declarations names.
	CodeForeignKey = "compile/foreign-key"
	// CodeUnknownGrant: the catalog has no such bundle.
	CodeUnknownGrant = "compile/unknown-grant"
	// CodePattern: the pattern asked for cannot work here.
	CodePattern = "compile/impossible-pattern"
	// CodeUnsupported: what is declared is not in this version.
	CodeUnsupported = "compile/not-in-this-version"
	// CodeConflict: declarations spell one role, or let one caller into it, in
	// ways that exclude each other. Two callers of one role are
	// [access.CodeRoleClaimed], roles in a circle [access.CodeCycle].
	CodeConflict = "compile/conflict"
	// CodeName: a role's name is one IAM does not allow.
	CodeName = "compile/role-name"
	// CodeQuota: a document or account would exceed one of AWS's quotas.
	CodeQuota = "compile/quota"
	// CodeChainDuration: sessions end sooner than declared because they are chained.
	CodeChainDuration = "compile/chain-duration"
	// CodeNoEnd: declared conditions leave no room for the one that ends access.
	CodeNoEnd = "compile/no-end"
	// CodeCallerPath: a calling role or user exists under another path than declared.
	CodeCallerPath = "compile/caller-path"
	// CodeForeignProvider: an OIDC provider of somebody else's does not accept the audience.
	CodeForeignProvider = "compile/foreign-provider"
)

// reporter collects diagnostics, each fault once however often it is met.
type reporter struct {
	list diag.List
	seen map[string]bool
}

// fault is a diagnostic in the making.
type fault struct {
	code    string
	at      access.Pos
	summary string
	detail  string
	hint    string
	warning bool
}

func (r *reporter) add(f fault) {
	key := f.code + "\x00" + f.summary
	if r.seen[key] {
		return
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[key] = true
	d := diag.Diagnostic{
		Pos:  diag.Position{File: f.at.File, Line: f.at.Line, Column: f.at.Column},
		Code: f.code, Summary: f.summary, Detail: f.detail, Hint: f.hint,
	}
	if f.warning {
		d.Severity = diag.Warning
	}
	r.list.Add(d)
}

func (r *reporter) errorf(code string, at access.Pos, format string, args ...any) {
	r.add(fault{code: code, at: at, summary: fmt.Sprintf(format, args...)})
}
