package console_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// AWS signs in no session of an MFA code: the console of a user with a device is by
// the key, and that is said.
func TestUserWithADeviceSignsIn(t *testing.T) {
	w := logintest.New(t)
	w.Dana(t)
	if r := w.Stile(t, nil, "console", "--print", "dana"); r.Code != 1 || !strings.Contains(r.Stderr, "federating user dana, which takes sts:GetFederationToken") {
		t.Errorf("a user who may not: exit %d, %s", r.Code, r.Stderr)
	}
	_, err := w.IAM(logintest.Account(0)).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
		UserName: aws.String("dana"), PolicyName: aws.String("console"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetFederationToken","Resource":"*"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, p := opened(t, w.World, "browser", nil, "dana")
	if s.Status != 200 || len(p.Identities) != 1 || !strings.HasSuffix(p.Identities[0].ARN, ":federated-user/dana") {
		t.Errorf("status %d, %+v", s.Status, p)
	}
	r := w.Stile(t, nil, "console", "--print", "dana")
	if r.Code != 0 || !strings.Contains(r.Stderr, "refuses what takes a code: enter a role for that") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	w.Stile(t, nil, "console", "--print", "--read-only", "dana").Refused(t, "the session that an MFA code of dana opens takes no session policy")
}

// A user's session of elsewhere is not called expired.
func TestSessionOfAUserIsNamed(t *testing.T) {
	w := routetest.New(t)
	auditor := w.Deployer(t)
	client := sts.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider(
		strings.TrimPrefix(auditor[0], "AWS_ACCESS_KEY_ID="), strings.TrimPrefix(auditor[1], "AWS_SECRET_ACCESS_KEY="), "")})
	out, err := client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	w.Env = append(w.Env, "AWS_SHARED_CREDENTIALS_FILE="+w.Write(t, "session", "[short]\naws_access_key_id = "+*c.AccessKeyId+
		"\naws_secret_access_key = "+*c.SecretAccessKey+"\naws_session_token = "+*c.SessionToken+"\n"))
	w.Stile(t, nil, "console", "--print", "short").Refused(t, "a session of user auditor (GetSessionToken), and AWS signs in roles and federated users only")
	w.Stile(t, nil, "exec", "--read-only", "short", "--", "true").Refused(t, "cannot be held to")
}
