// Package lint finds what AWS accepts but nobody should want: in policy
// documents, AWS config and credentials files, and aws-auth maps. It also
// reports what AWS would refuse (see [policy.Validate]), so that one run says
// everything.
//
// Start with [File], which recognises what it is given, or with the function
// for one kind of document: [Trust], [Identity], [Resource], [Key], [Config],
// [Credentials], [AWSAuth], [SecretID], [Source]. What a rule must know about
// the surroundings comes in a [Context]; a rule whose facts are missing stays
// silent or says "if".
//
// The package is pure. Questions that need both sides of a request (does the
// trusted role exist, may it assume) are for packages verify and reach.
// Rule numbers in comments are those of the project's list of lint rules; AWS
// pages are cited where a rule rests on one.
package lint

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/policy"
)

// Codes of findings on policy documents. What policy.Validate finds has the
// codes "policy/…" that diag.FromPolicy gives it.
const (
	CodeNoSubject      = "trust/no-subject"            // web identity trust that any subject of the issuer passes
	CodeSharedIssuer   = "trust/shared-issuer"         // the same for an issuer that many organizations share
	CodeNoAudience     = "trust/no-audience"           // web identity trust without a condition on aud
	CodeVacuousClaim   = "trust/vacuous-claim"         // a claim tested only where absence passes
	CodeClaimMissing   = "trust/claim-missing"         // an OIDC condition key that names the issuer and no claim
	CodeUnknownClaim   = "trust/unknown-claim"         // an OIDC condition key for a claim that does not exist
	CodeOtherIssuer    = "trust/other-issuer"          // an OIDC condition key of another issuer than the principal's
	CodeWideSubject    = "trust/wide-subject"          // a sub pattern that strangers can match
	CodeSubjectShape   = "trust/malformed-subject"     // a sub value that no token of the issuer has
	CodeWrongAction    = "trust/wrong-action"          // an action this type of principal cannot call
	CodeWholeAccount   = "trust/whole-account"         // all of another account trusted, without condition
	CodeNoExternalID   = "trust/no-external-id"        // a third party trusted without external id
	CodeWeakExternalID = "trust/weak-external-id"      // an external id that can be guessed
	CodeConfusedDeputy = "trust/confused-deputy"       // a service trusted on behalf of any account
	CodePodIdentity    = "trust/pod-identity-tags"     // EKS Pod Identity trusted without sts:TagSession
	CodeNodeRole       = "trust/node-role"             // a node's role trusted, and so every pod on the node
	CodeTrustSize      = "trust/size"                  // a trust policy above the quota
	CodeEveryone       = "principal/everyone"          // the wildcard principal without a limiting condition
	CodeDeleted        = "principal/deleted"           // the unique id of a deleted user or role
	CodeAllowExcept    = "principal/allow-except"      // Allow with NotPrincipal
	CodeDenyExcept     = "principal/deny-except"       // Deny with NotPrincipal
	CodeUnmanageable   = "key/unmanageable"            // a key policy that no administrator of the account can change
	CodeManagedKey     = "secret/managed-key"          // a secret shared with another account under the AWS managed key
	CodeShortSecret    = "secret/short-name"           // a secret of another account asked for by its name
	CodePartialSecret  = "secret/partial-arn"          // a secret's ARN without the six characters AWS appends
	CodeReadOnly       = "identity/read-only-deployer" // a deployment role that can only describe, list and get
	CodeAssumeAnywhere = "identity/assume-any-account" // sts:AssumeRole on roles of any account
	CodeExactWildcard  = "condition/wildcard-in-exact" // * or ? in an operator that knows no wildcards
	CodeOldVariable    = "variable/old-version"        // a policy variable in a document where it is literal text
	CodeBadVariable    = "variable/unusable"           // a policy variable where none is substituted
	CodeNoDefault      = "variable/no-default"         // a variable whose absence widens the statement
	CodeOpenVariable   = "variable/unclosed"           // ${ without }
)

// Context is what the caller knows about the surroundings of a document. The
// zero Context knows nothing.
type Context struct {
	// File is the name positions are given with.
	File string
	// Name of the role or policy the document belongs to.
	Name string
	// Account is the account the document lives in.
	Account arn.AccountID
	// Organization lists the accounts of the own organization; nil when it is
	// not known, which silences the rules about third parties.
	Organization []arn.AccountID
	// NodeRoles are ARNs of roles that nodes of clusters run with. Without
	// them node roles are guessed from names.
	NodeRoles []string
	// ManagedKeys are the ids and ARNs of keys known to be managed by AWS.
	// Aliases alias/aws/… are known without.
	ManagedKeys []string
	// Secret is set when a resource policy is that of a secret.
	Secret *Secret
	// Deploys is set when the document is meant to let its role change things.
	Deploys bool
}

// Secret is what a resource policy's rules need to know about its secret.
type Secret struct {
	// KMSKey is the key's id, ARN or alias as Secrets Manager returns it; ""
	// stands for the AWS managed key aws/secretsmanager, as it does there.
	KMSKey string
}

// report collects the findings on one document.
type report struct {
	ctx  Context
	list diag.List
}

func (r *report) add(pos policy.Pos, d diag.Diagnostic) {
	d.Pos = diag.At(r.ctx.File, pos)
	r.list.Add(d)
}

// document adds what holds for documents of every kind.
func (r *report) document(doc *policy.Document, kind policy.Kind) {
	for _, d := range diag.FromPolicy(r.ctx.File, asError(policy.Validate(doc, kind))) {
		if !unresolved(d.Summary) {
			r.list.Add(d)
		}
	}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		r.principals(st, kind)
		r.exactWildcards(st)
		r.variables(doc, st)
	}
}

func asError(errs policy.Errors) error {
	if len(errs) == 0 {
		return nil
	}
	return errs
}

func (r *report) sorted() diag.List {
	r.list.Sort()
	return r.list
}

// Trust checks a role's trust policy.
func Trust(doc *policy.Document, ctx Context) diag.List {
	r := &report{ctx: ctx}
	r.document(doc, policy.Trust)
	r.trustSize(doc)
	for i := range doc.Statements {
		if st := &doc.Statements[i]; st.Effect == policy.Allow && st.Principal != nil {
			r.trusted(st)
			r.webIdentity(st)
		}
	}
	return r.sorted()
}

// Identity checks an identity-based policy, a boundary or a session policy.
func Identity(doc *policy.Document, ctx Context) diag.List {
	r := &report{ctx: ctx}
	r.document(doc, policy.Identity)
	r.assumeAnywhere(doc)
	r.readOnlyDeployer(doc)
	r.partialSecrets(doc)
	return r.sorted()
}

// Resource checks a resource-based policy other than trust and key policies.
func Resource(doc *policy.Document, ctx Context) diag.List {
	r := &report{ctx: ctx}
	r.document(doc, policy.Resource)
	r.managedKey(doc)
	return r.sorted()
}

// Key checks a KMS key policy.
func Key(doc *policy.Document, ctx Context) diag.List {
	r := &report{ctx: ctx}
	r.document(doc, policy.Key)
	r.unmanageable(doc)
	return r.sorted()
}

// placeholder opens a value that could not be worked out from the file alone,
// such as a reference to another CloudFormation resource.
const placeholder = "⟨"

// unresolved reports whether text holds such a value, so that nothing can be
// said about its form.
func unresolved(text string) bool { return strings.Contains(text, placeholder) }

// allows reports whether st is an Allow statement whose actions can cover action.
func allows(st *policy.Statement, action string) bool {
	if st.Effect != policy.Allow {
		return false
	}
	covers := func(t policy.Text) bool {
		return policy.Glob(strings.ToLower(t.Value), strings.ToLower(action))
	}
	if st.NotActions != nil {
		return !slices.ContainsFunc(st.NotActions, covers)
	}
	return slices.ContainsFunc(st.Actions, covers)
}

// accountOf is the account a principal of type AWS belongs to, "" when its
// value does not tell.
func accountOf(value string) arn.AccountID {
	if id, err := arn.ParseAccountID(value); err == nil {
		return id
	}
	a, err := arn.Parse(value)
	if err != nil {
		return ""
	}
	return a.Account
}

// isAccount reports whether a principal of type AWS is a whole account.
func isAccount(value string) bool {
	if _, err := arn.ParseAccountID(value); err == nil {
		return true
	}
	a, err := arn.Parse(value)
	return err == nil && a.Service == "iam" && a.Resource == "root"
}

// foreign reports whether the account is known to be, or may be, another than
// the document's own.
func (r *report) foreign(id arn.AccountID) bool { return id != "" && id != r.ctx.Account }
