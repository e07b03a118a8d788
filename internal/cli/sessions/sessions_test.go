package sessions_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

const (
	anchor  = "arn:aws:rolesanywhere:eu-west-1:222222222222:trust-anchor/0a1b2c3d-0000-4000-8000-000000000001"
	profile = "arn:aws:rolesanywhere:eu-west-1:222222222222:profile/0a1b2c3d-0000-4000-8000-000000000002"
	host    = "arn:aws:iam::222222222222:role/host"
)

// helper puts a stand-in for AWS's helper on PATH, which checks no certificate: it
// writes a line a run and prints credentials of the role host.
func helper(t *testing.T, w *routetest.World) (runs string) {
	t.Helper()
	if _, err := w.IAM(routetest.Orders).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("host"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}]}`)}); err != nil {
		t.Fatal(err)
	}
	id, secret, _ := w.Server.Administrator(routetest.Orders)
	out, err := sts.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}).
		AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(host), RoleSessionName: aws.String("0badcafe")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	answer, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": c.AccessKeyId, "SecretAccessKey": c.SecretAccessKey, "SessionToken": c.SessionToken, "Expiration": c.Expiration.Format(time.RFC3339)})
	if err != nil {
		t.Fatal(err)
	}
	runs = filepath.Join(w.Dir, "runs")
	w.Write(t, "answer", string(answer))
	program := w.Write(t, "bin/aws_signing_helper", "#!/bin/sh\necho \"$*\" >>"+runs+"\nexec cat "+w.Dir+"/answer\n")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, v := range w.Env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			w.Env[i] = "PATH=" + filepath.Dir(program) + ":" + path
		}
	}
	return runs
}

func TestACertificateIsASource(t *testing.T) {
	w := routetest.New(t)
	add := []string{"sessions", "add", "host", "--trust-anchor", anchor, "--anchor-profile", profile, "--role", host, "--certificate", "host.pem", "--private-key", "host.key"}
	w.Write(t, "host.pem", "certificate")
	key := w.Write(t, "host.key", "key")
	if r := w.Stile(t, nil, add...); r.Code != 1 || !strings.Contains(r.Stderr, "credential-helper.html") {
		t.Errorf("without a helper: exit %d, %s", r.Code, r.Stderr)
	}
	runs := helper(t, w)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := w.Stile(t, nil, add...); r.Code != 1 || !strings.Contains(r.Stderr, "chmod 600") {
		t.Errorf("with a key for all: exit %d, %s", r.Code, r.Stderr)
	}
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Stile(t, nil, add...).Want(t, "")
	if r := w.Stile(t, nil, "sessions", "list"); !strings.Contains(r.Stdout, host+" by certificate "+w.Dir+"/host.pem") {
		t.Errorf("it is listed as %s%s", r.Stdout, r.Stderr)
	}
	var wg sync.WaitGroup
	keys := make([]string, 50)
	for i := range keys {
		wg.Go(func() {
			if r := w.Stile(t, nil, "credential-process", "host"); r.Code == 0 {
				keys[i] = logintest.Key(t, r)
			} else {
				t.Errorf("exit %d, %s", r.Code, r.Stderr)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k == "" || k != keys[0] {
			t.Errorf("key %q, want one for all, %q", k, keys[0])
		}
	}
	text, err := os.ReadFile(runs)
	if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), "--certificate "+w.Dir+"/host.pem") {
		t.Errorf("the helper ran: %q, %v, want once", text, err)
	}
	r := w.Stile(t, nil, "explain-credential", "host")
	if r.Code != 0 || !strings.Contains(r.Stdout, "rolesanywhere:CreateSession, by AWS's helper "+host+": passed") || !strings.Contains(r.Stdout, "trust anchor "+anchor) {
		t.Errorf("explained: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	w.Stile(t, nil, "sessions", "edit", "host", "--duration", "30m", "--session-name", "host-7").Want(t, "")
	w.Stile(t, nil, "whoami", "host")
	if text, err = os.ReadFile(runs); err != nil || !strings.Contains(string(text), "--role-session-name host-7 --session-duration 1800") {
		t.Errorf("after the edit it ran: %q, %v", text, err)
	}
	if r := w.Stile(t, nil, "sessions", "edit", "host", "--region", "us-east-1"); r.Code != 1 || !strings.Contains(r.Stderr, "the trust anchor is in eu-west-1") {
		t.Errorf("another Region: exit %d, %s", r.Code, r.Stderr)
	}
}

func TestTokensAreSources(t *testing.T) {
	w := routetest.New(t)
	w.Stile(t, nil, "sessions", "add", "ci", "--github").Want(t, "")
	w.Stile(t, nil, "sessions", "add", "gitlab", "--web-variable", "JOB_TOKEN", "--role", host).Want(t, "")
	w.Stile(t, nil, "sessions", "add", "deploy", "--source", "ci", "--account", "222222222222", "--role", "deploy", "--via", "111111111111/hub").Want(t, "")
	r := w.Stile(t, nil, "sessions", "list")
	for _, want := range []string{"the token of the GitHub Actions job", host + " by the token in $JOB_TOKEN", "ci: 111111111111/hub > 222222222222/deploy"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("the list is %s, want %s", r.Stdout, want)
		}
	}
	if r := w.Stile(t, nil, "credential-process", "deploy"); r.Code != 1 || !strings.Contains(r.Stderr, "permissions: id-token: write") {
		t.Errorf("outside of a job: exit %d, %s", r.Code, r.Stderr)
	}
	if r := w.Stile(t, nil, "sessions", "edit", "gitlab", "--audience", "x"); r.Code != 1 || !strings.Contains(r.Stderr, "audience is of github") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}
