package hostile_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/sigv4"
)

// resign is the server for clients whose clock is not the epoch: it signs their
// requests anew at that time, with the key they used.
type resign struct{ t *target }

func (h resign) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	scope, signed, parseErr := sigv4.ParseScope(r)
	if err != nil || !signed || parseErr != nil {
		http.Error(w, fmt.Sprint("resigning: ", err, parseErr), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := h.t.sign(r, body, scope.Service, accountOf(h.t, scope.AccessKeyID)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.t.ServeHTTP(w, r)
}

func accountOf(t *target, key string) arn.AccountID {
	for _, account := range []arn.AccountID{tooling, orders} {
		if id, _, _ := t.Administrator(account); id == key {
			return account
		}
	}
	return ""
}

// sign signs a request at the epoch as an account's administrator.
func (t *target) sign(r *http.Request, body []byte, service string, account arn.AccountID) error {
	id, secret, _ := t.Administrator(account)
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "User-Agent", "Accept-Encoding"} {
		r.Header.Del(name)
	}
	r.ContentLength = int64(len(body))
	if r.URL.Host == "" {
		r.URL.Host = r.Host
	}
	sum := sha256.Sum256(body)
	return v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), service, region, epoch)
}

// wireBytes is a request as it goes over the wire, its headers sorted.
func wireBytes(r *http.Request, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.Host)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
	b.Write(body)
	return b.Bytes()
}

// recorded is a request of the SDK, signed at the epoch.
type recorded struct {
	name  string
	bytes []byte
	body  []byte
	req   *http.Request
}

// errCaptured ends a request that was recorded instead of sent.
var errCaptured = errors.New("captured")

type capture struct {
	last *http.Request
	body []byte
}

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	c.last, c.body = r.Clone(context.Background()), nil
	if r.Body != nil {
		var err error
		if c.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	return nil, errCaptured
}

// record captures what the SDK sends for the calls below, as tooling's
// administrator, and signs it at the epoch.
func (t *target) record(tb testing.TB) []recorded {
	tb.Helper()
	c := &capture{}
	cfg := aws.Config{
		Region: region, HTTPClient: &http.Client{Transport: c}, RetryMaxAttempts: 1, BaseEndpoint: aws.String("http://127.0.0.1:7171"),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "x", ""),
	}
	ctx := tb.Context()
	i, s, d := iam.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	k, e, o, st := kms.NewFromConfig(cfg), eks.NewFromConfig(cfg), organizations.NewFromConfig(cfg), sts.NewFromConfig(cfg)
	name := aws.String("written")
	var all []recorded
	for _, call := range []struct {
		name, service string
		do            func() error
	}{
		{"CreateRole", "iam", func() error {
			_, err := i.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trustAll)})
			return err
		}},
		{"CreateUser", "iam", func() error {
			_, err := i.CreateUser(ctx, &iam.CreateUserInput{UserName: name})
			return err
		}},
		{"CreateSecret", "secretsmanager", func() error {
			_, err := s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x"), ClientRequestToken: aws.String("00000000-0000-0000-0000-000000000002")})
			return err
		}},
		{"CreateTable", "dynamodb", func() error {
			_, err := d.CreateTable(ctx, &dynamodb.CreateTableInput{
				TableName: name, BillingMode: ddbtypes.BillingModePayPerRequest,
				AttributeDefinitions: []ddbtypes.AttributeDefinition{{AttributeName: aws.String("K"), AttributeType: ddbtypes.ScalarAttributeTypeS}},
				KeySchema:            []ddbtypes.KeySchemaElement{{AttributeName: aws.String("K"), KeyType: ddbtypes.KeyTypeHash}},
			})
			return err
		}},
		{"CreateKey", "kms", func() error {
			_, err := k.CreateKey(ctx, &kms.CreateKeyInput{Description: name})
			return err
		}},
		{"TagResource", "eks", func() error {
			_, err := e.TagResource(ctx, &eks.TagResourceInput{ResourceArn: aws.String("arn:aws:eks:us-east-1:111111111111:cluster/ci"), Tags: map[string]string{"a b": "ü/%"}})
			return err
		}},
		{"CreatePolicy", "organizations", func() error {
			_, err := o.CreatePolicy(ctx, &organizations.CreatePolicyInput{Name: name, Description: aws.String(""), Type: "SERVICE_CONTROL_POLICY",
				Content: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)})
			return err
		}},
		{"GetCallerIdentity", "sts", func() error {
			_, err := st.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		}},
		{"GetSessionToken", "sts", func() error {
			_, err := st.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
			return err
		}},
		{"DescribeCluster", "eks", func() error {
			_, err := e.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String("ci")})
			return err
		}},
	} {
		if err := call.do(); !errors.Is(err, errCaptured) {
			tb.Fatalf("recording %s: %v", call.name, err)
		}
		r, body := c.last, c.body
		r.Host = r.URL.Host
		if err := t.sign(r, body, call.service, tooling); err != nil {
			tb.Fatal(err)
		}
		all = append(all, recorded{call.name, wireBytes(r, body), body, r})
	}
	return all
}

// changed is r with its headers, URL and body changed, and its signature as it was.
func (r recorded) changed(change func(req *http.Request, body *string)) []byte {
	req := r.req.Clone(context.Background())
	body := string(r.body)
	change(req, &body)
	return wireBytes(req, []byte(body))
}

// authorization replaces a part of the Authorization header.
func authorization(old, new string) func(*http.Request, *string) {
	return func(req *http.Request, _ *string) {
		req.Header.Set("Authorization", strings.Replace(req.Header.Get("Authorization"), old, new, 1))
	}
}
