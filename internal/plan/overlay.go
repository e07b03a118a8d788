package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// Overlay is the inventory as it will be after the plan's steps, for asking
// what the plan grants before anything changes. Unique ids of what the plan
// creates are empty.
func Overlay(inv *inventory.Inventory, p *Plan) *inventory.Inventory {
	out := clone(inv)
	for i := range p.Steps {
		overlayStep(out, &p.Steps[i])
	}
	return out
}

// clone copies what overlayStep writes to.
func clone(inv *inventory.Inventory) *inventory.Inventory {
	out := *inv
	out.Accounts = map[arn.AccountID]*inventory.Account{}
	for id, a := range inv.Accounts {
		c := *a
		c.Roles = cloneMap(a.Roles)
		for name, r := range c.Roles {
			if r != nil {
				r.Inline, r.Tags, r.Attached = maps.Clone(r.Inline), maps.Clone(r.Tags), slices.Clone(r.Attached)
				c.Roles[name] = r
			}
		}
		c.Users = cloneMap(a.Users)
		for _, u := range c.Users {
			if u != nil {
				u.Inline = maps.Clone(u.Inline)
			}
		}
		c.Providers, c.Secrets, c.Keys = cloneMap(a.Providers), cloneMap(a.Secrets), cloneMap(a.Keys)
		out.Accounts[id] = &c
	}
	return &out
}

// cloneMap copies a map and the records in it.
func cloneMap[T any](m map[string]*T) map[string]*T {
	out := make(map[string]*T, len(m))
	for k, v := range m {
		if v != nil {
			c := *v
			v = &c
		}
		out[k] = v
	}
	return out
}

func overlayStep(inv *inventory.Inventory, s *Step) {
	a := inv.Accounts[s.Account]
	if a == nil {
		return
	}
	switch op := s.Op; {
	case op.Provider != nil:
		overlayProvider(a, s.Verb, op.Provider)
	case op.Role != nil:
		overlayRole(a, s, op.Role)
	case op.Inline != nil:
		overlayInline(a, s.Verb, op.Inline)
	case op.Detach != nil:
		if r, _ := a.Role(op.Detach.Role); r != nil {
			r.Attached = slices.DeleteFunc(r.Attached, func(p string) bool { return p == op.Detach.Policy })
		}
	case op.Merge != nil:
		overlayMerge(a, op.Merge)
	}
}

func overlayProvider(a *inventory.Account, verb Verb, op *ProviderOp) {
	url := strings.TrimPrefix(op.URL, "https://")
	if verb == Delete {
		a.Providers[url] = nil
		return
	}
	p := a.Providers[url]
	if p == nil {
		p = &inventory.OIDCProvider{ARN: op.ARN, URL: url}
		a.Providers[url] = p
	}
	p.ClientIDs = append(slices.Clone(p.ClientIDs), op.ClientIDs...)
	p.Tags = withTags(p.Tags, op.Tags)
}

func withTags(have, more map[string]string) map[string]string {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, more)
	return out
}

func overlayRole(a *inventory.Account, s *Step, op *RoleOp) {
	key := strings.ToLower(op.Name)
	if s.Verb == Delete {
		a.Roles[key] = nil
		return
	}
	r := a.Roles[key]
	if r == nil {
		r = &inventory.Role{ARN: roleARN(*s), Name: op.Name, Path: op.Path, Inline: map[string]string{}, Description: op.Description}
		a.Roles[key] = r
	}
	if op.Trust != nil {
		r.Trust = string(op.Trust.JSON())
	}
	if op.Boundary == "-" {
		r.Boundary = ""
	} else if op.Boundary != "" {
		r.Boundary = op.Boundary
	}
	if op.MaxSession != 0 {
		r.MaxSession = op.MaxSession
	}
	r.Tags = withTags(r.Tags, op.Tags)
}

func overlayInline(a *inventory.Account, verb Verb, op *InlineOp) {
	var there *map[string]string
	if op.Kind == "user" {
		if u, _ := a.User(op.Name); u != nil {
			there = &u.Inline
		}
	} else if r, _ := a.Role(op.Name); r != nil {
		there = &r.Inline
	}
	if there == nil {
		return
	}
	if *there == nil {
		*there = map[string]string{}
	}
	if verb == Delete {
		delete(*there, op.PolicyName)
		return
	}
	(*there)[op.PolicyName] = string(op.Document.JSON())
}

func overlayMerge(a *inventory.Account, op *MergeOp) {
	if op.Kind == compile.KeyPolicy {
		if k := a.Keys[op.Target]; k != nil {
			k.Policy = mergedText(k.Policy, op)
		}
		return
	}
	for _, s := range a.Secrets {
		if s != nil && s.ARN == op.Target {
			s.Policy = mergedText(s.Policy, op)
		}
	}
}

func mergedText(text string, op *MergeOp) string {
	doc := &policy.Document{Version: policy.Version2012}
	if text != "" {
		parsed, err := policy.Parse([]byte(text))
		if err != nil {
			return text
		}
		doc = parsed
	}
	merged := Merge(doc, op)
	if len(merged.Statements) == 0 {
		return ""
	}
	return string(merged.JSON())
}

// Merge is doc with op's statements put in the place of those with the same
// Sid, or at the end, and op's Sids removed. Every other statement stays where
// and as it is. doc is not changed.
func Merge(doc *policy.Document, op *MergeOp) *policy.Document {
	return doc.WithoutSid(op.Remove...).Merge(op.Put...)
}
