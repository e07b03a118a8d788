package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// tags is T20: permissions of a role that depend on tags of its sessions, by
// who can set these tags (IAM guide, "Pass session tags in AWS STS").
func (w *part) tags(r *role) {
	if r.trust == nil || awsOwns(r.Path) {
		return
	}
	for _, h := range w.heldBy[r.ARN] {
		for _, use := range tagUses(h.doc) {
			w.tagUse(r, h, use)
		}
	}
}

// tagUse is a place where a permission depends on a tag of the caller.
type tagUse struct {
	tag string // lower case
	pos policy.Pos
}

const principalTag = "aws:principaltag/"

// tagUses lists the tags that Allow statements of a document cannot do without.
func tagUses(doc *policy.Document) []tagUse {
	var out []tagUse
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect != policy.Allow {
			continue
		}
		for _, c := range st.Conditions {
			op := policy.SplitOperator(c.Operator)
			if op.Negated() || op.IfExists || op.Base == "Null" || op.Set == "ForAllValues" {
				continue
			}
			if tag, ok := strings.CutPrefix(strings.ToLower(c.Key), principalTag); ok {
				out = append(out, tagUse{tag, c.Pos})
			}
			if len(c.Values) == 1 {
				out = append(out, tagVariables(c.Values[0])...)
			}
		}
		if len(st.Resources) == 1 {
			out = append(out, tagVariables(st.Resources[0])...)
		}
	}
	slices.SortStableFunc(out, func(a, b tagUse) int { return strings.Compare(a.tag, b.tag) })
	return slices.CompactFunc(out, func(a, b tagUse) bool { return a.tag == b.tag })
}

// tagVariables finds ${aws:PrincipalTag/…} without default.
func tagVariables(t policy.Text) []tagUse {
	var out []tagUse
	for rest := strings.ToLower(t.Value); ; {
		_, after, found := strings.Cut(rest, "${"+principalTag)
		if !found {
			return out
		}
		tag, tail, closed := strings.Cut(after, "}")
		if !closed {
			return out
		}
		if !strings.Contains(tag, ",") {
			out = append(out, tagUse{tag, t.Pos})
		}
		rest = tail
	}
}

func (w *part) tagUse(r *role, h *held, use tagUse) {
	setters := settersOf(r)
	ownTag := hasTag(r.Tags, use.tag)
	can := ownTag || slices.ContainsFunc(setters, func(s setter) bool { return s.sets(use.tag) })
	switch {
	case !can:
		w.unsettable(r, h, use)
	case slices.ContainsFunc(setters, func(s setter) bool { return s.free(w.world, use.tag) }):
		w.add(h.subject, use.pos, r.Name+" "+use.tag, rule.Finding{
			Code: rule.AnyonesTag, Summary: fmt.Sprintf("who assumes role %s chooses the tag %s himself", r.Name, use.tag),
			Detail: "Its trust policy allows sts:TagSession without a condition on the tag, so the permission depends on nothing but the caller's word.",
			Hint:   fmt.Sprintf(`add "StringEquals": {"aws:RequestTag/%s": …} to the statement that allows sts:TagSession, or "ForAllValues:StringEquals": {"aws:TagKeys": […]} without it`, use.tag),
		})
	}
}

func (w *part) unsettable(r *role, h *held, use tagUse) {
	for _, caller := range w.callersOf(r) {
		if caller.tagged() && podTag(use.tag) {
			return // the call is refused altogether: reported as T22
		}
		upstream := slices.ContainsFunc(settersOf(caller), func(s setter) bool { return s.sets(use.tag) })
		if !upstream && !hasTag(caller.Tags, use.tag) {
			continue
		}
		w.add(h.subject, use.pos, r.Name+" "+use.tag, rule.Finding{
			Code: rule.TransitiveTag, Summary: fmt.Sprintf("the tag %s of role %s or its sessions does not reach sessions of role %s", use.tag, caller.Name, r.Name),
			Detail: "A chained session has the tags passed to it and the transitive ones, both only if its role's trust policy allows sts:TagSession; tags of the calling role itself are not passed on.",
			Hint:   fmt.Sprintf("allow sts:TagSession in the trust policy of role %s, and make the tag transitive when the first session is started", r.Name),
		})
		return
	}
	w.add(h.subject, use.pos, r.Name+" "+use.tag, rule.Finding{
		Code: rule.UnsettableTag, Summary: fmt.Sprintf("no session of role %s can have the tag %s", r.Name, use.tag),
		Detail: "The role has no such tag, and its trust policy lets nobody pass it, so the permission is never given.",
		Hint:   "tag the role, or allow sts:TagSession in its trust policy to who shall set the tag",
	})
}

// callersOf are the roles a trust policy names.
func (w *world) callersOf(r *role) []*role {
	var out []*role
	for i := range r.trust.Statements {
		st := &r.trust.Statements[i]
		if st.Principal == nil || !lint.Allows(st, assumeRole) {
			continue
		}
		for _, e := range st.Principal.Entries {
			if c := w.byARN[e.Value.Value]; c != nil && c.trust != nil {
				out = append(out, c)
			}
		}
	}
	return out
}

func hasTag(tags map[string]string, tag string) bool {
	for k := range tags {
		if strings.EqualFold(k, tag) {
			return true
		}
	}
	return false
}

// setter is a principal whom a trust policy lets pass tags.
type setter struct {
	st *policy.Statement
	e  policy.PrincipalEntry
}

func settersOf(r *role) []setter {
	var out []setter
	for i := range r.trust.Statements {
		st := &r.trust.Statements[i]
		if st.Principal == nil || !lint.Allows(st, "sts:TagSession") {
			continue
		}
		if st.Principal.Everyone {
			out = append(out, setter{st, policy.PrincipalEntry{Type: "AWS", Value: policy.Text{Value: "*"}}})
		}
		for _, e := range st.Principal.Entries {
			out = append(out, setter{st, e})
		}
	}
	return out
}

// podTag reports whether EKS Pod Identity sets the tag itself (EKS guide,
// "Grant Pods access to AWS resources based on tags").
func podTag(tag string) bool {
	return slices.Contains([]string{
		"eks-cluster-arn", "eks-cluster-name", "kubernetes-namespace", "kubernetes-service-account", "kubernetes-pod-name", "kubernetes-pod-uid",
	}, tag)
}

// fixed reports whether the setter's sessions all come from Pod Identity, which
// sets its tags whoever calls, and for good: they are transitive.
func (s setter) fixed(w *world) bool {
	if s.e.Type == "Service" {
		return s.e.Value.Value == "pods.eks.amazonaws.com"
	}
	caller := w.byARN[s.e.Value.Value]
	if caller == nil || caller.trust == nil {
		return false
	}
	for i := range caller.trust.Statements {
		st := &caller.trust.Statements[i]
		if st.Effect != policy.Allow || st.Principal == nil {
			continue
		}
		if st.Principal.Everyone || slices.ContainsFunc(st.Principal.Entries, func(e policy.PrincipalEntry) bool { return e.Value.Value != "pods.eks.amazonaws.com" }) {
			return false
		}
	}
	return true
}

// limited reports whether conditions keep the tag from being passed freely.
func (s setter) limited(tag string) (never, chosen bool) {
	for _, c := range s.st.Conditions {
		op := policy.SplitOperator(c.Operator)
		switch key := strings.ToLower(c.Key); {
		case key == "aws:requesttag/"+tag && !op.Negated():
			chosen = true
		case key == "aws:tagkeys" && op.Set == "ForAllValues" && !op.Negated():
			if !slices.ContainsFunc(c.Values, func(v policy.Text) bool { return policy.Glob(strings.ToLower(v.Value), tag) }) {
				never = true
			}
		}
	}
	return never, chosen
}

// sets reports whether sessions the principal starts can have the tag.
func (s setter) sets(tag string) bool {
	if never, _ := s.limited(tag); never {
		return false
	}
	if s.e.Type == "Service" {
		return s.e.Value.Value != "pods.eks.amazonaws.com" || podTag(tag)
	}
	return true
}

// free reports whether the principal chooses the tag's value as it likes.
// Identity providers and services choose for others.
func (s setter) free(w *world, tag string) bool {
	never, chosen := s.limited(tag)
	return s.e.Type == "AWS" && !never && !chosen && !(podTag(tag) && s.fixed(w))
}
