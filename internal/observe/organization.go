package observe

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/inventory"
)

// memberships asks each account that was read, with its own credentials, which
// organization it is in: one that is not in the tree at hand may be in another.
func memberships(ctx context.Context, src Source, inv *inventory.Inventory, opt Options) {
	var g errgroup.Group
	g.SetLimit(opt.accounts())
	for _, a := range inv.Accounts {
		if a.Member.State == inventory.NotAsked {
			g.Go(func() error {
				a.Member = membership(ctx, src, a.ID)
				return nil
			})
		}
	}
	_ = g.Wait() // the accounts have their errors
}

func membership(ctx context.Context, src Source, id arn.AccountID) inventory.Membership {
	cfg, err := src.Config(ctx, id, "us-east-1")
	if err != nil {
		return inventory.Membership{State: inventory.Unread, Why: awserr.Text(err)}
	}
	m, err := ask(ctx, organizations.NewFromConfig(cfg))
	if err != nil {
		return inventory.Membership{State: inventory.Unread, Why: awserr.Text(err)}
	}
	return m
}

// ask asks an account which organization it is in.
func ask(ctx context.Context, c *organizations.Client) (inventory.Membership, error) {
	got, err := c.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	switch {
	case code(err) == "AWSOrganizationsNotInUseException":
		return inventory.Membership{State: inventory.Absent}, nil
	case err != nil:
		return inventory.Membership{}, err
	}
	return inventory.Membership{
		State: inventory.Exists, Organization: aws.ToString(got.Organization.Id), Management: arn.AccountID(aws.ToString(got.Organization.MasterAccountId)),
	}, nil
}

// organization reads the tree of the accounts read, and its SCPs. Only the
// management account and delegated administrators may; where no candidate is
// one of them the organization stays unread.
func organization(ctx context.Context, src Source, candidates []arn.AccountID, inv *inventory.Inventory) {
	who := askable{said: map[arn.AccountID]inventory.Membership{}}
	for _, id := range slices.Sorted(maps.Keys(inv.Accounts)) {
		who.read(id, inv.Accounts[id].Member)
	}
	if !who.open {
		if len(inv.Accounts) > 0 {
			inv.OrgState = inventory.Absent
		}
		return
	}
	who.others(candidates)
	teller, err := who.first(ctx, src)
	if err == nil {
		inv.Organization, err = readOrganization(ctx, teller)
	}
	if err == nil {
		inv.OrgState = inventory.Exists
		nameAccounts(inv)
		return
	}
	inv.Organization, inv.OrgState = nil, inventory.Unread
	a := inv.Accounts[slices.Min(slices.Collect(maps.Keys(inv.Accounts)))]
	a.Problems = append(a.Problems, inventory.Problem{What: "organization", Why: awserr.Text(err)})
}

// nameAccounts gives the accounts read their names.
func nameAccounts(inv *inventory.Inventory) {
	var walk func(n *inventory.Node)
	walk = func(n *inventory.Node) {
		if a := inv.Accounts[arn.AccountID(n.ID)]; a != nil {
			a.Name = n.Name
		}
		for _, below := range n.Children {
			walk(below)
		}
	}
	walk(inv.Organization.Root)
}

// askable are the accounts that may be able to tell an organization, the
// likeliest first: its management account, then those in it, then those of
// which nothing is known.
type askable struct {
	managing, members, rest []arn.AccountID
	said                    map[arn.AccountID]inventory.Membership // of members
	organizations           []string                               // that accounts are known to be in
	open                    bool                                   // an account is in an organization, or may be
}

// read takes note of an account that was read.
func (w *askable) read(id arn.AccountID, m inventory.Membership) {
	switch m.State {
	case inventory.Absent:
	case inventory.Exists:
		w.open = true
		w.members = append(w.members, id)
		w.said[id] = m
		if !slices.Contains(w.organizations, m.Organization) {
			w.organizations = append(w.organizations, m.Organization)
			w.managing = append(w.managing, m.Management)
		}
	case inventory.Unread, inventory.NotAsked:
		w.open = true
		w.rest = append(w.rest, id)
	}
}

// others adds the candidates. A management account that is none, and was not
// read, cannot be entered.
func (w *askable) others(candidates []arn.AccountID) {
	known := slices.Concat(w.members, w.rest)
	for _, id := range candidates {
		if !slices.Contains(known, id) {
			w.rest = append(w.rest, id)
		}
	}
	w.managing = slices.DeleteFunc(w.managing, func(id arn.AccountID) bool {
		return !slices.Contains(known, id) && !slices.Contains(candidates, id)
	})
}

// teller is an account that may tell the organization, and what is known by
// then: Organizations allows one call a second of some of these.
type teller struct {
	client *organizations.Client
	of     inventory.Membership
	roots  []types.Root
}

// first finds an account that may read one of the organizations the accounts
// are in. Each group is asked side by side, and the first of it that may is taken.
func (w *askable) first(ctx context.Context, src Source) (*teller, error) {
	err := errors.New("reading the organization: its management account is not declared")
	for _, group := range [][]arn.AccountID{w.managing, w.members, w.rest} {
		tellers, errs := make([]*teller, len(group)), make([]error, len(group))
		var g errgroup.Group
		g.SetLimit(orgCalls)
		for i, id := range group {
			g.Go(func() error {
				tellers[i], errs[i] = w.teller(ctx, src, id)
				return nil
			})
		}
		_ = g.Wait() // errs has them
		for i := range group {
			if tellers[i] != nil {
				return tellers[i], nil
			}
			if errs[i] != nil {
				err = errs[i]
			}
		}
	}
	return nil, err
}

// teller is an account that may list the roots of an organization that matters;
// nil without an error for an account of another, or of none.
func (w *askable) teller(ctx context.Context, src Source, id arn.AccountID) (*teller, error) {
	cfg, err := src.Config(ctx, id, "us-east-1")
	if err != nil {
		return nil, err
	}
	t := &teller{client: organizations.NewFromConfig(cfg), of: w.said[id]}
	if t.of.State != inventory.Exists {
		if t.of, err = ask(ctx, t.client); err != nil {
			return nil, err
		}
		if t.of.State == inventory.Absent || len(w.organizations) > 0 && !slices.Contains(w.organizations, t.of.Organization) {
			return nil, nil
		}
	}
	roots, err := t.client.ListRoots(ctx, &organizations.ListRootsInput{})
	if err != nil {
		return nil, err
	}
	t.roots = roots.Roots
	return t, nil
}

func readOrganization(ctx context.Context, t *teller) (*inventory.Organization, error) {
	if len(t.roots) == 0 {
		return nil, errors.New("reading the organization: it has no root")
	}
	root := t.roots[0]
	o := &orgReader{client: t.client, slots: make(chan struct{}, orgCalls), nodes: map[string]*inventory.Node{}}
	org := &inventory.Organization{ID: t.of.Organization, ManagementAccount: t.of.Management, RCPState: inventory.Absent}
	err := o.tree(ctx, org, root)
	return org, err
}

// tree reads the nodes and what is attached to them.
func (o *orgReader) tree(ctx context.Context, org *inventory.Organization, root types.Root) (err error) {
	if org.Root, err = o.node(ctx, aws.ToString(root.Id), aws.ToString(root.Name)); err != nil {
		return err
	}
	if org.Policies, err = o.policies(ctx, root, types.PolicyTypeServiceControlPolicy, func(n *inventory.Node) *[]string { return &n.SCPs }); err != nil {
		return err
	}
	if !enabled(root, types.PolicyTypeResourceControlPolicy) {
		return nil
	}
	org.RCPState = inventory.Exists
	if org.RCPs, err = o.policies(ctx, root, types.PolicyTypeResourceControlPolicy, func(n *inventory.Node) *[]string { return &n.RCPs }); err != nil {
		org.RCPState, org.RCPWhy = inventory.Unread, awserr.Text(err)
		for _, n := range o.nodes {
			n.RCPs = nil
		}
	}
	return nil
}

// enabled reports whether policies of a type count in the organization.
func enabled(root types.Root, kind types.PolicyType) bool {
	return slices.ContainsFunc(root.PolicyTypes, func(t types.PolicyTypeSummary) bool {
		return t.Type == kind && t.Status == types.PolicyTypeStatusEnabled
	})
}

// orgCalls bounds the calls in flight to Organizations, which has one quota for
// the whole organization.
const orgCalls = 8

type orgReader struct {
	client *organizations.Client
	slots  chan struct{}

	mu    sync.Mutex                 // guards nodes
	nodes map[string]*inventory.Node // root, OUs and accounts by id
}

// call makes one call when there is a place for it.
func (o *orgReader) call(ctx context.Context, f func() error) error {
	select {
	case o.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-o.slots }()
	return f()
}

// add makes a node known.
func (o *orgReader) add(n *inventory.Node) *inventory.Node {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nodes[n.ID] = n
	return n
}

// node reads the root or an OU with everything below it, side by side.
func (o *orgReader) node(ctx context.Context, id, name string) (*inventory.Node, error) {
	n := o.add(&inventory.Node{ID: id, Name: name})
	accounts, units, err := o.below(ctx, id)
	if err != nil {
		return nil, err
	}
	n.Children = make([]*inventory.Node, len(accounts)+len(units))
	for i, a := range accounts {
		n.Children[i] = o.add(&inventory.Node{ID: aws.ToString(a.Id), Name: aws.ToString(a.Name), State: stateOf(a)})
	}
	var g errgroup.Group
	for i, u := range units {
		g.Go(func() (err error) {
			n.Children[len(accounts)+i], err = o.node(ctx, aws.ToString(u.Id), aws.ToString(u.Name))
			return err
		})
	}
	return n, g.Wait()
}

// stateOf is an account's state; Status says the same in fewer words and "will
// be retired on September 9, 2026" (Organizations API reference, Account).
func stateOf(a types.Account) string { return cmp.Or(string(a.State), string(a.Status)) }

// below lists the accounts and OUs right below a node.
func (o *orgReader) below(ctx context.Context, id string) (accounts []types.Account, units []types.OrganizationalUnit, err error) {
	err = o.call(ctx, func() error {
		pages := organizations.NewListAccountsForParentPaginator(o.client, &organizations.ListAccountsForParentInput{ParentId: &id})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			accounts = append(accounts, page.Accounts...)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = o.call(ctx, func() error {
		pages := organizations.NewListOrganizationalUnitsForParentPaginator(o.client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &id})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			units = append(units, page.OrganizationalUnits...)
		}
		return nil
	})
	return accounts, units, err
}

// policies reads all policies of a type and what each is attached to, which
// takes fewer calls than asking every account. of is where a node has them.
func (o *orgReader) policies(ctx context.Context, root types.Root, kind types.PolicyType, of func(*inventory.Node) *[]string) (map[string]*inventory.OrgPolicy, error) {
	if !enabled(root, kind) {
		return map[string]*inventory.OrgPolicy{}, nil
	}
	list, err := collect(ctx, organizations.NewListPoliciesPaginator(o.client, &organizations.ListPoliciesInput{Filter: kind}),
		func(page *organizations.ListPoliciesOutput) []types.PolicySummary { return page.Policies })
	if err != nil {
		return nil, err
	}
	documents, targets := make([]*string, len(list)), make([][]types.PolicyTargetSummary, len(list))
	var g errgroup.Group
	for i, p := range list {
		g.Go(func() error {
			return o.call(ctx, func() (err error) {
				documents[i], targets[i], err = o.policy(ctx, p.Id)
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[string]*inventory.OrgPolicy{}
	for i, p := range list {
		if documents[i] == nil {
			continue // deleted meanwhile
		}
		id := aws.ToString(p.Id)
		out[id] = &inventory.OrgPolicy{ID: id, ARN: aws.ToString(p.Arn), Name: aws.ToString(p.Name), Document: *documents[i]}
		for _, t := range targets[i] {
			if n := o.nodes[aws.ToString(t.TargetId)]; n != nil {
				*of(n) = append(*of(n), id)
			}
		}
	}
	for _, n := range o.nodes {
		slices.Sort(*of(n))
	}
	return out, nil
}

// policy reads a policy's document and targets, nil when it was deleted.
func (o *orgReader) policy(ctx context.Context, id *string) (document *string, targets []types.PolicyTargetSummary, err error) {
	got, err := o.client.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: id})
	if err == nil {
		targets, err = collect(ctx, organizations.NewListTargetsForPolicyPaginator(o.client, &organizations.ListTargetsForPolicyInput{PolicyId: id, MaxResults: aws.Int32(20)}),
			func(page *organizations.ListTargetsForPolicyOutput) []types.PolicyTargetSummary { return page.Targets })
	}
	switch {
	case code(err) == "PolicyNotFoundException":
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case got.Policy == nil:
		return nil, nil, errEmpty
	}
	return aws.String(aws.ToString(got.Policy.Content)), targets, nil
}
