// Package policy reads and writes IAM policy documents as they are written:
// what they mean is package authz's business.
//
// [Parse] keeps the position and the spelling of everything, so that
// diagnostics can point into the text and [Document.JSON] can print it again.
// [Equal] compares two documents by meaning: order, one-element lists, letter
// case where AWS ignores it, and account principals spelt in different ways do
// not count. Parsed documents are not changed by this package after Parse
// returns; share them freely while nobody writes to them.
package policy

// Version is the policy language version a document declares.
type Version string

// The two versions of the policy language. A document without a Version
// element is evaluated as Version2008, in which policy variables are literal.
const (
	Version2012 Version = "2012-10-17"
	Version2008 Version = "2008-10-17"
)

// Effect is what a statement does when it matches.
type Effect string

// The two effects, spelt as IAM requires.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Pos is a place in the text a document was parsed from. Line and Column
// count from 1, Column in bytes; the zero Pos means "built in memory".
type Pos struct {
	Offset int `json:"offset"`
	Line   int `json:"line"`
	Column int `json:"column"`
}

// IsZero reports whether p points nowhere.
func (p Pos) IsZero() bool { return p == Pos{} }

// Document is one policy document.
type Document struct {
	Version    Version // "" when the document has no Version element
	ID         string
	Statements []Statement
	// Single is set when Statement was written as one object, not a list.
	Single bool
	Pos    Pos
}

// Statement is one statement of a document. Of each pair Principal/NotPrincipal,
// Actions/NotActions and Resources/NotResources at most one is present in a valid statement;
// nil means that the element is absent.
type Statement struct {
	Sid          string
	Effect       Effect
	Principal    *Principals
	NotPrincipal *Principals
	Actions      []Text
	NotActions   []Text
	Resources    []Text
	NotResources []Text
	Conditions   []Condition // in the order written, one for each operator and key
	Pos          Pos
}

// Text is a string of a document with the place it was written at.
type Text struct {
	Value string
	Pos   Pos
}

// Principals is a Principal or NotPrincipal element.
type Principals struct {
	// Everyone is set for the bare string "*". {"AWS":"*"} is an Entry.
	Everyone bool
	Entries  []PrincipalEntry // in the order written, one for each value
	Pos      Pos
}

// PrincipalEntry is one principal: Type is "AWS", "Federated", "Service" or
// "CanonicalUser" as written, Value an ARN, account id, service name, unique id or "*".
type PrincipalEntry struct {
	Type  string
	Value Text
}

// Condition is one key under one operator: all conditions of a statement must
// hold, one of the values is enough (for negated operators: none may match).
type Condition struct {
	// Operator as written, with set prefix and IfExists suffix:
	// "StringEquals", "ForAnyValue:StringLikeIfExists".
	Operator string
	Key      string // as written; compared without regard to case
	Values   []Text // numbers and booleans as their JSON spelling
	Pos      Pos    // of the key
	// OperatorPos is where the operator stands.
	OperatorPos Pos
}
