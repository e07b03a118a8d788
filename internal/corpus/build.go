package corpus

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// Compile is the form of authz.Compile.
type Compile func(*policy.Document, authz.Source) (*authz.Policy, error)

// Build gives the request and the policies of a case. compile is called for
// each document. The error names the case and what is wrong in it.
func (c *Case) Build(compile Compile) (*authz.Request, *authz.Policies, error) {
	b := builder{c: c, compile: compile}
	req := b.request()
	pols := b.policies(req)
	if b.err != nil {
		return nil, nil, fmt.Errorf("building case %s (%s:%d): %w", c.ID, c.File, c.Line, b.err)
	}
	return req, pols, nil
}

// builder keeps the first error, so that the steps read as a list.
type builder struct {
	c       *Case
	compile Compile
	err     error
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *builder) request() *authz.Request {
	f := &b.c.facts
	req := &authz.Request{
		Principal: b.principal(), Action: f.Action, Resource: f.Resource,
		ResourceManagement: f.ResourceManagement, ResourceAWSManaged: f.ResourceAWSManaged,
	}
	if f.Action == "" || f.Resource == "" {
		b.fail(fmt.Errorf("a case needs principal, action and resource"))
	}
	if f.ResourceAccount != "" {
		id, err := arn.ParseAccountID(f.ResourceAccount)
		if err != nil {
			b.fail(err)
		}
		req.ResourceAccount = id
	}
	keys := make([]string, 0, len(f.Context))
	for key := range f.Context {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		req.Context.Set(key, b.values(key, f.Context[key])...)
	}
	for _, key := range f.Unknown {
		req.Context.SetUnknown(key)
	}
	return req
}

// values reads one value or a list of them, as they are spelt.
func (b *builder) values(key string, n yaml.Node) []string {
	items := []*yaml.Node{&n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var list []string
	for _, item := range items {
		if item = resolve(item); item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			b.fail(fmt.Errorf("context key %s: want a string or a list of strings", key))
		}
		list = append(list, item.Value)
	}
	return list
}

// builtinProviders are the web identity providers that have no ARN.
var builtinProviders = []string{"cognito-identity.amazonaws.com", "www.amazon.com", "graph.facebook.com", "accounts.google.com"}

func (b *builder) principal() authz.Principal {
	f := &b.c.facts
	p := authz.Principal{ID: f.PrincipalID, EntityID: f.EntityID, Management: f.Management, ServiceLinked: f.ServiceLinked}
	switch {
	case f.Principal == "anonymous":
		return p
	case slices.Contains(builtinProviders, f.Principal) && strings.HasSuffix(f.Action, "WithWebIdentity"):
		p.Kind, p.ServiceName = authz.WebIdentity, f.Principal
		return p
	case !strings.HasPrefix(f.Principal, "arn:"):
		p.Kind, p.ServiceName = authz.Service, f.Principal
		if !strings.Contains(f.Principal, ".") {
			b.fail(fmt.Errorf("principal %q: want an ARN, a service principal or anonymous", f.Principal))
		}
		return p
	}
	a, err := arn.Parse(f.Principal)
	if err != nil {
		b.fail(err)
		return p
	}
	b.identify(&p, a)
	if f.Entity != "" {
		if p.Entity, err = arn.Parse(f.Entity); err != nil {
			b.fail(err)
		}
	}
	return p
}

// identify finds the kind of caller an ARN names. A role's own ARN stands for
// some session of it.
func (b *builder) identify(p *authz.Principal, a arn.ARN) {
	p.ARN = a
	role, _, isSession := a.RoleSession()
	switch {
	case isSession:
		p.Kind = authz.RoleSession
		p.Entity = arn.IAM(a.Partition, a.Account, "role", "", role)
	case a.Service == "sts" && a.Type() == "federated-user":
		p.Kind = authz.FederatedUser
		p.Entity = arn.IAM(a.Partition, a.Account, "user", "", a.Name())
	case a.Service == "iam" && a.Resource == "root":
		p.Kind = authz.Root
	case a.Service == "iam" && a.Type() == "user":
		p.Kind = authz.User
	case a.Service == "iam" && a.Type() == "role":
		p.Kind, p.Entity = authz.RoleSession, a
		p.ARN = arn.SessionARN(a.Partition, a.Account, a.Name(), "session")
	case a.Service == "iam" && a.Type() == "oidc-provider":
		p.Kind, p.Provider, p.ARN = authz.WebIdentity, a, arn.ARN{}
	case a.Service == "iam" && a.Type() == "saml-provider":
		p.Kind, p.Provider, p.ARN = authz.SAML, a, arn.ARN{}
	default:
		b.fail(fmt.Errorf("principal %s is neither a user, role, session, root user nor identity provider", a))
	}
}

func (b *builder) policies(req *authz.Request) *authz.Policies {
	f := &b.c.facts
	caller := req.Principal.Account()
	pols := &authz.Policies{
		Identity:   b.list(&f.IdentityPolicies, authz.LayerIdentity, caller),
		Boundary:   b.single(&f.Boundary, authz.LayerBoundary, caller),
		Session:    b.list(&f.SessionPolicy, authz.LayerSession, caller),
		HasSession: f.SessionPolicy.Kind != 0 && f.SessionPolicy.Tag != "!!null",
		SCPs:       b.levels(f.SCPs, authz.LayerSCP),
		RCPs:       b.levels(f.RCPs, authz.LayerRCP),
		Resource:   b.single(&f.ResourcePolicy, b.resourceLayer(), b.owner(req)),
		Endpoint:   b.single(&f.Endpoint, authz.LayerEndpoint, ""),
	}
	for _, g := range f.Grants {
		pols.Grants = append(pols.Grants, authz.Grant{
			ID: g.ID, Grantee: g.Grantee, Operations: g.Operations, EncryptionContext: g.EncryptionContext, Equals: g.Equals,
		})
	}
	for _, u := range f.Unread {
		var layer authz.Layer
		if err := layer.UnmarshalText([]byte(u.Layer)); err != nil {
			b.fail(fmt.Errorf("unread: %w", err))
		}
		pols.Unread = append(pols.Unread, authz.Unread{Source: authz.Source{Layer: layer, Name: u.Name}, Reason: u.Reason})
	}
	return pols
}

// owner is the account whose resource it is, as authz finds it.
func (b *builder) owner(req *authz.Request) arn.AccountID {
	if req.ResourceAccount != "" {
		return req.ResourceAccount
	}
	if a, err := arn.Parse(req.Resource); err == nil && a.Account != "" {
		return a.Account
	}
	return req.Principal.Account()
}

// resourceLayer is the kind of the resource's policy, which follows from the
// resource unless the case says otherwise.
func (b *builder) resourceLayer() authz.Layer {
	f := &b.c.facts
	if f.ResourcePolicyType != "" {
		var layer authz.Layer
		if err := layer.UnmarshalText([]byte(f.ResourcePolicyType)); err != nil {
			b.fail(err)
		}
		return layer
	}
	a, err := arn.Parse(f.Resource)
	switch {
	case err == nil && a.Service == "iam" && a.Type() == "role":
		return authz.LayerTrust
	case err == nil && a.Service == "kms" && a.Type() == "key":
		return authz.LayerKey
	}
	return authz.LayerResource
}

func (b *builder) levels(list []level, layer authz.Layer) []authz.Level {
	var levels []authz.Level
	for i := range list {
		levels = append(levels, authz.Level{Node: list[i].Node, Policies: b.list(&list[i].Policies, layer, "")})
	}
	return levels
}

// single reads at most one document, alone or in a list.
func (b *builder) single(n *yaml.Node, layer authz.Layer, account arn.AccountID) *authz.Policy {
	list := b.list(n, layer, account)
	switch {
	case len(list) == 0:
		return nil
	case len(list) > 1:
		b.fail(fmt.Errorf("line %d: at most one %s policy can apply", n.Line, layer))
	}
	return list[0]
}

// list reads a list of documents, or one document on its own.
func (b *builder) list(n *yaml.Node, layer authz.Layer, account arn.AccountID) []*authz.Policy {
	var list []*authz.Policy
	for i, item := range documents(n) {
		doc, err := policy.Decode(new(converter).node(item, 0))
		if err != nil {
			b.fail(err)
			continue
		}
		name := fmt.Sprintf("#%d", i+1)
		if doc.ID != "" {
			name = doc.ID
		}
		compiled, err := b.compile(doc, authz.Source{Layer: layer, Account: account, Name: name})
		if err != nil {
			b.fail(err)
			continue
		}
		list = append(list, compiled)
	}
	return list
}

// documents gives the policy documents below n.
func documents(n *yaml.Node) []*yaml.Node {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		return []*yaml.Node{n}
	case yaml.SequenceNode:
		return n.Content
	}
	return nil
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// Limits of one document, so that aliases of aliases end: a policy is 8 deep.
const (
	maxDepth = 16
	maxNodes = 100_000
)

// converter turns YAML into the tree that package policy decodes, positions
// kept. Past its limits it gives null, which no policy accepts.
type converter struct{ nodes int }

func (c *converter) node(n *yaml.Node, depth int) policy.Node {
	n = resolve(n)
	out := policy.Node{Pos: position(n), Text: n.Value}
	if c.nodes++; c.nodes > maxNodes || depth > maxDepth {
		return out
	}
	switch n.Kind {
	case yaml.MappingNode:
		out.Kind, out.Text = policy.ObjectNode, ""
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], c.node(n.Content[i+1], depth+1)
			out.Members = append(out.Members, policy.Member{Name: name.Value, NamePos: position(name), Value: value})
		}
	case yaml.SequenceNode:
		out.Kind, out.Text = policy.ListNode, ""
		for _, item := range n.Content {
			out.Items = append(out.Items, c.node(item, depth+1))
		}
	default:
		out.Kind = scalarKind(n)
	}
	return out
}

func position(n *yaml.Node) policy.Pos { return policy.Pos{Line: n.Line, Column: n.Column} }

// scalarKind is the JSON type of a YAML scalar; dates, which YAML knows and
// JSON does not, are strings.
func scalarKind(n *yaml.Node) policy.NodeKind {
	switch n.ShortTag() {
	case "!!int", "!!float":
		return policy.NumberNode
	case "!!bool":
		return policy.BoolNode
	case "!!null":
		return policy.NullNode
	}
	return policy.StringNode
}
