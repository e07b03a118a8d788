package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/internal/localaws/oidc"
)

// The roles that the declarations make.
const (
	payrollRole = "arn:aws:iam::222222222222:role/stile/payroll-api"
	hubRole     = "arn:aws:iam::111111111111:role/stile/ci-account-iam-role"
	targetRole  = "arn:aws:iam::222222222222:role/stile/target-account-iam-role"
	deployRole  = "arn:aws:iam::222222222222:role/stile/orders-deploy-reader"
	ciDeployer  = "arn:aws:iam::111111111111:role/ci-deployer"
)

// ask is a token to ask the cluster's issuer for.
type ask struct {
	namespace, name, audience string
	issued                    time.Time
}

var (
	payrollAPI = ask{namespace: "payroll", name: "api", audience: "sts.amazonaws.com"}
	ciAccount  = ask{namespace: "ci-namespace", name: "ci-serviceaccount", audience: "sts.amazonaws.com"}
)

// token is a service account's token, as the kubelet would put it into the pod.
func (d *demo) token(a ask) (string, error) {
	token, ok, err := d.Server.ServiceAccountToken("111111111111", "ci", oidc.TokenRequest{
		Namespace: a.namespace, ServiceAccount: a.name, Audiences: []string{a.audience}, IssuedAt: a.issued, Lifetime: time.Hour,
	})
	if err == nil && !ok {
		err = fmt.Errorf("the local AWS has no cluster ci")
	}
	return token, err
}

// webIdentity trades a token for a role's session.
func (d *demo) webIdentity(ctx context.Context, a ask, role string) (aws.Config, error) {
	token, err := d.token(a)
	if err != nil {
		return aws.Config{}, err
	}
	out, err := sts.NewFromConfig(d.base()).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String(a.name), WebIdentityToken: &token,
	})
	if err != nil {
		return aws.Config{}, err
	}
	return d.session(out.Credentials), nil
}

func (d *demo) session(c *ststypes.Credentials) aws.Config {
	return d.with(aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken))
}

// assume goes from one session to the next.
func (d *demo) assume(ctx context.Context, from aws.Config, in sts.AssumeRoleInput) (aws.Config, error) {
	in.RoleSessionName = aws.String("demo")
	out, err := sts.NewFromConfig(from).AssumeRole(ctx, &in)
	if err != nil {
		return aws.Config{}, err
	}
	return d.session(out.Credentials), nil
}

// chain is the way through the hub into the target.
func (d *demo) chain(ctx context.Context, in sts.AssumeRoleInput) (aws.Config, error) {
	hub, err := d.webIdentity(ctx, ciAccount, hubRole)
	if err != nil {
		return aws.Config{}, err
	}
	in.RoleArn = aws.String(targetRole)
	return d.assume(ctx, hub, in)
}

func whoami(ctx context.Context, cfg aws.Config) (string, error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Arn), nil
}

func getItem(ctx context.Context, cfg aws.Config, table string) (string, error) {
	out, err := dynamodb.NewFromConfig(cfg).GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &table, Key: map[string]ddbtypes.AttributeValue{"Code": &ddbtypes.AttributeValueMemberS{Value: "A-1"}},
	})
	if err != nil {
		return "", err
	}
	total, ok := out.Item["Total"].(*ddbtypes.AttributeValueMemberN)
	if !ok {
		return "", fmt.Errorf("reading item A-1 of %s: it has no Total", table)
	}
	return "A-1 of " + table + ", total " + total.Value, nil
}

func getSecret(ctx context.Context, cfg aws.Config, id string) (string, error) {
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d characters", aws.ToString(out.Name), len(aws.ToString(out.SecretString))), nil
}

func listClusters(ctx context.Context, cfg aws.Config) (string, error) {
	out, err := eks.NewFromConfig(cfg).ListClusters(ctx, &eks.ListClustersInput{})
	if err != nil {
		return "", err
	}
	return strings.Join(out.Clusters, ", "), nil
}

// asPods does what the workloads were given access for.
func (d *demo) asPods(ctx context.Context) error {
	d.title("as the pods")
	api, err := d.webIdentity(ctx, payrollAPI, payrollRole)
	if err != nil {
		return fmt.Errorf("payroll/api: %w", err)
	}
	hub, err := d.webIdentity(ctx, ciAccount, hubRole)
	if err != nil {
		return fmt.Errorf("ci-namespace/ci-serviceaccount: %w", err)
	}
	target, err := d.chain(ctx, sts.AssumeRoleInput{})
	if err != nil {
		return fmt.Errorf("ci-namespace/ci-serviceaccount: %w", err)
	}
	for _, use := range []struct {
		pod, what string
		do        func() (string, error)
	}{
		{"payroll/api", "is", func() (string, error) { return whoami(ctx, api) }},
		{"payroll/api", "reads", func() (string, error) { return getItem(ctx, api, "Orders") }},
		{"payroll/api", "reads", func() (string, error) { return getSecret(ctx, api, d.secretARN) }},
		{"ci-namespace/ci-serviceaccount", "is, in its own account,", func() (string, error) { return whoami(ctx, hub) }},
		{"ci-namespace/ci-serviceaccount", "is, at the end of the chain,", func() (string, error) { return whoami(ctx, target) }},
		{"ci-namespace/ci-serviceaccount", "lists the target's clusters:", func() (string, error) { return listClusters(ctx, target) }},
	} {
		got, err := use.do()
		if err != nil {
			return fmt.Errorf("%s: %w", use.pod, err)
		}
		d.printf("%s %s %s\n", use.pod, use.what, got)
	}
	return nil
}
