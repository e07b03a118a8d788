// Package scopetest is the small world in which tests plan and apply: a local
// AWS within the process, seeded with what the examples refer to and with
// things of others that nobody may touch.
//
// Start with [New], then [World.Scope] of a set from [Examples]. [World.Owned]
// and [World.Snapshot] read the world past its API, so that a test does not
// have to believe what it tests.
package scopetest

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/examples"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/scope"
)

// The accounts of every world.
const (
	Tooling arn.AccountID = "111111111111"
	Orders  arn.AccountID = "222222222222"
	Network arn.AccountID = "333333333333"
)

// Region is where everything with a Region is.
const Region = localaws.DefaultRegion

// World is a seeded local AWS.
type World struct {
	Server *localaws.Server
	Door   http.RoundTripper // into Server
	Secret string            // ARN of AppDemoSecret, under Key
	Key    string            // ARN of the key, customer managed
}

// New makes a world. cfg's accounts and clusters are replaced by those that the
// examples name. The seeding goes through the API, before cfg's faults and
// delays are on.
func New(tb testing.TB, cfg localaws.Config) *World {
	tb.Helper()
	cfg.Accounts = []localaws.Account{{Name: "tooling", ID: Tooling}, {Name: "orders-prod", ID: Orders}, {Name: "network", ID: Network}}
	cfg.Clusters = []localaws.Cluster{{Account: Tooling, Name: "ci"}}
	delay := cfg.PropagationDelay
	cfg.PropagationDelay = 0
	server, err := localaws.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	w := &World{Server: server, Door: frontdoor.RoundTripper(server)}
	if err := w.seed(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatalf("seeding: %v", err)
	}
	server.World().SetDelay("", delay)
	return w
}

// Admin is the configuration of an account's administrator, through door, or
// straight into the server with a nil door.
func (w *World) Admin(account arn.AccountID, door http.RoundTripper) aws.Config {
	if door == nil {
		door = w.Door
	}
	id, secret, _ := w.Server.Administrator(account)
	return aws.Config{
		Region: Region, HTTPClient: &http.Client{Transport: door},
		// More attempts than stile's own clients make, for tests with much trouble.
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 10, 3*time.Second })
		},
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	}
}

// Loader gives the administrators under their accounts' names, as the
// credentials file of stile local start does.
func (w *World) Loader(door http.RoundTripper) scope.Loader {
	return func(_ context.Context, profile, region string) (aws.Config, error) {
		for name, id := range map[string]arn.AccountID{"tooling": Tooling, "orders-prod": Orders, "network": Network} {
			if name == profile {
				cfg := w.Admin(id, door)
				cfg.Region = region
				return cfg, nil
			}
		}
		return aws.Config{}, fmt.Errorf("there is no profile %q", profile)
	}
}

// Scope is the scope of set in this world, as it is after a process has just
// started. Its calls go through door; nil is straight into the server.
func (w *World) Scope(set *access.Set, door http.RoundTripper) *scope.Scope {
	return scope.New(set, scope.Manage, w.Loader(door))
}

// Examples loads the named examples as one scope, which has the first one's
// name, home and accounts.
func Examples(tb testing.TB, names ...string) *access.Set {
	tb.Helper()
	return Load(tb, Merged(tb, names...))
}

// Load loads declarations that must be right.
func Load(tb testing.TB, files fs.FS) *access.Set {
	tb.Helper()
	set, diags := access.Load(files)
	if diags.HasErrors() {
		tb.Fatalf("loading declarations: %v", diags)
	}
	return set
}

// Merged are the files of the named examples in one directory: everything of
// the first, what the others declare beside accounts and scope.
func Merged(tb testing.TB, names ...string) fstest.MapFS {
	tb.Helper()
	out := fstest.MapFS{}
	for i, name := range names {
		entries, err := fs.ReadDir(examples.Files, name)
		if err != nil {
			tb.Fatal(err)
		}
		for _, e := range entries {
			if i > 0 && (e.Name() == "stile.yaml" || e.Name() == "accounts.yaml") {
				continue
			}
			text, err := fs.ReadFile(examples.Files, path.Join(name, e.Name()))
			if err != nil {
				tb.Fatal(err)
			}
			out[name+"-"+e.Name()] = &fstest.MapFile{Data: text}
		}
	}
	return out
}

// Renamed is files with the scope called name.
func Renamed(files fstest.MapFS, name string) fstest.MapFS {
	out := fstest.MapFS{}
	for file, f := range files {
		text := string(f.Data)
		if strings.HasSuffix(file, "stile.yaml") {
			text = strings.NewReplacer("name: payroll", "name: "+name, "name: assume-role", "name: "+name, "name: shared-secret", "name: "+name).Replace(text)
		}
		out[file] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// trustOfAdministrator lets tooling's administrator in.
const trustOfAdministrator = `{"Version":"2012-10-17","Statement":[{"Sid":"People","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/Administrator"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`

const ownPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}`

// seed makes what the workload accounts have had all along.
func (w *World) seed(ctx context.Context) error {
	tooling, orders := iam.NewFromConfig(w.Admin(Tooling, nil)), iam.NewFromConfig(w.Admin(Orders, nil))
	if _, err := tooling.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("auditor")}); err != nil {
		return err
	}
	for client, names := range map[*iam.Client][]string{tooling: {"ci-deployer", "AppRole"}, orders: {"legacy-app"}} {
		for _, name := range names {
			if err := seedRole(ctx, client, name); err != nil {
				return err
			}
		}
	}
	if err := seedForeign(ctx, orders, iam.NewFromConfig(w.Admin(Network, nil))); err != nil {
		return err
	}
	return w.seedSecret(ctx, w.Admin(Orders, nil))
}

func seedRole(ctx context.Context, c *iam.Client, name string) error {
	if _, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(trustOfAdministrator)}); err != nil {
		return err
	}
	_, err := c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("own"), PolicyDocument: aws.String(ownPolicy)})
	return err
}

// seedForeign makes a managed policy on a role, and an OIDC provider, of others.
func seedForeign(ctx context.Context, orders, network *iam.Client) error {
	made, err := orders.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("legacy"), PolicyDocument: aws.String(ownPolicy)})
	if err != nil {
		return err
	}
	if _, err := orders.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("legacy-app"), PolicyArn: made.Policy.Arn}); err != nil {
		return err
	}
	_, err = network.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://token.actions.githubusercontent.com"), ClientIDList: []string{"sts.amazonaws.com"},
	})
	return err
}

// keyPolicy has the statement that every key begins with and one of a team's own.
const keyPolicy = `{"Version":"2012-10-17","Id":"orders","Statement":[
 {"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"kms:*","Resource":"*"},
 {"Sid":"Legacy","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/legacy-app"},"Action":["kms:Decrypt","kms:DescribeKey"],"Resource":"*",
  "Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}}]}`

const secretPolicy = `{"Version":"2012-10-17","Statement":[
 {"Sid":"Legacy","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/legacy-app"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`

func (w *World) seedSecret(ctx context.Context, cfg aws.Config) error {
	key, err := kms.NewFromConfig(cfg).CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("the orders team's own key"), Policy: aws.String(keyPolicy)})
	if err != nil {
		return err
	}
	c := secretsmanager.NewFromConfig(cfg)
	secret, err := c.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("AppDemoSecret"), KmsKeyId: key.KeyMetadata.Arn, SecretString: aws.String(`{"user":"payroll","password":"correct horse"}`),
	})
	if err != nil {
		return err
	}
	w.Secret, w.Key = aws.ToString(secret.ARN), aws.ToString(key.KeyMetadata.Arn)
	_, err = c.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: secret.ARN, ResourcePolicy: aws.String(secretPolicy), BlockPublicPolicy: aws.Bool(true)})
	return err
}
