package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
)

// partitions are AWS's, as the beginning of an ARN spells them.
var partitions = [...]string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}

// resources checks w.Resources and gives each parsed, the zero ARN for what is
// no ARN, was complained about or is a key that w only accepts.
func (l *loader) resources(w *Allow, a *Access, via Pattern) []arn.ARN {
	out := make([]arn.ARN, len(w.Resources))
	for i := range w.Resources {
		r := &w.Resources[i]
		pos := l.posOf(r, w.Pos)
		if *r == catalog.Everything {
			if via == ResourcePolicy {
				l.fail(pos, CodePattern, says{what: "via: resourcePolicy needs the resource's ARN, not \"*\"", why: "the policy is written to the resource itself"})
			}
			continue
		}
		parsed, ok := l.resource(*r, pos)
		if ok && w.AcceptsKey(parsed) {
			continue
		}
		if !ok || !l.inTargets(parsed, *r, pos, a) {
			continue
		}
		if via == ResourcePolicy && !l.takesPolicy(parsed, *r, pos) {
			continue
		}
		l.wide(parsed, *r, pos)
		out[i] = parsed
	}
	return out
}

// AcceptsKey reports whether r, among the resources of w, is one KMS key on which w
// allows nothing, since none of its actions is one of KMS: the key that others of
// the resources may be encrypted under. Only so named may it be another account's.
func (w *Allow) AcceptsKey(r arn.ARN) bool {
	if r.Service != "kms" || !strings.HasPrefix(r.Resource, "key/") || strings.ContainsAny(r.Resource, "*?$") {
		return false
	}
	actions := w.Actions
	if bundle, ok := catalog.LookUp(w.Grant); ok {
		actions = bundle.Actions()
	}
	return !slices.ContainsFunc(actions, func(a string) bool {
		service := catalog.ServiceOf(a)
		return service == "kms" || strings.ContainsAny(service, "*?") || a == catalog.Everything
	})
}

// wide warns of a resource that names nothing in particular.
func (l *loader) wide(r arn.ARN, written string, pos Pos) {
	switch {
	case r.Service == "s3" && r.Region == "" && strings.HasPrefix(r.Resource, "*"):
		l.warn(pos, CodeWildcard, says{
			what: fmt.Sprintf("%q covers buckets of every account", written),
			why:  "a bucket's ARN holds no account, so this reaches wherever a bucket policy lets the role in", hint: "name the buckets",
		})
	case strings.Trim(r.Resource, "*/:") == "":
		l.warn(pos, CodeWildcard, says{what: fmt.Sprintf("%q covers everything of %s", written, r.Service), hint: "name the resources, as far as they can be named"})
	}
}

// resource checks the form of one resource: an ARN, in whose place of the
// account and Region may stand placeholders.
func (l *loader) resource(r string, pos Pos) (arn.ARN, bool) {
	if !l.placeholders(r, pos) {
		return arn.ARN{}, false
	}
	a, err := arn.Parse(r)
	if err != nil {
		l.fail(pos, CodeBadResource, says{
			what: fmt.Sprintf("%q is not an ARN", r), why: "across accounts a short name means a thing of the caller's own account",
			hint: "write the full ARN, as in \"arn:aws:dynamodb:us-east-1:${account}:table/Orders\"",
		})
		return arn.ARN{}, false
	}
	if other := partitionOf(a); other != partition && slices.Contains(partitions[:], other) {
		l.otherPartition(pos, fmt.Sprintf("resource %q", r), other)
		return arn.ARN{}, false
	}
	why, hint := badResource(a)
	if why == "" {
		return a, true
	}
	l.fail(pos, CodeBadResource, says{what: fmt.Sprintf("%q cannot be granted", r), why: why, hint: hint})
	return arn.ARN{}, false
}

// partitionOf is the partition that an ARN names, or that its Region is in.
func partitionOf(a arn.ARN) string {
	if a.Partition == partition && catalog.RegionShaped(a.Region) {
		return catalog.Partition(a.Region)
	}
	return a.Partition
}

// badResource says why an ARN cannot stand in a grant, "" when it can.
func badResource(a arn.ARN) (why, hint string) {
	if !slices.Contains(partitions[:], a.Partition) {
		return fmt.Sprintf("%q is no AWS partition", a.Partition), diag.DidYouMean(a.Partition, partitions[:])
	}
	if strings.ContainsAny(a.Service, "*?$ ") {
		return "an ARN names its service without wildcards", ""
	}
	if !strings.ContainsAny(a.Region, "*?$") && a.Region != "" && !catalog.RegionShaped(a.Region) {
		return fmt.Sprintf("%q is not the form of a Region", a.Region), diag.DidYouMean(a.Region, catalog.Regions())
	}
	if strings.ContainsAny(a.Owner, "*?") {
		return "a wildcard in place of the account reaches into accounts nobody named", "write ${account}"
	}
	if a.Service == "kms" && strings.HasPrefix(a.Resource, "alias/") {
		return "in IAM policies an alias does not stand for its key", "write the key's ARN, arn:aws:kms:REGION:${account}:key/ID"
	}
	if a.Service == "s3" && a.Region == "" && a.Owner != "" {
		return "a bucket's ARN holds neither Region nor account", "write arn:aws:s3:::BUCKET"
	}
	if _, known := catalog.ARNService(a.Service + ":x"); (known || a.Service == "iam") && a.Owner == "" && a.Service != "s3" {
		return "its account is missing", "write ${account} between the fourth and the fifth colon"
	}
	return "", ""
}

// placeholderNames are what may stand in ${…} of a resource.
var placeholderNames = [...]string{"account", "region"}

// placeholders checks every ${…} of s.
func (l *loader) placeholders(s string, pos Pos) bool {
	for rest := s; ; {
		_, after, ok := strings.Cut(rest, "${")
		if !ok {
			return true
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed || !slices.Contains(placeholderNames[:], name) {
			l.unknownPlaceholder(s, name, pos, "only ${account} and ${region} are replaced, by the target's")
			return false
		}
		rest = tail
	}
}

func (l *loader) unknownPlaceholder(in, name string, pos Pos, hint string) {
	if near := diag.DidYouMean(name, placeholderNames[:]); near != "" {
		hint = near
	}
	l.fail(pos, CodePlaceholder, says{what: fmt.Sprintf("unknown placeholder in %q", in), hint: hint})
}

// inTargets checks that a resource belongs to every target account.
func (l *loader) inTargets(r arn.ARN, written string, pos Pos, a *Access) bool {
	if r.Owner == "" || r.Owner == "${account}" || r.Owner == "aws" {
		return true
	}
	if r.Account == "" {
		l.fail(pos, CodeBadResource, says{what: fmt.Sprintf("%q cannot be granted", written), why: fmt.Sprintf("%q is not an account id", r.Owner), hint: "write ${account}"})
		return false
	}
	for _, name := range a.To.Accounts {
		target, ok := l.set.Account(name)
		if !ok || target.ID == "" || target.ID == r.Account {
			continue
		}
		hint := "write ${account}, or make an Access for the other account"
		if _, declared := l.set.Account(string(r.Account)); !declared {
			hint += ", which has to be declared first (kind: Account)"
		}
		l.fail(pos, CodeForeignResource, says{
			what: fmt.Sprintf("%q is a resource of account %s, not of the target %q (%s)", written, r.Account, name, target.ID), hint: hint,
		})
		return false
	}
	return true
}

// takesPolicy checks that a resource accepts a resource policy.
func (l *loader) takesPolicy(r arn.ARN, written string, pos Pos) bool {
	if _, ok := catalog.PolicyCallFor(r); ok {
		return true
	}
	if catalog.TypeOf(r) == "" && len(catalog.PolicyCalls(r.Service)) > 0 {
		return true
	}
	l.fail(pos, CodePattern, says{
		what: fmt.Sprintf("%q takes no resource policy", written), why: "resource policies: " + strings.Join(catalog.PolicyTypes(), ", "),
		hint: "use another pattern for it",
	})
	return false
}
