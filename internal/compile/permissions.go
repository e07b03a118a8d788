package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/policy"
)

// placeholders replaces ${account} and ${region} in a resource or the value of a
// condition by the target's.
// Everything else in ${} is IAM's own policy variable and stays.
func placeholders(s string, target *access.Account) string {
	return strings.NewReplacer("${account}", string(target.ID), "${region}", regionOf(target)).Replace(s)
}

func regionOf(a *access.Account) string {
	if len(a.Regions) > 0 {
		return a.Regions[0]
	}
	return access.DefaultRegion
}

// writeOut turns an item of Allow into plain IAM for one target account:
// bundles become their actions, placeholders the target's values.
func writeOut(allow *access.Allow, target *access.Account) ([]Permission, []fault) {
	resources, faults := resourcesOf(allow, target)
	if len(faults) > 0 {
		return nil, faults
	}
	var statements []catalog.Statement
	if allow.Grant != "" {
		statements, faults = ofBundle(allow, resources)
	} else {
		statements, faults = ofActions(allow, resources)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	conditions := conditionsOf(allow, target)
	out := make([]Permission, 0, len(statements))
	for _, s := range statements {
		out = append(out, Permission{Actions: s.Actions, Resources: s.Resources, Conditions: conditions})
	}
	return out, nil
}

// acceptedKeys lists the KMS keys that an item names for what else it names to be
// encrypted under.
func acceptedKeys(allow *access.Allow, target *access.Account) []string {
	var out []string
	for _, written := range allow.Resources {
		key := placeholders(written, target)
		if r, err := arn.Parse(key); err == nil && allow.AcceptsKey(r) {
			out = union(out, singleKeys(key, target))
		}
	}
	return out
}

// resourcesOf checks that every resource is an ARN of the target account, and
// leaves out the keys that are only accepted.
func resourcesOf(allow *access.Allow, target *access.Account) ([]arn.ARN, []fault) {
	var out []arn.ARN
	var faults []fault
	for _, written := range allow.Resources {
		if written == catalog.Everything {
			continue
		}
		r, err := arn.Parse(placeholders(written, target))
		switch {
		case err != nil:
			faults = append(faults, notAnARN(allow, written, err))
		case allow.AcceptsKey(r):
		case r.Account == target.ID, r.Owner == "", r.Owner == "aws":
			out = append(out, r)
		default:
			faults = append(faults, fault{
				code: CodeForeignResource, at: allow.Pos,
				summary: fmt.Sprintf("resource %s is not in account %s (%s)", r, target.Name, target.ID),
				detail:  "a role of one account cannot be given what another account owns; what is allowed in an account must name that account",
				hint:    "write ${account} for the target's id, or put this resource in an Access of its own",
			})
		}
	}
	return out, faults
}

func notAnARN(allow *access.Allow, written string, err error) fault {
	f := fault{code: CodeBadResource, at: allow.Pos, summary: fmt.Sprintf("resource %q is not an ARN: %v", written, err)}
	if actsOnSecrets(allow) {
		f.summary = fmt.Sprintf("secret %q is not named by its ARN", written)
		f.detail = "a secret's name means a secret of the caller's own account; across accounts only the full ARN finds it"
		f.hint = "write arn:aws:secretsmanager:${region}:${account}:secret:" + strings.Trim(written, "/") + "-*"
	}
	return f
}

func actsOnSecrets(allow *access.Allow) bool {
	return strings.HasPrefix(allow.Grant, "secretsmanager/") ||
		slices.ContainsFunc(allow.Actions, func(a string) bool { return catalog.ServiceOf(a) == "secretsmanager" })
}

func ofBundle(allow *access.Allow, resources []arn.ARN) ([]catalog.Statement, []fault) {
	bundle, ok := catalog.LookUp(allow.Grant)
	if !ok {
		return nil, []fault{{
			code: CodeUnknownGrant, at: allow.Pos, summary: fmt.Sprintf("there is no grant %q", allow.Grant),
			hint: diag.DidYouMean(allow.Grant, catalog.BundleNames()),
		}}
	}
	if bundle.NeedsResources() && len(resources) == 0 {
		return nil, []fault{{
			code: CodeBadResource, at: allow.Pos, summary: fmt.Sprintf("grant %s names no resource", bundle.Name),
			hint: fmt.Sprintf("list the ARNs of the %ss it is for", bundle.Type),
		}}
	}
	var faults []fault
	for _, r := range resources {
		if !bundle.Fits(r) && bundle.NeedsResources() {
			faults = append(faults, fault{
				code: CodeBadResource, at: allow.Pos, summary: fmt.Sprintf("grant %s has no action for %s", bundle.Name, r),
				hint: fmt.Sprintf("%s is for resources of type %s %s", bundle.Name, bundle.Service, bundle.Type),
			})
		}
	}
	return bundle.Statements(resources), faults
}

// ofActions pairs plain actions with the resources written beside them.
func ofActions(allow *access.Allow, resources []arn.ARN) ([]catalog.Statement, []fault) {
	onlyAll := func(action string) bool { return catalog.WildcardOnly(action) }
	if slices.Contains(allow.Resources, catalog.Everything) || !slices.ContainsFunc(allow.Actions, func(a string) bool { return !onlyAll(a) }) && len(resources) == 0 {
		return []catalog.Statement{{Actions: slices.Clone(allow.Actions), Resources: []string{catalog.Everything}}}, nil
	}
	if i := slices.IndexFunc(allow.Actions, onlyAll); i >= 0 {
		return nil, []fault{{
			code: CodeBadResource, at: allow.Pos,
			summary: fmt.Sprintf("action %s cannot be limited to resources", allow.Actions[i]),
			detail:  "IAM grants it for \"*\" only; beside an ARN it would never match",
			hint:    "put it in an item of its own with resources: [\"*\"]",
		}}
	}
	if len(resources) == 0 {
		return nil, []fault{{code: CodeBadResource, at: allow.Pos, summary: fmt.Sprintf("actions %s name no resource", strings.Join(allow.Actions, ", "))}}
	}
	texts := make([]string, len(resources))
	for i, r := range resources {
		texts[i] = r.String()
	}
	return []catalog.Statement{{Actions: slices.Clone(allow.Actions), Resources: texts}}, nil
}

func conditionsOf(allow *access.Allow, target *access.Account) []policy.Condition {
	var out []policy.Condition
	for _, c := range allow.Conditions {
		values := slices.Clone(c.Values)
		for i := range values {
			values[i] = placeholders(values[i], target)
		}
		out = append(out, policy.Cond(c.Operator, c.Key, values...))
	}
	return out
}

// statement is p as a statement of an identity policy.
func (p Permission) statement(sid string) policy.Statement {
	return policy.Statement{
		Sid: sid, Effect: policy.Allow, Actions: policy.Texts(p.Actions...), Resources: policy.Texts(p.Resources...),
		Conditions: slices.Clone(p.Conditions),
	}
}
