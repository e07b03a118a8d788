package snapshot

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// grants is T15: permission to assume a role that does not exist, or that no
// holder of the policy can assume.
func (w *part) grants(h *held) {
	for i := range h.doc.Statements {
		st := &h.doc.Statements[i]
		if !lint.Allows(st, assumeRole) {
			continue
		}
		for _, res := range st.Resources {
			w.deadGrant(h, res)
		}
	}
}

func (w *part) deadGrant(h *held, res policy.Text) {
	target, err := arn.Parse(res.Value)
	if err != nil || target.Service != "iam" || target.Type() != "role" || strings.ContainsAny(res.Value, "*?$") {
		return
	}
	exists, gone := entity(w.inv.Accounts[target.Account], target)
	if gone != "" {
		w.add(h.subject, res.Pos, res.Value, rule.Finding{
			Code: rule.DeadGrant, Summary: gone, Hint: "correct the ARN, path included, or remove it",
		})
		return
	}
	role := w.byARN[res.Value]
	if !exists || role == nil || len(h.holders) == 0 {
		return
	}
	why := ""
	for _, holder := range h.holders {
		d, denied := w.cannotAssume(holder, role)
		if !denied {
			return
		}
		why = reason(d)
	}
	who := "the holder"
	if len(h.holders) > 1 {
		who = fmt.Sprintf("none of the %d holders", len(h.holders))
	}
	f := rule.Finding{
		Code: rule.DeadGrant, Summary: fmt.Sprintf("%s cannot assume %s: %s", who, res.Value, why),
		Hint: "let the role's trust policy name the caller, or remove the permission",
	}
	if len(h.holders) > 1 {
		f.Summary = fmt.Sprintf("%s can assume %s: %s", who, res.Value, why)
	}
	w.add(h.subject, res.Pos, res.Value, f)
}
