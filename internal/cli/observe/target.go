package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/scope"
)

// target is what is to be read, and how to get at it.
type target struct {
	source  observe.Source
	request inventory.Request
	close   func()
	// names are the accounts' names where they are known before reading.
	names map[arn.AccountID]string
	// left are accounts of the organization that cannot be entered, with the
	// state they are in.
	left []observe.Member
}

// all names every account.
const all = "all"

func (o *options) target(ctx context.Context) (*target, error) {
	for _, region := range o.regions {
		if !catalog.RegionShaped(region) {
			return nil, fmt.Errorf("reading --regions: %q is no Region's name, as eu-west-1", region)
		}
	}
	if o.declarations != "" {
		return o.declared()
	}
	return o.around(ctx)
}

// add asks for everything of an account.
func (t *target) add(id arn.AccountID, name string, regions []string) {
	a := t.request.Account(id)
	a.Everything, a.Quotas, a.Regions = true, true, regions
	if name != "" {
		t.names[id] = name
	}
}

func newTarget(source observe.Source, closing func()) *target {
	return &target{source: source, close: closing, request: inventory.Request{Organization: true}, names: map[arn.AccountID]string{}}
}

// declared is the target of -f: only declared accounts can be named.
func (o *options) declared() (*target, error) {
	set, diags := access.LoadPath(o.declarations)
	if diags.HasErrors() {
		return nil, diags
	}
	if err := term.Report(o.streams, diags); err != nil {
		return nil, err
	}
	t := newTarget(scope.NewSource(set, scope.Read, nil), func() {})
	for _, a := range set.Accounts {
		t.request.Candidates = append(t.request.Candidates, a.ID)
	}
	regions := func(a *access.Account) []string {
		if len(o.regions) > 0 {
			return o.regions
		}
		return a.Regions
	}
	for _, name := range o.accounts {
		if name == all {
			for _, a := range set.Accounts {
				t.add(a.ID, a.Name, regions(a))
			}
			continue
		}
		a, ok := set.Account(name)
		if !ok {
			return nil, fmt.Errorf("choosing accounts: no Account %q is declared in %s; declared are %s", name, o.declarations, names(set))
		}
		t.add(a.ID, a.Name, regions(a))
	}
	return t, nil
}

func names(set *access.Set) string {
	var out []string
	for _, a := range set.Accounts {
		out = append(out, a.Name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// around is the target of the default credentials: their own account, and with
// --role those that can be entered from there.
func (o *options) around(ctx context.Context) (*target, error) {
	base, err := scope.LoadDefault(ctx, "", "")
	if err != nil {
		return nil, err
	}
	regions := o.regions
	if len(regions) == 0 && base.Region != "" {
		regions = []string{base.Region}
	}
	if len(regions) == 0 {
		return nil, errors.New("choosing Regions: name them by --regions, or set AWS_REGION")
	}
	base.Region = cmp.Or(base.Region, regions[0])
	if _, err := base.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("no credentials are at hand to begin with: %s; stile exec ADDRESS -- stile observe … has some, so has an AWS profile that AWS_PROFILE names, and -f PATH enters accounts as its declarations say", o.streams.None(err))
	}
	source, err := observe.NewAssuming(ctx, observe.AssumingConfig{Base: base, Role: strings.Trim(o.role, "/"), ExternalID: o.externalID})
	if err != nil {
		return nil, err
	}
	t := newTarget(source, source.Close)
	t.request.Candidates = []arn.AccountID{source.Who().Account}
	c := &choice{target: t, regions: regions, own: source.Who().Account, entering: o.role != "", list: func() ([]observe.Member, error) {
		members, err := observe.Members(ctx, base)
		if err != nil {
			return nil, fmt.Errorf("%w; name accounts by their ids, or use credentials of the management account or of a delegated administrator (these are of %s)", err, source.Who())
		}
		return members, nil
	}}
	for _, name := range o.accounts {
		if err := c.choose(name); err != nil {
			source.Close()
			return nil, err
		}
	}
	return t, nil
}

// choice finds accounts by what people call them.
type choice struct {
	*target
	regions  []string
	own      arn.AccountID
	entering bool // others than own can be entered
	list     func() ([]observe.Member, error)
	members  []observe.Member // listed
}

func (c *choice) choose(name string) error {
	if id := arn.AccountID(name); id.Valid() {
		return c.take(observe.Member{ID: id})
	}
	if c.members == nil {
		var err error
		if c.members, err = c.list(); err != nil {
			return err
		}
	}
	if name == all {
		return c.takeAll()
	}
	var found []observe.Member
	for _, m := range c.members {
		if m.Name == name {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return fmt.Errorf("choosing accounts: no account of the organization is called %q", name)
	case 1:
		return c.take(found[0])
	}
	var ids []string
	for _, m := range found {
		ids = append(ids, string(m.ID))
	}
	return fmt.Errorf("choosing accounts: %d accounts of the organization are called %q; name the one that is meant by its id: %s", len(found), name, strings.Join(ids, ", "))
}

func (c *choice) take(m observe.Member) error {
	switch {
	case m.ID != c.own && !c.entering:
		return fmt.Errorf("choosing accounts: the default credentials are of account %s, and nothing says how account %s is entered; give --role NAME or -f PATH", c.own, m.ID)
	case m.State != "" && m.State != active:
		return fmt.Errorf("choosing accounts: account %s (%s) cannot be entered: it is %s", m.Name, m.ID, m.State)
	}
	c.add(m.ID, m.Name, c.regions)
	return nil
}

// active is the state of accounts that can be entered.
const active = "ACTIVE"

func (c *choice) takeAll() error {
	for _, m := range c.members {
		if m.State != "" && m.State != active {
			c.left = append(c.left, m)
			continue
		}
		if err := c.take(m); err != nil {
			return err
		}
	}
	return nil
}
