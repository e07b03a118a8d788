package stile

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

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
// not known, and now and then; what it returns is kept. It must be safe for
// concurrent use.
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

// How long a directory's answer is good, and how soon it is asked again for a
// name that it did not have.
const (
	bookLife  = 10 * time.Minute
	bookRetry = 30 * time.Second
)

// book is what a directory said last.
type book struct {
	directory Directory

	mu     sync.Mutex // guards the rest; held while the directory is asked
	read   time.Time
	all    []Account
	byName map[string][]arn.AccountID
}

// resolve gives the id of an account.
func (b *book) resolve(ctx context.Context, account string) (arn.AccountID, error) {
	if id := arn.AccountID(account); id.Valid() {
		return id, nil
	}
	switch {
	case account == "":
		return "", fmt.Errorf("choosing an account: none is given")
	case b.directory == nil:
		return "", fmt.Errorf("choosing an account: %q is not the id of one (twelve digits), and the pool has no Directory of names", account)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := b.byName[account]
	age := time.Since(b.read)
	if b.read.IsZero() || age > bookLife || len(ids) == 0 && age > bookRetry {
		if err := b.fillLocked(ctx); err != nil && len(ids) == 0 {
			return "", fmt.Errorf("choosing account %q: %w", account, err)
		}
		ids = b.byName[account]
	}
	switch len(ids) {
	case 0:
		return "", fmt.Errorf("choosing an account: there is none named %q among the %d known", account, len(b.all))
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("choosing an account: %q is the name of several: %s and %s", account, ids[0], ids[1])
}

// list gives all accounts, in the order of their names.
func (b *book) list(ctx context.Context) ([]Account, error) {
	if b.directory == nil {
		return nil, fmt.Errorf("the pool has no Directory of accounts")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read.IsZero() || time.Since(b.read) > bookLife {
		if err := b.fillLocked(ctx); err != nil && b.read.IsZero() {
			return nil, err
		}
	}
	return b.all, nil
}

func (b *book) fillLocked(ctx context.Context) error {
	all, err := b.directory.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("listing accounts: %w", err)
	}
	for _, a := range all {
		if !a.ID.Valid() {
			return fmt.Errorf("listing accounts: %q is not the id of an account (twelve digits)", a.ID)
		}
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(x, y Account) int {
		if c := strings.Compare(x.Name, y.Name); c != 0 {
			return c
		}
		return strings.Compare(string(x.ID), string(y.ID))
	})
	b.all, b.byName, b.read = all, map[string][]arn.AccountID{}, time.Now()
	for _, a := range all {
		b.byName[a.Name] = append(b.byName[a.Name], a.ID)
	}
	return nil
}
