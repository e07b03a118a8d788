package clients_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/store"
)

const (
	tooling arn.AccountID = "111111111111"
	orders  arn.AccountID = "222222222222"
	network arn.AccountID = "333333333333"
	region                = "us-east-1"
)

// door is a way for clients into the local AWS.
type door struct {
	name  string
	proxy bool
}

var doors = []door{{"port", false}, {"proxy", true}}

// world is a local AWS behind one door, seeded with what the examples give
// access to and with the examples applied.
type world struct {
	door
	dir     string // HOME of clients; holds config, credentials and tokens
	running *local.Running
	stile   string // the program

	secret, key, trap string // ARNs in orders: AppDemoSecret, its key, a secret under aws/secretsmanager
}

// newWorld starts and seeds a local AWS and applies the examples by stile.
func newWorld(t *testing.T, d door) *world {
	t.Helper()
	return newWorldAt(t, d, nil)
}

// newWorldAt is newWorld with a clock of its own.
func newWorldAt(t *testing.T, d door, clock store.Clock) *world {
	t.Helper()
	w := startWorld(t, d, localaws.Config{
		Accounts:     []localaws.Account{{Name: "tooling", ID: tooling}, {Name: "orders-prod", ID: orders}, {Name: "network", ID: network}},
		Clusters:     []localaws.Cluster{{Account: tooling, Name: "ci"}},
		Organization: true,
		Clock:        clock,
	})
	must(t, w.seed(t.Context()))
	for _, example := range []string{"payroll", "assume-role", "shared-secret"} {
		w.mustStile(t, "apply", "--yes", exampleDir(t, example))
	}
	must(t, w.grantTrap(t.Context()))
	w.writeProfiles(t)
	return w
}

// startWorld starts a local AWS that has nothing in it yet.
func startWorld(t *testing.T, d door, cfg localaws.Config) *world {
	t.Helper()
	w := &world{door: d, dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w.stile = filepath.Join(w.dir, "bin", "stile")
	for _, program := range []string{w.stile, w.goClient()} {
		must(t, os.MkdirAll(filepath.Dir(program), 0o755))
		must(t, os.Symlink(self, program))
	}
	state := filepath.Join(w.dir, "state")
	streams := &term.Streams{Out: os.Stdout, Err: os.Stderr, Env: func(name string) (string, bool) { return state, name == "XDG_STATE_HOME" }}
	w.running, err = local.Start(context.WithoutCancel(t.Context()), streams, local.Setup{
		Listen: "127.0.0.1:0", Proxy: d.proxy, Credentials: filepath.Join(w.dir, "administrators"), AWS: cfg,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.running.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exampleDir(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (w *world) goClient() string { return filepath.Join(w.dir, "bin", "go-client") }

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

// env is the whole environment of a client: nothing of this process's, and
// nothing beyond what points a client at the local AWS. A proxy needs
// HTTPS_PROXY and AWS_CA_BUNDLE alone; the port needs AWS_ENDPOINT_URL_STS too,
// see Running.Exports.
func (w *world) env(extra ...string) []string {
	env := []string{
		"PATH=" + filepath.Join(w.dir, "bin") + ":/usr/bin:/bin", "HOME=" + w.dir, "LC_ALL=C.UTF-8",
		"XDG_STATE_HOME=" + w.file("state"),
		"STILE_BROKER=off", // it would outlive the test; internal/cli/broker has its own
		"AWS_CONFIG_FILE=" + w.file("config"), "AWS_SHARED_CREDENTIALS_FILE=" + w.file("credentials"),
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
	}
	if w.proxy {
		env = append(env, "HTTPS_PROXY="+w.running.URL, "AWS_CA_BUNDLE="+w.running.CABundle)
	} else {
		env = append(env, "AWS_ENDPOINT_URL="+w.running.URL, "AWS_ENDPOINT_URL_STS="+w.running.URL)
	}
	return append(env, extra...)
}

// runStile runs stile with the administrators' credentials.
func (w *world) runStile(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.stile, args...)
	cmd.Env = w.env("AWS_SHARED_CREDENTIALS_FILE=" + w.file("administrators"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	code = cmd.ProcessState.ExitCode()
	if code != 0 {
		t.Logf("stile %s: exit %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.String(), code
}

func (w *world) mustStile(t *testing.T, args ...string) string {
	t.Helper()
	out, code := w.runStile(t, args...)
	if code != 0 {
		t.Fatalf("stile %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// admin is an account's administrator, past every door.
func (w *world) admin(account arn.AccountID) aws.Config {
	id, secret, _ := w.running.Server.Administrator(account)
	return aws.Config{
		Region: region, HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(w.running.Server)},
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	}
}

// seed makes what is there before stile comes.
func (w *world) seed(ctx context.Context) error {
	for _, step := range []func(context.Context) error{w.seedCallers, w.seedSecrets, w.seedTables, w.seedCluster} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("seeding: %w", err)
		}
	}
	return nil
}

const trustAdministrator = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/Administrator"},"Action":"sts:AssumeRole"}}`

func (w *world) seedCallers(ctx context.Context) error {
	c := iam.NewFromConfig(w.admin(tooling))
	for _, role := range []string{"ci-deployer", "AppRole"} {
		if _, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: aws.String(trustAdministrator)}); err != nil {
			return err
		}
	}
	if _, err := iam.NewFromConfig(w.admin(orders)).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("legacy"), AssumeRolePolicyDocument: aws.String(trustAdministrator)}); err != nil {
		return err
	}
	if _, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("auditor")}); err != nil {
		return err
	}
	key, err := c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("auditor")})
	if err != nil {
		return err
	}
	administrators, err := os.ReadFile(w.file("administrators"))
	if err != nil {
		return err
	}
	id, secret := aws.ToString(key.AccessKey.AccessKeyId), aws.ToString(key.AccessKey.SecretAccessKey)
	text := string(administrators) +
		fmt.Sprintf("[auditor]\naws_access_key_id = %s\naws_secret_access_key = %s\n\n", id, secret) +
		fmt.Sprintf("[wrong-secret]\naws_access_key_id = %s\naws_secret_access_key = %sx\n\n", id, secret[1:]) +
		fmt.Sprintf("[unknown-key]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = %s\n", secret)
	return os.WriteFile(w.file("credentials"), []byte(text), 0o600)
}

const secretText = `{"user":"payroll","password":"correct horse"}`

func (w *world) seedSecrets(ctx context.Context) error {
	cfg := w.admin(orders)
	key, err := kms.NewFromConfig(cfg).CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	c := secretsmanager.NewFromConfig(cfg)
	for name, keyID := range map[string]*string{"AppDemoSecret": key.KeyMetadata.Arn, "Trap": nil} {
		made, err := c.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, KmsKeyId: keyID, SecretString: aws.String(secretText)})
		if err != nil {
			return err
		}
		if keyID == nil {
			w.trap = aws.ToString(made.ARN)
		} else {
			w.secret, w.key = aws.ToString(made.ARN), aws.ToString(keyID)
		}
	}
	return nil
}

// grantTrap lets AppRole read the secret under aws/secretsmanager as far as
// policies can: the key's own policy cannot be changed.
func (w *world) grantTrap(ctx context.Context) error {
	_, err := secretsmanager.NewFromConfig(w.admin(orders)).PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: &w.trap, ResourcePolicy: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/AppRole"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}}`)})
	if err != nil {
		return err
	}
	_, err = iam.NewFromConfig(w.admin(tooling)).PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("AppRole"), PolicyName: aws.String("trap"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"` + w.trap + `"},{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}]}`)})
	return err
}

func (w *world) seedTables(ctx context.Context) error {
	c := dynamodb.NewFromConfig(w.admin(orders))
	for _, name := range []string{"Orders", "Invoices"} {
		_, err := c.CreateTable(ctx, &dynamodb.CreateTableInput{
			TableName: &name, BillingMode: ddbtypes.BillingModePayPerRequest,
			AttributeDefinitions: []ddbtypes.AttributeDefinition{{AttributeName: aws.String("Code"), AttributeType: ddbtypes.ScalarAttributeTypeS}},
			KeySchema:            []ddbtypes.KeySchemaElement{{AttributeName: aws.String("Code"), KeyType: ddbtypes.KeyTypeHash}},
		})
		if err != nil {
			return err
		}
		if err := dynamodb.NewTableExistsWaiter(c).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &name}, time.Minute); err != nil {
			return err
		}
		for code, total := range map[string]string{"A-1": "42", "A-2": "7.50"} {
			_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: &name, Item: map[string]ddbtypes.AttributeValue{
				"Code": &ddbtypes.AttributeValueMemberS{Value: code}, "Total": &ddbtypes.AttributeValueMemberN{Value: total},
			}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) seedCluster(ctx context.Context) error {
	_, err := iam.NewFromConfig(w.admin(orders)).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("eks-cluster"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}}`)})
	if err != nil {
		return err
	}
	_, err = eks.NewFromConfig(w.admin(orders)).CreateCluster(ctx, &eks.CreateClusterInput{
		Name: aws.String("target"), RoleArn: aws.String("arn:aws:iam::222222222222:role/eks-cluster"),
		ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: []string{"subnet-0a1b2c3d", "subnet-4e5f6a7b"}},
	})
	return err
}

// profile is a profile of the AWS config file, written as article 002 has it.
type profile struct {
	name, role, source string
	token              string // file, for web identity
	session            string
	externalID         string
	duration           int
}

const (
	hubRole     = "arn:aws:iam::111111111111:role/stile/ci-account-iam-role"
	targetRole  = "arn:aws:iam::222222222222:role/stile/target-account-iam-role"
	payrollRole = "arn:aws:iam::222222222222:role/stile/payroll-api"
	deployRole  = "arn:aws:iam::222222222222:role/stile/orders-deploy-reader"
	auditorRole = "arn:aws:iam::222222222222:role/stile/orders-auditor"
)

var profiles = []profile{
	{name: "ci-env", role: hubRole, token: "ci", session: "ci"},
	{name: "target-env", role: targetRole, source: "ci-env", session: "xactarget"},
	{name: "target-too-long", role: targetRole, source: "ci-env", duration: 7200},
	{name: "past-hub", role: targetRole, source: "tooling"},
	{name: "payroll", role: payrollRole, token: "payroll", session: "api"},
	{name: "payroll-other", role: payrollRole, token: "other"},
	{name: "payroll-audience", role: payrollRole, token: "audience"},
	{name: "payroll-expired", role: payrollRole, token: "expired"},
	{name: "payroll-garbage", role: payrollRole, token: "garbage"},
	{name: "deployer", role: "arn:aws:iam::111111111111:role/ci-deployer", source: "tooling"},
	{name: "deploy", role: deployRole, source: "deployer", session: "release", externalID: "orders-2f6c1e", duration: 1800},
	{name: "deploy-wrong", role: deployRole, source: "deployer", externalID: "orders-000000"},
	{name: "deploy-none", role: deployRole, source: "deployer"},
	{name: "app", role: "arn:aws:iam::111111111111:role/AppRole", source: "tooling", session: "app"},
	{name: "audit", role: auditorRole, source: "auditor", session: "audit", duration: 4 * 3600},
}

func findProfile(name string) (profile, bool) {
	for _, p := range profiles {
		if p.name == name {
			return p, true
		}
	}
	return profile{}, false
}

// writeProfiles writes the config file and the tokens it names.
func (w *world) writeProfiles(t *testing.T) {
	t.Helper()
	now := w.running.Server.World().Now()
	for name, req := range map[string]oidc.TokenRequest{
		"ci":       {Namespace: "ci-namespace", ServiceAccount: "ci-serviceaccount"},
		"payroll":  {Namespace: "payroll", ServiceAccount: "api"},
		"other":    {Namespace: "payroll", ServiceAccount: "worker"},
		"audience": {Namespace: "payroll", ServiceAccount: "api", Audiences: []string{"https://kubernetes.default.svc"}},
		"expired":  {Namespace: "payroll", ServiceAccount: "api", IssuedAt: now.Add(-2 * time.Hour)},
	} {
		if req.Audiences == nil {
			req.Audiences = []string{"sts.amazonaws.com"}
		}
		req.Lifetime = time.Hour
		token, _, err := w.running.Server.ServiceAccountToken(tooling, "ci", req)
		if err != nil {
			t.Fatal(err)
		}
		must(t, os.WriteFile(w.tokenFile(name), []byte(token), 0o600))
	}
	must(t, os.WriteFile(w.tokenFile("garbage"), []byte("not.a.token"), 0o600))
	var b strings.Builder
	for _, name := range []string{"tooling", "orders-prod", "network", "auditor", "wrong-secret", "unknown-key"} {
		fmt.Fprintf(&b, "[profile %s]\nregion = %s\n", name, region)
	}
	for _, p := range profiles {
		fmt.Fprintf(&b, "[profile %s]\nregion = %s\nrole_arn = %s\nrole_session_name = %s\n", p.name, region, p.role, cmp.Or(p.session, "session"))
		if p.token != "" {
			fmt.Fprintf(&b, "web_identity_token_file = %s\n", w.tokenFile(p.token))
		} else {
			fmt.Fprintf(&b, "source_profile = %s\n", p.source)
		}
		if p.externalID != "" {
			fmt.Fprintf(&b, "external_id = %s\n", p.externalID)
		}
		if p.duration != 0 {
			fmt.Fprintf(&b, "duration_seconds = %d\n", p.duration)
		}
	}
	must(t, os.WriteFile(w.file("config"), []byte(b.String()), 0o600))
}

func (w *world) tokenFile(name string) string { return w.file("token-" + name) }
