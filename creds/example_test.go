package creds_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/scene"
)

// A pod's token, then a hub role, then a role in the target account. What a
// program does with its own configuration, the examples do with a local AWS.
func Example() {
	t := scene.New()
	defer t.End()
	w := newWorld(t)
	cache := creds.NewCache(creds.Config{})
	defer cache.Close()

	token := creds.TokenFunc("payroll/api", w.token) // in a pod: creds.TokenFile(os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
	hub, err := creds.NewWebIdentity(w.config(tooling), token, creds.Role{ARN: hubARN, SessionName: "payroll-api"})
	if err != nil {
		fmt.Println(err)
		return
	}
	target, err := cache.Chain(w.config(tooling), hub, creds.Role{ARN: targetARN})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := w.config(orders)
	cfg.Credentials = target
	me, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	fmt.Println(*me.Arn, err)
	// Output: arn:aws:sts::222222222222:assumed-role/payroll-api/payroll-api <nil>
}

// However many ask, STS is called once.
func ExampleCache_Of() {
	t := scene.New()
	defer t.End()
	w := newWorld(t)
	cache := creds.NewCache(creds.Config{OnFetch: func(f creds.Fetch) { fmt.Println(f.Provider, f.Err) }})
	defer cache.Close()
	for range 3 {
		role, err := creds.NewAssumeRole(w.config(orders), w.admin(orders), creds.Role{ARN: targetARN, SessionName: "report"})
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := cache.Of(role).Retrieve(t.Context()); err != nil {
			fmt.Println(err)
		}
	}
	// Output: credentials of arn:aws:iam::222222222222:role/payroll-api <nil>
}

func ExampleNewAssumeRole() {
	t := scene.New()
	defer t.End()
	w := newWorld(t)
	role, err := creds.NewAssumeRole(w.config(orders), w.admin(orders), creds.Role{
		ARN: targetARN, SessionName: "report", SourceIdentity: "ana", Duration: 2 * time.Hour,
		Tags: map[string]string{"team": "payroll"}, TransitiveTags: []string{"team"},
		PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
		Policy:     `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"*"}]}`,
	})
	fmt.Println(role, err)
	// Output: credentials of arn:aws:iam::222222222222:role/payroll-api <nil>
}

// A role that wants a code of the caller's device is not refreshed behind the
// caller's back.
func ExampleMFA() {
	t := scene.New()
	defer t.End()
	w := newWorld(t)
	device := &creds.MFA{Serial: "arn:aws:iam::222222222222:mfa/ana", Code: func(context.Context) (string, error) {
		return "", errors.New("nobody is here")
	}}
	role, err := creds.NewAssumeRole(w.config(orders), w.admin(orders), creds.Role{ARN: targetARN, MFA: device})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = role.Retrieve(t.Context())
	fmt.Println(err)
	// Output: assuming role arn:aws:iam::222222222222:role/payroll-api: asking for the code of MFA device arn:aws:iam::222222222222:mfa/ana: nobody is here
}

func ExampleNewContainer() {
	pod, err := creds.NewContainer(creds.ContainerConfig{
		URL:               "http://169.254.170.23/v1/credentials", // the EKS Pod Identity agent's
		AuthorizationFile: "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
	})
	fmt.Println(pod, err)
	_, err = creds.NewContainer(creds.ContainerConfig{URL: "http://example.com/credentials"})
	fmt.Println(err != nil)
	// Output:
	// container credentials of http://169.254.170.23/v1/credentials <nil>
	// true
}

func ExampleContainerFromEnvironment() {
	_, err := creds.ContainerFromEnvironment()
	fmt.Println(errors.Is(err, creds.ErrNoContainer)) // here is neither ECS nor EKS
	// Output: true
}

func ExampleIdentify() {
	t := scene.New()
	defer t.End()
	w := newWorld(t)
	me, err := creds.Identify(t.Context(), w.config(tooling))
	fmt.Println(me.Account, me.Is("arn:aws:iam::111111111111:role/hub"), err)
	// Output: 111111111111 false <nil>
}

// From gives any provider a name by which a cache knows it.
func ExampleFrom() {
	keys := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "from somewhere"}, nil
	})
	cache := creds.NewCache(creds.Config{})
	defer cache.Close()
	c, err := cache.Of(creds.From("the vault's key of ana", keys)).Retrieve(context.Background())
	fmt.Println(c.AccessKeyID, err)
	// Output: AKIAIOSFODNN7EXAMPLE <nil>
}

func ExampleSessionName() {
	fmt.Println(creds.SessionName("ci/payroll/api"))
	// Output: ci-payroll-api
}

// What AWS does not accept any more is worth forgetting; a denial is not.
// A client of one's own that AWS refused gets another credential, and makes its
// call again. Clients of a stile.Pool do that by themselves.
func ExampleCached_Renew() {
	ctx := context.Background()
	cache := creds.NewCache(creds.Config{})
	defer cache.Close()
	fetched := 0
	p := cache.Of(creds.From("service", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		fetched++
		return aws.Credentials{AccessKeyID: fmt.Sprint("ASIA", fetched), SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
	})))
	call := func(c aws.Credentials) error {
		if c.AccessKeyID == "ASIA1" {
			return &smithy.GenericAPIError{Code: "ExpiredToken"}
		}
		return nil
	}
	c, err := p.Retrieve(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err = call(c); err != nil && p.Renew(ctx, c.AccessKeyID, err) {
		c, _ = p.Retrieve(ctx) // there is another
		err = call(c)
	}
	fmt.Println(c.AccessKeyID, err)
	// Output: ASIA2 <nil>
}

func ExampleExpired() {
	old := &smithy.GenericAPIError{Code: "ExpiredToken"}
	unknown := &smithy.GenericAPIError{Code: "UnrecognizedClientException"} // dead, or in a Region that is not enabled
	fmt.Println(creds.Refused(old), creds.Expired(old))
	fmt.Println(creds.Refused(unknown), creds.Expired(unknown))
	// Output:
	// true true
	// true false
}

// Of GetSessionToken, say, which no Provider here calls.
func ExampleFromSTS() {
	end := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	got, err := creds.FromSTS(&types.Credentials{
		AccessKeyId: aws.String("ASIAIOSFODNN7EXAMPLE"), SecretAccessKey: aws.String("s"), SessionToken: aws.String("t"), Expiration: &end,
	}, "111111111111")
	fmt.Println(got.AccessKeyID, got.AccountID, got.Expires, err)
	_, err = creds.FromSTS(nil, "")
	fmt.Println(err)
	// Output:
	// ASIAIOSFODNN7EXAMPLE 111111111111 2026-11-22 12:00:00 +0000 UTC <nil>
	// STS answered without credentials
}

func ExampleRefused() {
	t := scene.New()
	defer t.End()
	w := newWorld(t)
	cfg := w.config(tooling)
	cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "deleted long ago", "")
	_, err := creds.Identify(t.Context(), cfg)
	fmt.Println(creds.Refused(err))

	role, err := creds.NewAssumeRole(w.config(tooling), w.admin(tooling), creds.Role{ARN: targetARN}) // which trusts the hub
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = role.Retrieve(t.Context())
	fmt.Println(err != nil, creds.Refused(err))
	// Output:
	// true
	// true false
}
