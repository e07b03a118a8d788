package credentialprocess_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/machine"
)

const payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile":  func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"whoami": routetest.Whoami,
	})
}

func TestOutputIsTheProtocols(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	r := w.Stile(t, nil, "credential-process", "orders-prod/payroll-api")
	if r.Code != 0 || r.Stderr != "" {
		t.Fatalf("exit %d, stderr %q", r.Code, r.Stderr)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
		t.Fatal(err)
	}
	end, err := time.Parse(time.RFC3339, fmt.Sprint(got["Expiration"]))
	if left := time.Until(end); err != nil || left < 59*time.Minute || left > time.Hour {
		t.Errorf("Expiration %v, %v, want in an hour", got["Expiration"], err)
	}
	for _, name := range []string{"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"} {
		if s, ok := got[name].(string); !ok || s == "" {
			t.Errorf("%s is %v, want text", name, got[name])
		}
		delete(got, name)
	}
	if diff := cmp.Diff(map[string]any{"Version": 1.0, "AccountId": "222222222222"}, got); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
}

// boto3 and the AWS CLI start the program themselves, the Go SDK by a shell.
// Debian's are from before AWS_ENDPOINT_URL, so they are told where to go.
func TestRealClientsUseItAsAProfile(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	stile, err := exec.LookPath("stile")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(t, "config", "[profile payroll]\nregion = us-east-1\ncredential_process = "+stile+" credential-process orders-prod/payroll-api\n")
	boto3 := "import boto3, os; print(boto3.Session().client('sts', endpoint_url=os.environ['AWS_ENDPOINT_URL']).get_caller_identity()['Arn'])"
	for _, c := range []struct {
		name    string
		command []string
		have    []string
	}{
		{"the Go SDK", []string{"whoami"}, []string{"true"}},
		{"aws", []string{"aws", "--endpoint-url", w.URL, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"}, []string{"aws", "--version"}},
		{"Debian's boto3", []string{"/usr/bin/python3", "-c", boto3}, []string{"/usr/bin/python3", "-c", "import boto3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			machine.Needs(t, c.name, exec.CommandContext(t.Context(), c.have[0], c.have[1:]...).Run())
			cmd := w.Command(t, c.command[0], c.command[1:]...)
			cmd.Env = append(cmd.Env, "AWS_PROFILE=payroll")
			routetest.Run(t, cmd).Want(t, payroll)
		})
	}
}

func TestFailuresPrintNothingButTheReason(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	w.Stile(t, nil, "credential-process", "orders-prod/nobody").Refused(t, "going to orders-prod/nobody: no way there")
	w.Stile(t, nil, "credential-process").Refused(t, "usage: stile credential-process ADDRESS")
	w.Stile(t, []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1"}, "credential-process", "orders-prod/payroll-api").Refused(t, "no token of serviceaccount:ci/payroll/api at hand")
	w.Stile(t, []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1"}, "credential-process", "--token-file", w.Token(t, "payroll/api"), "orders-prod/payroll-api").
		Refused(t, "STS AssumeRoleWithWebIdentity: ")
}

// A profile that gets its credentials from here must not be where the caller's
// credentials are looked for: that would go round in circles.
func TestProfileThatCallsItselfIsAnError(t *testing.T) {
	w := routetest.New(t)
	auditor := w.Deployer(t)
	w.Apply(t, routetest.Example(t, "assume-role"))
	stile, err := exec.LookPath("stile")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(t, "config", "[profile auditing]\nregion = us-east-1\ncredential_process = "+stile+" credential-process orders-prod/orders-auditor\n")
	whoami := func(env ...string) routetest.Result {
		cmd := w.Command(t, "whoami")
		cmd.Env = append(cmd.Env, env...)
		return routetest.Run(t, cmd)
	}
	r := whoami("AWS_PROFILE=auditing")
	if r.Code != 1 || !strings.Contains(r.Stdout+r.Stderr, "gets its credentials from this command itself") {
		t.Errorf("exit %d, %s%s, want the circle told", r.Code, r.Stdout, r.Stderr)
	}
	// The caller's own credentials in the credentials file, the profile beside them.
	id, secret := strings.TrimPrefix(auditor[0], "AWS_ACCESS_KEY_ID="), strings.TrimPrefix(auditor[1], "AWS_SECRET_ACCESS_KEY=")
	file := w.Write(t, "auditor-credentials", fmt.Sprintf("[auditor]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret))
	w.Write(t, "config", "[profile auditing]\nregion = us-east-1\ncredential_process = env AWS_PROFILE=auditor "+stile+" credential-process orders-prod/orders-auditor\n")
	whoami("AWS_PROFILE=auditing", "AWS_SHARED_CREDENTIALS_FILE="+file).Want(t, "arn:aws:sts::222222222222:assumed-role/orders-auditor/auditor")
}

// Nothing but a line of the log, which has no secret. What is kept in memory for
// others is in the runtime directory alone.
func TestNothingSecretIsKeptOnDisk(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	log := filepath.Join(w.Dir, "state", "stile", "issued.jsonl")
	list := func() (files []string) {
		t.Helper()
		if err := filepath.WalkDir(w.Dir, func(path string, _ os.DirEntry, err error) error {
			if path == w.Runtime {
				return filepath.SkipDir
			}
			if path != log {
				files = append(files, path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return files
	}
	before := list()
	r := w.Stile(t, nil, "credential-process", "orders-prod/payroll-api")
	if r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if diff := cmp.Diff(before, list()); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
	var got struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 1 || !strings.Contains(string(text), got.AccessKeyID) ||
		strings.Contains(string(text), got.SecretAccessKey) || strings.Contains(string(text), got.SessionToken[:20]) {
		t.Errorf("%d lines of the log, want one with the access key id and no secret: %s", n, text)
	}
}
