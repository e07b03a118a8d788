package access

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/arn"
)

// This file reads each kind's fields into the types of access.go. It checks
// form only; what fields mean together is check.go's business.

func (l *loader) scope(n *yaml.Node, pos Pos) {
	l.scopes = append(l.scopes, pos)
	if len(l.scopes) > 1 {
		l.fail(pos, CodeSecondScope, says{
			what: "a second Scope",
			why:  fmt.Sprintf("the first is at %s; the declarations of one run belong to one scope", l.scopes[0]),
			hint: "keep each scope in a directory of its own",
		})
		return
	}
	s := &l.set.Scope
	s.Pos = pos
	l.envelope(n, "Scope", &s.Metadata, func(n *yaml.Node) {
		l.object(n, "Scope spec",
			field{name: "home", required: true, read: func(n *yaml.Node) {
				l.object(n, "spec.home",
					field{name: "account", required: true, read: l.str(&s.Home.Account, "spec.home.account")},
					field{name: "region", read: l.str(&s.Home.Region, "spec.home.region")},
				)
			}},
			field{name: "rolePrefix", read: l.str(&s.Prefix, "spec.rolePrefix")},
		)
	})
}

func (l *loader) account(n *yaml.Node, pos Pos) {
	a := &Account{Pos: pos}
	var id string
	l.envelope(n, "Account", &a.Metadata, func(n *yaml.Node) {
		l.object(n, "Account spec",
			field{name: "id", required: true, read: l.str(&id, "spec.id")},
			field{name: "regions", read: l.strings(&a.Regions, "spec.regions")},
			field{name: "manageWith", read: l.credentials(&a.ManageWith, "spec.manageWith")},
			field{name: "readWith", read: l.credentials(&a.ReadWith, "spec.readWith")},
			field{name: "permissionsBoundary", read: l.str(&a.PermissionsBoundary, "spec.permissionsBoundary")},
			field{name: "path", read: l.str(&a.Path, "spec.path")},
		)
	})
	if id != "" {
		l.at[&a.ID] = l.posOf(&id, pos)
		parsed, err := arn.ParseAccountID(id)
		if err != nil {
			l.fail(l.at[&a.ID], CodeBadAccountID, says{what: fmt.Sprintf("spec.id is %q; want exactly 12 digits", id)})
		}
		a.ID = parsed
	}
	l.set.Accounts = append(l.set.Accounts, a)
}

func (l *loader) credentials(dst **Credentials, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		c := &Credentials{Pos: l.nodePos(n)}
		*dst = c
		if !l.object(n, what,
			field{name: "profile", read: l.str(&c.Profile, what+".profile")},
			field{name: "chain", read: func(n *yaml.Node) { l.chain(n, c, what+".chain") }},
		) {
			return
		}
		if len(n.Content) == 0 {
			l.fail(c.Pos, CodeEmpty, says{what: what + " names neither a profile nor a chain"})
		}
	}
}

func (l *loader) chain(n *yaml.Node, c *Credentials, what string) {
	items := l.items(n, what)
	c.Chain = make([]Hop, len(items))
	for i, item := range items {
		h := &c.Chain[i]
		l.at[h] = l.nodePos(item)
		l.object(item, "an element of "+what,
			field{name: "role", required: true, read: l.str(&h.Role, "role")},
			field{name: "externalID", read: l.str(&h.ExternalID, "externalID")},
		)
	}
}

func (l *loader) cluster(n *yaml.Node, pos Pos) {
	c := &Cluster{Pos: pos}
	l.envelope(n, "Cluster", &c.Metadata, func(n *yaml.Node) {
		l.object(n, "Cluster spec",
			field{name: "account", required: true, read: l.str(&c.Account, "spec.account")},
			field{name: "region", read: l.str(&c.Region, "spec.region")},
			field{name: "name", read: l.str(&c.EKSName, "spec.name")},
			field{name: "issuer", read: l.str(&c.Issuer, "spec.issuer")},
			field{name: "identity", read: enum(l, &c.Identity, "spec.identity", IRSA, PodIdentity)},
			field{name: "access"},
		)
	})
	l.set.Clusters = append(l.set.Clusters, c)
}

func (l *loader) access(n *yaml.Node, pos Pos) {
	a := &Access{Pos: pos}
	l.envelope(n, "Access", &a.Metadata, func(n *yaml.Node) {
		l.object(n, "Access spec",
			field{name: "from", required: true, read: func(n *yaml.Node) { l.callers(n, a) }},
			field{name: "to", required: true, read: func(n *yaml.Node) { l.targets(n, a) }},
			field{name: "as", read: l.str(&a.As, "spec.as")},
			field{name: "via", read: enum(l, &a.Via, "spec.via", patterns[:]...)},
			field{name: "hub", read: l.str(&a.Hub, "spec.hub")},
			field{name: "shared", read: l.boolean(&a.Shared, "spec.shared")},
			field{name: "allow", required: true, read: func(n *yaml.Node) { l.allows(n, a) }},
			field{name: "session", read: func(n *yaml.Node) { l.session(n, &a.Session) }},
			field{name: "profiles", read: l.stringMap(&a.Profiles, "spec.profiles")},
			field{name: "expires", read: l.expiry(&a.Expires)},
		)
	})
	l.set.Accesses = append(l.set.Accesses, a)
}

var patterns = [...]Pattern{Auto, WebIdentity, Chain, AssumeRole, ResourcePolicy, PodIdentityVia}

func (l *loader) callers(n *yaml.Node, a *Access) {
	items := l.items(n, "spec.from")
	a.From = make([]Caller, len(items))
	for i, item := range items {
		c := &a.From[i]
		c.Pos = l.nodePos(item)
		ok := l.object(item, "an element of spec.from",
			field{name: "serviceAccount", read: func(n *yaml.Node) {
				c.ServiceAccount = &ServiceAccount{}
				l.object(n, "serviceAccount",
					field{name: "cluster", required: true, read: l.str(&c.ServiceAccount.Cluster, "cluster")},
					field{name: "namespace", required: true, read: l.str(&c.ServiceAccount.Namespace, "namespace")},
					field{name: "name", required: true, read: l.str(&c.ServiceAccount.Name, "name")},
				)
			}},
			field{name: "role", read: l.iamName(&c.Role, "role")},
			field{name: "user", read: l.iamName(&c.User, "user")},
			field{name: "permissionSet"}, field{name: "service"}, field{name: "oidc"}, field{name: "account"}, field{name: "thirdParty"},
		)
		switch fields := len(item.Content) / 2; {
		case ok && fields == 0:
			l.fail(c.Pos, CodeEmpty, says{what: "an element of spec.from names no caller", hint: "write serviceAccount, role or user"})
		case ok && fields > 1:
			l.fail(c.Pos, CodeConflict, says{
				what: fmt.Sprintf("an element of spec.from has %d fields; want exactly one kind of caller", fields),
				hint: "give each caller a list element of its own",
			})
		}
	}
}

func (l *loader) iamName(dst **IAMName, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		name := &IAMName{}
		*dst = name
		l.object(n, what,
			field{name: "account", required: true, read: l.str(&name.Account, "account")},
			field{name: "name", required: true, read: l.str(&name.Name, "name")},
			field{name: "path", read: l.str(&name.Path, "path")},
			field{name: "externalID", read: l.str(&name.ExternalID, "externalID")},
		)
	}
}

func (l *loader) targets(n *yaml.Node, a *Access) {
	a.To.Pos = l.nodePos(n)
	ok := l.object(n, "spec.to",
		field{name: "accounts", read: l.strings(&a.To.Accounts, "spec.to.accounts")},
		field{name: "organizationalUnits"},
		field{name: "selector", read: func(n *yaml.Node) {
			var labels map[string]string
			l.object(n, "spec.to.selector",
				field{name: "matchLabels", required: true, read: l.stringMap(&labels, "spec.to.selector.matchLabels")},
			)
			if labels != nil {
				l.picks[a] = labels
				l.at[a] = l.nodePos(n)
			}
		}},
	)
	if ok && len(n.Content) == 0 {
		l.fail(a.To.Pos, CodeEmpty, says{what: "spec.to names no account", hint: "write to: {accounts: [NAME]}"})
	}
}

func (l *loader) allows(n *yaml.Node, a *Access) {
	items := l.items(n, "spec.allow")
	a.Allow = make([]Allow, len(items))
	for i, item := range items {
		w := &a.Allow[i]
		w.Pos = l.nodePos(item)
		ok := l.object(item, "an element of spec.allow",
			field{name: "grant", read: l.str(&w.Grant, "grant")},
			field{name: "actions", read: l.strings(&w.Actions, "actions")},
			field{name: "resources", read: l.strings(&w.Resources, "resources")},
			field{name: "conditions", read: func(n *yaml.Node) { w.Conditions = l.conditions(n) }},
			field{name: "via", read: enum(l, &w.Via, "via", patterns[:]...)},
			field{name: "kubernetes"},
		)
		grant, actions := has(item, "grant"), has(item, "actions")
		switch {
		case grant && actions:
			l.fail(w.Pos, CodeConflict, says{what: "an element of spec.allow has both grant and actions", hint: "make two elements of it"})
		case ok && !grant && !actions && !has(item, "kubernetes"):
			l.fail(w.Pos, CodeMissingField, says{what: "an element of spec.allow has neither grant nor actions"})
		}
	}
}

// has reports whether a mapping has a field.
func has(n *yaml.Node, name string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return true
		}
	}
	return false
}

// conditions reads {Operator: {key: value or list}} in the order written.
func (l *loader) conditions(n *yaml.Node) []Condition {
	operators, _ := l.pairs(n, "conditions")
	var out []Condition
	for _, op := range operators {
		keys, _ := l.pairs(op.value, fmt.Sprintf("condition operator %q", op.key))
		for _, key := range keys {
			c := Condition{Operator: op.key, Key: key.key, Values: l.conditionValues(key.value)}
			l.condition(c, op.pos, key.pos)
			out = append(out, c)
		}
		if len(keys) == 0 && op.value.Kind == yaml.MappingNode {
			l.fail(op.pos, CodeEmpty, says{what: fmt.Sprintf("condition operator %q has no keys", op.key)})
		}
	}
	if len(operators) == 0 && n.Kind == yaml.MappingNode {
		l.fail(l.nodePos(n), CodeEmpty, says{what: "conditions is empty", hint: "leave the field out when there is no condition"})
	}
	return out
}

// conditionValues reads one value or a list. IAM takes numbers and booleans in
// conditions beside strings, so they need no quotes here.
func (l *loader) conditionValues(n *yaml.Node) []string {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = l.items(n, "a list of condition values")
	}
	var out []string
	for _, v := range nodes {
		if v.Kind != yaml.ScalarNode || isNull(v) {
			l.wrongType(v, "a condition value", "a string, number or boolean, or a list of them")
			continue
		}
		out = append(out, v.Value)
	}
	return out
}

func (l *loader) session(n *yaml.Node, s *Session) {
	l.object(n, "spec.session",
		field{name: "maxDuration", read: func(n *yaml.Node) {
			text, ok := l.text(n, "spec.session.maxDuration")
			if !ok {
				return
			}
			d, err := time.ParseDuration(text)
			if err != nil {
				l.fail(l.nodePos(n), CodeBadDuration, says{what: fmt.Sprintf("spec.session.maxDuration is %q; want a duration", text), hint: `write hours and minutes, as in "1h" or "1h30m"`})
				return
			}
			s.MaxDuration = d
			l.at[&s.MaxDuration] = l.nodePos(n)
		}},
		field{name: "tags", read: l.stringMap(&s.Tags, "spec.session.tags")},
	)
}

// expiry reads a date or an RFC 3339 instant, quoted or not.
func (l *loader) expiry(dst *time.Time) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode {
			l.wrongType(n, "spec.expires", "a date")
			return
		}
		for _, layout := range []string{time.DateOnly, time.RFC3339} {
			if t, err := time.Parse(layout, n.Value); err == nil && t.Year() > 1 {
				*dst = t.UTC()
				l.at[dst] = l.nodePos(n)
				return
			}
		}
		l.fail(l.nodePos(n), CodeBadExpiry, says{
			what: fmt.Sprintf("spec.expires is %q; want a date or an RFC 3339 instant", n.Value),
			hint: `write "2027-01-01" (the beginning of that day, UTC) or "2027-01-01T18:00:00Z"`,
		})
	}
}
