// Package authz decides what IAM policies mean: request + policies + facts ->
// decision + reasons.
//
// [Evaluate] gives the decision with its explanation, [Decide] the outcome
// alone without allocating, [Settle] the outcome where Decide leaves it open;
// all run the same code. A deny is a value, never an error. The package knows no service's API, reads no file and asks no
// network: everything arrives in a [Request], a [Policies] and a [Facts] value.
//
// Compile documents once with [Compile]; compiled policies are immutable and
// shared freely between goroutines.
//
// # Three values
//
// What cannot be decided from the facts given is [Unknown]: mark keys whose
// value is not known with [Context.SetUnknown], and list documents that could
// not be read in Policies.Unread. Points that AWS's documents do not settle
// leave the answer open in the same way. An unknown decision comes with its
// [Residual], the condition that is left when all that is known has been taken
// into account:
//
//	depends: allowed when aws:PrincipalTag/team = orders and sts:ExternalId = 12345
//
// It is the rest of the same evaluation, not a second one, so that
// [Residual.Decide] with the missing keys gives what Evaluate gives with them.
// [Residual.Allowed] has it as data.
//
// Decide does not look at what open conditions have to do with each other,
// Evaluate and Settle do: where Decide answers Unknown, they may find that the
// answer is the same whatever is missing. They never contradict each other.
//
// # Explanations
//
// A [Decision] lists every [Layer] that was asked, the caller's side first,
// with the documents' statements that matched, could match or came near, the
// place of each in its document, and what each condition wanted and found.
// [Decision.Summary] is one line with what decided, [Decision.Explain] a tree,
// [Decision.Message] the text of AWS's own error.
//
// A decision's JSON is stable: fields may be added, none changes its meaning,
// and what was written reads back as it was. Outcomes, layers and matches are
// the names that their String methods give.
//
// # Cost
//
// A compiled policy with many patterns has indexes, by what actions and
// resources begin with and by whom principals name, so that a thousand
// statements cost what ten do; they find what the plain loop finds, and a
// decision explained by them has the same words. An explanation costs what it
// shows: each statement that came near is in it.
//
// Documents may be hostile. Compiling, deciding and explaining take time in
// proportion to the document for a given request, wildcards and policy
// variables included, and memory in proportion to what is kept.
//
// # Rules
//
// The rules and the sentences of AWS's documentation they rest on are the
// cases in testdata/corpus.
package authz
