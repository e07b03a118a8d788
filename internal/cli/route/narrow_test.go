package route_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws"
)

const (
	mayAll   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	entered  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"100000000000"},"Action":"sts:AssumeRole"}]}`
	readonly = "arn:aws:iam::aws:policy/ReadOnlyAccess"
)

// people is a world with sources of three kinds, all of which may do anything: the
// Identity Center corp, the user erin, the user's role ops, and dana, who has a device.
func people(t *testing.T) *logintest.World {
	t.Helper()
	w := logintest.New(t)
	w.Dana(t)
	err := w.Server.AddIdentityCenter(localaws.IdentityCenter{
		StartURL: "https://corp.awsapps.com/start",
		Users:    []localaws.IdentityCenterUser{{Name: "alice"}},
		PermissionSets: []localaws.PermissionSet{
			{Name: "Power", ManagedPolicies: []string{"arn:aws:iam::aws:policy/AdministratorAccess"}}, {Name: "Reader", ManagedPolicies: []string{readonly}},
		},
		Assignments: []localaws.Assignment{
			{Accounts: []arn.AccountID{logintest.Account(0), logintest.Account(1)}, PermissionSets: []string{"Power"}, Users: []string{"alice"}},
			{Accounts: []arn.AccountID{logintest.Account(0)}, PermissionSets: []string{"Reader"}, Users: []string{"alice"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := w.Stile(t, nil, "sessions", "add", "corp", "--start-url", "https://corp.awsapps.com/start", "--region", "us-east-1"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	erin(t, w)
	return w
}

func erin(t *testing.T, w *logintest.World) {
	t.Helper()
	client := w.IAM(logintest.Account(0))
	if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("erin")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("erin"), PolicyName: aws.String("all"), PolicyDocument: aws.String(mayAll)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("ops"), AssumeRolePolicyDocument: aws.String(entered)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String("ops"), PolicyName: aws.String("all"), PolicyDocument: aws.String(mayAll)}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("erin")})
	if err != nil {
		t.Fatal(err)
	}
	add := w.Command(t, "stile", "sessions", "add", "erin", "--user", "--key-stdin", "--account", string(logintest.Account(0)))
	add.Stdin = strings.NewReader(*key.AccessKey.AccessKeyId + "\n" + *key.AccessKey.SecretAccessKey + "\n")
	routetest.Run(t, add).Want(t, "")
}

func TestReadOnlyOfEachKindOfSource(t *testing.T) {
	w := people(t)
	list := w.Write(t, "list.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:List*","Resource":"*"}]}`)
	w.Stile(t, nil, "exec", "--read-only", "corp:team-0/Power", "--", "secrets").Refused(t, "stile sessions edit corp --read-only-role NAME")
	w.Stile(t, nil, "sessions", "edit", "corp", "--read-only-role", "Reader").Want(t, "")
	if r := w.Stile(t, nil, "sessions", "list"); !strings.Contains(r.Stdout, "in us-east-1, to read only as Reader") {
		t.Errorf("the list is %s%s", r.Stdout, r.Stderr)
	}
	const corp, erin, ops = "corp:team-0/Power", "erin", "erin:100000000000/ops"
	for _, address := range []string{corp, erin, ops} {
		for _, flags := range [][]string{nil, {"--read-only"}, {"--as", "readonly"}, {"--policy", list}, {"--policy-arn", readonly}} {
			if address == corp && len(flags) > 0 && strings.HasPrefix(flags[0], "--policy") {
				continue
			}
			said, ok := stile(t, w.World, nil, with([]string{"exec", address, "--", "secrets"}, flags...)...)
			_, write, _ := strings.Cut(said, "write: ")
			if !ok || !strings.Contains(said, "read: <nil>") || strings.HasPrefix(write, "<nil>") != (flags == nil) || !strings.HasPrefix(write, "<nil>") && !strings.Contains(write, "AccessDenied") {
				t.Errorf("%s %q: ok %v, %s", address, flags, ok, said)
			}
		}
	}
	for address, want := range map[string]string{
		corp: "stile: corp:team-0/Power, for --read-only: as Reader, the read-only role of corp, instead of Power\n",
		erin: "stile: erin, for --read-only: as a federated session of the user, which may call neither IAM nor STS\n",
		ops:  "",
	} {
		if r := w.Stile(t, nil, "exec", "--read-only", address, "--", "true"); r.Code != 0 || r.Stderr != want {
			t.Errorf("%s says: exit %d, %q, want %q", address, r.Code, r.Stderr, want)
		}
	}
	for address, want := range map[string]string{corp: "permission set Reader", erin: "then sts:GetFederationToken"} {
		if r := w.Stile(t, nil, "explain-credential", "--read-only", address); r.Code != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("explained %s: exit %d, %s%s", address, r.Code, r.Stdout, r.Stderr)
		}
	}
	if r := w.Stile(t, nil, "log", "--json"); !strings.Contains(r.Stdout, "ReadOnlyAccess (as Reader, the read-only role of corp, instead of Power)") {
		t.Errorf("the log has no word of it: %s", r.Stdout)
	}
	if r := w.Stile(t, nil, "whoami", "--read-only", "corp:team-0/Reader"); r.Code != 0 || r.Stderr != "" || !strings.Contains(r.Stdout, "AWSReservedSSO_Reader_") {
		t.Errorf("the role itself: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	for want, args := range map[string][]string{
		"lists no role Reader, its read-only one, in account 100000000001, but Power": {"--read-only", "corp:team-1/Power"},
		"sessions of Identity Center corp take no session policy":                     {"--policy", list, corp},
		"AWS federates no user by a code":                                             {"--read-only", "dana"},
	} {
		w.Stile(t, nil, append(append([]string{"exec"}, args...), "--", "secrets")...).Refused(t, want)
	}
}

// A guard holds programs to reading in the same way, by a broker too.
func TestGuardsHoldPeoplesSourcesToReading(t *testing.T) {
	w := people(t)
	w.WithBroker(t)
	w.Stile(t, nil, "sessions", "edit", "corp", "--read-only-role", "Reader").Want(t, "")
	w.Write(t, ".stile-guard.yaml", "as: readonly\n")
	for address, want := range map[string]string{
		"corp:team-0/Power": "as Reader, the read-only role of corp, instead of Power", "erin": "as a federated session of the user",
	} {
		r := w.Stile(t, nil, "exec", address, "--", "secrets")
		if !strings.Contains(r.Stdout, "read: <nil>") || strings.Contains(r.Stdout, "write: <nil>") || !strings.Contains(r.Stderr, ".stile-guard.yaml (as: readonly): "+want) {
			t.Errorf("%s: exit %d, %s%s", address, r.Code, r.Stdout, r.Stderr)
		}
	}
}

func TestDeclarationsThatAreNotThereAreNamed(t *testing.T) {
	w := routetest.New(t)
	for _, args := range [][]string{{"env", "-f", "/nonexistent", "leaf"}, {"explain-credential", "-f", "/nonexistent", "leaf"}, {"each", "-f", "/nonexistent", "leaf", "--", "true"}} {
		w.Stile(t, nil, args...).Refused(t, "reading declarations: stat /nonexistent: no such file or directory")
	}
	if r := w.Stile(t, nil, "env", "--format", "sh", "tooling"); r.Code != 0 || !strings.Contains(r.Stdout, "export AWS_ACCESS_KEY_ID=") {
		t.Errorf("--format sh: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
}
