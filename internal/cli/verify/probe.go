package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/probe"
	"github.com/stile-aws/stile/internal/scope"
)

// probeConfig says whose identities are at hand: tokens of a file or of the
// local AWS, the default credentials for the role or user they are, and stile's
// own way into each account.
func (o *options) probeConfig(ctx context.Context, s *scope.Scope, view *scope.View) (probe.Config, error) {
	base, err := scope.LoadUnsigned(ctx, "us-east-1")
	if err != nil {
		return probe.Config{}, err
	}
	deployer := func(ctx context.Context, account arn.AccountID) (aws.CredentialsProvider, error) {
		own, err := s.Source.Config(ctx, account, "")
		if err != nil {
			return nil, err
		}
		return own.Credentials, nil
	}
	return probe.Config{
		Base: base, Inventory: view.Inventory, STSOnly: o.probe == probeAssume,
		Token: o.token, Credentials: defaultChain, Deployer: deployer,
	}, nil
}

// token is never minted silently: it comes from the file that was named, or
// from the local AWS that the environment points at.
func (o *options) token(ctx context.Context, c compile.Caller) (string, error) {
	if o.tokenFile != "" {
		text, err := os.ReadFile(o.tokenFile)
		return strings.TrimSpace(string(text)), err
	}
	get, missing, err := route.LocalToken(ctx, o.streams, c)
	if err != nil {
		return "", err
	}
	if missing != "" {
		return "", fmt.Errorf("no token of it at hand; give --token-file FILE; nor has a local AWS one: %s", missing)
	}
	return get(ctx)
}

// defaultChain is the credentials that any AWS client would find here, if they
// are the caller's.
func defaultChain(ctx context.Context, c compile.Caller) (aws.CredentialsProvider, error) {
	cfg, err := scope.LoadDefault(ctx, "", "us-east-1")
	if err != nil {
		return nil, err
	}
	who, err := creds.Identify(ctx, cfg)
	if err != nil {
		return nil, errors.New("no credentials of it at hand")
	}
	if !who.Is(c.ARN) {
		return nil, fmt.Errorf("the credentials at hand are those of %s", who.ARN)
	}
	return cfg.Credentials, nil
}
