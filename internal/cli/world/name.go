package world

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach"
)

// Names calls principals as people do.
type Names struct{ inv *inventory.Inventory }

// NamesOf is for the principals of an inventory.
func NamesOf(inv *inventory.Inventory) Names { return Names{inv} }

// Account is the account's name with its id, or the id.
func (n Names) Account(id arn.AccountID) string {
	if id == "" {
		return "outside all accounts"
	}
	if name := n.short(id); name != string(id) {
		return name + " (" + string(id) + ")"
	}
	return string(id)
}

func (n Names) short(id arn.AccountID) string {
	if a := n.inv.Accounts[id]; a != nil && a.Name != "" {
		return a.Name
	}
	return string(id)
}

// Local is a principal's name for a reader who sees its account: "role deploy".
func (n Names) Local(p reach.Node) string {
	a, err := arn.Parse(p.Key)
	switch {
	case err != nil:
	case p.Kind == reach.Role:
		return "role " + a.Name()
	case p.Kind == reach.User:
		return "user " + a.Name()
	case p.Kind == reach.Root:
		return "root user"
	}
	if p.Kind == reach.Session {
		name, as, _ := strings.Cut(p.Name, " (")
		if a, err := arn.Parse(name); err == nil {
			return "role " + a.Name() + " (" + as
		}
	}
	return p.Name
}

// Full is a principal's name with its account, in the grammar of addresses
// where there is one.
func (n Names) Full(p reach.Node) string {
	local := n.Local(p)
	switch p.Kind {
	case reach.Role, reach.Session:
		return n.short(p.Account) + "/" + strings.TrimPrefix(local, "role ")
	case reach.User:
		return n.short(p.Account) + "/user/" + strings.TrimPrefix(local, "user ")
	case reach.Root:
		return n.short(p.Account) + "/root user"
	case reach.WebIdentity, reach.Pod, reach.People, reach.Service, reach.External, reach.Everyone, reach.Anonymous:
	}
	return local
}

// ByAccount sorts accesses by the names of their accounts, then their own.
func (n Names) ByAccount(list []reach.Access) []reach.Access {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b reach.Access) int {
		return cmp.Or(cmp.Compare(n.Account(a.Node.Account), n.Account(b.Node.Account)), cmp.Compare(a.Node.Kind, b.Node.Kind), cmp.Compare(a.Node.Key, b.Node.Key))
	})
	return out
}

// List joins names, the first few of many.
func List(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
