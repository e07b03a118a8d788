package corpus

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// facts reads what a case says about its request over what it inherited.
func (l *loader) facts(n policy.Node, c *Case) error {
	var given []string
	for _, m := range n.Members {
		if !slices.Contains(factKeys, m.Name) {
			continue
		}
		given = append(given, m.Name)
		if err := l.fact(&c.facts, m); err != nil {
			return err
		}
	}
	if c.Like != "" {
		if len(given) != 1 {
			return l.failf(n.Pos, "like %s: want exactly one fact that differs, not %q", c.Like, given)
		}
		c.Differs = given[0]
	}
	return nil
}

func (l *loader) fact(f *facts, m policy.Member) (err error) {
	switch m.Name {
	case "principal":
		f.principal, err = l.text(m)
	case "entity":
		f.entity, err = l.text(m)
	case "principalId":
		f.principalID, err = l.text(m)
	case "entityId":
		f.entityID, err = l.text(m)
	case "action":
		f.action, err = l.text(m)
	case "resource":
		f.resource, err = l.text(m)
	case "resourceAccount":
		f.resourceAccount, err = l.text(m)
	case "resourcePolicyType":
		f.resourcePolicyType, err = l.text(m)
	case "management":
		f.management, err = l.truth(m)
	case "serviceLinked":
		f.serviceLinked, err = l.truth(m)
	case "resourceManagement":
		f.resourceManagement, err = l.truth(m)
	case "resourceAWSManaged":
		f.resourceAWSManaged, err = l.truth(m)
	case "context":
		f.context, err = l.object(m)
	case "unknown":
		f.unknown, err = l.texts(m)
	default:
		err = l.layer(f, m)
	}
	return err
}

// layer reads the policies of one kind.
func (l *loader) layer(f *facts, m policy.Member) (err error) {
	switch m.Name {
	case "identityPolicies":
		f.identity = m.Value
	case "boundary":
		f.boundary = m.Value
	case "sessionPolicy":
		f.session = m.Value
	case "resourcePolicy":
		f.resourcePolicy = m.Value
	case "vpcEndpointPolicies":
		f.endpoint = m.Value
	case "scps":
		f.scps, err = l.levels(m)
	case "rcps":
		f.rcps, err = l.levels(m)
	case "grants":
		f.grants, err = l.grants(m)
	case "unread":
		f.unread, err = l.unread(m)
	}
	return err
}

// text reads a string; numbers are taken as they are spelt.
func (l *loader) text(m policy.Member) (string, error) {
	switch m.Value.Kind {
	case policy.StringNode, policy.NumberNode, policy.NullNode:
		return m.Value.Text, nil
	case policy.BoolNode, policy.ListNode, policy.ObjectNode:
	}
	return "", l.failf(m.Value.Pos, "%s: want a string, not %v", m.Name, m.Value.Kind)
}

func (l *loader) truth(m policy.Member) (bool, error) {
	if m.Value.Kind != policy.BoolNode {
		return false, l.failf(m.Value.Pos, "%s: want true or false, not %v", m.Name, m.Value.Kind)
	}
	return strings.EqualFold(m.Value.Text, "true"), nil
}

func (l *loader) texts(m policy.Member) ([]string, error) {
	if m.Value.Kind != policy.ListNode && m.Value.Kind != policy.NullNode {
		return nil, l.failf(m.Value.Pos, "%s: want a list, not %v", m.Name, m.Value.Kind)
	}
	var list []string
	for _, item := range m.Value.Items {
		text, err := l.text(policy.Member{Name: m.Name, Value: item})
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

func (l *loader) object(m policy.Member) ([]policy.Member, error) {
	if m.Value.Kind != policy.ObjectNode && m.Value.Kind != policy.NullNode {
		return nil, l.failf(m.Value.Pos, "%s: want an object, not %v", m.Name, m.Value.Kind)
	}
	return m.Value.Members, nil
}

// each calls read for every object of a list, after its fields were checked.
func (l *loader) each(m policy.Member, keys []string, read func(policy.Node) error) error {
	if m.Value.Kind != policy.ListNode && m.Value.Kind != policy.NullNode {
		return l.failf(m.Value.Pos, "%s: want a list, not %v", m.Name, m.Value.Kind)
	}
	for _, item := range m.Value.Items {
		if err := l.known(item, keys); err != nil {
			return err
		}
		if err := read(item); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) levels(m policy.Member) ([]level, error) {
	var list []level
	err := l.each(m, []string{"node", "policies"}, func(n policy.Node) error {
		node, _ := child(n, "node")
		policies, _ := child(n, "policies")
		list = append(list, level{node: node.Text, policies: policies})
		return nil
	})
	return list, err
}

func (l *loader) grants(m policy.Member) ([]authz.Grant, error) {
	var list []authz.Grant
	err := l.each(m, []string{"id", "grantee", "retiring", "operations", "encryptionContext", "equals"}, func(n policy.Node) (err error) {
		var g authz.Grant
		for _, field := range n.Members {
			switch field.Name {
			case "id":
				g.ID, err = l.text(field)
			case "grantee":
				g.Grantee, err = l.text(field)
			case "retiring":
				g.Retiring, err = l.text(field)
			case "operations":
				g.Operations, err = l.texts(field)
			case "equals":
				g.Equals, err = l.truth(field)
			case "encryptionContext":
				g.EncryptionContext, err = l.pairs(field)
			}
			if err != nil {
				return err
			}
		}
		list = append(list, g)
		return nil
	})
	return list, err
}

// pairs reads an object of strings.
func (l *loader) pairs(m policy.Member) (map[string]string, error) {
	members, err := l.object(m)
	if err != nil || m.Value.Kind == policy.NullNode {
		return nil, err
	}
	pairs := make(map[string]string, len(members))
	for _, pair := range members {
		if pairs[pair.Name], err = l.text(pair); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

func (l *loader) unread(m policy.Member) ([]authz.Unread, error) {
	var list []authz.Unread
	err := l.each(m, []string{"layer", "name", "reason"}, func(n policy.Node) error {
		layer, _ := child(n, "layer")
		name, _ := child(n, "name")
		reason, _ := child(n, "reason")
		u := authz.Unread{Source: authz.Source{Name: name.Text}, Reason: reason.Text}
		if err := u.Source.Layer.UnmarshalText([]byte(layer.Text)); err != nil {
			return l.failf(n.Pos, "unread: %w", err)
		}
		list = append(list, u)
		return nil
	})
	return list, err
}
