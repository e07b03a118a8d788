package console

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/creds"
)

// asTheUser allows a federated session all that the user may do: what it may is
// what both the user's policies and this one allow (STS API reference,
// GetFederationToken).
const asTheUser = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// maxFederatedName is the longest name of a federated session.
const maxFederatedName = 32

// federate makes credentials that can sign in of a user's own key, which cannot.
func federate(ctx context.Context, cfg aws.Config, c aws.Credentials) (aws.Credentials, error) {
	cfg = cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "")
	who, err := creds.Identify(ctx, cfg)
	if err != nil {
		return aws.Credentials{}, err
	}
	if who.ARN.Type() != "user" {
		return aws.Credentials{}, fmt.Errorf("%s cannot sign in by its access key", who.ARN)
	}
	name := who.SessionName()
	if len(name) > maxFederatedName {
		name = strings.TrimRight(name[:maxFederatedName], "-")
	}
	out, err := sts.NewFromConfig(cfg).GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: aws.String(name), Policy: aws.String(asTheUser)})
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("signing in as user %s takes sts:GetFederationToken: %w", who.ARN.Name(), err)
	}
	f := out.Credentials
	if f == nil || f.AccessKeyId == nil || f.SecretAccessKey == nil || f.SessionToken == nil {
		return aws.Credentials{}, errors.New("STS answered GetFederationToken without credentials")
	}
	return aws.Credentials{
		AccessKeyID: *f.AccessKeyId, SecretAccessKey: *f.SecretAccessKey, SessionToken: *f.SessionToken,
		CanExpire: true, Expires: aws.ToTime(f.Expiration), AccountID: c.AccountID, Source: "stile",
	}, nil
}
