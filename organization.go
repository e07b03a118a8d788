package stile

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/arn"
)

// Organization is a Directory that asks AWS Organizations, with credentials of
// the management account or of a delegated administrator. Accounts that are not
// active are left out. Labels are the accounts' tags if tags is set, which costs
// a call for each account.
//
// It needs organizations:ListRoots, organizations:ListOrganizationalUnitsForParent,
// organizations:ListAccountsForParent, and for tags organizations:ListTagsForResource.
func Organization(cfg aws.Config, tags bool) Directory {
	return &organization{client: organizations.NewFromConfig(cfg), tags: tags}
}

type organization struct {
	client *organizations.Client
	tags   bool
}

// Accounts walks the tree of organizational units.
func (o *organization) Accounts(ctx context.Context) ([]Account, error) {
	var out []Account
	for page := organizations.NewListRootsPaginator(o.client, &organizations.ListRootsInput{}); page.HasMorePages(); {
		roots, err := page.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking AWS Organizations: %w", err)
		}
		for _, r := range roots.Roots {
			if out, err = o.below(ctx, out, aws.ToString(r.Id), nil); err != nil {
				return nil, fmt.Errorf("asking AWS Organizations: %w", err)
			}
		}
	}
	return out, nil
}

// below adds the accounts under parent, whose own units are given.
func (o *organization) below(ctx context.Context, out []Account, parent string, units []string) ([]Account, error) {
	accounts := organizations.NewListAccountsForParentPaginator(o.client, &organizations.ListAccountsForParentInput{ParentId: &parent})
	for accounts.HasMorePages() {
		page, err := accounts.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.Accounts {
			a := &page.Accounts[i]
			if a.State != "" && a.State != types.AccountStateActive {
				continue
			}
			account := Account{ID: arn.AccountID(aws.ToString(a.Id)), Name: aws.ToString(a.Name), Units: units}
			if account.Labels, err = o.labels(ctx, a.Id); err != nil {
				return nil, err
			}
			out = append(out, account)
		}
	}
	children := organizations.NewListOrganizationalUnitsForParentPaginator(o.client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &parent})
	for children.HasMorePages() {
		page, err := children.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, ou := range page.OrganizationalUnits {
			in := append(units[:len(units):len(units)], aws.ToString(ou.Name))
			if out, err = o.below(ctx, out, aws.ToString(ou.Id), in); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (o *organization) labels(ctx context.Context, id *string) (map[string]string, error) {
	if !o.tags {
		return nil, nil
	}
	labels := map[string]string{}
	for page := organizations.NewListTagsForResourcePaginator(o.client, &organizations.ListTagsForResourceInput{ResourceId: id}); page.HasMorePages(); {
		tags, err := page.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range tags.Tags {
			labels[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
	}
	return labels, nil
}
