package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awserr"
)

// Member is an account of an organization.
type Member struct {
	ID    arn.AccountID
	Name  string
	State string // "ACTIVE"; others cannot be entered
}

// Members lists the accounts of the organization that the account of cfg
// manages, or may list as a delegated administrator.
func Members(ctx context.Context, cfg aws.Config) ([]Member, error) {
	list, err := collect(ctx, organizations.NewListAccountsPaginator(organizations.NewFromConfig(cfg), &organizations.ListAccountsInput{}),
		func(page *organizations.ListAccountsOutput) []types.Account { return page.Accounts })
	if err != nil {
		return nil, fmt.Errorf("listing the accounts of the organization: %w", awserr.Plain(err))
	}
	var out []Member
	for _, a := range list {
		out = append(out, Member{ID: arn.AccountID(aws.ToString(a.Id)), Name: aws.ToString(a.Name), State: stateOf(a)})
	}
	return out, nil
}

// AssumingConfig says how NewAssuming enters accounts.
type AssumingConfig struct {
	// Base has the credentials to start with, and the Region. Required.
	Base aws.Config
	// Role is the name of the role to assume in every other account, with its
	// path before it ("audit/StileReader"). Default: none, so that only the
	// account of Base can be read.
	Role string
	// ExternalID is told with each AssumeRole. Default: none.
	ExternalID string
}

// Assuming is a Source for the accounts around the one that some credentials
// are of: that account as it is, any other through a role of one name. Close it.
// Safe for concurrent use.
type Assuming struct {
	cfg   AssumingConfig
	cache *creds.Cache
	who   arn.ARN
}

// NewAssuming asks, with Base, whose credentials these are. ctx governs that
// call.
func NewAssuming(ctx context.Context, cfg AssumingConfig) (*Assuming, error) {
	who, err := sts.NewFromConfig(cfg.Base).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("finding out whose the default credentials are: %w", awserr.Plain(err))
	}
	parsed, err := arn.Parse(aws.ToString(who.Arn))
	if err != nil {
		return nil, fmt.Errorf("finding out whose the default credentials are: %w", err)
	}
	return &Assuming{cfg: cfg, cache: creds.NewCache(creds.Config{}), who: parsed}, nil
}

// Who is the principal whose credentials Base has.
func (s *Assuming) Who() arn.ARN { return s.who }

// Close ends what goes on in the background.
func (s *Assuming) Close() { s.cache.Close() }

// errNoRole means that an account cannot be entered for want of a role's name.
var errNoRole = errors.New("no role was named to enter it by")

// Config implements Source. The first call for an account enters it.
func (s *Assuming) Config(ctx context.Context, account arn.AccountID, region string) (aws.Config, error) {
	cfg := s.cfg.Base.Copy()
	if region != "" {
		cfg.Region = region
	}
	if account == s.who.Account {
		return cfg, nil
	}
	if s.cfg.Role == "" {
		return aws.Config{}, fmt.Errorf("opening account %s with the credentials of account %s: %w", account, s.who.Account, errNoRole)
	}
	role := creds.Role{
		ARN: "arn:" + s.who.Partition + ":iam::" + string(account) + ":role/" + s.cfg.Role, SessionName: "stile-observe", ExternalID: s.cfg.ExternalID,
	}
	entered, err := s.cache.Chain(s.cfg.Base, creds.From("default", s.cfg.Base.Credentials), role)
	if err != nil {
		return aws.Config{}, fmt.Errorf("opening account %s: %w", account, err)
	}
	if _, err := entered.Retrieve(ctx); err != nil { // kept from then on
		return aws.Config{}, fmt.Errorf("opening account %s: %w", account, awserr.Plain(err))
	}
	cfg.Credentials = entered
	return cfg, nil
}

// Policy is a managed policy that allows exactly [Actions], as JSON. What
// concerns the organization is used in its management account or a delegated
// administrator only, but for organizations:DescribeOrganization.
func Policy() string {
	return `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "StileObserve",
      "Effect": "Allow",
      "Action": [
        "` + strings.Join(Actions(), "\",\n        \"") + `"
      ],
      "Resource": "*"
    }
  ]
}
`
}
