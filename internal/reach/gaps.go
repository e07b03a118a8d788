package reach

import (
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
)

// Gap is something that the graph's answers do not cover.
type Gap struct {
	Account arn.AccountID `json:"account,omitempty"`
	What    string        `json:"what"`
	Why     string        `json:"why"`
}

// Gaps lists what was not looked at, or could not be read. Answers that turn on
// it are never "allowed", and what they leave out may exist.
func (g *Graph) Gaps() []Gap { return g.gaps }

func (b *builder) gap(id arn.AccountID, what, why string) {
	b.gaps = append(b.gaps, Gap{id, what, why})
}

func (b *builder) findGaps() {
	b.organizationGaps()
	for id, account := range sorted(b.inv.Accounts) {
		if account == nil {
			b.gap(id, "the account", "it was not found")
			continue
		}
		for _, p := range account.Problems {
			b.gap(id, p.What, p.Why)
		}
		if !account.Complete && !account.Failed(inventory.AllOfIt) {
			b.gap(id, "users and roles", "not all of them were listed")
		}
		b.clusterGaps(id, account)
	}
}

func (b *builder) organizationGaps() {
	org := b.inv.Organization
	switch {
	case b.inv.OrgState == inventory.NotAsked && org == nil:
		b.gap("", "the organization with its service control policies and resource control policies", "nobody looked")
		return
	case b.inv.OrgState == inventory.Unread && org == nil:
		b.gap("", "the organization", "it could not be read")
		return
	case org == nil:
		return
	}
	if org.RCPState == inventory.NotAsked || org.RCPState == inventory.Unread {
		why := org.RCPWhy
		if why == "" {
			why = "nobody looked"
		}
		b.gap("", "resource control policies", why)
	}
	var walk func(n *inventory.Node)
	walk = func(n *inventory.Node) {
		if n == nil {
			return
		}
		if id := arn.AccountID(n.ID); id.Valid() {
			if _, known := b.inv.Accounts[id]; !known {
				b.gap(id, "the account "+n.Name, "it is in the organization and was not read")
			}
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(org.Root)
}

func (b *builder) clusterGaps(id arn.AccountID, account *inventory.Account) {
	for _, c := range sorted(account.Clusters) {
		if c == nil {
			continue
		}
		for _, part := range []struct {
			what  string
			state inventory.Lookup
		}{{"Pod Identity associations", c.AssociationState}, {"annotated service accounts", c.ServiceAcctsState}} {
			switch part.state {
			case inventory.NotAsked:
				b.gap(id, part.what+" of cluster "+c.Name, "nobody looked")
			case inventory.Unread:
				b.gap(id, part.what+" of cluster "+c.Name, "they could not be read")
			case inventory.Exists, inventory.Absent:
			}
		}
	}
}
