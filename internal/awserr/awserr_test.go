package awserr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc/types"

	"github.com/stile-aws/stile/internal/awserr"
)

// answer is a transport that gives every request the same answer.
type answer func(*http.Request) (*http.Response, error)

func (a answer) Do(r *http.Request) (*http.Response, error) { return a(r) }

func config(a answer) aws.Config {
	return aws.Config{
		Region: "us-east-1", HTTPClient: a,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"}, nil
		}),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func text(status int, body string) answer {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// fromIAM is the error of an IAM call that was answered with a code and message.
func fromIAM(t *testing.T, status int, code, message string) error {
	t.Helper()
	body := fmt.Sprintf(`<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`, code, message)
	return call(t, text(status, body))
}

func call(t *testing.T, a answer) error {
	t.Helper()
	_, err := iam.NewFromConfig(config(a)).GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("api")})
	if err == nil {
		t.Fatal("the call succeeded")
	}
	return err
}

func fromSecretsManager(t *testing.T, code, message string) error {
	t.Helper()
	body := fmt.Sprintf(`{"__type":%q,"message":%q}`, code, message)
	_, err := secretsmanager.NewFromConfig(config(text(400, body))).PutResourcePolicy(t.Context(),
		&secretsmanager.PutResourcePolicyInput{SecretId: aws.String("s"), ResourcePolicy: aws.String("{}")})
	if err == nil {
		t.Fatal("the call succeeded")
	}
	return err
}

func TestKindOfAnswers(t *testing.T) {
	for _, c := range []struct {
		code, message string
		status        int
		want          awserr.Kind
	}{
		{"NoSuchEntity", "The role with name api cannot be found.", 404, awserr.NotFound},
		{"EntityAlreadyExists", "Role with name api already exists.", 409, awserr.Exists},
		{"AccessDenied", "User: x is not authorized", 403, awserr.Denied},
		{"InvalidClientTokenId", "The security token included in the request is invalid.", 403, awserr.Denied},
		{"Throttling", "Rate exceeded", 400, awserr.Throttled},
		{"MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::1:role/x"`, 400, awserr.NotYetVisible},
		{"MalformedPolicyDocument", "Syntax errors in policy.", 400, awserr.Other},
		{"ConcurrentModification", "The request was rejected because multiple requests were made.", 409, awserr.Conflict},
		{"DeleteConflict", "Cannot delete entity, must delete policies first.", 409, awserr.Conflict},
		{"ServiceUnavailable", "The request has failed.", 503, awserr.Transient},
		{"SomethingNew", "nobody knows it", 500, awserr.Transient},
		{"LimitExceeded", "Cannot exceed quota", 409, awserr.Other},
	} {
		err := fromIAM(t, c.status, c.code, c.message)
		if got := awserr.KindOf(err); got != c.want {
			t.Errorf("KindOf(%s: %s) = %v, want %v", c.code, c.message, got, c.want)
		}
		if got := awserr.KindOf(fmt.Errorf("doing something: %w", err)); got != c.want {
			t.Errorf("KindOf(wrapped %s) = %v, want %v", c.code, got, c.want)
		}
	}
}

func TestPrincipalsNotVisibleYetAsEachServiceSaysIt(t *testing.T) {
	for _, c := range []struct{ code, message string }{
		{"MalformedPolicyDocumentException", "This resource policy contains an unsupported principal."},
		{"MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals."},
		{"InvalidParameterException", "The specified principalArn is invalid: invalid principal."},
	} {
		if got := awserr.KindOf(fromSecretsManager(t, c.code, c.message)); got != awserr.NotYetVisible {
			t.Errorf("KindOf(%s: %s) = %v, want %v", c.code, c.message, got, awserr.NotYetVisible)
		}
	}
	if got := awserr.KindOf(fromSecretsManager(t, "MalformedPolicyDocumentException", "This policy has invalid syntax.")); got != awserr.Other {
		t.Errorf("KindOf(invalid syntax) = %v, want %v: trying again does not mend it", got, awserr.Other)
	}
}

// timeout is a dial that timed out: it says that it is context.DeadlineExceeded
// though no context ended.
type timeout struct{}

func (timeout) Error() string        { return "i/o timeout" }
func (timeout) Timeout() bool        { return true }
func (timeout) Temporary() bool      { return true }
func (timeout) Is(target error) bool { return target == context.DeadlineExceeded }

func TestKindOfCallsWithoutAnAnswer(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithTimeout(t.Context(), -time.Second)
	defer stop()
	for name, c := range map[string]struct {
		ctx    context.Context
		answer answer
		want   awserr.Kind
	}{
		"connection refused": {t.Context(), func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		}, awserr.Transient},
		"connection cut before the answer": {t.Context(), func(*http.Request) (*http.Response, error) { return nil, io.EOF }, awserr.Transient},
		"connection cut within the answer": {t.Context(), func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader("<GetRole"), cut{})), Request: r}, nil
		}, awserr.Transient},
		"dial timed out": {t.Context(), func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: timeout{}}
		}, awserr.Transient},
		"context cancelled": {ended, func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }, awserr.Canceled},
		"deadline passed":   {late, func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }, awserr.Canceled},
	} {
		_, err := iam.NewFromConfig(config(c.answer)).GetRole(c.ctx, &iam.GetRoleInput{RoleName: aws.String("api")})
		if got := awserr.KindOf(err); got != c.want {
			t.Errorf("%s: KindOf(%v) = %v, want %v", name, err, got, c.want)
		}
	}
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAsGivesAnotherKindAndKeepsTheCause(t *testing.T) {
	cause := fromIAM(t, 404, "NoSuchEntity", "not there")
	err := awserr.As(awserr.NotYetVisible, cause)
	if got := awserr.KindOf(err); got != awserr.NotYetVisible {
		t.Errorf("KindOf = %v, want %v", got, awserr.NotYetVisible)
	}
	if !errors.Is(err, cause) || err.Error() != cause.Error() {
		t.Errorf("As(%v) = %v: the cause is lost", cause, err)
	}
}

func TestRetry(t *testing.T) {
	for k := awserr.None; k <= awserr.Canceled; k++ {
		want := k == awserr.Throttled || k == awserr.NotYetVisible || k == awserr.Conflict || k == awserr.Transient
		if k.Retry() != want {
			t.Errorf("(%v).Retry() = %v, want %v", k, k.Retry(), want)
		}
	}
}

func TestTextKeepsWhatWasSaidAroundTheCall(t *testing.T) {
	denied := fromIAM(t, 403, "AccessDenied", "User: x is not authorized")
	for _, c := range []struct {
		err  error
		want string
	}{
		{denied, "IAM GetRole: AccessDenied: User: x is not authorized"},
		{fmt.Errorf("somebody made role api since the plan: %w", denied), "somebody made role api since the plan: IAM GetRole: AccessDenied: User: x is not authorized"},
		{awserr.As(awserr.Conflict, fmt.Errorf("reading (%w)", denied)), "reading (IAM GetRole: AccessDenied: User: x is not authorized)"},
		{errors.New("plain"), "plain"},
		{&types.InvalidRequestException{Error_description: aws.String("no such portal")}, "InvalidRequestException: no such portal"},
		{&types.InvalidRequestException{}, "InvalidRequestException"},
		{errors.New("failed to refresh cached credentials, process provider error: error in credential_process: exit status 1"), "credential_process ended with exit status 1"},
		{call(t, func(*http.Request) (*http.Response, error) { return nil, io.EOF }), "IAM GetRole: no answer: EOF"},
	} {
		if got := awserr.Text(c.err); got != c.want {
			t.Errorf("Text = %q, want %q", got, c.want)
		}
	}
}

func TestTextTellsWhichHostDidNotAnswer(t *testing.T) {
	for _, c := range []struct {
		cause error
		want  string
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "IAM GetRole: no answer from iam.amazonaws.com: connection refused"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "iam.amazonaws.com", IsNotFound: true}}, "IAM GetRole: no answer from iam.amazonaws.com: no such host"},
		{errors.New("tls: bad certificate"), "IAM GetRole: no answer from iam.amazonaws.com: tls: bad certificate"},
	} {
		got := awserr.Text(call(t, func(*http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: "https://iam.amazonaws.com/?account_id=111111111111", Err: c.cause}
		}))
		if got != c.want {
			t.Errorf("Text = %q, want %q", got, c.want)
		}
	}
}

func TestTextTellsTheReasonOfCredentialsThatCouldNotBeGot(t *testing.T) {
	inner := fromIAM(t, 403, "AccessDenied", "not authorized to perform: sts:AssumeRole")
	cfg := config(text(200, ""))
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, inner })
	_, err := iam.NewFromConfig(cfg).GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("api")})
	if got := awserr.Text(err); !strings.Contains(got, "AccessDenied: not authorized to perform: sts:AssumeRole") || strings.Contains(got, "RequestID") {
		t.Errorf("Text = %q", got)
	}
}
