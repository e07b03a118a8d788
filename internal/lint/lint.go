// Package lint finds what AWS accepts but nobody should want: in policy
// documents, AWS config and credentials files, and aws-auth maps. It also
// reports what AWS would refuse (see [policy.Validate]), so that one run says
// everything.
//
// Start with [File], which recognises what it is given, or with [Check] for one
// document whose kind is known. What a rule must know about the surroundings
// comes in a [Context]; a rule whose facts are missing stays silent or says
// "if". Rules that need both sides of a crossing, or the organization, are in
// internal/lint/snapshot. The registry of all rules is internal/lint/rule, each
// with a page in docs/lint.
//
// The package is pure. Rule numbers in comments are those of the registry; AWS
// pages are cited where a rule rests on one.
package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// Context is what the caller knows about the surroundings of a document. The
// zero Context knows nothing.
type Context struct {
	// File is the name positions are given with.
	File string
	// Subject names the document inside the file, such as the role of a
	// template; "" when the file is the document.
	Subject string
	// Name of the role or policy the document belongs to.
	Name string
	// Kind, unless nil, is what documents in a file are used as; otherwise the
	// kind is guessed from what they contain.
	Kind *policy.Kind
	// Account is the account the document lives in.
	Account arn.AccountID
	// Partition is the document's, where its own ARNs do not tell.
	Partition string
	// Management is the organization's management account, "" when not known.
	Management arn.AccountID
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
	// Exists, unless nil, reports whether a user or role has the unique id: one
	// that does is not deleted.
	Exists func(uniqueID string) bool
	// Privileged is set when the role of a trust policy is an administrator:
	// weak doors to it are worse.
	Privileged bool
}

// Secret is what a resource policy's rules need to know about its secret.
type Secret struct {
	// KMSKey is the key's id, ARN or alias as Secrets Manager returns it; ""
	// stands for the AWS managed key aws/secretsmanager, as it does there.
	KMSKey string
}

// Check reports what is the matter with a document of the given kind.
func Check(doc *policy.Document, kind policy.Kind, ctx Context) rule.List {
	r := &report{ctx: ctx, doc: doc, kind: kind}
	r.check()
	return r.sorted()
}

// Document checks the text of a document. It also returns what could be read
// of it: all statements, or those that are in order; nil when there is none.
func (ctx Context) Document(src []byte, kind policy.Kind) (*policy.Document, rule.List) {
	root, err := policy.ParseNode(src)
	if err != nil {
		list := fromPolicy(ctx.File, err)
		for i := range list {
			list[i].Subject = ctx.Subject
		}
		return nil, list
	}
	r := ctx.decoded(root, func(*policy.Document) policy.Kind { return kind })
	return r.doc, r.sorted()
}

// Allows reports whether st is an Allow statement whose actions can cover action.
func Allows(st *policy.Statement, action string) bool { return allows(st, action) }

// Restricts reports whether a condition of st lets only some values of one of
// the keys pass; one that also holds when the key is absent does not count.
func Restricts(st *policy.Statement, keys ...string) bool {
	return restricts(st, anyOf(keys...)) == tested
}

// Trust is [Check] of a role's trust policy.
func Trust(doc *policy.Document, ctx Context) rule.List { return Check(doc, policy.Trust, ctx) }

// Identity is [Check] of an identity-based policy, a boundary or a session
// policy.
func Identity(doc *policy.Document, ctx Context) rule.List { return Check(doc, policy.Identity, ctx) }

// Resource is [Check] of a resource-based policy other than trust and key
// policies.
func Resource(doc *policy.Document, ctx Context) rule.List { return Check(doc, policy.Resource, ctx) }

// Key is [Check] of a KMS key policy.
func Key(doc *policy.Document, ctx Context) rule.List { return Check(doc, policy.Key, ctx) }

// report collects the findings on one document.
type report struct {
	ctx  Context
	doc  *policy.Document
	kind policy.Kind
	// partial is set when statements that cannot be read were left out, so
	// that nothing can be said about what is missing.
	partial bool
	// What the document has cost so far, see maxLookups.
	lookups, comparisons, suggestions int
	list                              rule.List
	anchors                           map[policy.Pos]string // see anchor
}

func (r *report) check() {
	for _, d := range diag.FromPolicy(r.ctx.File, asError(policy.Validate(r.doc, r.kind))) {
		if !tree.Unresolved(d.Summary) {
			r.diagnostic(d)
		}
	}
	for i := range r.doc.Statements {
		st := &r.doc.Statements[i]
		r.principals(st)
		r.exactWildcards(st)
		r.variables(r.doc, st)
		r.actions(st)
		r.conditionKeys(st)
		r.absence(st)
		r.podConditions(st)
		r.accountsOf(st)
	}
	r.otherPartition()
	switch r.kind {
	case policy.Trust:
		r.trust()
	case policy.Key:
		r.unmanageable(r.doc)
		r.sharing()
	case policy.Resource:
		r.managedKey(r.doc)
		r.sharing()
		for i := range r.doc.Statements {
			r.confusedDeputy(&r.doc.Statements[i])
		}
	case policy.Identity, policy.Managed:
		r.assumeAnywhere(r.doc)
		r.readOnlyDeployer(r.doc)
		r.partialSecrets(r.doc)
	case policy.Boundary, policy.Session: // which allow nothing by themselves
		r.partialSecrets(r.doc)
	case policy.SCP, policy.RCP:
		r.perimeter()
	case policy.Endpoint:
	}
	r.mergedFixes()
}

func (r *report) trust() {
	r.trustSize(r.doc)
	for i := range r.doc.Statements {
		if st := &r.doc.Statements[i]; st.Effect == policy.Allow && st.Principal != nil {
			r.trusted(st)
			r.webIdentity(st)
			r.sessionActions(st)
			r.certificates(st)
			r.assertions(st)
		}
	}
	if r.ctx.Privileged {
		Privileged(r.list)
	}
}

// spot is a place in a text.
type spot struct{ line, column int }

func spotOf(pos policy.Pos) spot { return spot{pos.Line, pos.Column} }

// mergedFixes takes back corrections of operators and condition keys that
// would write a name twice into one object.
func (r *report) mergedFixes() {
	type name struct {
		object spot // of the statement, or of the operator whose keys they are
		text   string
	}
	names := map[name]spot{}
	objects := map[spot]spot{} // by place of a name, that of its object
	for i := range r.doc.Statements {
		st := &r.doc.Statements[i]
		for _, c := range st.Conditions {
			for _, n := range []struct {
				at, object spot
				text       string
			}{{spotOf(c.OperatorPos), spotOf(st.Pos), c.Operator}, {spotOf(c.Pos), spotOf(c.OperatorPos), c.Key}} {
				objects[n.at] = n.object
				names[name{n.object, strings.ToLower(n.text)}] = n.at
			}
		}
	}
	for i := range r.list {
		f := &r.list[i]
		at := spot{f.Pos.Line, f.Pos.Column}
		object, ok := objects[at]
		if !ok || f.Fix == "" {
			continue
		}
		if other, taken := names[name{object, strings.ToLower(f.Fix)}]; taken && other != at {
			f.Hint += fmt.Sprintf("; there is %q already: join the two", f.Fix)
			f.Fix = ""
		}
	}
}

func (r *report) add(pos policy.Pos, f rule.Finding) {
	f.Pos = diag.At(r.ctx.File, pos)
	f.Subject = r.ctx.Subject
	f.Anchor = r.anchor(pos)
	r.list.Add(f)
}

func (r *report) diagnostic(d diag.Diagnostic) {
	before := len(r.list)
	r.list.AddDiagnostics(diag.List{d})
	for i := before; i < len(r.list); i++ {
		r.list[i].Subject = r.ctx.Subject
	}
}

func asError(errs policy.Errors) error {
	if len(errs) == 0 {
		return nil
	}
	return errs
}

func (r *report) sorted() rule.List {
	r.list.Sort()
	return r.list
}

// anchor says what stands at pos: the Sid of its statement, and the value.
func (r *report) anchor(pos policy.Pos) string {
	if r.anchors == nil {
		r.anchors = map[policy.Pos]string{r.doc.Pos: "document"}
		for i := range r.doc.Statements {
			r.anchorStatement(&r.doc.Statements[i])
		}
	}
	return r.anchors[pos]
}

func (r *report) anchorStatement(st *policy.Statement) {
	put := func(pos policy.Pos, parts ...string) {
		if _, taken := r.anchors[pos]; !taken {
			r.anchors[pos] = strings.Join(append([]string{st.Sid}, parts...), "\x00")
		}
	}
	put(st.Pos, "statement")
	for _, p := range []*policy.Principals{st.Principal, st.NotPrincipal} {
		if p == nil {
			continue
		}
		for _, e := range p.Entries {
			put(e.Value.Pos, e.Type, e.Value.Value)
		}
		put(p.Pos, "principal")
	}
	for _, texts := range [][]policy.Text{st.Actions, st.NotActions, st.Resources, st.NotResources} {
		for _, t := range texts {
			put(t.Pos, t.Value)
		}
	}
	for _, c := range st.Conditions {
		put(c.OperatorPos, c.Operator)
		put(c.Pos, c.Operator, c.Key)
		for _, v := range c.Values {
			put(v.Pos, c.Operator, c.Key, v.Value)
		}
	}
}

// Privileged is T26: it makes findings on a trust policy one degree worse when
// they leave a door open (T01 to T11) and the role behind it is an
// administrator's.
func Privileged(list rule.List) {
	for i := range list {
		f := &list[i]
		if f.Number < "T01" || f.Number > "T11" || f.Severity == rule.Critical || f.Severity == rule.Info {
			continue
		}
		f.Severity++
		f.Detail = strings.TrimSpace(f.Detail + " The role is an administrator's.")
	}
}

// allows reports whether st is an Allow statement whose actions can cover action.
func allows(st *policy.Statement, action string) bool {
	return st.Effect == policy.Allow && covers(st, action)
}

// covers reports whether the actions of st can cover action.
func covers(st *policy.Statement, action string) bool {
	action = strings.ToLower(action)
	fits := func(t policy.Text) bool { return policy.Glob(strings.ToLower(t.Value), action) }
	if st.NotActions != nil {
		return !slices.ContainsFunc(st.NotActions, fits)
	}
	return slices.ContainsFunc(st.Actions, fits)
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
