package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// sharing holds the rules on what a resource or key policy grants to other
// accounts.
func (r *report) sharing() {
	own := r.owner()
	for i := range r.doc.Statements {
		st := &r.doc.Statements[i]
		if st.Effect != policy.Allow || st.Principal == nil || own == "" {
			continue
		}
		if who := onlyForeign(st.Principal, own); who != "" {
			r.notCrossAccount(st, who)
		}
		if who := someForeign(st.Principal, own); who != "" {
			r.escalation(st, who)
		}
	}
}

// owner is the account the document belongs to: the one given, or the one all
// its resources are in, or for a key policy the one that may do everything.
func (r *report) owner() arn.AccountID {
	if r.ctx.Account != "" {
		return r.ctx.Account
	}
	found := map[arn.AccountID]bool{}
	for i := range r.doc.Statements {
		st := &r.doc.Statements[i]
		for _, res := range slices.Concat(st.Resources, st.NotResources) {
			if a, err := arn.Parse(res.Value); err == nil && a.Account.Valid() {
				found[a.Account] = true
			}
		}
		if r.kind != policy.Key || st.Principal == nil || !allows(st, "kms:PutKeyPolicy") {
			continue
		}
		for _, e := range st.Principal.Entries {
			if e.Type == "AWS" && isAccount(e.Value.Value) {
				found[accountOf(e.Value.Value)] = true
			}
		}
	}
	if len(found) != 1 {
		return ""
	}
	for id := range found {
		return id
	}
	return ""
}

// onlyForeign names the first principal when all are of other accounts.
func onlyForeign(p *policy.Principals, own arn.AccountID) string {
	for _, e := range p.Entries {
		if id := accountOf(e.Value.Value); e.Type != "AWS" || id == "" || id == own || tree.Unresolved(e.Value.Value) {
			return ""
		}
	}
	if p.Everyone || len(p.Entries) == 0 {
		return ""
	}
	return p.Entries[0].Value.Value
}

// someForeign names the first principal of another account.
func someForeign(p *policy.Principals, own arn.AccountID) string {
	for _, e := range p.Entries {
		if id := accountOf(e.Value.Value); e.Type == "AWS" && id != "" && id != own && !tree.Unresolved(e.Value.Value) {
			return e.Value.Value
		}
	}
	return ""
}

// notCrossAccount is R04 (KMS guide, "Allowing users in other accounts to use
// a KMS key"; Secrets Manager guide, "Access … from a different account").
func (r *report) notCrossAccount(st *policy.Statement, who string) {
	for _, t := range st.Actions {
		if r.lookups++; r.lookups > maxLookups || strings.ContainsAny(t.Value, "*?") {
			continue
		}
		if _, exists := catalog.ActionOf(t.Value); !exists {
			continue
		}
		if capable, known := catalog.CrossAccountCapable(t.Value); known && !capable && !anyOf(doors()...)(t.Value) {
			r.add(t.Pos, rule.Finding{
				Code: rule.NotCrossAccount, Summary: fmt.Sprintf("%s never works for %s: it is an operation for the own account only", t.Value, who),
				Detail: "The service refuses the call from another account whatever policies say.",
				Hint:   "remove the action, or let the other account assume a role here",
			})
		}
	}
}

// doors are actions that change who has access.
func doors() []string {
	return []string{
		"secretsmanager:PutResourcePolicy", "kms:PutKeyPolicy", "kms:CreateGrant", "s3:PutBucketPolicy", "s3:PutBucketAcl",
		"s3:PutAccessPointPolicy", "sqs:AddPermission", "sqs:SetQueueAttributes", "sns:AddPermission", "sns:SetTopicAttributes",
		"lambda:AddPermission", "ecr:SetRepositoryPolicy", "dynamodb:PutResourcePolicy", "es:UpdateDomainConfig", "iam:UpdateAssumeRolePolicy",
		"glue:PutResourcePolicy", "backup:PutBackupVaultAccessPolicy", "elasticfilesystem:PutFileSystemPolicy", "events:PutPermission",
		"kinesis:PutResourcePolicy", "logs:PutResourcePolicy", "codebuild:PutResourcePolicy", "codeartifact:PutDomainPermissionsPolicy",
	}
}

// escalation is R07. kms:CreateGrant under kms:GrantIsForAWSResource serves
// AWS services only (KMS guide, "Allows key users to use the KMS key for
// grants").
func (r *report) escalation(st *policy.Statement, who string) {
	confined := slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool {
		return anyOf("kms:GrantIsForAWSResource", "kms:GrantOperations", "kms:GranteePrincipal", "kms:GrantConstraintType", "kms:ViaService")(c.Key)
	})
	for _, t := range st.Actions {
		for _, door := range doors() {
			if !r.opens(t.Value, door) || door == "kms:CreateGrant" && confined {
				continue
			}
			f := rule.Finding{
				Code: rule.Escalation, Summary: fmt.Sprintf("%s may change who has access, by %s", who, door),
				Detail: "Another account then decides over this resource, and may lock its owner out.",
				Hint:   "name only the actions that use the resource",
			}
			if door == "kms:CreateGrant" {
				r.grants(st, &f)
			}
			r.add(t.Pos, f)
			return
		}
	}
}

// grants completes what is said of kms:CreateGrant. Who may decrypt already can
// only hand that on, as the keys of the EC2 Auto Scaling guide let another
// account do ("Required AWS KMS key policy for use with encrypted volumes").
func (r *report) grants(st *policy.Statement, f *rule.Finding) {
	f.Detail = "A grant may be for any operation that grants have, and for anybody; only kms:GrantOperations and kms:GranteePrincipal limit it."
	f.Hint = `add "Bool": {"kms:GrantIsForAWSResource": "true"} where AWS services need the grants, or name kms:GrantOperations and kms:GranteePrincipal`
	uses := func(e policy.PrincipalEntry) bool {
		return slices.ContainsFunc(r.doc.Statements, func(other policy.Statement) bool {
			return allows(&other, "kms:Decrypt") && other.Principal != nil && len(other.Conditions) == 0 &&
				slices.ContainsFunc(other.Principal.Entries, func(o policy.PrincipalEntry) bool { return o.Type == e.Type && o.Value.Value == e.Value.Value })
		})
	}
	if len(st.Principal.Entries) > 0 && !slices.ContainsFunc(st.Principal.Entries, func(e policy.PrincipalEntry) bool { return !uses(e) }) {
		f.Severity = rule.Info
	}
}

// opens reports whether an action, or a pattern that stands for it, is a door.
// A pattern may stand for one that does not work from another account; named
// outright it is meant.
func (r *report) opens(action, door string) bool {
	if r.kind == policy.Key && !strings.HasPrefix(door, "kms:") {
		return false
	}
	if strings.EqualFold(action, door) {
		return true
	}
	capable, known := catalog.CrossAccountCapable(door)
	return policy.Glob(strings.ToLower(action), strings.ToLower(door)) && (capable || !known)
}

// otherPartition is R06: "You can't delegate access between partitions" (IAM
// guide, "Cross account resource access").
func (r *report) otherPartition() {
	own := r.partition()
	if own == "" {
		return
	}
	for i := range r.doc.Statements {
		for _, p := range []*policy.Principals{r.doc.Statements[i].Principal, r.doc.Statements[i].NotPrincipal} {
			if p == nil {
				continue
			}
			for _, e := range p.Entries {
				a, err := arn.Parse(e.Value.Value)
				if err != nil || a.Partition == own || !policy.IsPartition(a.Partition) {
					continue
				}
				r.add(e.Value.Pos, rule.Finding{
					Code: rule.OtherPartition, Summary: fmt.Sprintf("%s is of partition %s, the resource of %s", e.Value.Value, a.Partition, own),
					Detail: "Access cannot be delegated across partitions.",
					Hint:   fmt.Sprintf("name a principal of arn:%s:…", own),
				})
			}
		}
	}
}

// partition is the one the document is in: that of all resources it names.
func (r *report) partition() string {
	own := r.ctx.Partition
	if own != "" {
		return own
	}
	for i := range r.doc.Statements {
		for _, res := range r.doc.Statements[i].Resources {
			a, err := arn.Parse(res.Value)
			switch {
			case err != nil || !policy.IsPartition(a.Partition):
			case own != "" && own != a.Partition:
				return ""
			default:
				own = a.Partition
			}
		}
	}
	return own
}
