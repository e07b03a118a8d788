package observe

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"

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
	o := &orgReader{client: c, org: &inventory.Organization{
		ID:                aws.ToString(got.Organization.Id),
		ManagementAccount: arn.AccountID(aws.ToString(got.Organization.MasterAccountId)),
		Policies:          map[string]*inventory.SCP{},
	}}
	o.org.Root, err = o.node(ctx, aws.ToString(roots.Roots[0].Id), aws.ToString(roots.Roots[0].Name))
	return o.org, err
}

type orgReader struct {
	client *organizations.Client
	org    *inventory.Organization
}

// node reads the root or an OU with everything below it.
func (o *orgReader) node(ctx context.Context, id, name string) (*inventory.Node, error) {
	n, err := o.leaf(ctx, id, name)
	if err != nil {
		return nil, err
	}
	accounts := organizations.NewListAccountsForParentPaginator(o.client, &organizations.ListAccountsForParentInput{ParentId: &id})
	for accounts.HasMorePages() {
		page, err := accounts.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.Accounts {
			child, err := o.leaf(ctx, aws.ToString(a.Id), aws.ToString(a.Name))
			if err != nil {
				return nil, err
			}
			n.Children = append(n.Children, child)
		}
	}
	units := organizations.NewListOrganizationalUnitsForParentPaginator(o.client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &id})
	for units.HasMorePages() {
		page, err := units.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, u := range page.OrganizationalUnits {
			child, err := o.node(ctx, aws.ToString(u.Id), aws.ToString(u.Name))
			if err != nil {
				return nil, err
			}
			n.Children = append(n.Children, child)
		}
	}
	return n, nil
}

// leaf reads one node with the SCPs attached to it.
func (o *orgReader) leaf(ctx context.Context, id, name string) (*inventory.Node, error) {
	n := &inventory.Node{ID: id, Name: name}
	pages := organizations.NewListPoliciesForTargetPaginator(o.client, &organizations.ListPoliciesForTargetInput{TargetId: &id, Filter: types.PolicyTypeServiceControlPolicy})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.Policies {
			if err := o.scp(ctx, p); err != nil {
				return nil, err
			}
			n.SCPs = append(n.SCPs, aws.ToString(p.Id))
		}
	}
	return n, nil
}

func (o *orgReader) scp(ctx context.Context, p types.PolicySummary) error {
	id := aws.ToString(p.Id)
	if o.org.Policies[id] != nil {
		return nil
	}
	got, err := o.client.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: &id})
	if err != nil {
		return err
	}
	o.org.Policies[id] = &inventory.SCP{ID: id, ARN: aws.ToString(p.Arn), Name: aws.ToString(p.Name), Document: aws.ToString(got.Policy.Content)}
	return nil
}
