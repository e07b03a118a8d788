package authz

import (
	"encoding/json"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/residue"
)

// Residual is what is left of a decision when all that is known has been
// taken into account: the condition on which the rest depends. It comes from
// the evaluation that gave the decision, and is as exact as it: [Residual.Decide]
// with the missing keys gives the outcome that Evaluate would give with them.
//
// Its printed form is simplified: alternatives of which each is enough, none
// of which contains another, without conditions that exclude each other or
// follow from others. The simplification knows what conditions on one key have
// to do with each other where they compare texts, Booleans, numbers and dates,
// and that a text does or does not fit a pattern; patterns and addresses it
// takes for independent of each other, and so what is past its bounds: more
// than 64 cases of a key that conditions tell apart, lists of more than five
// different values under set operators, a million comparisons. At most 32
// alternatives are kept. None of that changes what Decide answers.
//
// An Unknown whose residual comes out the same for all values is given as that
// outcome instead. Values are those that a key can have and its operators can
// compare: one value unless Facts or a set operator says otherwise, numbers
// where only numbers are compared, no wildcards in the values of variables.
//
// A Residual is immutable and safe for concurrent use.
type Residual struct {
	core *residue.Residual
}

// Keys lists the condition keys that are not known and on which the outcome
// may depend, in lower case and sorted.
func (r *Residual) Keys() []string { return r.core.Keys() }

// Decide gives the outcome of the request when its unknown keys have the
// values that ctx gives them. A key that ctx does not have is absent, or what
// follows from the principal where it is a key like aws:userid; other keys of
// ctx are not looked at. The outcome is Unknown where ctx leaves keys unknown,
// or where it depends on what no key settles. ctx may be nil.
func (r *Residual) Decide(ctx *Context) Outcome {
	var keys *condition.Context
	if ctx != nil {
		keys = &ctx.keys
	}
	switch allow, deny := r.core.Eval(keys); {
	case deny == yes:
		return ExplicitDeny
	case allow == no:
		return ImplicitDeny
	case allow == yes && deny == no:
		return Allowed
	}
	return Unknown
}

// Allowed gives what has to hold for the request to be allowed: all of one
// alternative. complete is false when there are more alternatives than fit;
// each that is given is still enough by itself.
func (r *Residual) Allowed() (alternatives [][]Requirement, complete bool) {
	list, complete := r.core.Allowed()
	return requirements(list), complete
}

// Denied gives in the same way what makes a policy deny the request
// explicitly. Where neither holds it is denied implicitly.
func (r *Residual) Denied() (alternatives [][]Requirement, complete bool) {
	list, complete := r.core.Denied()
	return requirements(list), complete
}

func requirements(list [][]residue.Requirement) [][]Requirement {
	out := make([][]Requirement, len(list))
	for i := range list {
		for _, q := range list[i] {
			out[i] = append(out[i], Requirement(q))
		}
	}
	return out
}

// String says what has to hold: "allowed when aws:PrincipalTag/team = orders
// and sts:ExternalId = 12345; or when …".
func (r *Residual) String() string { return r.core.SayAllowed(inSentence) }

// MarshalJSON writes an object with the unknown "keys", the alternatives
// "allowedWhen" and "explicitlyDeniedWhen" (lists of lists of [Requirement],
// with "allowedOtherwise" or "explicitlyDeniedOtherwise" set when there are
// more), and under "exact" what Decide needs.
func (r *Residual) MarshalJSON() ([]byte, error) { return json.Marshal(r.core) }

// UnmarshalJSON reads what MarshalJSON wrote. Only "keys" and "exact" count;
// the rest is made from them again.
func (r *Residual) UnmarshalJSON(text []byte) error {
	r.core = new(residue.Residual)
	return r.core.UnmarshalJSON(text)
}

// Equal reports whether r and o are the same condition, written the same way.
// Both may be nil.
func (r *Residual) Equal(o *Residual) bool {
	if r == nil || o == nil {
		return r == o
	}
	return r.core.Equal(o.core)
}

// The operators of requirements that are not conditions of a policy.
const (
	// OperatorResource: the resource, which is in Found, fits a Resource
	// element, which is in Values and has a variable that is not known.
	OperatorResource = residue.OperatorResource
	// OperatorContextEquals and OperatorContextSubset: the encryption context
	// is, or has, the pairs in Values ("Department=IT"), as a KMS grant requires.
	OperatorContextEquals = residue.OperatorContextEquals
	OperatorContextSubset = residue.OperatorContextSubset
)

// A Requirement is one thing that has to hold for an alternative of a Residual.
type Requirement struct {
	// Key, Operator and Values are a condition as a policy has it, with the
	// policy variables that are known replaced.
	Key      string   `json:"key,omitempty"`
	Operator string   `json:"operator,omitempty"`
	Values   []string `json:"values,omitempty"`
	// Found is what the request has under Key, where that is known and what is
	// missing is the value of a variable in Values.
	Found []string `json:"found,omitempty"`
	// Not is set when the condition must not hold, and no operator says that.
	Not bool `json:"not,omitempty"`
	// Question is set instead of the above for what no condition key settles:
	// "whether …" or "how …". Not says that the answer must be no.
	Question string `json:"question,omitempty"`
}

// String says the requirement: "aws:PrincipalTag/team = orders".
func (q Requirement) String() string { return residue.Requirement(q).String() }
