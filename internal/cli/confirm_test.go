package cli_test

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/localaws"
)

// answer is somebody who does something before saying yes.
type answer struct {
	before func()
	text   io.Reader
}

func (a *answer) Read(p []byte) (int, error) {
	if a.before != nil {
		a.before()
		a.before = nil
	}
	return a.text.Read(p)
}

// What moves while somebody thinks about a plan must not be changed on the
// strength of it.
func TestApplyLooksAgainAfterItWasConfirmed(t *testing.T) {
	dir := t.TempDir()
	credentials := filepath.Join(dir, "credentials")
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	streams := cli.System()
	running, err := local.Start(t.Context(), streams, local.Setup{
		Listen: "127.0.0.1:0", Credentials: credentials,
		AWS: localaws.Config{
			Accounts: []localaws.Account{{Name: "tooling", ID: "111111111111"}, {Name: "orders-prod", ID: "222222222222"}, {Name: "network", ID: "333333333333"}},
			Clusters: []localaws.Cluster{{Account: "111111111111", Name: "ci"}}, Organization: true,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = running.Close() }()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": running.URL, "AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_CONFIG_FILE": filepath.Join(dir, "none"),
		"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile("orders-prod"))
	if err != nil {
		t.Fatal(err)
	}
	c := iam.NewFromConfig(cfg)
	var out, errs strings.Builder
	streams.Out, streams.Err, streams.Ask = &out, &errs, true
	streams.In = &answer{text: strings.NewReader("yes\n"), before: func() { makeRole(t, c, "payroll-api") }}
	if code := cli.Main([]string{"apply", "../../examples/payroll"}, streams); code == 0 || !strings.Contains(errs.String(), "out of date, nothing was changed: since it was made, these changed: 222222222222/role/payroll-api") {
		t.Errorf("apply = %d, want it to say that role payroll-api moved:\n%s%s", code, out.String(), errs.String())
	}
	roles, err := c.ListRoles(t.Context(), &iam.ListRolesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(roles.Roles) != 1 {
		t.Errorf("orders-prod has %d roles, want the stranger's one only", len(roles.Roles))
	}
}

func makeRole(t *testing.T, c *iam.Client, name string) {
	t.Helper()
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}]}`
	if _, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, Path: aws.String("/stile/"), AssumeRolePolicyDocument: aws.String(trust)}); err != nil {
		t.Fatal(err)
	}
}
