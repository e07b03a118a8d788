package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Code says what kind of thing is wrong with a document. Codes are stable:
// tools may branch on them, and a code never changes its meaning.
type Code string

// What Parse reports.
const (
	CodeJSON       Code = "json"             // the text is not JSON
	CodeType       Code = "type"             // a value of the wrong JSON type
	CodeDuplicate  Code = "duplicate"        // the same name twice in one object
	CodeElement    Code = "unknown-element"  // an element IAM does not know
	CodeExclusive  Code = "exclusive"        // an element together with its Not… twin
	CodeMissing    Code = "missing-element"  // Statement, Effect or Action missing or empty
	CodeEffect     Code = "effect"           // an Effect that is neither Allow nor Deny
	CodeVersion    Code = "version"          // a Version that does not exist, or is too old for the kind of policy
	CodePrincipals Code = "principal-syntax" // a Principal element that is neither "*" nor a map of known types
)

// What Validate reports.
const (
	CodeOperator   Code = "unknown-operator" // a condition operator that does not exist
	CodeProhibited Code = "prohibited"       // an element this kind of policy may not have
	CodeSid        Code = "sid"              // a Sid with other characters than letters and digits, or used twice
	CodePrincipal  Code = "principal"        // a principal of a form that no principal has
	CodeAction     Code = "action"           // an action that is not service:Name, or not one this kind of policy may have
	CodeResource   Code = "resource"         // a resource that is neither an ARN nor "*"
	CodeDate       Code = "date"             // a value of a Date operator that is no date
	CodeCondition  Code = "condition"        // a condition that this statement must have is missing
)

// Error is one thing wrong with a document.
type Error struct {
	Pos  Pos
	Code Code
	Msg  string // what is wrong, lower case, without the position
	Hint string // what to do about it; may be empty

	aws   string // IAM's message for an identity-based policy
	trust string // its message for a trust policy, where another
}

// Error gives position, message and hint on one line.
func (e *Error) Error() string {
	var b strings.Builder
	if !e.Pos.IsZero() {
		fmt.Fprintf(&b, "%d:%d: ", e.Pos.Line, e.Pos.Column)
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Errors is everything wrong with a document, in the order of the text. It is
// what [Parse] returns as its error; reach it with errors.AsType[policy.Errors].
type Errors []*Error

// Error gives one line for each error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As reach the single errors.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// AWS is the message the service answers with when it refuses such a document
// as a policy of the given kind; "" when there is no error. IAM checks in
// passes and reports the first error of the first pass that finds one. Which
// exception carries the message (MalformedPolicyDocument and its relatives) is
// the service's affair.
func (es Errors) AWS(kind Kind) string {
	best := ""
	for _, e := range es {
		if m := e.message(kind); best == "" || awsPass(m) < awsPass(best) {
			best = m
		}
	}
	return best
}

func (e *Error) message(kind Kind) string {
	switch kind {
	case SCP, RCP:
		return awsOrgs
	case Key:
		if e.Code == CodePrincipal {
			return awsKeyPrincipals
		}
	case Trust:
		if e.trust != "" {
			return e.trust
		}
	case Identity, Managed, Boundary, Session, Resource, Endpoint:
	}
	return e.aws
}

// sorted orders errors by position, keeping the order of discovery for equal ones.
func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int { return a.Pos.Offset - b.Pos.Offset })
	return es
}

// Messages IAM refuses documents with, as clients have recorded them.
const (
	awsSyntax       = "Syntax errors in policy."
	awsOldVersion   = "Policy document must be version 2012-10-17 or greater."
	awsLegacy       = "The policy failed legacy parsing"
	awsSidUnique    = "Statement IDs (SID) in a single policy must be unique."
	awsSidChars     = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
	awsNoActions    = "Policy statement must contain actions."
	awsNoResources  = "Policy statement must contain resources."
	awsNoVendor     = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
	awsColons       = "Actions/Condition can contain only one colon."
	awsVendorRegexp = "Resource vendor must be fully qualified and cannot contain regexes."
	awsNoPrincipals = "Policy document should not specify a principal."
)

// The same for trust policies, which another validator of IAM checks.
const (
	trustNoStatement  = "Could not parse the policy: Statement is empty!"
	trustSidUnique    = "The Statement Ids in the policy are not unique"
	trustVersion      = "The policy must contain a valid version string"
	trustNoEffect     = "Missing required field Effect"
	trustNoAction     = "Missing required field Action"
	trustNoPrincipal  = "Missing required field Principal"
	trustEmpty        = "Missing required field Principal cannot be empty!"
	trustAllowNot     = "Allow with NotPrincipal is not allowed."
	trustNotPrincipal = "AssumeRole policy must not contain NotPrincipal field."
	trustActions      = "AssumeRole policy may only specify STS AssumeRole actions."
	trustResource     = "Has prohibited field Resource"
	trustNotResource  = "AssumeRole policy must not contain resources."
	trustFederated    = "Federated principals must be valid domain names or SAML metadata ARNs"
	trustCognito      = "A condition block must be present for the Cognito provider"
)

// And for Organizations and KMS.
const (
	awsOrgs          = "The provided policy document does not meet the requirements of the specified policy type."
	awsKeyPrincipals = "Policy contains a statement with one or more invalid principals."
)

// awsPass is the pass in which AWS notices what message is about. The order of
// the passes before resources is known from recorded answers of IAM; what
// clients never saw combined comes last, in the order of the text.
func awsPass(message string) int {
	passes := [...]string{awsSyntax, awsOldVersion, trustVersion, awsLegacy, awsSidUnique, awsNoActions, awsNoResources}
	if i := slices.Index(passes[:], message); i >= 0 {
		return i
	}
	return len(passes)
}
