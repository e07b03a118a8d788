package gate

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stile-aws/stile/internal/catalog"
)

// Some policies of AWS's are lists of thousands of actions that AWS changes from week
// to week. They are derived here from the access levels of the Service
// Authorization Reference, by the rules that AWS's own documents of
// autumn 2026 follow: so the local AWS and AWS agree on every service's ordinary
// reading and writing, and may differ on a single action. Their versions are made
// up: AWS counts on from week to week.

// derivation is how a policy follows from the catalog.
type derivation struct {
	name, path, description string
	created                 time.Time
	includes                func(a *catalog.Action, service, name string) bool
}

func derivations() []derivation {
	return []derivation{{
		name: "ReadOnlyAccess", path: "/", created: time.Date(2015, 2, 6, 18, 39, 48, 0, time.UTC),
		description: "Provides read-only access to AWS services and resources.", includes: readOnly,
	}, {
		name: "ViewOnlyAccess", path: "/job-function/", created: time.Date(2016, 11, 10, 17, 20, 0, 0, time.UTC),
		description: "This policy grants permissions to view resources and basic metadata across all AWS services.", includes: viewOnly,
	}, {
		name: "SecurityAudit", path: "/", created: time.Date(2015, 2, 6, 18, 41, 1, 0, time.UTC),
		description: "The security audit template grants access to read security configuration metadata. It is useful for software that audits the configuration of an AWS account.", includes: securityAudit,
	}}
}

func (d *derivation) policy() *ManagedPolicy {
	p := &ManagedPolicy{Name: d.name, Path: d.path, Version: "v1", Created: d.created, Description: d.description}
	p.derive = sync.OnceValue(d.document)
	return p
}

// readingVerbs begin the names of what reads and changes nothing, as AWS counts
// in ReadOnlyAccess: not all that has the level Read is there (bedrock:InvokeModel
// and eks:AccessKubernetesApi are not).
func readingVerbs() []string {
	return []string{
		"AdminGet", "AdminList", "BatchCheck", "BatchDescribe", "BatchGet", "Check", "Count", "Describe", "Discover", "ESHttpGet", "ESHttpHead",
		"Estimate", "Filter", "GET", "Get", "Git", "List", "Lookup", "PartiQLSelect", "Preview", "Query", "Read", "Receive", "Resolve", "Retrieve",
		"Scan", "Search", "Select", "Simulate", "Validate", "View",
	}
}

// handsOut are the reading actions that ReadOnlyAccess leaves out, mostly since
// what they read opens more: secrets, tokens, credentials.
func handsOut() map[string][]string {
	return map[string][]string{
		"*":                    {"Get*Credentials", "Get*Credential", "Get*Token", "Get*SecretValue", "BatchGet*SecretValue", "Get*Password", "Get*StreamKey", "BatchGet*StreamKey"},
		"bedrock":              {"Retrieve*"},
		"bedrock-agentcore":    {"GetResourceApiKey", "GetWorkloadAccessToken*"},
		"codeconnections":      {"GetIndividualAccessToken", "GetInstallationUrl"},
		"codestar-connections": {"GetIndividualAccessToken", "GetInstallationUrl"},
		"datazone":             {"GetIamPortalLoginUrl"},
		"dynamodb":             {"ReadDataForReplication"},
		"glue":                 {"GetConnection", "GetConnections"},
		"kendra":               {"Retrieve"},
		"redshift":             {"Get*"},
		"secretsmanager":       {"Get*"},
		"sts":                  {"Get*"},
	}
}

// kept are exceptions from handsOut: AWS lists them.
func kept() []string {
	return []string{
		"codeartifact:GetAuthorizationToken", "cognito-identity:GetOpenIdToken", "connect:GetFederationToken", "ecr-public:GetAuthorizationToken",
		"ecr:GetAuthorizationToken", "redshift:GetReservedNodeExchangeOfferings", "secretsmanager:GetResourcePolicy", "sts:GetAccessKeyInfo",
		"sts:GetCallerIdentity", "sts:GetSessionToken",
	}
}

// besides are the actions of ReadOnlyAccess whose level or name is not a reader's.
func besides() []string {
	return []string{
		"apigateway:GET", "cloudformation:DetectStackDrift", "cloudformation:DetectStackResourceDrift", "cloudformation:DetectStackSetDrift",
		"cognito-identity:GetCredentialsForIdentity", "cognito-identity:GetOpenIdTokenForDeveloperIdentity", "config:DeliverConfigSnapshot",
		"iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails", "logs:StartQuery", "logs:StopQuery", "logs:TestMetricFilter",
		"rds:DownloadCompleteDBLogFile", "rds:DownloadDBLogFilePortion",
	}
}

func readOnly(a *catalog.Action, service, name string) bool {
	switch {
	case slices.Contains(kept(), a.Name), slices.Contains(besides(), a.Name):
		return true
	case a.Level != catalog.Read && a.Level != catalog.List, !hasVerb(name, readingVerbs()):
		return false
	}
	leftOut := handsOut()
	return !matchesAny(name, leftOut["*"]) && !matchesAny(name, leftOut[service])
}

// viewOnly is what there is and how it is set up, not what is in it.
func viewOnly(a *catalog.Action, service, name string) bool {
	return readOnly(a, service, name) && (a.Level == catalog.List || hasVerb(name, []string{"Describe", "List"}))
}

// audited are services all of whose readable settings are a matter of security.
func audited() []string {
	return []string{"access-analyzer", "acm", "guardduty", "iam", "kms", "route53", "securityhub", "shield", "waf", "wafv2"}
}

// securitySettings are parts of the names of what a review of security asks for.
func securitySettings() []string {
	return []string{
		"*Acl*", "*Configuration*", "*Encryption*", "*EventSelectors", "*Logging*", "*Polic*", "*PublicAccess*", "*Settings", "*Status*", "*Tagging", "*Trail*", "*Versioning",
	}
}

func securityAudit(a *catalog.Action, service, name string) bool {
	switch {
	case !readOnly(a, service, name), service == "appconfig" || service == "appconfigdata": // whose configurations are an application's data
		return false
	case hasVerb(name, []string{"Describe", "List"}), slices.Contains(audited(), service):
		return true
	}
	return hasVerb(name, []string{"Get", "BatchGet"}) && matchesAny(name, securitySettings())
}

// hasVerb reports whether a name is one of the verbs, or goes on with another word.
func hasVerb(name string, verbs []string) bool {
	return slices.ContainsFunc(verbs, func(verb string) bool {
		if len(name) < len(verb) || !strings.EqualFold(name[:len(verb)], verb) { // describeNotificationRule is one
			return false
		}
		rest := name[len(verb):]
		return rest == "" || rest[0] < 'a' || rest[0] > 'z'
	})
}

func matchesAny(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, err := path.Match(pattern, name)
		return err == nil && matched
	})
}

// document writes the policy, with "service:Verb*" where that says no more than the
// actions one by one.
func (d *derivation) document() string {
	var actions []string
	for _, service := range catalog.Services() {
		actions = append(actions, d.ofService(service)...)
	}
	text, err := json.MarshalIndent(map[string]any{
		"Version":   "2012-10-17",
		"Statement": []map[string]any{{"Sid": "Derived", "Effect": "Allow", "Action": actions, "Resource": "*"}},
	}, "", "  ")
	if err != nil {
		panic("gate: writing a derived policy: " + err.Error()) // strings only
	}
	return string(text)
}

func (d *derivation) ofService(service string) []string {
	var in, out []string
	for _, a := range catalog.ActionsOf(service) {
		name := a.Name[len(service)+1:]
		if d.includes(&a, service, name) {
			in = append(in, name)
		} else {
			out = append(out, name)
		}
	}
	var actions []string
	for _, verb := range []string{"BatchGet", "Describe", "Get", "List", "Search", "View"} {
		begins := func(name string) bool { return strings.HasPrefix(strings.ToLower(name), strings.ToLower(verb)) }
		if !slices.ContainsFunc(in, begins) || slices.ContainsFunc(out, begins) {
			continue
		}
		in = slices.DeleteFunc(in, begins)
		actions = append(actions, service+":"+verb+"*")
	}
	for _, name := range in {
		actions = append(actions, service+":"+name)
	}
	slices.Sort(actions)
	return actions
}
