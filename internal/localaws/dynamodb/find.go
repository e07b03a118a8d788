package dynamodb

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// request is one use of a table that has to be allowed.
type request struct {
	action string // without the service: "GetItem"
	ref    string // the table's name or ARN as the caller gave it
	index  string // "" for the table itself
	// keys gives the condition keys that depend on the table; may be nil.
	keys    func(t *store.Table) map[string][]string
	tags    map[string]string
	tagKeys []string
}

// table finds the table and asks whether the caller may do what it wants. What
// does not exist is asked for like what does.
func (r request) table(c *service.Call) (*store.Table, *wire.Error) {
	t, e := r.find(c)
	if e == nil && t == nil {
		e = c.Errorf("ResourceNotFoundException", "Requested resource not found")
	}
	return t, e
}

// find is table for operations that have words of their own for missing tables.
func (r request) find(c *service.Call) (*store.Table, *wire.Error) {
	a, t, e := lookup(c, r.ref)
	if e != nil {
		return nil, e
	}
	access := gate.Access{Action: "dynamodb:" + r.action, Resource: a.String(), Account: a.Account, RequestTags: r.tags, TagKeys: r.tagKeys}
	if r.index != "" {
		access.Resource += "/index/" + r.index
	}
	if t != nil {
		if access.Policy, e = tablePolicy(c, t); e != nil {
			return nil, e
		}
		access.ResourceTags = t.Tags
		if r.keys != nil {
			access.Context = r.keys(t)
		}
	}
	if e := c.Require(access); e != nil || t == nil || !usesKey(r.action) {
		return t, e
	}
	return t, mayDecrypt(c, t)
}

func tablePolicy(c *service.Call, t *store.Table) (*authz.Policy, *wire.Error) {
	p := t.Policy.At(c.World.Horizon(t.Account))
	if p == nil {
		return nil, nil
	}
	return compiled(c, t, p.Text)
}

func compiled(c *service.Call, t *store.Table, text string) (*authz.Policy, *wire.Error) {
	return c.Policy(text, authz.Source{Layer: authz.LayerResource, Account: t.Account, Name: "table " + t.Name})
}

// lookup finds a table by its name in the caller's account or by its ARN anywhere.
func lookup(c *service.Call, ref string) (arn.ARN, *store.Table, *wire.Error) {
	a := arn.ARN{Partition: store.Partition, Service: "dynamodb", Region: c.Region, Account: c.Account, Owner: string(c.Account), Resource: "table/" + ref}
	if strings.HasPrefix(ref, "arn:") {
		var err error
		a, err = arn.Parse(ref)
		if err != nil || a.Service != "dynamodb" || a.Account == "" || a.Type() != "table" {
			return arn.ARN{}, nil, c.Errorf("ValidationException", "Invalid TableArn: Invalid ResourceArn provided as input %s", ref)
		}
	}
	if !validName(a.Name()) {
		return arn.ARN{}, nil, c.Errorf("ValidationException",
			"Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	owner := c.World.Accounts[a.Account]
	if owner == nil || a.Region != c.Region || a.Partition != store.Partition {
		return a, nil, nil
	}
	return a, owner.DynamoDB.In(c.Region).Tables[a.Name()], nil
}

func validName(name string) bool {
	return len(name) >= 3 && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	})
}

// invalid is the error for a client's mistake.
func invalid(c *service.Call, err error) *wire.Error {
	return c.Errorf("ValidationException", "%s", err.Error())
}
