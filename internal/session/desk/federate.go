package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session"
)

// maxFederatedName is the longest name of a federated session.
const maxFederatedName = 32

// federated makes of a user's own key a session that may less.
func federated(ctx context.Context, b *beginning, t *session.Target, region string) (*beginning, error) {
	cfg, err := load(ctx, region)
	if err != nil {
		return nil, err
	}
	how := *t.Federation
	text, err := json.Marshal(how)
	if err != nil {
		return nil, err
	}
	base := b.provider
	p := creds.From("federated "+base.Key()+" "+string(text), aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		c, err := base.Retrieve(ctx)
		if err != nil {
			return c, err
		}
		return Federate(ctx, cfg, c, how)
	}))
	return &beginning{provider: named{p, "federated credentials of " + t.Source.Name}, ask: b.ask}, nil
}

// Federate makes a federated session of a user's own key: AWS gives none of other
// credentials. It may call neither IAM, but in the console, nor STS, but
// GetCallerIdentity (IAM user guide, "Permissions for GetFederationToken").
func Federate(ctx context.Context, cfg aws.Config, c aws.Credentials, how session.Federation) (aws.Credentials, error) {
	if c.SessionToken != "" {
		return aws.Credentials{}, errors.New("federating: these are temporary credentials, and AWS federates a user's own key alone; enter a role with them")
	}
	cfg = cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "")
	who, err := creds.Identify(ctx, cfg)
	if err != nil {
		return aws.Credentials{}, err
	}
	if who.ARN.Type() != "user" {
		return aws.Credentials{}, fmt.Errorf("federating: %s is no IAM user", who.ARN)
	}
	name := who.SessionName()
	if len(name) > maxFederatedName {
		name = strings.TrimRight(name[:maxFederatedName], "-")
	}
	in := &sts.GetFederationTokenInput{Name: aws.String(name)}
	if how.Policy != "" {
		in.Policy = aws.String(how.Policy)
	}
	for _, a := range how.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: aws.String(a)})
	}
	if how.Duration > 0 {
		in.DurationSeconds = aws.Int32(int32(how.Duration.Seconds()))
	}
	out, err := sts.NewFromConfig(cfg).GetFederationToken(ctx, in)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("federating user %s, which takes sts:GetFederationToken: %w", who.ARN.Name(), err)
	}
	got, err := creds.FromSTS(out.Credentials, string(who.Account))
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("federating user %s: %w", who.ARN.Name(), err)
	}
	return got, nil
}

// LongTerm is the access key of a user's source, as it is in the secret store.
func (d *Desk) LongTerm(ctx context.Context, source *session.Source) (aws.Credentials, error) {
	if source.User == nil {
		return aws.Credentials{}, fmt.Errorf("source %s is no IAM user", source.Name)
	}
	return d.accessKey(ctx, source)
}
