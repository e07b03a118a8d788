package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
)

func (v *validator) principals(st *Statement) {
	if v.kind.identityLike() {
		return // prohibited altogether, reported once
	}
	for _, p := range []*Principals{st.Principal, st.NotPrincipal} {
		if p == nil {
			continue
		}
		for _, e := range p.Entries {
			v.principal(st, e)
		}
		if !p.Everyone && len(p.Entries) == 0 {
			v.failf(st.Pos, CodePrincipal, trustEmpty, "the Principal names nobody")
		}
	}
}

func (v *validator) principal(st *Statement, e PrincipalEntry) {
	value := e.Value.Value
	refused := fmt.Sprintf(`Invalid principal in policy: "%s":"%s"`, strings.ToUpper(e.Type), value)
	switch e.Type {
	case "AWS":
		if problem, hint := awsPrincipalProblem(value); problem != "" {
			v.failf(e.Value.Pos, CodePrincipal, refused, "principal %q %s", value, problem).Hint = hint
		}
	case "Federated":
		v.federated(st, e)
	case "Service":
		if !isServicePrincipal(value) {
			v.failf(e.Value.Pos, CodePrincipal, refused, "%q is no service principal", value).Hint = `service principals look like "ec2.amazonaws.com"`
		}
	case "CanonicalUser":
		if v.kind == Trust || v.kind == Key {
			v.failf(e.Value.Pos, CodePrincipal, refused, "a %v may not name canonical users", v.kind).Hint = "canonical user ids are for S3 bucket policies"
		}
	}
}

// awsPrincipalProblem says what is wrong with the form of a principal of type
// AWS, and what to write; two empty strings when nothing is.
func awsPrincipalProblem(value string) (problem, hint string) {
	if value == "*" || IsUniqueID(value) {
		return "", ""
	}
	if _, err := arn.ParseAccountID(value); err == nil {
		return "", ""
	}
	a, err := arn.Parse(value)
	if err != nil {
		if isServicePrincipal(value) {
			return "is a service, not an AWS principal", fmt.Sprintf(`write {"Service": %q}`, value)
		}
		if strings.Trim(value, "0123456789") == "" {
			return fmt.Sprintf("has %d digits", len(value)), "an account id has exactly 12 digits; quote it, or JSON drops leading zeros"
		}
		return "is neither an ARN nor an account id", ""
	}
	if strings.ContainsAny(value, "*?") {
		return "has a wildcard, which principals cannot have", `name the account, and narrow it by a condition: "ArnLike": {"aws:PrincipalArn": …}`
	}
	if !IsPartition(a.Partition) {
		return fmt.Sprintf("has the unknown partition %q", a.Partition), ""
	}
	if isOriginAccessIdentity(a) {
		return "", ""
	}
	if a.Account == "" || a.Region != "" {
		return "has no account id of 12 digits, or a region", ""
	}
	return entityProblem(a)
}

// isOriginAccessIdentity knows the users of no account that stand for CloudFront
// distributions in bucket policies (CloudFront guide, "Restrict access to an
// Amazon S3 origin", origin access identity).
func isOriginAccessIdentity(a arn.ARN) bool {
	return a.Service == "iam" && a.Owner == "cloudfront" && strings.HasPrefix(a.Resource, "user/CloudFront Origin Access Identity ")
}

// entityProblem checks the resource part of a principal's ARN.
func entityProblem(a arn.ARN) (problem, hint string) {
	switch {
	case a.Service == "iam" && a.Resource == "root":
	case a.Service == "iam" && (a.Type() == "user" || a.Type() == "role") && a.Name() != "":
	case a.Service == "sts" && (a.Type() == "assumed-role" || a.Type() == "federated-user") && a.Name() != "":
		if _, _, ok := a.RoleSession(); a.Type() == "assumed-role" && !ok {
			return "names no session", "a session's ARN is arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION; for any session name the role"
		}
	case a.Service == "iam" && a.Type() == "group":
		return "is a group, which cannot be a principal", "name the users, or a role they assume"
	case a.Service == "iam" && a.Type() == "oidc-provider", a.Service == "iam" && a.Type() == "saml-provider":
		return "is an identity provider, not an AWS principal", fmt.Sprintf(`write {"Federated": %q}`, a)
	default:
		return "is no account, user, role or session", ""
	}
	return "", ""
}

func (v *validator) federated(st *Statement, e PrincipalEntry) {
	value := e.Value.Value
	if value == "*" && v.kind == Endpoint {
		return // callers with a token or an assertion (STS endpoint policies)
	}
	a, err := arn.Parse(value)
	isProvider := err == nil && a.Service == "iam" && a.Account != "" && IsPartition(a.Partition) &&
		(a.Type() == "oidc-provider" || a.Type() == "saml-provider") && a.Name() != "" && !strings.ContainsAny(value, "*?") && !strings.Contains(a.Name(), "://")
	if before, host, schemed := strings.Cut(value, "https://"); schemed && err == nil && a.Type() == "oidc-provider" {
		v.failf(e.Value.Pos, CodePrincipal, trustFederated, "%q has the issuer's scheme, which the ARNs of providers leave out", value).Hint =
			fmt.Sprintf("write %q", before+host)
	} else if !isProvider && !slices.Contains(builtInProviders(), value) {
		v.failf(e.Value.Pos, CodePrincipal, trustFederated, "%q is no identity provider", value).Hint =
			"name the provider's ARN, arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH"
	}
	if v.kind == Trust && value == "cognito-identity.amazonaws.com" && st.Effect == Allow && len(st.Conditions) == 0 {
		v.failf(e.Value.Pos, CodeCondition, trustCognito, "trust in Cognito needs a condition").Hint =
			"name the identity pool: \"StringEquals\": {\"cognito-identity.amazonaws.com:aud\": …}"
	}
}

// builtInProviders are the identity providers an account need not register.
func builtInProviders() []string {
	return []string{"cognito-identity.amazonaws.com", "www.amazon.com", "graph.facebook.com", "accounts.google.com"}
}

// isServicePrincipal reports whether s has the form of a service principal:
// service.suffix or service.region.suffix, where all suffixes but those of
// AWS's internal names begin with "amazon".
func isServicePrincipal(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return notAlphanumeric(r) && r != '-' && r != '.' && r != '_' }) {
		return false
	}
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".amazon.com", ".amazonaws.eu", ".aws.internal", ".c2s.ic.gov", ".sc2s.sgov.gov", ".aws"} {
		if name, ok := strings.CutSuffix(s, suffix); ok && name != "" && !strings.HasPrefix(name, ".") {
			return true
		}
	}
	return false
}

// IsUniqueID reports whether s has the form of the unique id that AWS shows in
// place of a user's or role's ARN once that is deleted ("AROA…", "AIDA…").
func IsUniqueID(s string) bool {
	if len(s) < 16 || len(s) > 128 || strings.ContainsFunc(s, notUniqueIDRune) {
		return false
	}
	return slices.Contains([]string{"AROA", "AIDA"}, s[:4])
}

func notUniqueIDRune(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }

// IsPartition reports whether AWS has a partition of that name.
func IsPartition(s string) bool {
	return slices.Contains([]string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}, s)
}

func (v *validator) resources(st *Statement) {
	if !v.kind.iam() && v.kind != SCP || v.kind == Trust {
		return // each service has rules of its own, or there are no resources
	}
	for _, list := range [][]Text{st.Resources, st.NotResources} {
		for _, r := range list {
			if msg, aws := resourceProblem(r.Value); msg != "" {
				v.failf(r.Pos, CodeResource, aws, "resource %q %s", r.Value, msg)
			}
		}
	}
}

// resourceProblem says what IAM finds wrong with a resource, and its words for
// it; two empty strings when nothing is.
func resourceProblem(value string) (problem, aws string) {
	if value == "*" {
		return "", ""
	}
	parts := strings.SplitN(value, ":", 6)
	if len(parts) < 2 {
		return `is neither an ARN nor "*"`, fmt.Sprintf(`Resource %s must be in ARN format or "*".`, value)
	}
	if !IsPartition(parts[1]) && !strings.ContainsAny(parts[1], "*?") {
		shown := append([]string{"arn"}, parts[1:]...)
		for len(shown) < 6 {
			shown = append(shown, "*")
		}
		return fmt.Sprintf("has the unknown partition %q", parts[1]),
			fmt.Sprintf(`Partition "%s" is not valid for resource "%s".`, parts[1], strings.Join(shown, ":"))
	}
	if len(parts) == 2 || strings.ContainsAny(parts[2], "*?") && len(parts) == 6 {
		return "names no service, or one with a wildcard", awsVendorRegexp
	}
	if parts[2] == "" || len(parts) < 6 && strings.Contains(value, "::") {
		return "has fewer than the six parts of an ARN", awsLegacy
	}
	if len(parts) < 6 {
		return "", "" // IAM reads missing parts as wildcards
	}
	return partsProblem(value, parts)
}

// iamResourceTypes are what IAM's resources begin with.
func iamResourceTypes() []string {
	return []string{
		"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/",
		"policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/",
	}
}

// partsProblem checks the parts of a complete ARN that IAM has rules for.
func partsProblem(value string, parts []string) (problem, aws string) {
	service, region, account, resource := parts[2], parts[3], parts[4], parts[5]
	switch {
	case service == "iam" && region != "" && region != "*":
		return "has a region, which IAM's resources do not have", fmt.Sprintf("IAM resource %s cannot contain region information.", value)
	case service == "s3" && region != "" && account == "":
		// Buckets and objects have neither; access points have both.
		return "has a region, which buckets do not have", fmt.Sprintf("Resource %s can not contain region information.", value)
	case service == "iam" && !isIAMResource(resource):
		types := strings.Join(iamResourceTypes(), ", ")
		return "does not begin with a type of IAM resource", fmt.Sprintf(`IAM resource path must either be "*" or start with %s.`, types)
	}
	return "", ""
}

func isIAMResource(resource string) bool {
	literal := resource
	wild := strings.IndexAny(resource, "*?")
	if v := strings.Index(resource, "${"); v >= 0 && (wild < 0 || v < wild) {
		wild = v
	}
	if wild >= 0 {
		literal = resource[:wild]
	}
	if resource == "root" {
		return true
	}
	return slices.ContainsFunc(iamResourceTypes(), func(t string) bool {
		return strings.HasPrefix(literal, t) || wild >= 0 && strings.HasPrefix(t, literal)
	})
}
