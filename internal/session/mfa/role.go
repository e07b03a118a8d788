package mfa

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/creds"
)

// Role gives a role's sessions, entered with the user's own access key and a code for
// each. They last as long as the role lets them, where one that is entered from a
// [Session] ends after [creds.ChainedDuration]; and they have no MFA in their own
// context, which those have.
func Role(cfg aws.Config, u User, role creds.Role) (creds.Provider, error) {
	keys := creds.From("access key "+u.Mark, aws.CredentialsProviderFunc(u.Keys))
	role.MFA = &creds.MFA{Serial: u.Serial, Code: func(ctx context.Context) (string, error) {
		refused, _ := ctx.Value(refusal{}).(error)
		return u.code(ctx, refused)
	}}
	p, err := creds.NewAssumeRole(cfg, keys, role)
	if err != nil {
		return nil, err
	}
	return &roleSessions{AssumeRole: p, tries: u.Tries}, nil
}

type roleSessions struct {
	*creds.AssumeRole
	tries int
}

// refusal is the context's mark of why the last code was of no use.
type refusal struct{}

// Retrieve implements aws.CredentialsProvider.
func (r *roleSessions) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for again := 0; ; again++ {
		c, err := r.AssumeRole.Retrieve(ctx)
		if err == nil || !wrongCode(err) || again+1 >= r.tries {
			return c, explained(err)
		}
		ctx = context.WithValue(ctx, refusal{}, err)
	}
}

// explained adds to STS's refusal of a duration what can be done.
func explained(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "MaxSessionDuration") {
		return fmt.Errorf("the role lasts less than was asked for (stile sessions edit NAME --duration asks for less): %w", err)
	}
	return err
}
