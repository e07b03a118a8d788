package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// principals holds the rules on Principal elements that hold for every kind.
func (r *report) principals(st *policy.Statement) {
	if np := st.NotPrincipal; np != nil {
		r.exceptPrincipal(st, np)
	}
	p := st.Principal
	if p == nil {
		return
	}
	for _, e := range p.Entries {
		if e.Type == "AWS" && policy.IsUniqueID(e.Value.Value) && (r.ctx.Exists == nil || !r.ctx.Exists(e.Value.Value)) {
			r.add(e.Value.Pos, rule.Finding{
				Code:    rule.Deleted, // T13
				Summary: fmt.Sprintf("%s is what is left of a deleted user or role", e.Value.Value),
				Detail:  "AWS stores principals by unique id. A new user or role of the same name has another id and is not meant here.",
				Hint:    "name the new one's ARN again, or remove the entry",
			})
		}
	}
	for _, e := range p.Entries {
		if near := nearService(e); near != "" {
			r.add(e.Value.Pos, rule.Finding{
				Code: "policy/" + string(policy.CodePrincipal), Severity: rule.Medium, Summary: fmt.Sprintf("no service that stile knows is called %q", e.Value.Value),
				Detail: "AWS refuses principals of services that do not exist.",
				Hint:   fmt.Sprintf("did you mean %q?", near), Fix: near,
			})
		}
	}
	if pos, yes := everyone(p); yes && st.Effect == policy.Allow && r.kind != policy.Endpoint && !r.limited(st) {
		r.openToEveryone(st, pos)
	}
}

// nearService is the service principal that one which is not known was most
// likely meant to be; "" when it is known, or like none. Not all are known.
func nearService(e policy.PrincipalEntry) string {
	name, ok := strings.CutSuffix(e.Value.Value, ".amazonaws.com")
	if e.Type != "Service" || !ok || len(name) < 5 || tree.Unresolved(name) {
		return ""
	}
	if _, known := catalog.ServicePrincipalOf(e.Value.Value); known || catalog.KnownService(beforeDot(name)) {
		return ""
	}
	names := slices.Concat(catalog.Services(), catalog.ServicePrincipals())
	i := slices.IndexFunc(names, func(known string) bool { return oneEdit(name, strings.TrimSuffix(known, ".amazonaws.com")) })
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(names[i], ".amazonaws.com") + ".amazonaws.com"
}

func beforeDot(s string) string {
	before, _, _ := strings.Cut(s, ".")
	return before
}

// oneEdit reports whether inserting, deleting or replacing one letter, or
// swapping two neighbours, turns a into b.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// exceptPrincipal is R08 (IAM guide, NotPrincipal).
func (r *report) exceptPrincipal(st *policy.Statement, np *policy.Principals) {
	if st.Effect == policy.Allow {
		r.add(np.Pos, rule.Finding{
			Code:    rule.AllowExcept,
			Summary: "Allow with NotPrincipal grants to everyone else in the world, anonymous callers included",
			Hint:    "name in Principal who may, or use Deny",
		})
		return
	}
	r.add(np.Pos, rule.Finding{
		Code:    rule.DenyExcept,
		Summary: "Deny with NotPrincipal also denies the exempted ones when they have a permissions boundary, or come as a session",
		Hint:    `use "Principal": "*" with "ArnNotEquals": {"aws:PrincipalArn": …}`,
	})
}

// trusted holds the rules on whom an Allow statement of a trust policy names.
func (r *report) trusted(st *policy.Statement) {
	for _, e := range st.Principal.Entries {
		if tree.Unresolved(e.Value.Value) {
			continue
		}
		switch e.Type {
		case "AWS":
			r.trustedAWS(st, e.Value)
		case "Service":
			r.trustedService(st, e.Value)
		}
	}
	r.weakExternalID(st)
}

func (r *report) trustedAWS(st *policy.Statement, v policy.Text) {
	account := accountOf(v.Value)
	if isAccount(v.Value) && r.foreign(account) && len(st.Conditions) == 0 {
		r.add(v.Pos, rule.Finding{
			Code:    rule.WholeAccount, // T09
			Summary: fmt.Sprintf("the whole account %s may assume the role", account),
			Detail:  "Whoever administers that account decides who becomes this role.",
			Hint:    fmt.Sprintf(`name the role, or add "ArnLike": {"aws:PrincipalArn": "arn:%s:iam::%s:role/…"}`, partitionOf(v.Value), account),
		})
	}
	if r.ctx.Organization != nil && r.foreign(account) && !slices.Contains(r.ctx.Organization, account) &&
		restricts(st, anyOf("sts:ExternalId")) != tested {
		r.add(v.Pos, rule.Finding{
			Code:    rule.NoExternalID, // T10
			Summary: fmt.Sprintf("account %s is not of your organization and needs no external id", account),
			Detail:  "A third party that serves several customers can be tricked into using its access to you for another of them.",
			Hint:    `agree on a random value and add "StringEquals": {"sts:ExternalId": …}`,
		})
	}
	r.nodeRole(v)
	if !assumesByRole(st) && !isProvider(v.Value) && !r.misspelt(st) {
		r.add(v.Pos, rule.Finding{
			Code:    rule.WrongAction,
			Summary: "AWS principals call sts:AssumeRole, which this statement does not allow",
			Hint:    `write "Action": "sts:AssumeRole"`,
		})
	}
}

// partitionOf is the partition of a principal's ARN; an account id is of the
// document's own, which is most often aws.
func partitionOf(principal string) string {
	if a, err := arn.Parse(principal); err == nil {
		return a.Partition
	}
	return "aws"
}

// isProvider reports whether a principal of type AWS is an identity provider,
// which has its own finding.
func isProvider(principal string) bool {
	a, err := arn.Parse(principal)
	return err == nil && (a.Type() == "oidc-provider" || a.Type() == "saml-provider")
}

// misspelt reports whether st has an action that no trust policy can grant: it
// has its own finding, and may be the one that is missing.
func (r *report) misspelt(st *policy.Statement) bool {
	return slices.ContainsFunc(st.Actions, func(t policy.Text) bool {
		_, known := catalog.ActionOf(t.Value)
		return !known && !strings.ContainsAny(t.Value, "*?") && !tree.Unresolved(t.Value)
	})
}

// assumesByRole reports whether st lets its AWS principals do anything: become
// the role, or tag and name the session another statement allows.
func assumesByRole(st *policy.Statement) bool {
	return slices.ContainsFunc([]string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext"},
		func(action string) bool { return allows(st, action) })
}

// nodeRole reports trust in a role that nodes run with: any pod on the node
// can take its credentials from the metadata service.
func (r *report) nodeRole(v policy.Text) {
	a, err := arn.Parse(v.Value)
	if err != nil || a.Service != "iam" || a.Type() != "role" {
		return
	}
	known := slices.Contains(r.ctx.NodeRoles, v.Value)
	if !known && (r.ctx.NodeRoles != nil || !looksLikeNodeRole(a.Name())) {
		return
	}
	d := rule.Finding{
		Code:    rule.NodeRole,
		Summary: fmt.Sprintf("%s is the role of a node, so every pod on it may assume this role", a.Name()),
		Detail:  "Pods reach their node's credentials through the instance metadata service.",
		Hint:    "trust the cluster's OIDC provider with the service account as sub, or EKS Pod Identity",
	}
	if !known {
		d.Severity = rule.Medium
		d.Summary = fmt.Sprintf("%s looks like the role of a node; then every pod on it may assume this role", a.Name())
	}
	r.add(v.Pos, d)
}

// looksLikeNodeRole knows the names eksctl, kOps, Karpenter, the EKS guide and
// the Terraform modules give to node roles.
func looksLikeNodeRole(name string) bool {
	if strings.HasPrefix(name, "nodes.") {
		return true
	}
	plain := strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || c == '.' {
			return -1
		}
		return unicode.ToLower(c)
	}, name)
	return slices.ContainsFunc([]string{"nodeinstancerole", "noderole", "nodegroup", "eksnode", "workernode", "karpenternode", "nodeinstanceprofile"},
		func(word string) bool { return strings.Contains(plain, word) })
}

func (r *report) trustedService(st *policy.Statement, v policy.Text) {
	service, _, _ := strings.Cut(v.Value, ".amazonaws.com")
	if service == "pods.eks" {
		if !slices.ContainsFunc(st.Actions, func(t policy.Text) bool { return policy.Glob(strings.ToLower(t.Value), "sts:tagsession") }) {
			r.add(v.Pos, rule.Finding{
				Code:    rule.PodIdentity, // T17
				Summary: "EKS Pod Identity cannot assume the role without sts:TagSession",
				Detail:  "The service always passes the pod's cluster, namespace and service account as session tags.",
				Hint:    `write "Action": ["sts:AssumeRole", "sts:TagSession"]`,
			})
		}
	}
	// Where it is not known that the service sends the keys, asking for them
	// could lock it out.
	known, ok := catalog.ServicePrincipalOf(v.Value)
	sources := anyOf(sourceKeys()...)
	strength := restricts(st, sources)
	if ok && (!known.Exempt || strength == vacuous) && known.Name != "rolesanywhere.amazonaws.com" && (known.SourceArn || known.SourceAccount) && strength != tested {
		r.add(v.Pos, rule.Finding{
			Code:    rule.ConfusedDeputy, // T16
			Summary: fmt.Sprintf("%s may assume the role on behalf of any account", v.Value),
			Detail:  "A service acts for all its customers; without a condition one of them can point it at your role.",
			Hint:    sourceHint(known),
		})
	}
}

func sourceHint(p catalog.ServicePrincipal) string {
	hint := `add "StringEquals": {"aws:SourceAccount": …}`
	if p.SourceArn && p.ARN != "" {
		hint += fmt.Sprintf(` and "ArnLike": {"aws:SourceArn": %q}`, p.ARN)
	}
	return hint
}

// weakExternalID is the second half of T10.
func (r *report) weakExternalID(st *policy.Statement) {
	for _, c := range st.Conditions {
		if !strings.EqualFold(c.Key, "sts:ExternalId") || policy.SplitOperator(c.Operator).Negated() {
			continue
		}
		for _, v := range c.Values {
			if why := externalIDWeakness(v.Value); why != "" {
				r.add(v.Pos, rule.Finding{
					Code:    rule.WeakExternalID,
					Summary: fmt.Sprintf("the external id %q %s", v.Value, why),
					Hint:    "let the third party generate a random value for each customer, such as a UUID",
				})
			}
		}
	}
}

func externalIDWeakness(value string) string {
	common := []string{"external-id", "externalid", "external_id", "changeme", "password", "example", "12345678", "my-external-id"}
	switch {
	case tree.Unresolved(value):
	case strings.ContainsAny(value, "*?"):
		return "has a wildcard"
	case arn.AccountID(value).Valid():
		return "is an account id, which anybody may know"
	case len(value) < 8:
		return "is short enough to guess"
	case slices.Contains(common, strings.ToLower(value)):
		return "is the first one anybody would try"
	}
	return ""
}

// trustSize is T23.
func (r *report) trustSize(doc *policy.Document) {
	size := doc.Size()
	if size <= catalog.TrustPolicySize || r.partial {
		return
	}
	d := rule.Finding{
		Code:    rule.TrustSize,
		Summary: fmt.Sprintf("the trust policy has %d characters, the default quota is %d", size, catalog.TrustPolicySize),
		Detail:  fmt.Sprintf("The quota can be raised to %d.", catalog.TrustPolicySizeMax),
		Hint:    "put all principals with the same conditions into one statement, or name accounts and list the roles under ArnLike aws:PrincipalArn, or use aws:PrincipalOrgPaths",
	}
	if size > catalog.TrustPolicySizeMax {
		d.Severity = rule.High
		d.Detail = fmt.Sprintf("No account can have more than %d.", catalog.TrustPolicySizeMax)
	}
	r.add(doc.Pos, d)
}
