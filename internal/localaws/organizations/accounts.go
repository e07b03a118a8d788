package organizations

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

const (
	// accessRole is the role that new accounts have by default (API reference, CreateAccount).
	accessRole    = "OrganizationAccountAccessRole"
	administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
)

func registerAccounts(s *service.Service) {
	register(s, "ListAccounts", op[organizations.ListAccountsInput, organizations.ListAccountsOutput]{
		rank: reader, readOnly: true,
		handle: func(c call, in *organizations.ListAccountsInput) (*organizations.ListAccountsOutput, *wire.Error) {
			shown, next, e := page(c, accounts(c, ""), accountID, in.NextToken, in.MaxResults)
			if e != nil {
				return nil, e
			}
			return &organizations.ListAccountsOutput{Accounts: shown, NextToken: next}, nil
		},
	})
	register(s, "DescribeAccount", op[organizations.DescribeAccountInput, organizations.DescribeAccountOutput]{
		rank: reader, readOnly: true,
		access: func(c call, in *organizations.DescribeAccountInput) []gate.Access {
			return []gate.Access{c.on(in.AccountId)}
		},
		handle: func(c call, in *organizations.DescribeAccountInput) (*organizations.DescribeAccountOutput, *wire.Error) {
			m, e := c.member(in.AccountId)
			if e != nil {
				return nil, e
			}
			return &organizations.DescribeAccountOutput{Account: shownAccount(c, m)}, nil
		},
	})
	register(s, "CreateAccount", op[organizations.CreateAccountInput, organizations.CreateAccountOutput]{
		access: func(_ call, in *organizations.CreateAccountInput) []gate.Access {
			return tagged(gate.Access{Resource: "*"}, in.Tags)
		},
		handle: createAccount,
	})
	register(s, "DescribeCreateAccountStatus", op[organizations.DescribeCreateAccountStatusInput, organizations.DescribeCreateAccountStatusOutput]{
		rank: reader, readOnly: true,
		handle: func(c call, in *organizations.DescribeCreateAccountStatusInput) (*organizations.DescribeCreateAccountStatusOutput, *wire.Error) {
			for i := range c.org.Creations {
				if one := &c.org.Creations[i]; one.ID == aws.ToString(in.CreateAccountRequestId) {
					return &organizations.DescribeCreateAccountStatusOutput{CreateAccountStatus: shownCreation(one)}, nil
				}
			}
			return nil, c.Errorf("CreateAccountStatusNotFoundException", "You specified a CreateAccountRequestId that doesn't exist.")
		},
	})
	register(s, "ListCreateAccountStatus", op[organizations.ListCreateAccountStatusInput, organizations.ListCreateAccountStatusOutput]{
		rank: reader, readOnly: true, handle: listCreations,
	})
}

func accountID(a types.Account) string { return *a.Id }

// accounts are the members below a node, or all where parent is "".
func accounts(c call, parent string) []types.Account {
	var all []types.Account
	for _, m := range c.org.Members {
		if parent == "" || m.Parent == parent {
			all = append(all, *shownAccount(c, m))
		}
	}
	return all
}

func shownAccount(c call, m *store.Member) *types.Account {
	a := c.World.Accounts[m.Account]
	return &types.Account{
		Id: aws.String(string(a.ID)), Arn: aws.String(c.org.AccountARN(a.ID).String()), Name: &a.Name, Email: &a.Email,
		Status: types.AccountStatus(m.Status), State: types.AccountState(m.Status),
		JoinedMethod: types.AccountJoinedMethod(m.Method), JoinedTimestamp: aws.Time(m.Joined),
	}
}

// createAccount does at once what AWS does within minutes; only the answer's
// failures come as a status, as AWS's do.
func createAccount(c call, in *organizations.CreateAccountInput) (*organizations.CreateAccountOutput, *wire.Error) {
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	status := store.AccountCreation{ID: "car-" + c.World.IDs().Hex(32), Name: aws.ToString(in.AccountName), At: c.Now}
	if emailTaken(c, aws.ToString(in.Email)) {
		status.Failure = string(types.CreateAccountFailureReasonEmailAlreadyExists)
	} else {
		account, err := c.World.AddAccount(newAccountID(c), status.Name, aws.ToString(in.Email))
		if err != nil {
			return nil, c.Errorf("ServiceException", "%v", err)
		}
		status.Account = account.ID
		c.org.Join(account.ID, "CREATED", c.Now)
		c.org.Members[account.ID].Tags = tags
		name := accessRole
		if in.RoleName != nil {
			name = *in.RoleName
		}
		addRole(c, account, name)
	}
	c.org.Creations = append(c.org.Creations, status)
	return &organizations.CreateAccountOutput{CreateAccountStatus: shownCreation(&status)}, nil
}

func emailTaken(c call, email string) bool {
	for _, a := range c.World.Accounts {
		if a.Email == email {
			return true
		}
	}
	return false
}

// newAccountID draws twelve digits that no account has.
func newAccountID(c call) arn.AccountID {
	for {
		id := ""
		for _, b := range c.World.IDs().Bytes(12) {
			id += strconv.Itoa(int(b) % 10)
		}
		if id[0] != '0' && c.World.Accounts[arn.AccountID(id)] == nil {
			return arn.AccountID(id)
		}
	}
}

// addRole gives a new account its first role: an administrator that the
// management account's principals can assume.
func addRole(c call, account *store.Account, name string) {
	role := &store.Role{
		Entity: store.Entity{
			Name: name, Path: "/", ID: c.World.NewPrincipal(account.ID, "role", name), Created: c.Now, Attached: []string{administrator},
		},
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` +
			arn.Root(store.Partition, c.org.Management).String() + `"},"Action":"sts:AssumeRole"}]}`,
		MaxSession: time.Hour,
	}
	account.IAM.Roles[strings.ToLower(name)] = store.NewVersioned(c.Now, role)
}

func shownCreation(one *store.AccountCreation) *types.CreateAccountStatus {
	out := &types.CreateAccountStatus{
		Id: &one.ID, AccountName: &one.Name, State: types.CreateAccountStateSucceeded,
		RequestedTimestamp: aws.Time(one.At), CompletedTimestamp: aws.Time(one.At),
	}
	if one.Failure != "" {
		out.State, out.FailureReason = types.CreateAccountStateFailed, types.CreateAccountFailureReason(one.Failure)
		return out
	}
	out.AccountId = aws.String(string(one.Account))
	return out
}

func listCreations(c call, in *organizations.ListCreateAccountStatusInput) (*organizations.ListCreateAccountStatusOutput, *wire.Error) {
	var all []types.CreateAccountStatus
	for i := range c.org.Creations {
		status := shownCreation(&c.org.Creations[i])
		if len(in.States) == 0 || slices.Contains(in.States, status.State) {
			all = append(all, *status)
		}
	}
	shown, next, e := page(c, all, func(s types.CreateAccountStatus) string { return *s.Id }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListCreateAccountStatusOutput{CreateAccountStatuses: shown, NextToken: next}, nil
}
