package demo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stile-aws/stile/internal/localaws/service"
)

// base is the configuration of a client of the local AWS without credentials.
func (d *demo) base() aws.Config {
	return aws.Config{Region: region, HTTPClient: d.http, BaseEndpoint: &d.URL, Credentials: aws.AnonymousCredentials{}, APIOptions: []func(*middleware.Stack) error{witness}}
}

// with is base with static credentials.
func (d *demo) with(id, secret, token string) aws.Config {
	cfg := d.base()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
	return cfg
}

// admin is the administrator of an account.
func (d *demo) admin(account string) aws.Config {
	for _, a := range accounts {
		if a.Name == account {
			id, secret, _ := d.Server.Administrator(a.ID)
			return d.with(id, secret, "")
		}
	}
	return d.base()
}

// loader gives the accounts' profiles, as the credentials file of stile local start would.
func (d *demo) loader(_ context.Context, profile, _ string) (aws.Config, error) {
	cfg := d.admin(profile)
	if _, anonymous := cfg.Credentials.(aws.AnonymousCredentials); anonymous {
		return cfg, fmt.Errorf("the demo has no profile %q", profile)
	}
	return cfg, nil
}

// deniedBy is an error together with who refused, as the local AWS tells in a
// header of its answer.
type deniedBy struct {
	error
	who string
}

func (e *deniedBy) Unwrap() error { return e.error }

// witness keeps the header of a refusal with its error.
func witness(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("StileWitness",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, meta, err := next.HandleDeserialize(ctx, in)
			resp, ok := out.RawResponse.(*smithyhttp.Response)
			if err != nil && ok && resp.Header.Get(service.DeniedBy) != "" {
				err = &deniedBy{err, resp.Header.Get(service.DeniedBy)}
			}
			return out, meta, err
		}), middleware.Before)
}

// seed makes what the workload accounts have had all along: the demo's
// declarations only give access to it.
func (d *demo) seed(ctx context.Context) error {
	d.title("a local AWS on " + d.URL)
	for _, a := range accounts {
		d.printf("account %s %s\n", a.ID, a.Name)
	}
	orders := d.admin("orders-prod")
	for _, table := range []string{"Orders", "Invoices"} {
		if err := seedTable(ctx, dynamodb.NewFromConfig(orders), table); err != nil {
			return fmt.Errorf("making table %s: %w", table, err)
		}
	}
	if err := d.seedSecret(ctx, orders); err != nil {
		return fmt.Errorf("making the secret: %w", err)
	}
	if err := seedCluster(ctx, orders); err != nil {
		return fmt.Errorf("making the cluster: %w", err)
	}
	return d.seedCallers(ctx)
}

func seedTable(ctx context.Context, c *dynamodb.Client, name string) error {
	_, err := c.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: ddbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []ddbtypes.AttributeDefinition{{AttributeName: aws.String("Code"), AttributeType: ddbtypes.ScalarAttributeTypeS}},
		KeySchema:            []ddbtypes.KeySchemaElement{{AttributeName: aws.String("Code"), KeyType: ddbtypes.KeyTypeHash}},
	})
	if err != nil {
		return err
	}
	_, err = c.PutItem(ctx, &dynamodb.PutItemInput{TableName: &name, Item: map[string]ddbtypes.AttributeValue{
		"Code": &ddbtypes.AttributeValueMemberS{Value: "A-1"}, "Total": &ddbtypes.AttributeValueMemberN{Value: "42"},
	}})
	return err
}

func (d *demo) seedSecret(ctx context.Context, cfg aws.Config) error {
	key, err := kms.NewFromConfig(cfg).CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("the orders team's own key")})
	if err != nil {
		return err
	}
	secret, err := secretsmanager.NewFromConfig(cfg).CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("AppDemoSecret"), KmsKeyId: key.KeyMetadata.Arn, SecretString: aws.String(`{"user":"payroll","password":"correct horse"}`),
	})
	if err != nil {
		return err
	}
	d.secretARN = aws.ToString(secret.ARN)
	return nil
}

func seedCluster(ctx context.Context, cfg aws.Config) error {
	role, err := iam.NewFromConfig(cfg).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("eks-cluster"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}}`)})
	if err != nil {
		return err
	}
	_, err = eks.NewFromConfig(cfg).CreateCluster(ctx, &eks.CreateClusterInput{
		Name: aws.String("target"), RoleArn: role.Role.Arn,
		ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: []string{"subnet-0a1b2c3d", "subnet-4e5f6a7b"}},
	})
	return err
}

// seedCallers makes the role and the user of examples/assume-role, which exist
// before stile comes.
func (d *demo) seedCallers(ctx context.Context) error {
	c := iam.NewFromConfig(d.admin("tooling"))
	_, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("ci-deployer"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/Administrator"},"Action":["sts:AssumeRole","sts:TagSession"]}}`)})
	if err != nil {
		return fmt.Errorf("making role ci-deployer: %w", err)
	}
	if _, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("auditor")}); err != nil {
		return fmt.Errorf("making user auditor: %w", err)
	}
	return nil
}
