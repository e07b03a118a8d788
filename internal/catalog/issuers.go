package catalog

import (
	"slices"
	"strings"
)

// Issuer is an OIDC issuer that AWS accounts trust.
type Issuer struct {
	// Host is the issuer's URL without https://, as condition keys begin; in
	// capitals what differs from customer to customer.
	Host string
	Name string // "GitHub Actions"
	// Shared issuers issue tokens to many organizations under one URL, so that
	// trust must be pinned by a claim. The issuer of one EKS cluster, or of one
	// CircleCI organization, is private: it says whose tokens they are.
	Shared bool
	// Claim tells the organizations of a shared issuer apart, and is what IAM
	// demands of new trust policies; for others it is the claim that names the
	// workload. "" for an issuer whose pin is PinKey and no claim.
	Claim string
	// PinKey is the whole condition key to test: the issuer trusted, ":" and
	// Claim; sts:RoleSessionName for Azure Sentinel.
	PinKey string
	// Audience is the aud its tokens for AWS carry unless one is asked for; ""
	// when it is the customer's own (a client id).
	Audience string
	// Subject is the grammar of sub, what a token fills in being in capitals;
	// the first is the usual one. Nil where we have none.
	Subject []string
	Source  string
}

// IssuerFor finds what is known about an issuer, given its URL with or without
// https:// ("token.actions.githubusercontent.com",
// "oidc.eks.eu-west-1.amazonaws.com/id/AB12"). ok false means nothing: anybody
// can run an issuer.
func IssuerFor(host string) (iss Issuer, ok bool) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/")
	i := slices.IndexFunc(issuers[:], func(i Issuer) bool { return issues(i.Host, host) })
	if i < 0 {
		return Issuer{}, false
	}
	iss = issuers[i]
	iss.Subject = slices.Clone(iss.Subject)
	if iss.PinKey == "" {
		iss.PinKey = host + ":" + iss.Claim
	}
	return iss, true
}

// Issuers lists the issuers of the catalog; Host and PinKey are as in the
// table, in capitals what differs from customer to customer, PinKey only where
// the pin is no claim.
func Issuers() []Issuer { return slices.Clone(issuers[:]) }

// issues reports whether host is the issuer of the table, or a name below it
// that the table leaves open in capitals. Hosts are compared without case,
// paths with it, as OIDC compares issuers; a customer's path below a shared
// host is another issuer.
func issues(row, host string) bool {
	for {
		literal, rest, open := cutCapitals(row)
		if len(host) < len(literal) || !strings.EqualFold(host[:len(literal)], literal) {
			return false
		}
		host = host[len(literal):]
		if !open {
			return host == ""
		}
		end := len(host)
		if rest != "" {
			end = strings.IndexByte(host, rest[0])
		}
		if end <= 0 || strings.ContainsRune(host[:end], '/') {
			return false
		}
		row, host = rest, host[end:]
	}
}

// cutCapitals splits row around its first word in capitals.
func cutCapitals(row string) (literal, rest string, found bool) {
	capital := func(r rune) bool { return 'A' <= r && r <= 'Z' }
	start := strings.IndexFunc(row, capital)
	if start < 0 {
		return row, "", false
	}
	end := strings.IndexFunc(row[start:], func(r rune) bool { return !capital(r) })
	if end < 0 {
		end = len(row) - start
	}
	return row[:start], row[start+end:], true
}

const secureByDefault = "IAM guide id_roles_providers_oidc_secure-by-default, \"Shared OIDC identity providers with identity-provider controls\""

// issuers: the first with Shared are AWS's list of issuers for which IAM itself
// demands the claim when a trust policy is written; then private ones, and those
// built into AWS.
var issuers = [...]Issuer{
	{
		Host: "token.actions.githubusercontent.com", Name: "GitHub Actions", Shared: true, Claim: "sub", Audience: "sts.amazonaws.com",
		Subject: []string{
			"repo:ORGANIZATION/REPOSITORY:ref:refs/heads/BRANCH",
			"repo:ORGANIZATION/REPOSITORY:ref:refs/tags/TAG",
			"repo:ORGANIZATION/REPOSITORY:environment:ENVIRONMENT",
			"repo:ORGANIZATION/REPOSITORY:pull_request",
			// Repositories created, renamed or moved since summer 2026, and
			// those that opted in, add ids that are never used again.
			"repo:ORGANIZATION@ID/REPOSITORY@ID:ref:refs/heads/BRANCH",
			"repo:ORGANIZATION@ID/REPOSITORY@ID:environment:ENVIRONMENT",
			"repo:ORGANIZATION@ID/REPOSITORY@ID:pull_request",
		},
		Source: secureByDefault + "; GitHub docs \"OpenID Connect reference\"; GitHub changelog of 2026-04-23, \"Immutable subject claims\"",
	},
	{Host: "oidc-configuration.audit-log.githubusercontent.com", Name: "GitHub audit log", Shared: true, Claim: "sub", Audience: "sts.amazonaws.com", Subject: []string{"https://github.com/ENTERPRISE"}, Source: secureByDefault},
	{Host: "vstoken.actions.githubusercontent.com", Name: "GitHub vstoken", Shared: true, Claim: "sub", Source: secureByDefault},
	{
		Host: "gitlab.com", Name: "GitLab", Shared: true, Claim: "sub",
		Subject: []string{"project_path:GROUP/PROJECT:ref_type:branch:ref:BRANCH", "project_path:GROUP/PROJECT:ref_type:tag:ref:TAG"},
		Source:  secureByDefault + "; GitLab docs \"Configure OpenID Connect in AWS\"",
	},
	{
		Host: "agent.buildkite.com", Name: "Buildkite", Shared: true, Claim: "sub", Audience: "sts.amazonaws.com",
		Subject: []string{"organization:ORGANIZATION:pipeline:PIPELINE:ref:refs/heads/BRANCH:commit:COMMIT:step:STEP"},
		Source:  secureByDefault + "; Buildkite docs \"OIDC with AWS\"",
	},
	{Host: "oidc.codefresh.io", Name: "Codefresh", Shared: true, Claim: "sub", Subject: []string{"account:ACCOUNT:pipeline:PIPELINE:initiator:INITIATOR"}, Source: secureByDefault},
	{Host: "studio.datachain.ai/api", Name: "DVC Studio", Shared: true, Claim: "sub", Subject: []string{"credentials:TEAM/CREDENTIALS"}, Source: secureByDefault},
	{
		Host: "app.terraform.io", Name: "HCP Terraform", Shared: true, Claim: "sub", Audience: "aws.workload.identity",
		Subject: []string{"organization:ORGANIZATION:project:PROJECT:workspace:WORKSPACE:run_phase:PHASE"},
		Source:  secureByDefault + "; HCP Terraform docs \"Dynamic credentials with the AWS provider\"",
	},
	{Host: "scalr.io", Name: "Scalr", Shared: true, Claim: "sub", Subject: []string{"account:ACCOUNT:environment:ENVIRONMENT:workspace:WORKSPACE"}, Source: secureByDefault},
	{Host: "tokens.cloud.shisho.dev", Name: "Shisho Cloud", Shared: true, Claim: "sub", Subject: []string{"job:ORGANIZATION:JOB"}, Source: secureByDefault},
	{Host: "proidc.upbound.io", Name: "Upbound", Shared: true, Claim: "sub", Subject: []string{"mcp:ORGANIZATION/CONTROLPLANE:provider:PROVIDER"}, Source: secureByDefault},
	{Host: "rp.turbonomic.com", Name: "IBM Turbonomic SaaS", Shared: true, Claim: "sub", Source: secureByDefault},
	{Host: "cognito-identity.amazonaws.com", Name: "Amazon Cognito identity pools", Shared: true, Claim: "aud", Source: secureByDefault},
	{Host: "api.pulumi.com/oidc", Name: "Pulumi Cloud", Shared: true, Claim: "aud", Subject: []string{"pulumi:deploy:org:ORGANIZATION:project:PROJECT:stack:STACK:operation:OPERATION:scope:SCOPE"}, Source: secureByDefault},
	{Host: "oidc.vercel.com", Name: "Vercel", Shared: true, Claim: "aud", Subject: []string{"owner:TEAM:project:PROJECT:environment:ENVIRONMENT"}, Source: secureByDefault},
	{Host: "sandboxes.cloud", Name: "sandboxes.cloud", Shared: true, Claim: "aud", Source: secureByDefault},
	{Host: "sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d", Name: "Azure Sentinel", Shared: true, PinKey: "sts:RoleSessionName", Source: secureByDefault},
	{
		Host: "oidc.eks.REGION.amazonaws.com/id/ID", Name: "Amazon EKS", Claim: "sub", Audience: "sts.amazonaws.com",
		Subject: []string{"system:serviceaccount:NAMESPACE:NAME"},
		Source:  "EKS guide associate-service-account-role",
	},
	{
		Host: "token.actions.githubusercontent.com/ENTERPRISE", Name: "GitHub Actions of one enterprise", Claim: "sub", Audience: "sts.amazonaws.com",
		Subject: []string{"repo:ORGANIZATION/REPOSITORY:ref:refs/heads/BRANCH"},
		Source:  "GitHub docs \"Customizing the issuer value for an enterprise\"",
	},
	{
		Host: "token.actions.DOMAIN.ghe.com", Name: "GitHub Actions on GHE.com", Claim: "sub", Audience: "sts.amazonaws.com",
		Subject: []string{"repo:ORGANIZATION/REPOSITORY:ref:refs/heads/BRANCH"},
		Source:  "GitHub docs \"OIDC on GHE.com\"",
	},
	{
		Host: "oidc.circleci.com/org/ORGANIZATION", Name: "CircleCI", Claim: "sub",
		Subject: []string{"org/ORGANIZATION/project/PROJECT/user/USER"},
		Source:  "CircleCI docs \"Using OpenID Connect tokens in jobs\"",
	},
	{
		Host: "api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc", Name: "Bitbucket Pipelines", Claim: "sub",
		Subject: []string{"{REPOSITORYUUID}:{STEPUUID}", "{REPOSITORYUUID}:{ENVIRONMENTUUID}:{STEPUUID}"},
		Source:  "Bitbucket docs \"Deploy on AWS using Bitbucket Pipelines OpenID Connect\"",
	},
	{
		Host: "oidc.vercel.com/TEAM", Name: "Vercel, one team", Claim: "sub",
		Subject: []string{"owner:TEAM:project:PROJECT:environment:ENVIRONMENT"},
		Source:  "Vercel docs \"OpenID Connect federation\", issuer mode team",
	},
	// Built into AWS: no provider in IAM. Their audience is the customer's own
	// application, so that aud (or the application's id) is the pin.
	{Host: "accounts.google.com", Name: "Google", Shared: true, Claim: "aud", Source: "IAM guide reference_policies_iam-condition-keys, \"Available keys for AWS OIDC federation\""},
	{Host: "graph.facebook.com", Name: "Facebook", Shared: true, Claim: "app_id", Source: "IAM guide reference_policies_iam-condition-keys, as Google's"},
	{Host: "www.amazon.com", Name: "Login with Amazon", Shared: true, Claim: "app_id", Source: "IAM guide reference_policies_iam-condition-keys, as Google's"},
}
