package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
)

// refusal is something that must fail, beside a control that differs from it
// in one fact and must succeed.
type refusal struct {
	what    string
	refused func(context.Context) error
	control string
	allowed func(context.Context) error
}

// refusals tries what nobody declared.
func (d *demo) refusals(ctx context.Context) error {
	d.title("what must fail, each beside a control that differs in one fact")
	all := append(d.tokenRefusals(), d.useRefusals()...)
	all = append(all, d.hopRefusals()...)
	for i, r := range all {
		if err := d.try(ctx, i+1, r); err != nil {
			return err
		}
	}
	d.printf("\n%d refused as they must be, %d controls allowed\n", len(all), len(all))
	return nil
}

func (d *demo) try(ctx context.Context, n int, r refusal) error {
	err := r.refused(ctx)
	if err == nil {
		return fmt.Errorf("%s: this was allowed and must not be", r.what)
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return fmt.Errorf("%s: failed for another reason than a refusal: %w", r.what, err)
	}
	d.printf("\n%d. %s\n   no:  %s: %s\n", n, r.what, api.ErrorCode(), api.ErrorMessage())
	who := "STS itself, before any policy: the token does not prove who it says it is"
	if denied, ok := errors.AsType[*deniedBy](err); ok {
		who = denied.who
	}
	d.printf("   by:  %s\n", who)
	if err := r.allowed(ctx); err != nil {
		return fmt.Errorf("%s: the control must be allowed: %w", r.control, err)
	}
	d.printf("   yes: %s\n", r.control)
	return nil
}

// tokenRefusals vary the service account's token.
func (d *demo) tokenRefusals() []refusal {
	enter := func(a ask) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := d.webIdentity(ctx, a, payrollRole)
			return err
		}
	}
	other, audience, expired := payrollAPI, payrollAPI, payrollAPI
	other.name = "worker"
	audience.audience = "https://kubernetes.default.svc"
	expired.issued = d.Server.World().Now().Add(-2 * time.Hour)
	control := "the token of payroll/api for sts.amazonaws.com, issued now"
	return []refusal{
		{"payroll-api with another service account's token (payroll/worker)", enter(other), control, enter(payrollAPI)},
		{"payroll-api with a token for another audience (the cluster's own API)", enter(audience), control, enter(payrollAPI)},
		{"payroll-api with a token that expired an hour ago", enter(expired), control, enter(payrollAPI)},
	}
}

// useRefusals vary what is done with a session.
func (d *demo) useRefusals() []refusal {
	as := func(do func(context.Context, aws.Config) error) func(context.Context) error {
		return func(ctx context.Context) error {
			api, err := d.webIdentity(ctx, payrollAPI, payrollRole)
			if err != nil {
				return fmt.Errorf("entering payroll-api: %w", err)
			}
			return do(ctx, api)
		}
	}
	read := func(table string) func(context.Context, aws.Config) error {
		return func(ctx context.Context, cfg aws.Config) error {
			_, err := getItem(ctx, cfg, table)
			return err
		}
	}
	secret := func(ctx context.Context, cfg aws.Config) error {
		_, err := getSecret(ctx, cfg, d.secretARN)
		return err
	}
	return []refusal{
		{"payroll/api writes to table Orders (dynamodb:PutItem is not declared)", as(putItem), "it reads the same item", as(read("Orders"))},
		{"payroll/api reads table Invoices (not declared)", as(read("Invoices")), "it reads table Orders", as(read("Orders"))},
		{"the administrator of the third account, network, reads the secret by its full ARN",
			func(ctx context.Context) error { return secret(ctx, d.admin("network")) }, "payroll/api reads it", as(secret)},
	}
}

func putItem(ctx context.Context, cfg aws.Config) error {
	_, err := dynamodb.NewFromConfig(cfg).PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("Orders"), Item: map[string]ddbtypes.AttributeValue{
		"Code": &ddbtypes.AttributeValueMemberS{Value: "A-1"},
	}})
	return err
}

// hopRefusals vary how a role is assumed.
func (d *demo) hopRefusals() []refusal {
	deploy := func(externalID string) func(context.Context) error {
		return func(ctx context.Context) error {
			deployer, err := d.assume(ctx, d.admin("tooling"), sts.AssumeRoleInput{RoleArn: aws.String(ciDeployer)})
			if err != nil {
				return fmt.Errorf("entering ci-deployer: %w", err)
			}
			_, err = d.assume(ctx, deployer, sts.AssumeRoleInput{RoleArn: aws.String(deployRole), ExternalId: &externalID})
			return err
		}
	}
	chain := func(tags ...ststypes.Tag) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := d.chain(ctx, sts.AssumeRoleInput{Tags: tags})
			return err
		}
	}
	pastHub := func(ctx context.Context) error {
		_, err := d.assume(ctx, d.admin("tooling"), sts.AssumeRoleInput{RoleArn: aws.String(targetRole)})
		return err
	}
	return []refusal{
		{"ci-deployer assumes orders-deploy-reader with a wrong external id", deploy("orders-000000"), "with the declared one", deploy("orders-2f6c1e")},
		{"ci-serviceaccount passes a session tag along the chain (team=payroll, not declared)",
			chain(ststypes.Tag{Key: aws.String("team"), Value: aws.String("payroll")}), "without the tag", chain()},
		{"tooling's administrator assumes target-account-iam-role past the hub", pastHub, "through the hub", chain()},
	}
}
