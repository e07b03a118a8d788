package lint

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// inside checks the policy documents anywhere in a tree read from src; found
// is false when there is none.
func (ctx Context) inside(root policy.Node, src []byte) (list rule.List, found bool) {
	if isPlan(root) {
		return ctx.plan(root, src), true
	}
	variants := tree.Variants(root, ctx.Account)
	var lists []rule.List
	for _, v := range variants {
		w := &walker{ctx: ctx, src: src, keys: secretKeys(v.Root)}
		w.visit(v.Root, place{})
		lists, found = append(lists, w.list), found || w.found
	}
	return asWritten(inCases(lists, variants)), found
}

// inCases joins the findings on a template's cases, each once, and says of
// those that are not in all of them in which case they are.
func inCases(lists []rule.List, variants []tree.Variant) rule.List {
	if len(lists) == 1 {
		return lists[0]
	}
	type key struct {
		at                     diag.Position
		code, subject, summary string
	}
	var out rule.List
	seen, count := map[key]int{}, []int{}
	for i, list := range lists {
		now := map[key]bool{}
		for _, f := range list {
			k := key{f.Pos, f.Code, f.Subject, f.Summary}
			at, known := seen[k]
			switch {
			case now[k] && known:
			case known:
				count[at]++
			default:
				seen[k] = len(out)
				f.Detail = strings.TrimSpace(f.Detail + " \x00" + variants[i].Where)
				out, count = append(out, f), append(count, 1)
			}
			now[k] = true
		}
	}
	for i := range out {
		before, where, _ := strings.Cut(out[i].Detail, "\x00")
		out[i].Detail = strings.TrimSpace(before)
		if count[i] < len(lists) {
			out[i].Detail = strings.TrimSpace(before + "It is so where " + where + ".")
		}
	}
	return out
}

// asWritten gives texts that speak of stand-ins their own words. A correction
// with a stand-in cannot be put in as it is.
func asWritten(list rule.List) rule.List {
	for i := range list {
		f := &list[i]
		f.Summary, f.Detail, f.Hint = tree.AsWritten(f.Summary), tree.AsWritten(f.Detail), tree.AsWritten(f.Hint)
		if tree.Unresolved(f.Fix) {
			f.Fix = ""
		}
	}
	return list
}

// secretKeys maps the logical names of a template's secrets to their KMS keys,
// "" for the AWS managed one.
func secretKeys(root policy.Node) map[string]string {
	keys := map[string]string{}
	for _, m := range tree.Member(root, "Resources").Members {
		if tree.Member(m.Value, "Type").Text == "AWS::SecretsManager::Secret" {
			keys[m.Name] = tree.Member(tree.Member(m.Value, "Properties"), "KmsKeyId").Text
		}
	}
	return keys
}

// walker looks for policy documents in a tree.
type walker struct {
	ctx   Context
	src   []byte
	keys  map[string]string // see secretKeys
	list  rule.List
	found bool
}

// place is where in the tree the walker is.
type place struct {
	element    string // the name the value stands under
	logical    string // the logical name of the CloudFormation resource around it
	resource   string // its type
	name       string // its role's or policy's name
	policyType string // of an AWS::Organizations::Policy
	secret     *Secret
	privileged bool // the role around it is an administrator's
	depth      int
}

// maxWalk is deeper than any template nests.
const maxWalk = 40

func (w *walker) visit(n policy.Node, at place) {
	if at.depth > maxWalk {
		return
	}
	at.depth++
	switch n.Kind {
	case policy.ListNode:
		for _, item := range n.Items {
			w.visit(item, at)
		}
	case policy.ObjectNode:
		if isDocument(n) {
			w.found = true
			w.list = append(w.list, w.context(at).decode(n, w.kindAt(at))...)
			return
		}
		at = w.enter(n, at)
		if at.resource == "AWS::Lambda::Permission" && tree.Member(n, "Type").Text == at.resource {
			w.permission(tree.Member(n, "Properties"), at)
			return
		}
		for _, m := range n.Members {
			at.element = m.Name
			w.visit(m.Value, at)
		}
	case policy.StringNode:
		switch {
		case looksLikeDocument(n.Text):
			w.found = true
			w.list = append(w.list, w.context(at).text(n, w.src, w.kindAt(at))...)
		case tree.Unresolved(n.Text) && isDocumentElement(at):
			w.found = true
			w.list = append(w.list, w.context(at).notKnown(n.Pos, "the template does not tell what the document is: it is "+n.Text)...)
		}
	case policy.NullNode, policy.NumberNode, policy.BoolNode:
	}
}

// isDocumentElement reports whether a property holds a policy document.
func isDocumentElement(at place) bool {
	switch at.element {
	case "AssumeRolePolicyDocument", "PolicyDocument", "KeyPolicy", "ResourcePolicy", "RepositoryPolicyText", "FileSystemPolicy":
		return strings.HasPrefix(at.resource, "AWS::")
	}
	return false
}

// notKnown says that a document is known only once something else is there, so
// that nobody takes silence for praise.
func (ctx Context) notKnown(pos policy.Pos, summary string) rule.List {
	return one(rule.Finding{
		Pos: diag.At(ctx.File, pos), Subject: ctx.Subject, Code: rule.NotKnown, Summary: summary, Detail: "It was not checked.",
		Hint: "check it where it is written, or what is deployed with --inventory",
	})
}

// permission checks what AddPermission of Lambda writes for a resource
// AWS::Lambda::Permission (Lambda API reference, AddPermission).
func (w *walker) permission(properties policy.Node, at place) {
	at.element = "Properties"
	w.found = true
	get := func(name string) policy.Node { return tree.Member(properties, name) }
	doc := permissionDocument(properties.Pos, get("Action"), get("Principal"), []condition{
		{"ArnLike", "aws:SourceArn", get("SourceArn")}, {"StringEquals", "aws:SourceAccount", get("SourceAccount")}, {"StringEquals", "aws:PrincipalOrgID", get("PrincipalOrgID")},
		{"StringEquals", "lambda:EventSourceToken", get("EventSourceToken")}, {"StringEquals", "lambda:FunctionUrlAuthType", get("FunctionUrlAuthType")},
	})
	w.list = append(w.list, w.context(at).decode(doc, func(*policy.Document) policy.Kind { return policy.Resource })...)
}

// condition is an operator and key with the node of its value; one of no kind
// was not given.
type condition struct {
	operator, key string
	value         policy.Node
}

// permissionDocument is the statement that a Lambda permission stands for, with
// its parts at their places.
func permissionDocument(pos policy.Pos, action, principal policy.Node, conditions []condition) policy.Node {
	object := func(members ...policy.Member) policy.Node {
		return policy.Node{Kind: policy.ObjectNode, Pos: pos, Members: members}
	}
	named := func(name string, value policy.Node) policy.Member {
		if value.Kind == policy.StringNode {
			return policy.Member{Name: name, NamePos: value.Pos, Value: value}
		}
		return policy.Member{Name: name, NamePos: pos, Value: value}
	}
	text := func(s string) policy.Node { return policy.Node{Kind: policy.StringNode, Text: s, Pos: pos} }
	if principal.Text != "*" {
		kind := "AWS"
		if strings.Contains(principal.Text, ".amazonaws.com") || strings.Contains(principal.Text, ".amazon.com") {
			kind = "Service"
		}
		principal = object(named(kind, principal))
	}
	st := []policy.Member{named("Effect", text("Allow")), named("Principal", principal), named("Action", action), named("Resource", text("*"))}
	var operators []policy.Member
	for _, c := range conditions {
		if c.value.Kind != policy.StringNode || c.value.Text == "" {
			continue
		}
		i := slices.IndexFunc(operators, func(m policy.Member) bool { return m.Name == c.operator })
		if i < 0 {
			i = len(operators)
			operators = append(operators, named(c.operator, object()))
		}
		operators[i].Value.Members = append(operators[i].Value.Members, named(c.key, c.value))
	}
	if len(operators) > 0 {
		st = append(st, named("Condition", object(operators...)))
	}
	return object(named("Version", text(string(policy.Version2012))), named("Statement", object(st...)))
}

func looksLikeDocument(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), "{") && strings.Contains(text, `"Statement"`)
}

// isDocument reports whether an object is meant to be a policy document.
func isDocument(n policy.Node) bool {
	for _, m := range n.Members {
		if m.Name != "Statement" {
			continue
		}
		statements := m.Value.Items
		if m.Value.Kind == policy.ObjectNode {
			statements = []policy.Node{m.Value}
		}
		for _, st := range statements {
			for _, e := range st.Members {
				if e.Name == "Effect" || e.Name == "Action" {
					return true
				}
			}
		}
	}
	return false
}

// enter notes what an object says about the documents inside.
func (w *walker) enter(n policy.Node, at place) place {
	if kind := tree.Member(n, "Type").Text; strings.HasPrefix(kind, "AWS::") {
		properties := tree.Member(n, "Properties")
		at = place{logical: at.element, resource: kind, depth: at.depth}
		at.policyType = tree.Member(properties, "Type").Text
		at.privileged = kind == "AWS::IAM::Role" && isAdministrator(properties)
	}
	for _, m := range n.Members {
		switch m.Name {
		case "RoleName", "PolicyName", "ManagedPolicyName":
			if m.Value.Kind == policy.StringNode && !tree.Unresolved(m.Value.Text) && at.name == "" {
				at.name = m.Value.Text
			}
		case "SecretId":
			logical := tree.Name(m.Value.Text)
			if key, ok := w.keys[logical]; ok && at.resource == "AWS::SecretsManager::ResourcePolicy" {
				at.secret = &Secret{KMSKey: key}
			}
		}
	}
	return at
}

// isAdministrator reports whether the properties of a role make it one.
func isAdministrator(properties policy.Node) bool {
	for _, item := range tree.Member(properties, "ManagedPolicyArns").Items {
		if IsAdministratorPolicy(item.Text) {
			return true
		}
	}
	for _, p := range tree.Member(properties, "Policies").Items {
		if doc, err := policy.Decode(tree.Member(p, "PolicyDocument")); err == nil && IsAdministrator(doc) {
			return true
		}
	}
	return false
}

// IsAdministratorPolicy reports whether an AWS managed policy, by its ARN,
// allows everything, or everything of IAM.
func IsAdministratorPolicy(policyARN string) bool {
	_, name, _ := strings.Cut(policyARN, ":iam::aws:policy/")
	return name == "AdministratorAccess" || name == "IAMFullAccess" || name == "job-function/SystemAdministrator"
}

// IsAdministrator reports whether a document allows every action, or every one
// of IAM, on everything.
func IsAdministrator(doc *policy.Document) bool {
	return slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool {
		everywhere := slices.ContainsFunc(st.Resources, func(t policy.Text) bool { return t.Value == "*" })
		return everywhere && len(st.Conditions) == 0 && allows(&st, "iam:PutRolePolicy") && allows(&st, "iam:CreateRole")
	})
}

// context is the walker's own with what the place adds to it.
func (w *walker) context(at place) Context {
	ctx := w.ctx
	if ctx.Account == "" && strings.HasPrefix(at.resource, "AWS::") {
		ctx.Account = arn.AccountID(tree.OwnAccount)
	}
	if at.name != "" {
		ctx.Name = at.name
	}
	if at.secret != nil {
		ctx.Secret = at.secret
	}
	if at.logical != "" {
		ctx.Subject = at.logical + " " + at.element
	}
	ctx.Privileged = ctx.Privileged || at.privileged
	return ctx
}

// kindAt tells the kind of a document by where it stands, then by what it
// says.
func (w *walker) kindAt(at place) func(*policy.Document) policy.Kind {
	return func(doc *policy.Document) policy.Kind {
		kind := w.ctx.kindOf(doc)
		switch {
		case w.ctx.Kind != nil:
		case strings.EqualFold(at.element, "AssumeRolePolicyDocument"):
			kind = policy.Trust
		case at.element == "KeyPolicy":
			kind = policy.Key
		case at.policyType == "SERVICE_CONTROL_POLICY":
			kind = policy.SCP
		case at.policyType == "RESOURCE_CONTROL_POLICY":
			kind = policy.RCP
		case at.resource == "AWS::EC2::VPCEndpoint":
			kind = policy.Endpoint
		case at.element == "ResourcePolicy" || strings.HasSuffix(at.resource, "Policy") && kind == policy.Trust && !strings.HasPrefix(at.resource, "AWS::IAM::"):
			kind = policy.Resource
		case strings.HasPrefix(at.resource, "AWS::IAM::"):
			kind = policy.Identity
		}
		return kind
	}
}

// text checks a document written as a string at n of src. Positions are those
// in the file where the string can be followed, else where it begins.
func (ctx Context) text(n policy.Node, src []byte, kindOf func(*policy.Document) policy.Kind) rule.List {
	var list rule.List
	if root, err := policy.ParseNode([]byte(n.Text)); err != nil {
		list = fromPolicy(ctx.File, err)
		for i := range list {
			list[i].Subject = ctx.Subject
		}
	} else {
		list = ctx.decode(root, kindOf)
	}
	if len(list) == 0 {
		return list
	}
	places := tree.NewPlaces(n, src)
	for i := range list {
		p := &list[i].Pos
		*p = diag.At(ctx.File, places.At(p.Line, p.Column))
	}
	return list
}
