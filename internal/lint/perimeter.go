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

// perimeter is R11: rules on service and resource control policies
// (Organizations guide; "Establishing a data perimeter on AWS").
func (r *report) perimeter() {
	for i := range r.doc.Statements {
		st := &r.doc.Statements[i]
		if st.Effect != policy.Deny {
			continue
		}
		r.servicesDenied(st)
		if r.kind == policy.RCP {
			r.outsideRCP(st)
		} else {
			r.neverBound(st)
		}
	}
}

// servicesDenied reports a perimeter without an exception for AWS services: an
// RCP also meets services that call for themselves, and either kind meets
// requests that a service makes for a principal from its own network.
func (r *report) servicesDenied(st *policy.Statement) {
	if mentions(st, "aws:TagKeys") || slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool { return strings.HasPrefix(strings.ToLower(c.Key), "aws:requesttag/") }) {
		return // it is about tags somebody sets, not about where data goes
	}
	identity := anyOf("aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalAccount")
	network := anyOf("aws:SourceIp", "aws:SourceVpc", "aws:SourceVpce", "aws:VpceOrgID", "aws:VpceOrgPaths", "aws:VpceAccount")
	for _, c := range st.Conditions {
		if !policy.SplitOperator(c.Operator).Negated() {
			continue
		}
		var wanted string
		switch {
		case identity(c.Key) && r.kind == policy.RCP && !mentions(st, "aws:PrincipalIsAWSService", "aws:PrincipalServiceName", "aws:PrincipalServiceNamesList", "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceArn"):
			wanted = "aws:PrincipalIsAWSService"
		case network(c.Key) && !mentions(st, "aws:ViaAWSService", "aws:CalledVia", "aws:CalledViaLast", "aws:CalledViaFirst"):
			wanted = "aws:ViaAWSService"
		case network(c.Key) && r.kind == policy.RCP && !mentions(st, "aws:PrincipalIsAWSService", "aws:PrincipalServiceName"):
			wanted = "aws:PrincipalIsAWSService"
		default:
			continue
		}
		r.add(c.Pos, rule.Finding{
			Code: rule.NoServiceCase, Summary: fmt.Sprintf("the perimeter by %s also denies AWS services what they do for you", c.Key),
			Detail: "Services that deliver logs, replicate or call for a principal are neither of your organization nor in your network.",
			Hint:   fmt.Sprintf(`add "BoolIfExists": {%q: "false"}`, wanted),
		})
		return
	}
}

// mentions reports whether st has a condition on one of the keys.
func mentions(st *policy.Statement, keys ...string) bool {
	return slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool { return anyOf(keys...)(c.Key) })
}

// outsideRCP reports actions that no RCP affects (Organizations guide, "List
// of AWS services that support RCPs").
func (r *report) outsideRCP(st *policy.Statement) {
	services := catalog.Facts().RCPServices
	for _, t := range st.Actions {
		service := strings.ToLower(beforeColon(t.Value))
		if supported, known := services[service]; known && !supported && !tree.Unresolved(t.Value) {
			r.add(t.Pos, rule.Finding{
				Code: rule.OutsideRCP, Summary: fmt.Sprintf("resource control policies have no effect on %s", service),
				Detail: "The service is not among those whose resources they protect.",
				Hint:   "use a service control policy for your own principals, and the service's own means against others",
			})
		}
	}
}

// neverBound reports a Deny written for principals that service control
// policies do not affect (Organizations guide, "Tasks and entities not
// restricted by SCPs").
func (r *report) neverBound(st *policy.Statement) {
	for _, c := range st.Conditions {
		op := policy.SplitOperator(c.Operator)
		if op.Negated() || !anyOf("aws:PrincipalArn", "aws:PrincipalAccount")(c.Key) {
			continue
		}
		for _, v := range c.Values {
			who := r.unbound(v.Value)
			if who == "" {
				continue
			}
			r.add(v.Pos, rule.Finding{
				Code: rule.NeverBound, Summary: fmt.Sprintf("the statement is meant for %s, which no service control policy affects", who),
				Hint: "remove the statement, or restrict them by other means",
			})
		}
	}
}

func (r *report) unbound(value string) string {
	switch {
	case strings.Contains(value, ":role/aws-service-role/"):
		return "a service-linked role"
	case r.ctx.Management != "" && accountOf(value) == r.ctx.Management && arn.AccountID(value).Valid(),
		r.ctx.Management != "" && strings.Contains(value, ":iam::"+string(r.ctx.Management)+":"):
		return "the management account"
	}
	return ""
}
