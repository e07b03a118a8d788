// Package corpus reads decision cases: a request, the policies around it and
// what IAM answers. The cases in testdata/corpus are the evaluator's
// specification, and `stile policy test` runs a user's own.
//
// Start with [Load] or [LoadDir], or with [Scan] for more cases than fit in
// memory, then [Case.Build] to get what authz takes. The package does not
// evaluate anything.
//
// A file is YAML or JSON, or JSON Lines with one case a line. In YAML, cases
// that rest on the same rule stand in a group which gives rule, sentence and
// page once:
//
//	rules:
//	  - rule: same-account-union
//	    aws: "If an action is allowed by …"
//	    page: IAM User Guide, Policy evaluation logic
//	    cases:
//	      - id: identity-alone
//	        principal: arn:aws:iam::111111111111:user/ann
//	        …
//	        expected: Allowed
//	      - id: neither
//	        like: identity-alone
//	        identityPolicies: []
//	        expected: ImplicitDeny
//
// A case with `like` is the neighbour of the other case: it gives the one fact
// in which it differs, and has all others from it. With `from` it takes
// whatever it does not give, and is a beginning of its own. A line of JSON
// Lines stands alone: it has neither.
package corpus

import (
	"io/fs"
	"path"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// Case is one decision case.
type Case struct {
	ID string // unique in its file; with rule groups "rule/id"
	// Rule, AWS, Paraphrase, Page and Note are for readers: the rule the case
	// is about, the sentence of AWS's documentation it rests on (quoted in AWS
	// or told in other words in Paraphrase) and the page it is on.
	Rule, AWS, Paraphrase, Page, Note string
	// Like is the neighbour that differs from this case in one fact, and
	// Differs names that fact. Both are empty for a case that others are like.
	Like, Differs string
	// Expected is the answer wanted; HasExpected is false when the case only asks.
	Expected    authz.Outcome
	HasExpected bool
	// Decides lists the kinds of layers that settle the outcome, when given.
	Decides []authz.Layer

	File string
	Line int

	facts facts
}

// facts is what a case says about the request and its surroundings. The
// policies are kept as they are written until Build.
type facts struct {
	principal, entity         string
	principalID, entityID     string
	management, serviceLinked bool
	action, resource          string
	resourceAccount           string
	resourceManagement        bool
	resourceAWSManaged        bool
	context                   []policy.Member
	unknown                   []string

	identity, boundary, session policy.Node
	scps, rcps                  []level
	resourcePolicy              policy.Node
	resourcePolicyType          string
	endpoint                    policy.Node
	grants                      []authz.Grant
	unread                      []authz.Unread
}

// ContextKeys lists the condition keys of the request as they are written, which
// counts where a key holds a name: "kms:EncryptionContext:Department".
func (c *Case) ContextKeys() []string {
	names := make([]string, len(c.facts.context))
	for i, m := range c.facts.context {
		names[i] = m.Name
	}
	return names
}

type level struct {
	node     string
	policies policy.Node
}

// LoadDir reads every .yaml, .yml, .json and .jsonl file of a directory, in
// the order of their names.
func LoadDir(fsys fs.FS) ([]Case, error) {
	var all []Case
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !IsCaseFile(name) {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		cases, err := Load(name, data)
		all = append(all, cases...)
		return err
	})
	return all, err
}

// IsCaseFile reports whether a file of that name may hold cases.
func IsCaseFile(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json", ".jsonl", ".ndjson":
		return true
	}
	return false
}
