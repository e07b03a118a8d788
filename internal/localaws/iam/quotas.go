package iam

import (
	"github.com/stile-aws/stile/internal/localaws/service"
)

// quota is a limit of an account: its default, and under which name
// GetAccountSummary tells it ("" when it does not).
type quota struct {
	summary string
	value   int
}

// The quotas of an account (IAM user guide, "IAM and AWS STS quotas", and
// Service Quotas' defaults in autumn 2026). Accounts can have others: see
// store.IAM.Quotas. Nothing writes to these.
var (
	quotaRoles             = quota{"RolesQuota", 1000}
	quotaUsers             = quota{"UsersQuota", 5000}
	quotaGroups            = quota{"GroupsQuota", 300}
	quotaPolicies          = quota{"PoliciesQuota", 1500}
	quotaInstanceProfiles  = quota{"InstanceProfilesQuota", 1000}
	quotaTrustSize         = quota{"AssumeRolePolicySizeQuota", 2048}
	quotaRolePolicySize    = quota{"RolePolicySizeQuota", 10240}
	quotaUserPolicySize    = quota{"UserPolicySizeQuota", 2048}
	quotaGroupPolicySize   = quota{"GroupPolicySizeQuota", 5120}
	quotaPolicySize        = quota{"PolicySizeQuota", 6144}
	quotaAttachedPerRole   = quota{"AttachedPoliciesPerRoleQuota", 10}
	quotaAttachedPerUser   = quota{"AttachedPoliciesPerUserQuota", 10}
	quotaAttachedPerGroup  = quota{"AttachedPoliciesPerGroupQuota", 10}
	quotaGroupsPerUser     = quota{"GroupsPerUserQuota", 10}
	quotaAccessKeysPerUser = quota{"AccessKeysPerUserQuota", 2}
	quotaMFAPerUser        = quota{"", 8}
	quotaVersions          = quota{"VersionsPerPolicyQuota", 5}
	quotaVersionsInUse     = quota{"PolicyVersionsInUseQuota", 10000}
	quotaOIDCProviders     = quota{"", 100}
	quotaSAMLProviders     = quota{"", 100}
	quotaClientIDs         = quota{"", 100}
	quotaThumbprints       = quota{"", 5}
	quotaTags              = quota{"", 50}
)

// of is the quota in the call's account.
func (q quota) of(c *service.Call) int {
	if own, ok := c.Own().IAM.Quotas[q.summary]; ok && q.summary != "" {
		return own
	}
	return q.value
}
