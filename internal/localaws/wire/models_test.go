package wire_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

func load(tb testing.TB, service string) *wire.Model {
	tb.Helper()
	m, err := wire.Load(service)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestTheModelsAreThoseOfTheChecksums(t *testing.T) {
	sums, err := os.ReadFile("models/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(sums)) {
		want, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("SHA256SUMS has the line %q", line)
		}
		data, err := os.ReadFile(filepath.Join("models", name))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has the sum %s, want %s: run the strip command and commit all it writes", name, got, want)
		}
		listed = append(listed, strings.TrimSuffix(name, ".json.gz"))
	}
	slices.Sort(listed)
	if got := wire.Services(); !slices.Equal(got, listed) {
		t.Errorf("Services() = %v, SHA256SUMS lists %v", got, listed)
	}
}

func TestTheModelsStateTheirOrigin(t *testing.T) {
	version, err := os.ReadFile("models/VERSION")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(version), "botocore 1.43.11\n"; got != want {
		t.Errorf("VERSION = %q, want %q, the version of the recorded vectors", got, want)
	}
	notice, err := os.ReadFile("models/NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"botocore", "Amazon.com", "Apache License"} {
		if !strings.Contains(string(notice), want) {
			t.Errorf("NOTICE does not say %q", want)
		}
	}
}

func TestLoad(t *testing.T) {
	cases := []struct {
		service, signing, target string
		protocol                 wire.Protocol
		operation                string
	}{
		{"sts", "sts", "", wire.Query, "AssumeRole"},
		{"iam", "iam", "", wire.Query, "GetAccountAuthorizationDetails"},
		{"organizations", "organizations", "AWSOrganizationsV20161128", wire.JSON, "DescribeOrganization"},
		{"kms", "kms", "TrentService", wire.JSON, "Decrypt"},
		{"dynamodb", "dynamodb", "DynamoDB_20120810", wire.JSON, "GetItem"},
		{"secretsmanager", "secretsmanager", "secretsmanager", wire.JSON, "GetSecretValue"},
		{"eks", "eks", "", wire.RestJSON, "ListClusters"},
		{"signin", "signin", "", wire.RestJSON, "CreateOAuth2Token"},
		{"sso", "awsssoportal", "", wire.RestJSON, "GetRoleCredentials"},
		{"sso-oidc", "sso-oauth", "", wire.RestJSON, "CreateToken"},
	}
	for _, c := range cases {
		m := load(t, c.service)
		if m.SigningName != c.signing || m.TargetPrefix != c.target || m.Protocol != c.protocol {
			t.Errorf("%s: signing name %q, target prefix %q, protocol %q, want %q, %q, %q",
				c.service, m.SigningName, m.TargetPrefix, m.Protocol, c.signing, c.target, c.protocol)
		}
		if op, ok := m.Operation(c.operation); !ok || op.Model != m || op.Name != c.operation {
			t.Errorf("%s.Operation(%s) = %v, %v", c.service, c.operation, op, ok)
		}
		if names := m.Operations(); !slices.IsSorted(names) || !slices.Contains(names, c.operation) {
			t.Errorf("%s.Operations() is not sorted or lacks %s", c.service, c.operation)
		}
	}
	if _, err := wire.Load("ec2"); err == nil || !strings.Contains(err.Error(), `"ec2"`) {
		t.Errorf("Load(ec2) = %v, want an error that names it", err)
	}
}

func TestParseRefusesBrokenModels(t *testing.T) {
	cases := map[string]string{
		"not JSON":            `{`,
		"an unknown protocol": `{"metadata":{"protocol":"ec2"}}`,
		"a missing shape":     `{"metadata":{"protocol":"json"},"operations":{"A":{"input":{"shape":"X"}}}}`,
		"an unknown type":     `{"metadata":{"protocol":"json"},"operations":{"A":{"input":{"shape":"X"}}},"shapes":{"X":{"type":"tuple"}}}`,
		"a list of nothing":   `{"metadata":{"protocol":"json"},"operations":{"A":{"input":{"shape":"X"}}},"shapes":{"X":{"type":"list"}}}`,
	}
	for name, text := range cases {
		if _, err := wire.Parse("broken", []byte(text)); err == nil || !strings.Contains(err.Error(), `"broken"`) {
			t.Errorf("%s: Parse = %v, want an error that names the service", name, err)
		}
	}
}
