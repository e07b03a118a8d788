package rule

import (
	"slices"
	"sync"
)

// Codes of findings. A code never changes its meaning. What policy.Parse and
// policy.Validate find has the codes "policy/…" that diag.FromPolicy gives it;
// what package access finds in declarations has "access/…".
const (
	// Trust policies.
	NoSubject        = "trust/no-subject"
	SharedIssuer     = "trust/shared-issuer"
	NoAudience       = "trust/no-audience"
	VacuousClaim     = "trust/vacuous-claim"
	ClaimMissing     = "trust/claim-missing"
	UnknownClaim     = "trust/unknown-claim"
	OtherIssuer      = "trust/other-issuer"
	WideSubject      = "trust/wide-subject"
	SubjectShape     = "trust/malformed-subject"
	MutableSubject   = "trust/mutable-subject"
	WrongAction      = "trust/wrong-action"
	WholeAccount     = "trust/whole-account"
	NoExternalID     = "trust/no-external-id"
	WeakExternalID   = "trust/weak-external-id"
	DeadTrust        = "trust/dead"
	ConfusedDeputy   = "trust/confused-deputy"
	PodIdentity      = "trust/pod-identity-tags"
	PodCluster       = "trust/pod-identity-cluster"
	PodOpen          = "trust/pod-identity-open"
	UnknownCluster   = "trust/unknown-cluster"
	ChainedSession   = "trust/chained-session"
	SessionAction    = "trust/session-action"
	TagsRefused      = "trust/tags-refused"
	TrustSize        = "trust/size"
	DeputyInput      = "trust/deputy-input"
	SAMLAudience     = "trust/saml-no-audience"
	RolesAnywhere    = "trust/roles-anywhere"
	CognitoGuest     = "trust/cognito-unauthenticated"
	PrivilegedRole   = "trust/privileged-role"
	NodeRole         = "trust/node-role"
	UnusedRole       = "trust/unused"
	UnsettableTag    = "tags/unsettable"
	AnyonesTag       = "tags/anyone"
	TransitiveTag    = "tags/not-transitive"
	DeadGrant        = "identity/dead-grant"
	ReadOnlyDeployer = "identity/read-only-deployer"
	AssumeAnywhere   = "identity/assume-any-account"

	// Principals of any policy.
	Everyone       = "principal/everyone"
	Deleted        = "principal/deleted"
	AllowExcept    = "principal/allow-except"
	DenyExcept     = "principal/deny-except"
	OtherPartition = "principal/other-partition"

	// Resources and what is shared of them.
	Unmanageable    = "key/unmanageable"
	ManagedKey      = "secret/managed-key"
	KeyMismatch     = "secret/key-mismatch"
	ShortSecret     = "secret/short-name"
	PartialSecret   = "secret/partial-arn"
	DeadShare       = "share/dead"
	NotCrossAccount = "share/not-cross-account"
	Escalation      = "share/escalation"
	BlockedShare    = "endpoint/blocks-share"

	// Actions, conditions and variables.
	UnknownService = "action/unknown-service"
	UnknownAction  = "action/unknown"
	WrongResource  = "action/wrong-resource"
	NeedsStar      = "action/needs-star"
	UnknownKey     = "condition/unknown-key"
	UnsupportedKey = "condition/unsupported-key"
	KeyType        = "condition/key-type"
	ExactWildcard  = "condition/wildcard-in-exact"
	DenySkipped    = "condition/deny-skipped"
	AllowAbsent    = "condition/allow-absent"
	NoEndpointCase = "condition/no-endpoint-exception"
	OldVariable    = "variable/old-version"
	BadVariable    = "variable/unusable"
	NoDefault      = "variable/no-default"
	OpenVariable   = "variable/unclosed"
	NoServiceCase  = "perimeter/no-service-exception"
	OutsideRCP     = "perimeter/service-without-rcp"
	NeverBound     = "perimeter/never-bound"

	// Files.
	UnknownFile     = "file/unknown"
	Unreadable      = "file/unreadable"
	NotKnown        = "file/not-known"
	ProfileHeading  = "credentials/profile-heading"
	ForeignSection  = "credentials/section"
	NoPrefix        = "config/no-profile-prefix"
	TokenFile       = "config/token-file"
	RoleSource      = "config/role-source"
	UnknownProfile  = "config/unknown-profile"
	ProfileCycle    = "config/profile-cycle"
	ConfigRole      = "config/role-arn"
	ChainedDuration = "config/chained-duration"
	UnknownSetting  = "config/unknown-setting"
	Repeated        = "config/repeated"
	ConfigSyntax    = "config/syntax"
	Masters         = "awsauth/system-masters"
	MapARN          = "awsauth/arn"
	MapPath         = "awsauth/role-path"
	MapStructure    = "awsauth/structure"

	// Suppressions and baselines.
	Reasonless         = "suppression/no-reason"
	UnusedSuppression  = "suppression/unused"
	ExpiredSuppression = "suppression/expired"
	BadSuppression     = "suppression/malformed"
)

// Rule is one entry of the registry.
type Rule struct {
	Code string
	// Number is that of the project's list of rules, "T01" to "T26" and "R01"
	// to "R14"; "" for what is not in the list.
	Number   string
	Severity Severity
	Title    string // one line, what is the matter
	// Scope says what the rule must be given.
	Scope Scope
}

// Scope is what a rule must be given to find anything.
type Scope uint8

// The scopes.
const (
	Document  Scope = iota // a document or file by itself
	Inventory              // an inventory: both sides of a crossing, or the organization
	Raised                 // another rule's finding, which it makes worse
	Reader                 // a person: the rule is documented and not checked
	Run                    // the run of lint itself: suppressions
)

// All lists every rule by code within its area, areas in the order of the list
// of codes.
func All() []Rule {
	return slices.Concat(trustRules(), identityRules(), principalRules(), resourceRules(), languageRules(), fileRules(), policyRules(), runRules())
}

func trustRules() []Rule {
	return []Rule{
		{NoSubject, "T19", High, "web identity trust that any subject of the issuer passes", Document},
		{SharedIssuer, "T01", Critical, "an issuer shared by many organizations, trusted without the claim that tells them apart", Document},
		{NoAudience, "T02", High, "web identity trust without a condition on the audience", Document},
		{VacuousClaim, "T03", Critical, "a claim tested only where its absence passes", Document},
		{ClaimMissing, "T05", Critical, "a condition key that names the issuer and no claim", Document},
		{UnknownClaim, "T05", Critical, "a condition key for a claim that does not exist", Document},
		{OtherIssuer, "T05", Critical, "a condition key of another issuer than the principal's", Document},
		{WideSubject, "T06", High, "a subject pattern that strangers can match", Document},
		{SubjectShape, "T06", High, "a subject that no token of the issuer has", Document},
		{MutableSubject, "T08", Medium, "a GitHub subject that mixes or widens the two forms GitHub issues", Document},
		{WrongAction, "", High, "an action that this type of principal cannot call", Document},
		{WholeAccount, "T09", High, "all of another account trusted, without condition", Document},
		{NoExternalID, "T10", High, "a third party trusted without external id", Document},
		{WeakExternalID, "T10", High, "an external id that can be guessed", Document},
		{DeadTrust, "T14", Medium, "a trusted principal that does not exist, or cannot assume the role", Inventory},
		{ConfusedDeputy, "T16", Medium, "a service trusted on behalf of any account", Document},
		{PodIdentity, "T17", High, "EKS Pod Identity trusted without sts:TagSession", Document},
		{PodCluster, "T18", High, "namespace or service account checked and the cluster not", Document},
		{PodOpen, "T18", Medium, "a Pod Identity role that any of several clusters may use", Inventory},
		{UnknownCluster, "T19", High, "trust in an EKS issuer that no collected cluster has", Inventory},
		{ChainedSession, "T21", Medium, "a maximum session duration that a chained session cannot reach", Inventory},
		{SessionAction, "T22", Medium, "a condition on session tags or source identity whose action is not allowed", Document},
		{TagsRefused, "T22", Medium, "a caller that passes session tags to a role that does not take them", Inventory},
		{TrustSize, "T23", Medium, "a trust policy above the quota", Document},
		{DeputyInput, "T24", Medium, "role or external id taken from what a user sends", Reader},
		{SAMLAudience, "T25", High, "SAML trust without SAML:aud", Document},
		{RolesAnywhere, "T25", High, "IAM Roles Anywhere trusted without trust anchor or certificate attribute", Document},
		{CognitoGuest, "T25", High, "a Cognito identity pool trusted for guests too", Document},
		{PrivilegedRole, "T26", Critical, "an administrator's role behind a weak trust policy", Raised},
		{NodeRole, "", High, "a node's role trusted, and so every pod on the node", Document},
		{UnusedRole, "R14", Low, "a role that trusts others and was not used for long", Inventory},
	}
}

func identityRules() []Rule {
	return []Rule{
		{UnsettableTag, "T20", High, "a permission that depends on a session tag nobody can set", Inventory},
		{AnyonesTag, "T20", High, "a permission that depends on a session tag every caller may choose", Inventory},
		{TransitiveTag, "T20", High, "a permission at the end of a chain that depends on a tag the chain loses", Inventory},
		{DeadGrant, "T15", Medium, "permission to assume a role that does not exist or does not trust the caller", Inventory},
		{ReadOnlyDeployer, "", Medium, "a deployment role that can only describe, list and get", Document},
		{AssumeAnywhere, "", Medium, "sts:AssumeRole on roles of any account", Document},
	}
}

func principalRules() []Rule {
	return []Rule{
		{Everyone, "T11", Critical, "the wildcard principal without a condition on who calls", Document},
		{Deleted, "T13", High, "the unique id of a deleted user or role", Document},
		{AllowExcept, "R08", High, "Allow with NotPrincipal", Document},
		{DenyExcept, "R08", High, "Deny with NotPrincipal", Document},
		{OtherPartition, "R06", Medium, "a principal of another partition", Document},
	}
}

func resourceRules() []Rule {
	return []Rule{
		{Unmanageable, "R05", High, "a key policy that no administrator of the account can change", Document},
		{ManagedKey, "R01", High, "a secret shared with another account under the AWS managed key", Document},
		{KeyMismatch, "R02", High, "a secret shared with somebody whom its key does not serve", Inventory},
		{ShortSecret, "", Medium, "a secret of another account asked for by its name", Document},
		{PartialSecret, "", Medium, "a secret's ARN without the six characters AWS appends", Document},
		{DeadShare, "R03", Medium, "a resource shared with somebody whom another policy stops", Inventory},
		{NotCrossAccount, "R04", Medium, "an operation granted to another account that works only in the own", Document},
		{Escalation, "R07", High, "another account may change who has access", Document},
		{BlockedShare, "R13", Medium, "a VPC endpoint policy that stops a share", Inventory},
	}
}

func languageRules() []Rule {
	return []Rule{
		{UnknownService, "", Medium, "an action of a service that does not exist", Document},
		{UnknownAction, "", Medium, "an action that does not exist", Document},
		{WrongResource, "", Medium, "an action on resources it does not apply to", Document},
		{NeedsStar, "", Medium, "an action without resource-level permission, on a resource", Document},
		{UnknownKey, "", Medium, "a condition key that does not exist", Document},
		{UnsupportedKey, "", Medium, "a condition key that the action does not have", Document},
		{KeyType, "", Medium, "a condition operator that does not fit the type of its key", Document},
		{ExactWildcard, "T07", Medium, "* or ? in an operator that knows no wildcards", Document},
		{DenySkipped, "R10", Medium, "a Deny that is not applied when its key is absent", Document},
		{AllowAbsent, "R10", Medium, "an Allow that also holds when its key is absent", Document},
		{NoEndpointCase, "R12", Medium, "a Deny by IP address that also hits VPC endpoints and services", Document},
		{OldVariable, "R09", Medium, "a policy variable in a document where it is literal text", Document},
		{BadVariable, "R09", Medium, "a policy variable where none is substituted", Document},
		{NoDefault, "R09", Medium, "a variable whose absence widens the statement", Document},
		{OpenVariable, "R09", Medium, "${ without }", Document},
		{NoServiceCase, "R11", High, "a data perimeter that also hits AWS services", Document},
		{OutsideRCP, "R11", High, "a resource control policy for a service without support for them", Document},
		{NeverBound, "R11", High, "a service control policy for principals that none affects", Document},
	}
}

func fileRules() []Rule {
	return []Rule{
		{UnknownFile, "", Info, "a file of no kind stile checks", Document},
		{Unreadable, "", High, "a file that cannot be read, or is not the YAML it seems to be", Document},
		{NotKnown, "", Info, "a document that is known only once something else is there", Document},
		{ProfileHeading, "", High, "[profile x] in a credentials file", Document},
		{ForeignSection, "", High, "a section in a credentials file that only config files have", Document},
		{NoPrefix, "", High, "[x] in a config file", Document},
		{TokenFile, "", High, "a token file path that cannot be right", Document},
		{RoleSource, "", High, "role_arn without, or with two, sources of credentials", Document},
		{UnknownProfile, "", High, "source_profile names no profile", Document},
		{ProfileCycle, "", High, "source_profile leads back to itself", Document},
		{ConfigRole, "", High, "role_arn that is no role's ARN", Document},
		{ChainedDuration, "T21", Medium, "more than an hour asked for along a chain of roles", Document},
		{UnknownSetting, "", Medium, "a setting that is almost a known one", Document},
		{Repeated, "", Medium, "a section or setting written twice", Document},
		{ConfigSyntax, "", High, "a line that is neither section nor setting", Document},
		{Masters, "", Medium, "an IAM identity in the group system:masters", Document},
		{MapARN, "", High, "an entry of aws-auth whose ARN never matches a caller", Document},
		{MapPath, "", High, "a role ARN with a path in aws-auth", Document},
		{MapStructure, "", High, "an aws-auth map of another shape than the authenticator reads", Document},
	}
}

func policyRules() []Rule {
	return []Rule{
		{"policy/json", "", High, "a text that is not JSON", Document},
		{"policy/type", "", High, "a value of the wrong JSON type", Document},
		{"policy/duplicate", "", High, "the same name twice in one object", Document},
		{"policy/unknown-element", "", High, "an element IAM does not know", Document},
		{"policy/exclusive", "", High, "an element together with its Not… twin", Document},
		{"policy/missing-element", "", High, "Statement, Effect or Action missing or empty", Document},
		{"policy/effect", "", High, "an Effect that is neither Allow nor Deny", Document},
		{"policy/version", "", High, "a Version that does not exist or is too old", Document},
		{"policy/principal-syntax", "", High, "a Principal that is neither \"*\" nor a map of known types", Document},
		{"policy/unknown-operator", "T04", Critical, "a condition operator that does not exist", Document},
		{"policy/prohibited", "", High, "an element this kind of policy may not have", Document},
		{"policy/sid", "", High, "a Sid with other characters than letters and digits, or used twice", Document},
		{"policy/principal", "T12", High, "a principal of a form that no principal has", Document},
		{"policy/action", "", High, "an action that is not service:Name", Document},
		{"policy/resource", "", High, "a resource that is neither an ARN nor \"*\"", Document},
		{"policy/date", "", High, "a value of a Date operator that is no date", Document},
		{"policy/condition", "T01", Critical, "a condition that the statement must have is missing", Document},
	}
}

func runRules() []Rule {
	return []Rule{
		{Reasonless, "", Medium, "a suppression without a reason", Run},
		{UnusedSuppression, "", Low, "a suppression of nothing", Run},
		{ExpiredSuppression, "", Medium, "a suppression whose time is over", Run},
		{BadSuppression, "", Medium, "a suppression that cannot be read", Run},
	}
}

// Of finds a rule by its code.
func Of(code string) (Rule, bool) {
	r, ok := index()[code]
	return r, ok
}

// index is made on first use; nobody pays for it at start.
var index = sync.OnceValue(func() map[string]Rule {
	m := map[string]Rule{}
	for _, r := range All() {
		m[r.Code] = r
	}
	return m
})

// Page is the path of a rule's page in the repository.
func (r Rule) Page() string { return "docs/lint/" + r.Code + ".md" }

// URL is the address of a rule's page.
func (r Rule) URL() string { return "https://github.com/stile-aws/stile/blob/main/" + r.Page() }
