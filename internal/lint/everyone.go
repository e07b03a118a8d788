package lint

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// limitingKeys are the condition keys that turn everyone into somebody: who
// the principal is, or for which account, network or resource it acts.
func limitingKeys(kind policy.Kind) []string {
	keys := append(sourceKeys(), "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:userid")
	if kind == policy.Trust {
		return keys
	}
	// A network is a limit for data, hardly for becoming a role.
	return append(keys, "aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths", "aws:SourceIp", "aws:VpcSourceIp",
		"aws:SourceOwner", "kms:CallerAccount", "s3:DataAccessPointAccount", "s3:DataAccessPointArn")
}

// sourceKeys say on whose behalf a service calls.
func sourceKeys() []string {
	return []string{"aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceOrgPaths"}
}

// openToEveryone is T11, and R05 for keys.
func (r *report) openToEveryone(st *policy.Statement, pos policy.Pos) {
	f := rule.Finding{
		Code:    rule.Everyone,
		Summary: "every principal of every AWS account may do this",
		Detail:  "The wildcard principal is not limited by a condition on who calls; a condition that passes when its key is absent does not count.",
		Hint:    `name the principals by full ARN, or add "StringEquals": {"aws:PrincipalOrgID": …}`,
	}
	switch {
	case r.kind == policy.Trust:
		f.Summary = "every principal of every AWS account may assume the role"
	case onlyInvokes(st):
		// The guide's own policies for public APIs are so: without one for
		// everybody, requests without AWS credentials get nowhere.
		f.Severity, f.Summary = rule.Info, "as far as this policy goes, anybody may call the API"
		f.Detail = "Whether callers have to show who they are, its methods' authorizers decide."
	}
	r.add(pos, f)
}

// onlyInvokes reports whether a statement is about calling an API of API Gateway.
func onlyInvokes(st *policy.Statement) bool {
	return len(st.Actions) > 0 && !slices.ContainsFunc(st.Actions, func(t policy.Text) bool {
		return !strings.EqualFold(beforeColon(t.Value), "execute-api")
	})
}

// limited reports whether a condition limits whom a statement for everyone is
// for: one of its own, or one of a statement that denies everybody else.
func (r *report) limited(st *policy.Statement) bool {
	keys := limitingKeys(r.kind)
	if restricts(st, anyOf(keys...)) == tested || r.deniedToOthers(st, keys) {
		return true
	}
	// A mount target is in a VPC (EFS guide, "Default EFS file system policy").
	return r.kind != policy.Trust && slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool {
		return c.Operator == "Bool" && strings.EqualFold(c.Key, "elasticfilesystem:AccessedViaMountTarget") &&
			len(c.Values) == 1 && strings.EqualFold(c.Values[0].Value, "true")
	})
}

// deniedToOthers reports whether another statement denies what st allows to
// everybody but those whom a condition on one of the keys names, as API
// Gateway's guide has it for private APIs.
func (r *report) deniedToOthers(st *policy.Statement, keys []string) bool {
	return slices.ContainsFunc(r.doc.Statements, func(d policy.Statement) bool {
		if d.Effect != policy.Deny || d.Principal == nil || len(d.Conditions) == 0 {
			return false
		}
		if _, all := everyone(d.Principal); !all || !coversAll(d.Actions, st.Actions) || !coversAll(d.Resources, st.Resources) {
			return false
		}
		named := false
		for _, c := range d.Conditions {
			switch {
			case anyOf(keys...)(c.Key) && exceptsFew(c):
				named = true
			case !sparesServices(c):
				return false
			}
		}
		return named
	})
}

// coversAll reports whether each of the inner texts fits one of the outer ones.
func coversAll(outer, inner []policy.Text) bool {
	return !slices.ContainsFunc(inner, func(in policy.Text) bool {
		return !slices.ContainsFunc(outer, func(out policy.Text) bool { return policy.Glob(strings.ToLower(out.Value), strings.ToLower(in.Value)) })
	})
}

// exceptsFew reports whether a condition of a Deny holds for all but the values
// it names; where the key is absent, negated operators hold.
func exceptsFew(c policy.Condition) bool {
	op := policy.SplitOperator(c.Operator)
	return op.Known() && op.Negated() && op.Set == "" && !slices.ContainsFunc(c.Values, func(v policy.Text) bool { return strings.Trim(v.Value, "*?") == "" })
}

// sparesServices reports whether a condition of a Deny takes out nothing but
// what AWS services do.
func sparesServices(c policy.Condition) bool {
	never := len(c.Values) == 1 && strings.EqualFold(c.Values[0].Value, "false")
	switch {
	case strings.EqualFold(c.Key, "aws:PrincipalIsAWSService"): // absent from anonymous requests
		return never && c.Operator == "BoolIfExists"
	case strings.EqualFold(c.Key, "aws:ViaAWSService"):
		return never && (c.Operator == "BoolIfExists" || c.Operator == "Bool")
	}
	return false
}

// everyone reports whether p names "*", and where.
func everyone(p *policy.Principals) (policy.Pos, bool) {
	if p.Everyone {
		return p.Pos, true
	}
	for _, e := range p.Entries {
		if e.Type == "AWS" && e.Value.Value == "*" {
			return e.Value.Pos, true
		}
	}
	return policy.Pos{}, false
}
