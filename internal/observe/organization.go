package observe

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/inventory"
)

// organization reads the tree and its SCPs, with the credentials of the first
// declared account that may. Only the management account and delegated
// administrators may; where none is declared the organization stays unread.
func organization(ctx context.Context, src Source, inv *inventory.Inventory) {
	ids := make([]arn.AccountID, 0, len(inv.Accounts))
	for id := range inv.Accounts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var last error
	for _, id := range ids {
		cfg, err := src.Config(ctx, id, "us-east-1")
		if err != nil {
			last = err
			continue
		}
		o, err := readOrganization(ctx, organizations.NewFromConfig(cfg))
		if err == nil {
			inv.Organization, inv.OrgState = o, inventory.Exists
			return
		}
		if code(err) == "AWSOrganizationsNotInUseException" {
			inv.OrgState = inventory.Absent
			continue
		}
		last = err
	}
	if last != nil && len(ids) > 0 {
		inv.OrgState = inventory.Unread
		a := inv.Accounts[ids[0]]
		a.Problems = append(a.Problems, inventory.Problem{What: "organization", Why: awserr.Text(last)})
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func readOrganization(ctx context.Context, c *organizations.Client) (*inventory.Organization, error) {
	got, err := c.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if err != nil {
		return nil, err
	}
	roots, err := c.ListRoots(ctx, &organizations.ListRootsInput{})
	if err != nil {
		return nil, err
	}
	if len(roots.Roots) == 0 {
		return nil, errors.New("reading the organization: it has no root")
	}
	o := &orgReader{client: c, slots: make(chan struct{}, orgCalls), org: &inventory.Organization{
		ID:                aws.ToString(got.Organization.Id),
		ManagementAccount: arn.AccountID(aws.ToString(got.Organization.MasterAccountId)),
		Policies:          map[string]*inventory.SCP{},
	}}
	o.org.Root, err = o.node(ctx, aws.ToString(roots.Roots[0].Id), aws.ToString(roots.Roots[0].Name))
	return o.org, err
}

// orgCalls bounds the calls in flight to Organizations, which has one quota for
// the whole organization.
const orgCalls = 8

type orgReader struct {
	client *organizations.Client
	slots  chan struct{}

	mu  sync.Mutex // guards org.Policies
	org *inventory.Organization
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

// node reads the root or an OU with everything below it, side by side.
func (o *orgReader) node(ctx context.Context, id, name string) (*inventory.Node, error) {
	n, err := o.leaf(ctx, id, name)
	if err != nil {
		return nil, err
	}
	accounts, units, err := o.below(ctx, id)
	if err != nil {
		return nil, err
	}
	n.Children = make([]*inventory.Node, len(accounts)+len(units))
	var g errgroup.Group
	for i, a := range accounts {
		g.Go(func() (err error) {
			n.Children[i], err = o.leaf(ctx, aws.ToString(a.Id), aws.ToString(a.Name))
			return err
		})
	}
	for i, u := range units {
		g.Go(func() (err error) {
			n.Children[len(accounts)+i], err = o.node(ctx, aws.ToString(u.Id), aws.ToString(u.Name))
			return err
		})
	}
	return n, g.Wait()
}

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

// leaf reads one node with the SCPs attached to it.
func (o *orgReader) leaf(ctx context.Context, id, name string) (*inventory.Node, error) {
	n := &inventory.Node{ID: id, Name: name}
	return n, o.call(ctx, func() error {
		pages := organizations.NewListPoliciesForTargetPaginator(o.client, &organizations.ListPoliciesForTargetInput{TargetId: &id, Filter: types.PolicyTypeServiceControlPolicy})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, p := range page.Policies {
				if err := o.scp(ctx, p); err != nil {
					return err
				}
				n.SCPs = append(n.SCPs, aws.ToString(p.Id))
			}
		}
		return nil
	})
}

// scp reads a policy's document, once, or twice when two nodes ask at the same time.
func (o *orgReader) scp(ctx context.Context, p types.PolicySummary) error {
	id := aws.ToString(p.Id)
	o.mu.Lock()
	known := o.org.Policies[id] != nil
	o.mu.Unlock()
	if known {
		return nil
	}
	got, err := o.client.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: &id})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.org.Policies[id] = &inventory.SCP{ID: id, ARN: aws.ToString(p.Arn), Name: aws.ToString(p.Name), Document: aws.ToString(got.Policy.Content)}
	return nil
}
