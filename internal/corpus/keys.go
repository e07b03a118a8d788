package corpus

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// Documents lists all policies of pols.
func Documents(pols *authz.Policies) []*authz.Policy {
	all := slices.Concat(pols.Identity, pols.Session)
	for _, p := range []*authz.Policy{pols.Boundary, pols.Resource, pols.Endpoint} {
		if p != nil {
			all = append(all, p)
		}
	}
	for _, levels := range [][]authz.Level{pols.SCPs, pols.RCPs} {
		for i := range levels {
			all = append(all, levels[i].Policies...)
		}
	}
	return all
}

// TestedKeys lists the condition keys that a decision over pols may look at, in
// conditions, policy variables and the constraints of grants: in lower case,
// sorted.
func TestedKeys(pols *authz.Policies) []string {
	tested := map[string]bool{}
	for _, p := range Documents(pols) {
		for i := range p.Document().Statements {
			s := &p.Document().Statements[i]
			addVariables(tested, s.Resources)
			addVariables(tested, s.NotResources)
			for _, c := range s.Conditions {
				tested[strings.ToLower(c.Key)] = true
				addVariables(tested, c.Values)
			}
		}
	}
	for i := range pols.Grants {
		for key := range pols.Grants[i].EncryptionContext {
			tested["kms:encryptioncontext:"+strings.ToLower(key)] = true
		}
	}
	return slices.Sorted(maps.Keys(tested))
}

// addVariables adds the keys of the policy variables in list.
func addVariables(tested map[string]bool, list []policy.Text) {
	for _, text := range list {
		_, rest, found := strings.Cut(text.Value, "${")
		for found {
			end := strings.IndexAny(rest, ",}")
			if end < 0 {
				break
			}
			if key := rest[:end]; !slices.Contains([]string{"*", "?", "$"}, key) {
				tested[strings.ToLower(key)] = true
			}
			_, rest, found = strings.Cut(rest, "${")
		}
	}
}
