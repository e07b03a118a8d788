package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/glob"
	"github.com/stile-aws/stile/internal/scalar"
)

// Kind is what a document is used as. It decides which elements it must have
// and may not have.
type Kind uint8

// The kinds of policy. The zero Kind is Identity.
const (
	Identity Kind = iota // inline policy of a user, group or role
	Managed              // customer managed policy
	Boundary             // managed policy used as permissions boundary
	Session              // passed to AssumeRole and its relatives
	Trust                // a role's AssumeRolePolicyDocument
	Resource             // policy of a bucket, secret, queue, repository, …
	Key                  // KMS key policy
	Endpoint             // VPC endpoint policy
	SCP                  // service control policy
	RCP                  // resource control policy
)

// String names the kind in running text: "trust policy".
func (k Kind) String() string {
	switch k {
	case Identity:
		return "identity-based policy"
	case Managed:
		return "managed policy"
	case Boundary:
		return "permissions boundary"
	case Session:
		return "session policy"
	case Trust:
		return "trust policy"
	case Resource:
		return "resource-based policy"
	case Key:
		return "key policy"
	case Endpoint:
		return "endpoint policy"
	case SCP:
		return "service control policy"
	case RCP:
		return "resource control policy"
	}
	return "policy kind " + strconv.Itoa(int(k))
}

// withArticle gives "a trust policy".
func (k Kind) withArticle() string {
	if k == Identity || k == Endpoint {
		return "an " + k.String()
	}
	return "a " + k.String()
}

// identityLike kinds apply to whoever they are attached to and name no principal.
func (k Kind) identityLike() bool {
	return k == Identity || k == Managed || k == Boundary || k == Session || k == SCP
}

// iam kinds are checked by IAM itself when they are written.
func (k Kind) iam() bool {
	return k == Identity || k == Managed || k == Boundary || k == Session || k == Trust
}

// Validate reports what AWS refuses when d is written as a policy of the given
// kind, in the order of the text; nil when it would be accepted. It sees the
// document alone: whether principals exist, quotas, and the rules single
// services add for their resource policies are for others to check, what is
// accepted but unwise is package lint's.
func Validate(d *Document, kind Kind) Errors {
	v := &validator{kind: kind}
	v.document(d)
	return v.errs.sorted()
}

type validator struct {
	kind Kind
	errs Errors
}

func (v *validator) failf(pos Pos, code Code, aws, format string, args ...any) *Error {
	e := &Error{Pos: pos, Code: code, Msg: fmt.Sprintf(format, args...), aws: aws}
	v.errs = append(v.errs, e)
	return e
}

func (v *validator) document(d *Document) {
	// Managed policies, and boundaries, which are managed policies, must be of
	// the current version; older inline and trust policies exist in numbers.
	if (v.kind == Managed || v.kind == Boundary) && d.Version != Version2012 {
		v.failf(d.Pos, CodeVersion, awsOldVersion, "%s must have the Version %q", v.kind.withArticle(), Version2012)
	}
	if len(d.Statements) == 0 {
		v.failf(d.Pos, CodeMissing, awsSyntax, "the document has no statement").trust = trustNoStatement
	}
	if v.kind.iam() {
		v.sids(d)
	}
	for i := range d.Statements {
		st := &d.Statements[i]
		v.elements(st)
		v.principals(st)
		for _, a := range st.Actions {
			v.action(a)
		}
		for _, a := range st.NotActions {
			v.action(a)
		}
		v.resources(st)
		v.conditions(st)
	}
}

// sids checks what IAM demands of Sids. Other services accept any text: the
// default key policy's "Enable IAM User Permissions" has spaces.
func (v *validator) sids(d *Document) {
	seen := map[string]bool{}
	for _, st := range d.Statements {
		if strings.ContainsFunc(st.Sid, notAlphanumeric) {
			e := v.failf(st.Pos, CodeSid, awsSidChars, "Sid %q has other characters than letters and digits", st.Sid)
			e.Hint = "write " + strconv.Quote(strings.Map(dropIf(notAlphanumeric), st.Sid))
		}
		if st.Sid != "" && seen[st.Sid] {
			v.failf(st.Pos, CodeSid, awsSidUnique, "Sid %q is used twice", st.Sid).trust = trustSidUnique
		}
		seen[st.Sid] = true
	}
}

func notAlphanumeric(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

func dropIf(drop func(rune) bool) func(rune) rune {
	return func(r rune) rune {
		if drop(r) {
			return -1
		}
		return r
	}
}

// elements checks which elements the statement has.
func (v *validator) elements(st *Statement) {
	if st.Actions == nil && st.NotActions == nil {
		v.failf(st.Pos, CodeMissing, awsNoActions, "the statement has neither Action nor NotAction").trust = trustNoAction
	}
	switch {
	case v.kind.identityLike():
		if st.Principal != nil || st.NotPrincipal != nil {
			v.prohibited(st.Pos, "Principal", awsNoPrincipals).Hint = "it applies to whoever it is attached to; name principals in trust and resource-based policies"
		}
	case st.Principal == nil && st.NotPrincipal == nil && v.kind != Endpoint:
		v.failf(st.Pos, CodeMissing, trustNoPrincipal, "a statement of %s must have a Principal", v.kind.withArticle())
	}
	switch v.kind {
	case Identity, Managed, Boundary, Session, Key, SCP, RCP, Endpoint:
		if st.Resources == nil && st.NotResources == nil {
			v.failf(st.Pos, CodeMissing, awsNoResources, "the statement has neither Resource nor NotResource")
		}
	case Trust:
		v.trustElements(st)
	case Resource: // some services demand a Resource, some (ECR) have none
	}
	if v.kind == RCP {
		v.rcpElements(st)
	}
}

func (v *validator) prohibited(pos Pos, element, aws string) *Error {
	return v.failf(pos, CodeProhibited, aws, "%s may not have %s", v.kind.withArticle(), element)
}

func (v *validator) trustElements(st *Statement) {
	if st.Resources != nil {
		v.prohibited(textsPos(st.Resources, st.Pos), "Resource", trustResource).Hint = "the resource is the role itself; leave Resource out"
	}
	if st.NotResources != nil {
		v.prohibited(textsPos(st.NotResources, st.Pos), "NotResource", trustNotResource)
	}
	if st.NotPrincipal != nil {
		aws := trustNotPrincipal
		if st.Effect == Allow {
			aws = trustAllowNot
		}
		v.prohibited(st.NotPrincipal.Pos, "NotPrincipal", aws)
	}
	if st.NotActions != nil {
		v.prohibited(textsPos(st.NotActions, st.Pos), "NotAction", trustActions)
	}
}

// rcpElements holds the rules of a customer's RCP: Deny only, everyone as
// principal, no NotAction and no NotPrincipal (Organizations user guide, RCP syntax).
func (v *validator) rcpElements(st *Statement) {
	if st.Effect != Deny {
		v.failf(st.Pos, CodeProhibited, awsOrgs, "a %v can only deny", v.kind)
	}
	if p := st.Principal; p != nil && !p.Everyone {
		v.failf(p.Pos, CodePrincipal, awsOrgs, "the Principal of a %v must be \"*\"", v.kind).Hint = "tell principals apart in Condition, by aws:PrincipalArn or aws:PrincipalOrgID"
	}
	if st.NotPrincipal != nil {
		v.prohibited(st.NotPrincipal.Pos, "NotPrincipal", awsOrgs)
	}
	if st.NotActions != nil {
		v.prohibited(textsPos(st.NotActions, st.Pos), "NotAction", awsOrgs)
	}
	for _, a := range st.Actions {
		if a.Value == "*" {
			v.failf(a.Pos, CodeAction, awsOrgs, "the Action of a %v must name a service", v.kind)
		}
	}
}

// textsPos is where the first of texts stands.
func textsPos(texts []Text, otherwise Pos) Pos {
	if len(texts) == 0 {
		return otherwise
	}
	return texts[0].Pos
}

// action checks the form service:Name, which may have wildcards.
func (v *validator) action(a Text) {
	service, name, found := strings.Cut(a.Value, ":")
	switch {
	case a.Value == "*" && v.kind != Trust:
	case !found && a.Value != "*":
		e := v.failf(a.Pos, CodeAction, awsNoVendor, "action %q names no service", a.Value)
		e.Hint = `an action is service:Name, as "s3:GetObject"`
	case strings.Contains(name, ":"):
		v.failf(a.Pos, CodeAction, awsColons, "action %q has more than one colon", a.Value)
	case service != "*" && strings.ContainsFunc(service, notVendor):
		v.failf(a.Pos, CodeAction, "Vendor "+service+" is not valid", "action %q names no valid service", a.Value)
	case v.kind == Trust && !assumes(a.Value):
		e := v.failf(a.Pos, CodeAction, trustActions, "a trust policy cannot grant %q", a.Value)
		e.Hint = "only " + strings.Join(trustPolicyActions(), ", ")
		if near := Closest(a.Value, trustPolicyActions()); near != "" {
			e.Hint = fmt.Sprintf("did you mean %q?", near)
		}
	}
}

func notVendor(r rune) bool { return notAlphanumeric(r) && r != '-' && r != '.' }

// trustPolicyActions are the actions STS checks against a role's trust policy.
func trustPolicyActions() []string {
	return []string{
		"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML",
		"sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext",
	}
}

// assumes reports whether pattern, which names STS literally, covers one of
// the actions of trust policies.
func assumes(pattern string) bool {
	if len(pattern) < 4 || !strings.EqualFold(pattern[:4], "sts:") {
		return false
	}
	return slices.ContainsFunc(trustPolicyActions(), func(a string) bool {
		return Glob(strings.ToLower(pattern), strings.ToLower(a))
	})
}

// Glob reports whether pattern, in which * stands for any text and ? for any
// one character, covers the whole of s. Letter case counts.
func Glob(pattern, s string) bool { return glob.Plain(pattern, s) }

// maxGuesses is how many errors there may be before nothing more is guessed
// about what was meant: nobody reads on, and guessing costs most.
const maxGuesses = 100

func (v *validator) conditions(st *Statement) {
	for i, c := range st.Conditions {
		op := SplitOperator(c.Operator)
		if !op.Known() {
			if i > 0 && st.Conditions[i-1].Operator == c.Operator {
				continue // one report for each operator block
			}
			e := v.failf(c.OperatorPos, CodeOperator, awsSyntax, "unknown condition operator %q", c.Operator)
			if len(v.errs) <= maxGuesses {
				if near := suggestOperator(c.Operator); near != "" {
					e.Hint = fmt.Sprintf("did you mean %q?", near)
				}
			}
			continue
		}
		if strings.HasPrefix(op.Base, "Date") {
			for _, val := range c.Values {
				if !IsDate(val.Value) {
					v.failf(val.Pos, CodeDate, awsLegacy, "%q is no date for %s", val.Value, c.Operator).Hint = `write "2027-01-31T00:00:00Z" or seconds since 1970`
				}
			}
		}
	}
}

// IsDate reports whether s is a value the Date operators take: a W3C profile
// of ISO 8601 (year, year-month, date, date and time with zone) or seconds
// since 1970. What it takes, package authz compares.
func IsDate(s string) bool {
	_, ok := scalar.ParseDate(s)
	return ok
}
