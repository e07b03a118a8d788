package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// podConditions is T18: a namespace's name may be used again in another
// cluster; only the cluster's ARN tells them apart (EKS guide, "Grant Pods
// access to AWS resources based on tags").
func (r *report) podConditions(st *policy.Statement) {
	if st.Effect != policy.Allow {
		return
	}
	var found *policy.Condition
	for i := range st.Conditions {
		c := &st.Conditions[i]
		tag := sessionTag(c.Key)
		switch {
		case tag == "eks-cluster-arn" || tag == "eks-cluster-name" || tag == "kubernetes-pod-uid" || strings.EqualFold(c.Key, "aws:SourceArn"):
			return
		case (tag == "kubernetes-namespace" || tag == "kubernetes-service-account") && !policy.SplitOperator(c.Operator).Negated() && found == nil:
			found = c
		}
	}
	if found == nil {
		r.podVariables(st)
		return
	}
	severity := rule.OfRule
	if p := st.Principal; p != nil && slices.ContainsFunc(p.Entries, func(e policy.PrincipalEntry) bool { return e.Value.Value == "pods.eks.amazonaws.com" }) {
		// The guide's own form: only the account's clusters can hand out the
		// role. Where there are several, an inventory shows it.
		severity = rule.Info
	}
	prefix, _, _ := strings.Cut(found.Key, "/")
	r.add(found.Pos, rule.Finding{
		Code: rule.PodCluster, Severity: severity, Summary: fmt.Sprintf("%s alone also fits Pods of other clusters", found.Key),
		Detail: "Whoever runs another cluster chooses the names of its namespaces and service accounts.",
		Hint:   fmt.Sprintf(`add "StringEquals": {"%s/eks-cluster-arn": "arn:aws:eks:REGION:ACCOUNT:cluster/NAME"}`, prefix),
	})
}

// podVariables is T18 for permissions whose resources or values follow from the
// namespace's name.
func (r *report) podVariables(st *policy.Statement) {
	texts := slices.Clone(st.Resources)
	for _, c := range st.Conditions {
		texts = append(texts, c.Values...)
	}
	var found *policy.Text
	tag := ""
	for i := range texts {
		for _, v := range variablesIn(texts[i].Value) {
			switch name := sessionTag(v.key); name {
			case "eks-cluster-arn", "eks-cluster-name", "kubernetes-pod-uid":
				return
			case "kubernetes-namespace", "kubernetes-service-account":
				if found == nil {
					found, tag = &texts[i], v.key
				}
			}
		}
	}
	if found == nil || r.doc.Version != policy.Version2012 {
		return
	}
	r.add(found.Pos, rule.Finding{
		Code: rule.PodCluster, Severity: rule.Medium, Summary: fmt.Sprintf("${%s} alone is the same for Pods of other clusters", tag),
		Detail: "Whoever runs another cluster chooses the names of its namespaces and service accounts.",
		Hint:   `add "StringEquals": {"aws:PrincipalTag/eks-cluster-arn": "arn:aws:eks:REGION:ACCOUNT:cluster/NAME"}, or put ${aws:PrincipalTag/eks-cluster-name} into the name as well`,
	})
}

// sessionTag is the tag a condition key tests of the caller or the request, in
// lower case; "" for other keys.
func sessionTag(key string) string {
	family, tag, _ := strings.Cut(strings.ToLower(key), "/")
	if family != "aws:principaltag" && family != "aws:requesttag" {
		return ""
	}
	return tag
}

// sessionActions is T22: passing tags or a source identity is an action of its
// own, and the call fails when the trust policy does not allow it (IAM guide,
// "Pass session tags in AWS STS", "Monitor and control actions taken with
// assumed roles").
func (r *report) sessionActions(st *policy.Statement) {
	reported := map[string]bool{}
	for _, c := range st.Conditions {
		op, key := policy.SplitOperator(c.Operator), strings.ToLower(c.Key)
		required := !op.Negated() && !op.IfExists && (op.Base != "Null" && op.Set != "ForAllValues" || op.Base == "Null" && requiresPresence(st, c.Key))
		action := ""
		switch {
		case strings.HasPrefix(key, "aws:requesttag/") || key == "aws:tagkeys" || key == "sts:transitivetagkeys":
			action = "sts:TagSession"
		case key == "sts:sourceidentity":
			action = "sts:SetSourceIdentity"
		}
		if action == "" || !required || reported[action] || r.allowed(action) {
			continue
		}
		reported[action] = true
		r.add(c.Pos, rule.Finding{
			Code: rule.SessionAction, Summary: fmt.Sprintf("the condition needs %s, and the trust policy does not allow %s", c.Key, action),
			Detail: "A call that passes it is refused for want of that action, one that does not fails the condition: nobody can assume the role.",
			Hint:   fmt.Sprintf("add %q to Action", action),
		})
	}
}

// allowed reports whether some statement of the document allows an action, or
// was left out because it cannot be read.
func (r *report) allowed(action string) bool {
	return r.partial || slices.ContainsFunc(r.doc.Statements, func(st policy.Statement) bool { return allows(&st, action) })
}

// certificates is T25 for IAM Roles Anywhere (its guide, "Trust model"): any
// certificate of any trust anchor of the account passes.
func (r *report) certificates(st *policy.Statement) {
	i := slices.IndexFunc(st.Principal.Entries, func(e policy.PrincipalEntry) bool {
		return e.Type == "Service" && strings.HasPrefix(e.Value.Value, "rolesanywhere.amazonaws.")
	})
	if i < 0 {
		return
	}
	anchor := restricts(st, anyOf("aws:SourceArn")) == tested
	attribute := restricts(st, func(key string) bool {
		return strings.HasPrefix(sessionTag(key), "x509") || strings.EqualFold(key, "sts:SourceIdentity")
	}) == tested
	if anchor || attribute {
		return
	}
	r.add(st.Principal.Entries[i].Value.Pos, rule.Finding{
		Code: rule.RolesAnywhere, Summary: "a certificate of any trust anchor of the account may assume the role",
		Detail: "Neither the trust anchor nor an attribute of the certificate is tested.",
		Hint:   `add "ArnEquals": {"aws:SourceArn": "arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID"} and "StringEquals": {"aws:PrincipalTag/x509Subject/CN": …}`,
	})
}

// assertions is T25 for SAML (IAM guide, "Creating a role for SAML 2.0
// federation"): without SAML:aud an assertion made out to somebody else passes.
func (r *report) assertions(st *policy.Statement) {
	for _, e := range st.Principal.Entries {
		a, err := arn.Parse(e.Value.Value)
		if e.Type != "Federated" || err != nil || a.Type() != "saml-provider" || !allows(st, "sts:AssumeRoleWithSAML") {
			continue
		}
		if restricts(st, anyOf("SAML:aud", "SAML:recipient")) == tested {
			continue
		}
		r.add(e.Value.Pos, rule.Finding{
			Code: rule.SAMLAudience, Summary: "assertions of the provider are accepted whoever they were made out to",
			Detail: "An assertion for another service of the same identity provider could be replayed here.",
			Hint:   `add "StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}`,
		})
	}
}

// guests is T25 for Amazon Cognito: without amr the identities of guests pass
// (Cognito guide, "IAM roles": role trust and permissions).
func (r *report) guests(st *policy.Statement, iss issuer) {
	if iss.url != "cognito-identity.amazonaws.com" || restricts(st, isClaim(iss, "aud")) != tested {
		return // without aud anybody's pool passes: reported as that
	}
	if slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool { return isClaim(iss, "amr")(c.Key) || isClaim(iss, "sub")(c.Key) }) {
		return
	}
	r.add(iss.text.Pos, rule.Finding{
		Code: rule.CognitoGuest, Summary: "guests of the identity pool may assume the role like those who signed in",
		Hint: `add "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"}`,
	})
}
