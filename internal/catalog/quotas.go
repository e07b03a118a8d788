package catalog

import "slices"

// Sizes and counts AWS allows by default. Sizes of policies count characters
// without whitespace. Where an account's own value can be read
// (iam:GetAccountSummary), that value wins.
// Source: IAM guide reference_iam-quotas, Organizations guide
// orgs_reference_limits and its announcement of 15 May 2026 for SCPs, STS and IAM API references, EKS and
// KMS guides; the adjustable maxima are those of the Service Quotas console.
const (
	TrustPolicySize         = 2048  // role trust policy; adjustable
	TrustPolicySizeMax      = 8192  // as far as it can be raised
	ManagedPolicySize       = 6144  // fixed
	RoleInlineSize          = 10240 // all inline policies of a role together; fixed
	UserInlineSize          = 2048  // all inline policies of a user together; fixed
	GroupInlineSize         = 5120  // all inline policies of a group together; fixed
	ManagedPolicyVersions   = 5     // fixed
	AttachedPerRole         = 10    // adjustable
	AttachedPerRoleMax      = 25
	RolesPerAccount         = 1000 // adjustable
	RolesPerAccountMax      = 10000
	CustomerPolicies        = 1500 // customer managed policies; adjustable
	CustomerPoliciesMax     = 10000
	OIDCProviders           = 100 // adjustable
	OIDCProvidersMax        = 700
	OIDCProviderURLSize     = 255
	OIDCThumbprints         = 5
	SessionPolicySize       = 2048 // inline and managed ones together
	SessionPolicyARNs       = 10
	SessionTags             = 50
	SessionTagKeySize       = 128
	SessionTagValueSize     = 256
	RoleNameSize            = 64
	PathSize                = 512
	RoleSessionNameSize     = 64 // at least 2
	ExternalIDSize          = 1224
	ExternalIDMinSize       = 2
	MinMaxSessionSeconds    = 3600  // smallest MaxSessionDuration of a role
	MaxMaxSessionSeconds    = 43200 // largest
	MinSessionSeconds       = 900   // smallest DurationSeconds of a session
	ChainedSessionSeconds   = 3600  // role chaining ends sessions after one hour
	SCPSize                 = 10240 // since May 2026; 5,120 before
	SCPsPerNode             = 10    // attached to one root, OU or account; since May 2026
	RCPSize                 = 5120
	RCPsPerNode             = 5
	KMSKeyPolicySize        = 32768
	SecretPolicySize        = 20480
	S3BucketPolicySize      = 20480
	DynamoDBPolicySize      = 20480
	ECRPolicySize           = 10240
	VPCEndpointPolicySize   = 20480
	STSRequestsPerSecond    = 600 // per account and Region
	TagsPerIAMResource      = 50
	EKSClusterNameSize      = 100
	KubernetesLabelSize     = 63  // RFC 1123 label: namespaces
	KubernetesSubdomainSize = 253 // RFC 1123 subdomain: service accounts
)

// Quota is a limit an account can ask AWS to raise.
type Quota struct {
	Name    string // as a person would say it
	Code    string // Service Quotas code of service iam; "" where we have none
	Default int
	Max     int // as far as it can be raised
}

// Quotas lists the adjustable limits that a plan checks.
func Quotas() []Quota { return slices.Clone(quotas[:]) }

// quotas: codes and maxima as in IAM guide reference_iam-quotas.
var quotas = [...]Quota{
	{Name: "role trust policy length", Code: "L-C07B4B0D", Default: TrustPolicySize, Max: TrustPolicySizeMax},
	{Name: "managed policies attached to a role", Code: "L-0DA4ABF3", Default: AttachedPerRole, Max: AttachedPerRoleMax},
	{Name: "OIDC identity providers", Code: "L-858F3967", Default: OIDCProviders, Max: OIDCProvidersMax},
	{Name: "roles", Default: RolesPerAccount, Max: RolesPerAccountMax},
	{Name: "customer managed policies", Default: CustomerPolicies, Max: CustomerPoliciesMax},
}
