package reach

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// ErrUnknown is wrapped by the errors of Resolve for what the graph does not have.
var ErrUnknown = errors.New("not in the inventory")

// Resolve finds the nodes that a text names: an ARN, ACCOUNT/ROLE,
// ACCOUNT/user/NAME, serviceaccount:CLUSTER/NAMESPACE/NAME, account:ID or
// account:NAME for all principals of an account, subject:SUBJECT for tokens of
// any issuer, a service principal as lambda.amazonaws.com, or "everyone".
func (g *Graph) Resolve(text string) ([]NodeID, error) {
	if n, known := g.byKey[text]; known {
		return g.Sessions(n), nil
	}
	switch {
	case strings.HasPrefix(text, "account:"):
		return g.inAccount(text, strings.TrimPrefix(text, "account:"))
	case arn.AccountID(text).Valid():
		return g.inAccount(text, text)
	case strings.HasPrefix(text, "subject:"):
		return g.bearing(strings.TrimPrefix(text, "subject:"), "")
	case strings.Count(text, "/") == 2 && strings.Contains(text, "/user/"):
		account, name, _ := strings.Cut(text, "/user/")
		return g.entity(text, account, func(a *inventory.Account) string {
			if u, _ := a.User(name); u != nil {
				return u.ARN
			}
			return ""
		}, func(a *inventory.Account) string { return a.NearUser(name) })
	}
	address, err := access.ParseAddress(text)
	if err != nil {
		return nil, err
	}
	switch {
	case address.ServiceAccount != nil:
		return g.serviceAccount(text, address.ServiceAccount)
	case address.Role != "":
		return g.entity(text, address.Account, func(a *inventory.Account) string {
			if r, _ := a.Role(address.Role); r != nil {
				return r.ARN
			}
			return ""
		}, func(a *inventory.Account) string { return a.NearRole(address.Role) })
	}
	return g.byARN(address.ARN)
}

// Sessions is a node and, of a role, its sessions with tags.
func (g *Graph) Sessions(n NodeID) []NodeID {
	return append([]NodeID{n}, g.siblings[n]...)
}

// byARN finds what an ARN stands for that is no key: a role by its session.
func (g *Graph) byARN(a arn.ARN) ([]NodeID, error) {
	if role, _, ok := a.RoleSession(); ok {
		if r, _ := g.inv.Accounts[a.Account].Role(role); r != nil {
			if n, known := g.byKey[r.ARN]; known {
				return g.Sessions(n), nil
			}
		}
	}
	if n, known := g.byKey["external:"+a.String()]; known {
		return []NodeID{n}, nil
	}
	why := ""
	switch account, known := g.inv.Accounts[a.Account]; {
	case !known && a.Account != "":
		why = ": its account " + string(a.Account) + " was not read" + didYouMean(g.inv.Near(string(a.Account)))
	case a.Type() == "role":
		why = didYouMean(account.NearRole(a.Name()))
	case a.Type() == "user":
		why = didYouMean(account.NearUser(a.Name()))
	}
	return nil, fmt.Errorf("finding %s: %w%s", a, ErrUnknown, why)
}

// entity finds a user or role of an account by its name; near is one of a name like it.
func (g *Graph) entity(text, account string, find, near func(*inventory.Account) string) ([]NodeID, error) {
	a, err := g.account(text, account)
	if err != nil {
		return nil, err
	}
	n, known := g.byKey[find(a)]
	if !known {
		return nil, fmt.Errorf("finding %s: %w: account %s has no principal of that name%s", text, ErrUnknown, account, didYouMean(near(a)))
	}
	return g.Sessions(n), nil
}

// account finds an account by its id or its name.
func (g *Graph) account(text, name string) (*inventory.Account, error) {
	for id, a := range sorted(g.inv.Accounts) {
		if a != nil && (string(id) == name || a.Name == name) {
			return a, nil
		}
	}
	return nil, fmt.Errorf("finding %s: %w: there is no account %q%s", text, ErrUnknown, name, didYouMean(g.inv.Near(name)))
}

// didYouMean is the end of an error that knows what was meant, perhaps.
func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", near)
}

// inAccount lists the principals of an account, its sessions with tags and
// service accounts included.
func (g *Graph) inAccount(text, name string) ([]NodeID, error) {
	a, err := g.account(text, name)
	if err != nil {
		return nil, err
	}
	var out []NodeID
	for i := range g.nodes {
		if n := &g.nodes[i]; n.Account == a.ID && n.Kind != External {
			out = append(out, n.ID)
		}
	}
	return out, nil
}

// serviceAccount finds the pods of a service account: the bearers of its
// tokens, and those with a Pod Identity association.
func (g *Graph) serviceAccount(text string, sa *access.ServiceAccount) ([]NodeID, error) {
	var out []NodeID
	var clusters []string
	found := false
	for _, a := range sorted(g.inv.Accounts) {
		if a == nil {
			continue
		}
		for _, c := range sorted(a.Clusters) {
			if c == nil {
				continue
			}
			clusters = append(clusters, c.Name)
			if c.Name != sa.Cluster {
				continue
			}
			found = true
			tags := tagset{clusterARN: c.ARN, namespace: sa.Namespace, serviceAccount: sa.Name}
			if n, known := g.byKey["pod:"+tags.String()]; known {
				out = append(out, n)
			}
			bearers, _ := g.bearing("system:serviceaccount:"+sa.Namespace+":"+sa.Name, strings.TrimPrefix(c.Issuer, "https://"))
			out = append(out, bearers...)
		}
	}
	switch {
	case !found:
		return nil, fmt.Errorf("finding %s: %w: no cluster %q was read%s", text, ErrUnknown, sa.Cluster, didYouMean(policy.Closest(sa.Cluster, clusters)))
	case len(out) == 0:
		return nil, fmt.Errorf("finding %s: %w: no role trusts it and it has no Pod Identity association", text, ErrUnknown)
	}
	return out, nil
}

// bearing lists the nodes whose tokens may have a subject, of one issuer or,
// with "", of any.
func (g *Graph) bearing(subject, issuer string) ([]NodeID, error) {
	var out []NodeID
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.Kind != WebIdentity || issuer != "" && n.issuer != issuer {
			continue
		}
		if has := subjectOf(n, n.issuer); has == subject || compile.Within(subject, has) {
			out = append(out, n.ID)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("finding tokens with subject %s: %w: no role trusts such tokens", subject, ErrUnknown)
	}
	slices.Sort(out)
	return out, nil
}
