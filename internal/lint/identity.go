package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// assumeAnywhere reports the right to become roles of accounts that are not
// named: whoever makes such a role in an account of his own gets to see what
// the caller sends.
func (r *report) assumeAnywhere(doc *policy.Document) {
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if !allows(st, "sts:AssumeRole") || !namesSTS(st) || restricts(st, anyOf("aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths")) == tested {
			continue
		}
		for _, res := range st.Resources {
			a, err := arn.Parse(res.Value)
			everywhere := res.Value == "*" || err == nil && a.Service == "iam" && strings.ContainsAny(withoutVariables(a.Owner), "*?")
			if !everywhere || tree.Unresolved(a.Owner) {
				continue
			}
			r.add(res.Pos, rule.Finding{
				Code:    rule.AssumeAnywhere,
				Summary: fmt.Sprintf("%q allows to assume roles of every AWS account, strangers' included", res.Value),
				Detail:  "Any account can make a role of a matching name that trusts you, and be handed your requests.",
				Hint:    `name each account, or add "StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}`,
			})
		}
	}
}

// namesSTS reports whether an action of st speaks of sts; "*" of an
// administrator does not.
func namesSTS(st *policy.Statement) bool {
	return slices.ContainsFunc(st.Actions, func(t policy.Text) bool {
		return len(t.Value) > 4 && strings.EqualFold(t.Value[:4], "sts:")
	})
}

// readOnlyDeployer reports a policy that is meant to change something and can
// only look: every allowed action describes, lists or gets.
func (r *report) readOnlyDeployer(doc *policy.Document) {
	if r.partial {
		return
	}
	claim, pos := "", doc.Pos
	if r.ctx.Deploys || claimsChange(r.ctx.Name) {
		claim = r.ctx.Name
	}
	any := false
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect != policy.Allow {
			continue
		}
		if st.NotActions != nil || slices.ContainsFunc(st.Actions, func(t policy.Text) bool { return !reads(t.Value) }) {
			return
		}
		if !any && len(st.Actions) > 0 {
			pos = st.Actions[0].Pos
		}
		any = any || len(st.Actions) > 0
		if claim == "" && claimsChange(st.Sid) {
			claim = st.Sid
		}
	}
	if !any || claim == "" && !r.ctx.Deploys {
		return
	}
	summary := "this can only describe, list and get, and deploys nothing"
	if claim != "" {
		summary = fmt.Sprintf("%q can only describe, list and get, and deploys nothing", claim)
	}
	r.add(pos, rule.Finding{
		Code: rule.ReadOnlyDeployer, Summary: summary,
		Detail: "Creating a stack needs cloudformation:CreateStack and its relatives, and the actions on what the stack contains (or iam:PassRole for a service role that has them).",
		Hint:   "add the actions that change things, or name it as the reader it is",
	})
}

// reads reports whether an action, possibly with wildcards, can only read.
// Names that begin so and change things nevertheless are not known to exist
// among the verbs listed.
func reads(action string) bool {
	_, name, found := strings.Cut(action, ":")
	if !found {
		return false
	}
	return slices.ContainsFunc([]string{"Describe", "List", "Get", "BatchGet", "View", "Lookup", "Search", "Estimate", "Detect", "Validate", "Simulate"},
		func(verb string) bool { return len(name) >= len(verb) && strings.EqualFold(name[:len(verb)], verb) })
}

// claimsChange reports whether a name says that more than reading is meant.
func claimsChange(name string) bool {
	words := camelWords(name)
	for i, w := range words {
		switch w {
		case "deploy", "deployer", "deployment", "admin", "administrator", "manage", "manager", "write", "create", "full":
			return true
		case "all", "every":
			// "AllowAll…" claims everything, "ListAllBuckets" does not.
			if i == 0 || !slices.Contains([]string{"list", "get", "describe", "read", "view"}, words[i-1]) {
				return true
			}
		}
	}
	return false
}

// camelWords splits ResourceDeployCAR or resource-deploy into lower-case words.
func camelWords(s string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = nil
		}
	}
	previous := rune(0)
	for _, c := range s {
		if !unicode.IsLetter(c) {
			flush()
		} else {
			if unicode.IsUpper(c) && unicode.IsLower(previous) {
				flush()
			}
			word = append(word, c)
		}
		previous = c
	}
	flush()
	return words
}

// partialSecrets reports secret ARNs that match no secret.
func (r *report) partialSecrets(doc *policy.Document) {
	for _, st := range doc.Statements {
		for _, res := range st.Resources {
			a, err := arn.Parse(res.Value)
			if err != nil || a.Service != "secretsmanager" || a.Type() != "secret" || secretSuffix(a.Resource) {
				continue
			}
			r.add(res.Pos, rule.Finding{
				Code:    rule.PartialSecret,
				Summary: fmt.Sprintf("%q matches no secret: the ARN of each ends in a hyphen and six characters", res.Value),
				Hint:    fmt.Sprintf("write %q", res.Value+"-??????"),
			})
		}
	}
}
