package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/awsauth"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// isPlan reports whether a tree is what `terraform show -json` prints of a
// plan.
func isPlan(root policy.Node) bool {
	return tree.Member(root, "resource_changes").Kind == policy.ListNode && tree.Member(root, "format_version").Kind == policy.StringNode
}

// plan checks the documents of what a Terraform plan leaves behind: the
// resources as they will be, whether they change or not.
func (ctx Context) plan(root policy.Node, src []byte) rule.List {
	var list rule.List
	for i, change := range tree.Member(root, "resource_changes").Items {
		p := planned{kind: tree.Member(change, "type").Text, address: tree.Member(change, "address").Text}
		p.after, p.unknown = tree.Member(tree.Member(change, "change"), "after"), tree.Member(tree.Member(change, "change"), "after_unknown")
		p.configured = configuration(root, p.address)
		if p.after.Kind != policy.ObjectNode || tree.Member(change, "mode").Text == "data" {
			continue // deleted, or only read
		}
		w := &walker{ctx: ctx, src: src}
		p.pointer = "/resource_changes/" + strconv.Itoa(i) + "/change/after"
		list = append(list, p.whole(w)...)
		for _, m := range p.after.Members {
			list = append(list, p.attribute(w, m)...)
		}
		list = append(list, p.notKnown(w)...)
	}
	return asWritten(list)
}

// configuration is what the plan's configuration says of the resource of an
// address, modules followed; the zero Node when it does not tell.
func configuration(root policy.Node, address string) policy.Node {
	module := tree.Member(tree.Member(root, "configuration"), "root_module")
	parts := addressParts(address)
	for len(parts) > 3 && parts[0] == "module" {
		module = tree.Member(tree.Member(tree.Member(module, "module_calls"), parts[1]), "module")
		parts = parts[2:]
	}
	for _, r := range tree.Member(module, "resources").Items {
		if tree.Member(r, "address").Text == strings.Join(parts, ".") {
			return tree.Member(r, "expressions")
		}
	}
	return policy.Node{}
}

// addressParts divides an address at its dots and leaves the indexes out, whose
// keys may have dots: module.a["x.y"].aws_iam_role.r[0].
func addressParts(address string) []string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(address, "[")
		b.WriteString(before)
		if !found {
			return strings.Split(b.String(), ".")
		}
		closing := "]"
		if strings.HasPrefix(rest, `"`) {
			closing = `"]`
		}
		if _, address, found = strings.Cut(rest, closing); !found {
			return strings.Split(b.String(), ".")
		}
	}
}

// planned is one resource as a plan leaves it.
type planned struct {
	kind, address, pointer string
	after                  policy.Node
	unknown                policy.Node // what of it is known only after apply
	configured             policy.Node // the expressions its attributes have
}

// whole checks what is no document but stands for one.
func (p *planned) whole(w *walker) rule.List {
	var list rule.List
	ctx := w.context(place{resource: p.kind})
	switch {
	case p.kind == "aws_lambda_permission":
		ctx.Subject = p.address
		doc := permissionDocument(p.after.Pos, p.value("action"), p.value("principal"), []condition{
			{"ArnLike", "aws:SourceArn", p.value("source_arn")}, {"StringEquals", "aws:SourceAccount", p.value("source_account")}, {"StringEquals", "aws:PrincipalOrgID", p.value("principal_org_id")},
			{"StringEquals", "lambda:EventSourceToken", p.value("event_source_token")}, {"StringEquals", "lambda:FunctionUrlAuthType", p.value("function_url_auth_type")},
		})
		list = ctx.decode(doc, func(*policy.Document) policy.Kind { return policy.Resource })
	case strings.HasPrefix(p.kind, "kubernetes_config_map"):
		list = p.configMap(ctx, w.src)
	}
	for i := range list {
		list[i].Pointer = p.pointer
	}
	return list
}

// value is an attribute; one known only after apply is a stand-in.
func (p *planned) value(name string) policy.Node {
	if tree.Member(p.unknown, name).Text == "true" {
		return policy.Node{Kind: policy.StringNode, Text: tree.Placeholder + name, Pos: p.after.Pos}
	}
	return tree.Member(p.after, name)
}

// configMap checks an aws-auth map.
func (p *planned) configMap(ctx Context, src []byte) rule.List {
	var list rule.List
	for _, kind := range awsauth.Maps() {
		text := tree.Member(tree.Member(p.after, "data"), kind)
		if text.Kind != policy.StringNode {
			continue
		}
		places := tree.NewPlaces(text, src)
		list = append(list, awsauth.Map(kind, text.Text, diag.At(ctx.File, text.Pos), func(line, column int) diag.Position {
			return diag.At(ctx.File, places.At(line, column))
		})...)
	}
	for i := range list {
		list[i].Subject = p.address
	}
	return list
}

// documentAttributes are those that hold a document, by kind of resource where
// others have an attribute of that name too.
func (p *planned) documentAttributes() []string {
	switch {
	case !strings.HasPrefix(p.kind, "aws_"):
		return nil
	case p.kind == "aws_organizations_policy":
		return []string{"content"}
	}
	return []string{"assume_role_policy", "policy", "access_policies", "resource_policy", "policy_document", "inline_policy"}
}

// notKnown says which documents are known only after apply. An attribute that
// nobody wrote is unknown as well, and then AWS's own.
func (p *planned) notKnown(w *walker) rule.List {
	var list rule.List
	for _, name := range p.documentAttributes() {
		written := tree.Member(p.configured, name).Kind == policy.ObjectNode
		if tree.Member(p.unknown, name).Text != "true" || p.configured.Kind == policy.ObjectNode && !written {
			continue
		}
		ctx := w.context(place{resource: p.kind})
		ctx.Subject = p.address + " " + name
		found := ctx.notKnown(p.after.Pos, "the document is known only after apply")
		found[0].Pointer = p.pointer
		list = append(list, found...)
	}
	return list
}

func (p *planned) attribute(w *walker, m policy.Member) rule.List {
	at := place{element: m.Name, resource: p.kind}
	var list rule.List
	switch {
	case m.Value.Kind == policy.StringNode && looksLikeDocument(m.Value.Text):
		ctx := w.context(at)
		ctx.Subject = p.address + " " + m.Name
		ctx.Name = tree.Member(p.after, "name").Text
		ctx.Privileged = p.kind == "aws_iam_role" && p.administrator()
		if key := tree.Member(p.after, "kms_key_id"); p.kind == "aws_secretsmanager_secret" && tree.Member(p.unknown, "kms_key_id").Text != "true" {
			ctx.Secret = &Secret{KMSKey: key.Text}
		}
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
			if tree.Member(p.after, "type").Text == "RESOURCE_CONTROL_POLICY" {
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
	if slices.ContainsFunc(tree.Member(p.after, "managed_policy_arns").Items, func(n policy.Node) bool { return IsAdministratorPolicy(n.Text) }) {
		return true
	}
	return slices.ContainsFunc(tree.Member(p.after, "inline_policy").Items, func(n policy.Node) bool {
		doc, err := policy.Parse([]byte(tree.Member(n, "policy").Text))
		return err == nil && IsAdministrator(doc)
	})
}
