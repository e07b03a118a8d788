package organizations

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerOrganization(s *service.Service) {
	register(s, "DescribeOrganization", op[organizations.DescribeOrganizationInput, organizations.DescribeOrganizationOutput]{
		rank: member, readOnly: true,
		handle: func(c call, _ *organizations.DescribeOrganizationInput) (*organizations.DescribeOrganizationOutput, *wire.Error) {
			return &organizations.DescribeOrganizationOutput{Organization: shownOrganization(c)}, nil
		},
	})
	// CreateOrganization is for accounts that are in none yet.
	service.Register(s, "CreateOrganization", service.Op[organizations.CreateOrganizationInput, organizations.CreateOrganizationOutput]{
		Access: func(c *service.Call, _ *organizations.CreateOrganizationInput) ([]gate.Access, *wire.Error) {
			return []gate.Access{{Action: "organizations:CreateOrganization", Resource: "*"}}, nil
		},
		Handle: createOrganization,
	})
	register(s, "DeleteOrganization", op[organizations.DeleteOrganizationInput, organizations.DeleteOrganizationOutput]{
		handle: func(c call, _ *organizations.DeleteOrganizationInput) (*organizations.DeleteOrganizationOutput, *wire.Error) {
			if len(c.org.Members) > 1 {
				return nil, c.Errorf("OrganizationNotEmptyException", "To delete an organization you must first remove all member accounts (except the master).")
			}
			c.World.Organization = nil
			return nil, nil
		},
	})
	register(s, "RemoveAccountFromOrganization", op[organizations.RemoveAccountFromOrganizationInput, organizations.RemoveAccountFromOrganizationOutput]{
		access: func(c call, in *organizations.RemoveAccountFromOrganizationInput) []gate.Access {
			return []gate.Access{c.on(in.AccountId)}
		},
		handle: func(c call, in *organizations.RemoveAccountFromOrganizationInput) (*organizations.RemoveAccountFromOrganizationOutput, *wire.Error) {
			m, e := c.member(in.AccountId)
			if e != nil {
				return nil, e
			}
			return nil, leave(c, m)
		},
	})
	register(s, "LeaveOrganization", op[organizations.LeaveOrganizationInput, organizations.LeaveOrganizationOutput]{
		rank: member,
		handle: func(c call, _ *organizations.LeaveOrganizationInput) (*organizations.LeaveOrganizationOutput, *wire.Error) {
			return nil, leave(c, c.org.Members[c.Account])
		},
	})
}

func leave(c call, m *store.Member) *wire.Error {
	if m.Account == c.org.Management {
		return c.Errorf("MasterCannotLeaveOrganizationException", "You can't remove a management account from an organization.")
	}
	if len(c.org.Delegated[m.Account]) > 0 {
		return c.constraint("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG", "You attempted to remove an account that is registered as a delegated administrator for a service integrated with your organization.")
	}
	c.org.Leave(m.Account)
	return nil
}

func createOrganization(c *service.Call, in *organizations.CreateOrganizationInput) (*organizations.CreateOrganizationOutput, *wire.Error) {
	if org := c.World.Organization; org != nil {
		if org.Members[c.Account] != nil {
			return nil, c.Errorf("AlreadyInOrganizationException", "The AWS account is already a member of an organization.")
		}
		e := c.Errorf("NotImplemented", "stile's local AWS has one organization, which account %s manages", org.Management)
		e.Status = http.StatusNotImplemented
		return nil, e
	}
	org := c.World.BareOrganization(c.Account, c.Now)
	if in.FeatureSet != "" {
		org.FeatureSet = string(in.FeatureSet)
	}
	c.World.Organization = org
	return &organizations.CreateOrganizationOutput{Organization: shownOrganization(call{c, org})}, nil
}

func shownOrganization(c call) *types.Organization {
	manager := c.World.Accounts[c.org.Management]
	return &types.Organization{
		Id: &c.org.ID, Arn: aws.String(c.org.ARN().String()), FeatureSet: types.OrganizationFeatureSet(c.org.FeatureSet),
		MasterAccountId: aws.String(string(manager.ID)), MasterAccountEmail: &manager.Email,
		MasterAccountArn:     aws.String(c.org.AccountARN(manager.ID).String()),
		AvailablePolicyTypes: []types.PolicyTypeSummary{{Type: types.PolicyTypeServiceControlPolicy, Status: types.PolicyTypeStatusEnabled}},
	}
}
