package creds

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
)

// Identity is whose credentials are at hand, as GetCallerIdentity tells.
type Identity struct {
	ARN     arn.ARN
	Account arn.AccountID
	UserID  string // the unique id: AIDA…, or AROA…:SESSION
}

// Identify asks STS whose credentials cfg has. No permission is needed for it.
func Identify(ctx context.Context, cfg aws.Config) (Identity, error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, fmt.Errorf("asking whose credentials are at hand: %w", err)
	}
	a, err := arn.Parse(aws.ToString(out.Arn))
	if err != nil {
		return Identity{}, fmt.Errorf("asking whose credentials are at hand: %w", err)
	}
	return Identity{ARN: a, Account: arn.AccountID(aws.ToString(out.Account)), UserID: aws.ToString(out.UserId)}, nil
}

// Is reports whether the identity is the user or role named by principal, an
// ARN. A session is its role; a session's ARN leaves the role's path out, so
// paths of roles are not compared (names are unique within an account without
// them).
func (i Identity) Is(principal string) bool {
	want, err := arn.Parse(principal)
	if err != nil {
		return false
	}
	role, _, session := i.ARN.RoleSession()
	if !session {
		return i.ARN == want
	}
	return want.Service == "iam" && want.Type() == "role" && want.Account == i.ARN.Account &&
		want.Partition == i.ARN.Partition && want.Name() == role
}

// SessionName is the name under which the identity should go on: its role
// session's, or the user's name.
func (i Identity) SessionName() string {
	if _, session, ok := i.ARN.RoleSession(); ok {
		return session
	}
	return SessionName(i.ARN.Name())
}
