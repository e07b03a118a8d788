package corpus

import (
	"fmt"
	"slices"
	"strings"

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
		Principal: b.principal(), Action: f.action, Resource: f.resource,
		ResourceManagement: f.resourceManagement, ResourceAWSManaged: f.resourceAWSManaged,
	}
	if f.action == "" || f.resource == "" {
		b.fail(fmt.Errorf("a case needs principal, action and resource"))
	}
	if f.resourceAccount != "" {
		id, err := arn.ParseAccountID(f.resourceAccount)
		if err != nil {
			b.fail(err)
		}
		req.ResourceAccount = id
	}
	for _, m := range f.context {
		req.Context.Set(m.Name, b.values(m)...)
	}
	for _, key := range f.unknown {
		req.Context.SetUnknown(key)
	}
	return req
}

// values reads one value or a list of them, as they are spelt.
func (b *builder) values(m policy.Member) []string {
	items := []policy.Node{m.Value}
	if m.Value.Kind == policy.ListNode {
		items = m.Value.Items
	}
	var list []string
	for _, item := range items {
		switch item.Kind {
		case policy.StringNode, policy.NumberNode, policy.BoolNode:
		case policy.NullNode, policy.ListNode, policy.ObjectNode:
			b.fail(fmt.Errorf("context key %s: want a string or a list of strings", m.Name))
		}
		list = append(list, item.Text)
	}
	return list
}

// builtinProviders are the web identity providers that have no ARN.
var builtinProviders = []string{"cognito-identity.amazonaws.com", "www.amazon.com", "graph.facebook.com", "accounts.google.com"}

func (b *builder) principal() authz.Principal {
	f := &b.c.facts
	p := authz.Principal{ID: f.principalID, EntityID: f.entityID, Management: f.management, ServiceLinked: f.serviceLinked}
	switch {
	case f.principal == "anonymous":
		return p
	case slices.Contains(builtinProviders, f.principal) && strings.HasSuffix(f.action, "WithWebIdentity"):
		p.Kind, p.ServiceName = authz.WebIdentity, f.principal
		return p
	case !strings.HasPrefix(f.principal, "arn:"):
		p.Kind, p.ServiceName = authz.Service, f.principal
		if !strings.Contains(f.principal, ".") {
			b.fail(fmt.Errorf("principal %q: want an ARN, a service principal or anonymous", f.principal))
		}
		return p
	}
	a, err := arn.Parse(f.principal)
	if err != nil {
		b.fail(err)
		return p
	}
	b.identify(&p, a)
	if f.entity != "" {
		if p.Entity, err = arn.Parse(f.entity); err != nil {
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
	return &authz.Policies{
		Identity:   b.list(f.identity, authz.LayerIdentity, caller),
		Boundary:   b.single(f.boundary, authz.LayerBoundary, caller),
		Session:    b.list(f.session, authz.LayerSession, caller),
		HasSession: f.session.Kind != policy.NullNode,
		SCPs:       b.levels(f.scps, authz.LayerSCP),
		RCPs:       b.levels(f.rcps, authz.LayerRCP),
		Resource:   b.single(f.resourcePolicy, b.resourceLayer(), Owner(req)),
		Endpoint:   b.single(f.endpoint, authz.LayerEndpoint, ""),
		Grants:     f.grants,
		Unread:     f.unread,
	}
}

// Owner is the account whose resource it is, as authz finds it.
func Owner(req *authz.Request) arn.AccountID {
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
	if f.resourcePolicyType != "" {
		var layer authz.Layer
		if err := layer.UnmarshalText([]byte(f.resourcePolicyType)); err != nil {
			b.fail(err)
		}
		return layer
	}
	a, err := arn.Parse(f.resource)
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
		levels = append(levels, authz.Level{Node: list[i].node, Policies: b.list(list[i].policies, layer, "")})
	}
	return levels
}

// single reads at most one document, alone or in a list: an entity has one
// boundary, a resource one policy, and a request goes through one endpoint.
func (b *builder) single(n policy.Node, layer authz.Layer, account arn.AccountID) *authz.Policy {
	list := b.list(n, layer, account)
	switch {
	case len(list) == 0:
		return nil
	case len(list) > 1:
		b.fail(fmt.Errorf("line %d: at most one %s policy can apply", n.Pos.Line, layer))
	}
	return list[0]
}

// list reads a list of documents, or one document on its own.
func (b *builder) list(n policy.Node, layer authz.Layer, account arn.AccountID) []*authz.Policy {
	items := n.Items
	if n.Kind != policy.ListNode && n.Kind != policy.NullNode {
		items = []policy.Node{n}
	}
	var list []*authz.Policy
	for i, item := range items {
		src := authz.Source{Layer: layer, Account: account, Name: fmt.Sprintf("#%d", i+1)}
		doc, err := document(item, &src)
		if err != nil {
			b.fail(err)
			continue
		}
		compiled, err := b.compile(doc, src)
		if err != nil {
			b.fail(err)
			continue
		}
		list = append(list, compiled)
	}
	return list
}

// document reads a policy: as an object, as a string that holds one, or as
// {name, policy}, where the name is what explanations call it.
func document(n policy.Node, src *authz.Source) (*policy.Document, error) {
	if inner, ok := child(n, "policy"); ok {
		name, _ := child(n, "name")
		if name.Text != "" {
			src.Name = name.Text
		}
		n = inner
	}
	if n.Kind == policy.StringNode {
		doc, err := policy.Parse([]byte(n.Text))
		for i := 0; err == nil && i < len(doc.Statements); i++ {
			doc.Statements[i].Pos = n.Pos // places within the string mean nothing in the file
		}
		return doc, err
	}
	doc, err := policy.Decode(n)
	if err == nil && doc.ID != "" && strings.HasPrefix(src.Name, "#") {
		src.Name = doc.ID
	}
	return doc, err
}
