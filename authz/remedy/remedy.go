// Package remedy finds the smallest change of policies that gives a request the
// other answer: [Allow] for one that is denied, [Close] for one that is allowed.
//
// A [Change] is one or more [Edit]s, each one statement to add, alter or remove
// in a named document of a named account; across accounts there is one on each
// side. What is added names exactly the action, the resource and the principal
// that were asked about, and keeps the conditions under which the documents
// grant the like. Every Change carries the decision that package authz makes
// after it, which is its proof: nothing is proposed on a guess.
//
// Where no change of one's own helps, because a statement denies, or because
// AWS never allows such a request, the error is a [Refusal] that says what
// stands in the way, and which statement would have to go first.
//
// The package looks at nothing but the documents it is given: it does not know
// to whom else a managed policy is attached, and says so in [Change.Affects].
package remedy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

var (
	// ErrAllowed is returned by Allow for a request that is allowed already.
	ErrAllowed = errors.New("the request is allowed already")
	// ErrDenied is returned by Close for a request that is denied already.
	ErrDenied = errors.New("the request is denied already")
)

// Kind is what an Edit does.
type Kind string

// The kinds of edit.
const (
	Add    Kind = "add"    // a statement to a document, or in a document of its own
	Alter  Kind = "alter"  // a statement
	Remove Kind = "remove" // a statement
	Detach Kind = "detach" // a policy that nobody but AWS can change
	Revoke Kind = "revoke" // a KMS grant
)

// Change is one way to the other answer. All of its edits must be made.
type Change struct {
	Edits []Edit `json:"edits"`
	// Affects says, one line each, what else the change does as far as the
	// documents show; empty when it does what was asked for and nothing more.
	Affects []string `json:"affects,omitempty"`
	// Decision is that on the same request after the change.
	Decision authz.Decision `json:"decision"`

	policies *authz.Policies
}

// Policies are the documents after the change, for asking what else becomes of
// it. They must not be changed.
func (c *Change) Policies() *authz.Policies { return c.policies }

// Edit is a change of one statement in one document.
type Edit struct {
	Kind    Kind          `json:"kind"`
	Account arn.AccountID `json:"account,omitempty"` // whose document it is
	Layer   authz.Layer   `json:"layer"`
	Node    string        `json:"node,omitempty"` // of an SCP: where it is attached, or is to be
	// Document is the document to edit. With New there is none yet, and
	// Document tells what has to be made.
	Document authz.Source `json:"document"`
	New      bool         `json:"new,omitempty"`
	Index    int          `json:"index"` // of the statement before the change, from 0; -1 for one that is added
	// Before is the statement as it is, nil for Add; After what takes its
	// place: one statement, none, or several when an altered one is split.
	Before *policy.Statement  `json:"before,omitempty"`
	After  []policy.Statement `json:"after,omitempty"`
	// Result is the whole document after the change, nil when it goes.
	Result *policy.Document `json:"result,omitempty"`
	// Note tells what else has to be known to make the edit.
	Note string `json:"note,omitempty"`

	at place
}

// String says in one line what to do: "add a statement to secret db
// (222222222222)".
func (e *Edit) String() string {
	where := e.Document.String()
	if e.New {
		where = "a new " + where
	}
	if e.Node != "" {
		where += " at " + e.Node
	}
	what := map[Kind]string{
		Add: "add a statement to ", Alter: fmt.Sprintf("alter statement %d of ", e.Index+1), Remove: fmt.Sprintf("remove statement %d of ", e.Index+1),
		Detach: "detach ", Revoke: "revoke ",
	}[e.Kind]
	if e.Kind == Add && e.New {
		what = "make "
	}
	return what + where
}

// String says in one line what to do.
func (c *Change) String() string {
	var list []string
	for i := range c.Edits {
		list = append(list, c.Edits[i].String())
	}
	return strings.Join(list, ", and ")
}

// A Refusal is the error where no change is proposed.
type Refusal struct {
	Reasons []Reason `json:"reasons"`
}

// Reason is one thing that stands in the way.
type Reason struct {
	Text string `json:"text"`
	// Document and Index name the statement that would have to change first;
	// Document is nil where it is none.
	Document *authz.Source `json:"document,omitempty"`
	Index    int           `json:"index,omitempty"`
	Sid      string        `json:"sid,omitempty"`
	Node     string        `json:"node,omitempty"`
}

// Error gives the reasons on one line.
func (r *Refusal) Error() string {
	var list []string
	for _, reason := range r.Reasons {
		list = append(list, reason.Text)
	}
	return "no change of policies that could be proposed: " + strings.Join(list, "; ")
}

// Options tell what documents do not show. The zero Options are the default.
type Options struct {
	// Carrier gives the resource whose policy guards another: the bucket of an
	// object, for most the resource itself, "" for what cannot carry a policy. It
	// is asked where no policy of the resource is among the documents. nil: every
	// resource carries its own, but "*" and what belongs to IAM and STS, of which
	// only roles do.
	Carrier func(resource string) string
	// Pin lists condition keys by which an added Allow statement is to be limited
	// to the values in the request, where those are known: kms:ViaService, so
	// that a key is opened through that service alone. Keys are written as they
	// are spelt here.
	Pin []string
}

// Allow finds what would allow req, which pols deny: the ways with the fewest
// edits first, and of the same way altering a statement before adding one. facts
// may be nil, as for [authz.Evaluate]. The error is [ErrAllowed], or a [*Refusal].
func Allow(req *authz.Request, pols *authz.Policies, facts *authz.Facts) ([]Change, error) {
	return Options{}.Allow(req, pols, facts)
}

// Close finds what would deny req, which pols allow or may allow: changes that
// do nothing else first. Every statement that grants the request goes or is
// narrowed, or one is added that denies it. The error is [ErrDenied], or a
// [*Refusal].
func Close(req *authz.Request, pols *authz.Policies, facts *authz.Facts) ([]Change, error) {
	return Options{}.Close(req, pols, facts)
}
