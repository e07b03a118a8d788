package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// deputies are the services that send what happens in any account's buckets,
// topics, trails and the like to whatever resource its owner names, and for
// which their guides' resource policies test the source. Others, among them
// events.amazonaws.com and delivery.logs.amazonaws.com, have guides with
// policies that do not.
func deputies() []string {
	return []string{
		"apigateway.amazonaws.com", "budgets.amazonaws.com", "cloudfront.amazonaws.com", "cloudtrail.amazonaws.com", "cloudwatch.amazonaws.com", "cognito-idp.amazonaws.com",
		"config.amazonaws.com", "logging.s3.amazonaws.com", "s3.amazonaws.com", "ses.amazonaws.com", "sns.amazonaws.com",
	}
}

// confusedDeputy is T16 for policies of resources.
func (r *report) confusedDeputy(st *policy.Statement) {
	if st.Effect != policy.Allow || st.Principal == nil || looksOnly(st) || underAccount(st) {
		return
	}
	keys := append(sourceKeys(), "aws:SourceOwner", "lambda:EventSourceToken")
	if restricts(st, anyOf(keys...)) == tested || r.deniedToOthers(st, keys) {
		return
	}
	for _, e := range st.Principal.Entries {
		known, ok := catalog.ServicePrincipalOf(e.Value.Value)
		if e.Type != "Service" || !ok || !slices.Contains(deputies(), known.Name) {
			continue
		}
		r.add(e.Value.Pos, rule.Finding{
			Code: rule.ConfusedDeputy, Summary: fmt.Sprintf("%s may do this on behalf of any account", e.Value.Value),
			Detail: "A service acts for all its customers; without a condition one of them can point it at your resource.",
			Hint:   sourceHint(known),
		})
	}
}

// looksOnly reports whether a statement allows no more than what services ask
// before they deliver: whose bucket it is, and where.
func looksOnly(st *policy.Statement) bool {
	return len(st.Actions) > 0 && !slices.ContainsFunc(st.Actions, func(t policy.Text) bool {
		return !anyOf("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket")(t.Value)
	})
}

// underAccount reports whether all resources are below AWSLogs/ACCOUNT/, where
// services put what is that account's (CloudTrail, Config and Elastic Load
// Balancing guides).
func underAccount(st *policy.Statement) bool {
	return len(st.Resources) > 0 && !slices.ContainsFunc(st.Resources, func(t policy.Text) bool {
		_, below, found := strings.Cut(t.Value, "/AWSLogs/")
		id, _, _ := strings.Cut(below, "/")
		return !found || !arn.AccountID(id).Valid() && !tree.Unresolved(id)
	})
}
