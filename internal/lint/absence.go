package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// absence holds R10 and R12: what conditions do when their key is absent (IAM
// guide, "IAM JSON policy elements: Condition operators").
func (r *report) absence(st *policy.Statement) {
	for _, c := range st.Conditions {
		op := policy.SplitOperator(c.Operator)
		switch {
		case !op.Known() || op.Base == "Null":
		case st.Effect == policy.Deny && !op.Negated():
			r.denySkipped(st, c, op)
		case st.Effect == policy.Allow:
			r.allowAbsent(st, c, op)
		}
	}
	if st.Effect == policy.Deny {
		r.networkOnly(st)
	}
}

// denySkipped knows the keys of MFA, which requests with long-term keys lack:
// it is those that such a Deny is meant for (IAM guide, "AWS: Denies access
// without MFA").
func (r *report) denySkipped(st *policy.Statement, c policy.Condition, op policy.Operator) {
	mfa := strings.EqualFold(c.Key, "aws:MultiFactorAuthPresent") && len(c.Values) == 1 && strings.EqualFold(c.Values[0].Value, "false")
	age := strings.EqualFold(c.Key, "aws:MultiFactorAuthAge") && strings.HasPrefix(op.Base, "NumericGreater")
	if !mfa && !age || op.IfExists || op.Set != "" {
		return
	}
	// A second statement, or the same one, that denies absence does the rest.
	for i := range r.doc.Statements {
		if other := &r.doc.Statements[i]; other.Effect == policy.Deny && slices.ContainsFunc(other.Conditions, func(o policy.Condition) bool {
			oo := policy.SplitOperator(o.Operator)
			return strings.HasPrefix(strings.ToLower(o.Key), "aws:multifactorauth") && (oo.IfExists || oo.Base == "Null")
		}) {
			return
		}
	}
	r.add(c.OperatorPos, rule.Finding{
		Code: rule.DenySkipped, Summary: fmt.Sprintf("requests without %s are not denied", c.Key),
		Detail: "Requests signed with long-term access keys do not carry the key, and the condition does not hold then.",
		Hint:   fmt.Sprintf("use %sIfExists", c.Operator), Fix: c.Operator + "IfExists",
	})
}

// optionalKeys are keys that say who or whence, and that many requests lack.
func optionalKeys() []string {
	return []string{
		"aws:SourceVpce", "aws:SourceVpc", "aws:VpcSourceIp", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:SourceArn", "aws:SourceAccount",
		"aws:SourceOrgID", "aws:SourceOrgPaths", "aws:SourceIdentity", "sts:SourceIdentity", "sts:ExternalId", "kms:ViaService", "aws:FederatedProvider",
	}
}

func (r *report) allowAbsent(st *policy.Statement, c policy.Condition, op policy.Operator) {
	key := strings.ToLower(c.Key)
	optional := anyOf(optionalKeys()...)(c.Key) || strings.HasPrefix(key, "aws:principaltag/")
	k, known := catalog.ConditionKeyOf(c.Key)
	set := op.Set == "ForAllValues" && known && !k.Multivalued && !strings.Contains(beforeColon(c.Key), ".")
	if !(op.Negated() && optional && op.Set != "ForAnyValue") && !set || requiresPresence(st, c.Key) {
		return
	}
	f := rule.Finding{
		Code: rule.AllowAbsent, Summary: fmt.Sprintf("requests without %s are allowed too", c.Key),
		Detail: fmt.Sprintf("%s holds when the key is absent.", c.Operator),
		Hint:   fmt.Sprintf(`add "Null": {%q: "false"}, or say which values are allowed`, c.Key),
	}
	if set {
		f.Hint, f.Fix = fmt.Sprintf("the key has one value: use %s", op.Base), op.Base
	}
	r.add(c.OperatorPos, f)
}

// networkOnly is R12: aws:SourceIp is absent from requests through a VPC
// endpoint, and is the service's own address in requests a service makes for
// a principal (IAM guide, "AWS: Denies access to AWS based on the source IP").
func (r *report) networkOnly(st *policy.Statement) {
	exceptions := anyOf("aws:ViaAWSService", "aws:PrincipalIsAWSService", "aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn", "aws:VpcSourceIp", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths")
	if slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool { return exceptions(c.Key) || requiresPresence(st, "aws:SourceIp") }) {
		return
	}
	for _, c := range st.Conditions {
		if strings.EqualFold(c.Key, "aws:SourceIp") && policy.SplitOperator(c.Operator).Base == "NotIpAddress" {
			severity := rule.OfRule
			if r.kind == policy.Resource {
				severity = rule.Info // guides have it so (S3, ECR: access from specific IP addresses)
			}
			r.add(c.OperatorPos, rule.Finding{
				Severity: severity, Code: rule.NoEndpointCase, Summary: "requests through VPC endpoints and from AWS services are denied as well",
				Detail: "Requests through a VPC endpoint carry no aws:SourceIp, those a service makes for a principal carry the service's address.",
				Hint:   `add "Bool": {"aws:ViaAWSService": "false"} and, for VPC endpoints, "StringNotEquals": {"aws:SourceVpce": […]}`,
			})
			return
		}
	}
}
