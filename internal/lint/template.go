package lint

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// inside checks the policy documents anywhere in a tree read from src; found
// is false when there is none.
func (ctx Context) inside(root policy.Node, src []byte) (list rule.List, found bool) {
	if isPlan(root) {
		return ctx.plan(root, src), true
	}
	resolve := &resolver{account: ctx.Account}
	root = resolve.node(root)
	w := &walker{ctx: ctx, src: src, keys: secretKeys(root)}
	w.visit(root, place{})
	return asTemplate(w.list), w.found
}

// secretKeys maps the logical names of a template's secrets to their KMS keys,
// "" for the AWS managed one.
func secretKeys(root policy.Node) map[string]string {
	keys := map[string]string{}
	for _, m := range member(root, "Resources").Members {
		if member(m.Value, "Type").Text == "AWS::SecretsManager::Secret" {
			keys[m.Name] = member(member(m.Value, "Properties"), "KmsKeyId").Text
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
		for _, m := range n.Members {
			at.element = m.Name
			w.visit(m.Value, at)
		}
	case policy.StringNode:
		if looksLikeDocument(n.Text) {
			w.found = true
			w.list = append(w.list, w.context(at).text(n, w.src, w.kindAt(at))...)
		}
	case policy.NullNode, policy.NumberNode, policy.BoolNode:
	}
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
	if kind := member(n, "Type").Text; strings.HasPrefix(kind, "AWS::") {
		properties := member(n, "Properties")
		at = place{logical: at.element, resource: kind, depth: at.depth}
		at.policyType = member(properties, "Type").Text
		at.privileged = kind == "AWS::IAM::Role" && isAdministrator(properties)
	}
	for _, m := range n.Members {
		switch m.Name {
		case "RoleName", "PolicyName", "ManagedPolicyName":
			if m.Value.Kind == policy.StringNode && !unresolved(m.Value.Text) && at.name == "" {
				at.name = m.Value.Text
			}
		case "SecretId":
			logical := strings.TrimSuffix(strings.TrimPrefix(m.Value.Text, placeholder), "⟩")
			if key, ok := w.keys[logical]; ok && at.resource == "AWS::SecretsManager::ResourcePolicy" {
				at.secret = &Secret{KMSKey: key}
			}
		}
	}
	return at
}

// isAdministrator reports whether the properties of a role make it one.
func isAdministrator(properties policy.Node) bool {
	for _, item := range member(properties, "ManagedPolicyArns").Items {
		if IsAdministratorPolicy(item.Text) {
			return true
		}
	}
	for _, p := range member(properties, "Policies").Items {
		if doc, err := policy.Decode(member(p, "PolicyDocument")); err == nil && IsAdministrator(doc) {
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
		ctx.Account = arn.AccountID(ownAccount)
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
	places := newPlaces(n, src)
	for i := range list {
		p := &list[i].Pos
		*p = diag.At(ctx.File, places.at(p.Line, p.Column))
	}
	return list
}
