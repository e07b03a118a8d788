package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// isPlan reports whether a tree is what `terraform show -json` prints of a
// plan.
func isPlan(root policy.Node) bool {
	return member(root, "resource_changes").Kind == policy.ListNode && member(root, "format_version").Kind == policy.StringNode
}

// plan checks the documents of what a Terraform plan leaves behind: the
// resources as they will be, whether they change or not.
func (ctx Context) plan(root policy.Node, src []byte) rule.List {
	var list rule.List
	for i, change := range member(root, "resource_changes").Items {
		after := member(member(change, "change"), "after")
		if after.Kind != policy.ObjectNode {
			continue // deleted
		}
		w := &walker{ctx: ctx, src: src}
		p := planned{kind: member(change, "type").Text, address: member(change, "address").Text, after: after}
		p.pointer = "/resource_changes/" + strconv.Itoa(i) + "/change/after"
		for _, m := range after.Members {
			list = append(list, p.attribute(w, m)...)
		}
	}
	return list
}

// planned is one resource as a plan leaves it.
type planned struct {
	kind, address, pointer string
	after                  policy.Node
}

func (p *planned) attribute(w *walker, m policy.Member) rule.List {
	at := place{element: m.Name, resource: p.kind}
	var list rule.List
	switch {
	case m.Value.Kind == policy.StringNode && looksLikeDocument(m.Value.Text):
		ctx := w.context(at)
		ctx.Subject = p.address + " " + m.Name
		ctx.Name = member(p.after, "name").Text
		ctx.Privileged = p.kind == "aws_iam_role" && p.administrator()
		list = ctx.text(m.Value, w.src, p.kindOf(w, m.Name))
	case m.Value.Kind == policy.ListNode: // inline_policy = [{name, policy}]
		for i, item := range m.Value.Items {
			inner := planned{kind: p.kind, address: p.address + " " + m.Name, pointer: p.pointer + "/" + m.Name + "/" + strconv.Itoa(i), after: item}
			for _, nested := range item.Members {
				list = append(list, inner.attribute(w, nested)...)
			}
		}
		return list
	}
	for i := range list {
		list[i].Pointer = p.pointer + "/" + m.Name
	}
	return list
}

func (p *planned) kindOf(w *walker, attribute string) func(*policy.Document) policy.Kind {
	return func(doc *policy.Document) policy.Kind {
		switch {
		case w.ctx.Kind != nil:
			return *w.ctx.Kind
		case attribute == "assume_role_policy":
			return policy.Trust
		case strings.HasPrefix(p.kind, "aws_kms_"):
			return policy.Key
		case strings.HasPrefix(p.kind, "aws_vpc_endpoint"):
			return policy.Endpoint
		case p.kind == "aws_organizations_policy":
			if member(p.after, "type").Text == "RESOURCE_CONTROL_POLICY" {
				return policy.RCP
			}
			return policy.SCP
		case strings.HasPrefix(p.kind, "aws_iam_") || strings.HasPrefix(p.kind, "aws_ssoadmin_"):
			return policy.Identity
		}
		kind := guessKind(doc)
		if kind == policy.Trust {
			return policy.Resource
		}
		return kind
	}
}

func (p *planned) administrator() bool {
	if slices.ContainsFunc(member(p.after, "managed_policy_arns").Items, func(n policy.Node) bool { return IsAdministratorPolicy(n.Text) }) {
		return true
	}
	return slices.ContainsFunc(member(p.after, "inline_policy").Items, func(n policy.Node) bool {
		doc, err := policy.Parse([]byte(member(n, "policy").Text))
		return err == nil && IsAdministrator(doc)
	})
}
