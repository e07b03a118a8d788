package plan

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/policy"
)

// AWS's defaults, for accounts whose own quotas were not read
// (IAM User Guide, "IAM and AWS STS quotas").
const (
	defaultTrustSize     = 2048
	defaultRolePolicies  = 10240
	defaultUserPolicies  = 2048
	defaultRoles         = 1000
	defaultOIDCProviders = 100
	secretPolicySize     = 20480 // Secrets Manager quotas
	keyPolicySize        = 32768 // KMS resource quotas
)

// budgets records what each quota this plan touches is left at, and fails
// where one would be passed.
func (m *maker) budgets() {
	roles, providers := map[arn.AccountID]int{}, map[arn.AccountID]int{}
	for _, s := range m.steps {
		count := 1
		if s.Verb == Delete {
			count = -1
		}
		if s.Verb == Update {
			continue
		}
		if s.Op.Role != nil {
			roles[s.Account] += count
		}
		if s.Op.Provider != nil {
			providers[s.Account] += count
		}
	}
	for i := range m.in.Wanted.Roles {
		m.roleBudget(&m.in.Wanted.Roles[i])
	}
	for _, c := range m.in.Wanted.Callers {
		m.callerBudget(c)
	}
	for _, id := range sortedKeys(roles) {
		q := m.account(id).Quotas
		m.spend(id, "roles", q.RolesUsed+roles[id], or(q.Roles, defaultRoles), "roles", roles[id] > 0)
	}
	for _, id := range sortedKeys(providers) {
		q := m.account(id).Quotas
		m.spend(id, "OIDC providers", q.OIDCProvidersUsed+providers[id], or(q.OIDCProviders, defaultOIDCProviders), "providers", providers[id] > 0)
	}
}

func or(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}

func (m *maker) roleBudget(r *compile.Role) {
	q := m.account(r.Account).Quotas
	m.spend(r.Account, "trust policy of role "+r.Name, r.Trust.Size(), or(q.TrustPolicySize, defaultTrustSize), "characters", true)
	total := 0
	for _, name := range sortedKeys(r.Inline) {
		total += r.Inline[name].Size()
	}
	m.spend(r.Account, "inline policies of role "+r.Name, total, or(q.RolePolicySize, defaultRolePolicies), "characters", true)
}

func (m *maker) callerBudget(c compile.CallerPolicy) {
	q := m.account(c.Account).Quotas
	limit := or(q.RolePolicySize, defaultRolePolicies)
	if c.Kind == "user" {
		limit = or(q.UserPolicySize, defaultUserPolicies)
	}
	there, _ := m.callerInline(c.Account, c.Kind, c.Name)
	total := c.Document.Size()
	for _, name := range sortedKeys(there) {
		if name != c.PolicyName {
			total += policy.Size(there[name])
		}
	}
	m.spend(c.Account, fmt.Sprintf("inline policies of %s %s", c.Kind, c.Name), total, limit, "characters", true)
}

// resourceBudget checks a resource policy after its statements are merged.
func (m *maker) resourceBudget(s *Step, merged *policy.Document) {
	limit := secretPolicySize
	if s.Op.Merge.Kind == compile.KeyPolicy {
		limit = keyPolicySize
	}
	m.spend(s.Account, fmt.Sprintf("policy of %s %s", s.Op.Merge.Kind, shortARN(s.Op.Merge.Target)), len(merged.JSON()), limit, "bytes", true)
}

func (m *maker) spend(id arn.AccountID, what string, used, limit int, unit string, grows bool) {
	m.used = append(m.used, Budget{Account: id, What: what, Used: used, Limit: limit, Unit: unit})
	if used > limit && grows {
		m.fail(CodeOverQuota, quotaHint(what), "%s: %s would need %d of %d %s", m.name(id), what, used, limit, unit)
	}
}

func quotaHint(what string) string {
	if strings.HasPrefix(what, "trust policy") {
		return "split the callers over several roles (`as`), or raise quota L-C07B4B0D (up to 8,192)"
	}
	return "ask for fewer or wider resources in one Access, split it over several roles, or raise the quota"
}
