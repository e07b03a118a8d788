package verify

import (
	"maps"
	"slices"

	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// grants reports what KMS grants on a key give to our callers beyond what is
// declared. A key whose grants were not read is told among what is assumed, or
// leaves what turns on them unknown.
func (f foreign) grants() {
	if f.t.kind != compile.KeyPolicy || f.inv.Accounts[f.t.account] == nil {
		return
	}
	key, state := inventory.Get(f.inv.Accounts[f.t.account].Keys, f.t.target)
	if state != inventory.Exists {
		return
	}
	for i := range key.Grants {
		g := &key.Grants[i]
		caller := behindSession(f.canonical(g.Grantee), f.callers)
		if !slices.Contains(f.callers, caller) {
			continue
		}
		st := grantStatement(g)
		st.Principal = policy.AWS(caller)
		if v, why := f.contained(&st, f.declared(caller)); v != within {
			f.found(Excess, "KMS grant %s %s, beyond what is declared", g.ID, why)
		}
	}
}

// grantStatement says what a grant allows as a key policy would, but for whom.
// Source: KMS API reference, GrantConstraints.
func grantStatement(g *inventory.Grant) policy.Statement {
	st := policy.Statement{Effect: policy.Allow, Resources: policy.Texts("*")}
	for _, op := range g.Operations {
		st.Actions = append(st.Actions, policy.Texts("kms:"+op)...)
	}
	for _, k := range slices.Sorted(maps.Keys(g.EncryptionContext)) {
		st.Conditions = append(st.Conditions, policy.Cond("StringEquals", "kms:EncryptionContext:"+k, g.EncryptionContext[k]))
	}
	if g.SourceARN != "" {
		st.Conditions = append(st.Conditions, policy.Cond("ArnEquals", "aws:SourceArn", g.SourceARN))
	}
	return st
}
