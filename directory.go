package stile

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
)

// Account is an account that a [Directory] knows.
type Account struct {
	ID   arn.AccountID
	Name string
	// Labels are what a [Selection] can ask for: labels of declarations, or tags
	// of the account in AWS Organizations.
	Labels map[string]string
	// Units are the organizational units above the account, by name, the one
	// below the root first.
	Units []string
}

// Directory knows accounts. Accounts is called when a name is asked for that is
// not known, and now and then, by one goroutine at a time and not on behalf of
// one caller: ctx ends after five minutes, or with the [Pool]. What it returns is
// kept, and used on when it fails.
type Directory interface {
	Accounts(ctx context.Context) ([]Account, error)
}

// List is a Directory of accounts that never change.
func List(accounts ...Account) Directory { return list(slices.Clone(accounts)) }

type list []Account

func (l list) Accounts(context.Context) ([]Account, error) { return l, nil }

// Declared is a Directory of the accounts declared in a file or directory of
// stile's declarations (kind Account), with their labels. It is read when names
// are asked for.
func Declared(path string) Directory { return declared(path) }

type declared string

func (d declared) Accounts(context.Context) ([]Account, error) {
	set, problems := access.LoadPath(string(d))
	if problems.HasErrors() {
		return nil, fmt.Errorf("reading declared accounts: %w", problems.Err())
	}
	var out []Account
	for _, a := range set.Accounts {
		out = append(out, Account{ID: a.ID, Name: a.Name, Labels: a.Labels})
	}
	return out, nil
}

// Saved is a Directory of the accounts in an inventory that stile observe --out
// has written: with their names and organizational units, without labels. Accounts
// that are not active are left out. The file is read when names are asked for.
func Saved(path string) Directory { return saved(path) }

type saved string

func (s saved) Accounts(context.Context) ([]Account, error) {
	f, err := os.Open(string(s))
	if err != nil {
		return nil, fmt.Errorf("reading the accounts of an inventory: %w", err)
	}
	defer f.Close()
	inv, err := inventory.Load(f)
	if err != nil {
		return nil, fmt.Errorf("reading the accounts of %s: %w", string(s), err)
	}
	var out []Account
	if inv.Organization != nil && inv.Organization.Root != nil {
		for _, n := range inv.Organization.Root.Children {
			out = appendBelow(out, n, nil)
		}
	}
	for id, a := range inv.Accounts {
		if inv.Organization.Path(id) == nil {
			out = append(out, Account{ID: id, Name: a.Name})
		}
	}
	return out, nil
}

// appendBelow adds the active accounts at and below a node, which stands in units.
func appendBelow(out []Account, n *inventory.Node, units []string) []Account {
	if id := arn.AccountID(n.ID); id.Valid() {
		if n.State != "" && n.State != string(types.AccountStateActive) {
			return out
		}
		return append(out, Account{ID: id, Name: n.Name, Units: units})
	}
	units = append(units[:len(units):len(units)], n.Name)
	for _, child := range n.Children {
		out = appendBelow(out, child, units)
	}
	return out
}
