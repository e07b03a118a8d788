package service_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

type (
	in  = kms.ListKeysInput
	out = kms.ListKeysOutput
)

func free(handle func(*service.Call, *in) (*out, *wire.Error)) service.Op[in, out] {
	return service.Op[in, out]{Free: true, ReadOnly: true, Handle: handle}
}

func nothing(*service.Call, *in) (*out, *wire.Error) { return nil, nil }

func TestWrongRegistrationsAreReported(t *testing.T) {
	for text, build := range map[string]func() *service.Service{
		"unicorn": func() *service.Service { return service.New("unicorn") },
		"the model has no such operation": func() *service.Service {
			s := service.New("kms")
			service.Register(s, "MakeUnicorn", free(nothing))
			return s
		},
		"it is registered twice": func() *service.Service {
			s := service.New("kms")
			service.Register(s, "ListKeys", free(nothing))
			service.Register(s, "ListKeys", free(nothing))
			return s
		},
		"it has no handler": func() *service.Service {
			s := service.New("kms")
			service.Register(s, "ListKeys", service.Op[in, out]{Free: true})
			return s
		},
		"neither checks access": func() *service.Service {
			s := service.New("kms")
			service.Register(s, "ListKeys", service.Op[in, out]{Handle: nothing})
			return s
		},
	} {
		t.Run(text, func(t *testing.T) {
			world, err := store.New(store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = service.NewKernel(service.Config{World: world, Gate: gate.New(world), Services: []*service.Service{build()}})
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("NewKernel: %v, want %q", err, text)
			}
		})
	}
}

func TestPanicsOfHandlersAreAnsweredAndFreeTheWorld(t *testing.T) {
	s := service.New("kms")
	service.Register(s, "ListKeys", free(func(*service.Call, *in) (*out, *wire.Error) { panic("a bug") }))
	service.Register(s, "CreateKey", service.Op[kms.CreateKeyInput, kms.CreateKeyOutput]{
		Free: true, Handle: func(*service.Call, *kms.CreateKeyInput) (*kms.CreateKeyOutput, *wire.Error) { panic("a bug") },
	})
	c := worldtest.New(t, s)
	client := kms.NewFromConfig(c.User(worldtest.A, "u", worldtest.AllowAll))
	for range 2 {
		_, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
		worldtest.WantError(t, err, "InternalFailure", "")
		_, err = client.ListKeys(t.Context(), &in{})
		worldtest.WantError(t, err, "InternalFailure", "")
	}
}

func TestPhasesOfACall(t *testing.T) {
	var order []string
	s := service.New("kms")
	service.Register(s, "ListKeys", service.Op[in, out]{
		ReadOnly: true,
		Prepare: func(_ context.Context, c *service.Call, _ *in) *wire.Error {
			order = append(order, "prepare")
			c.Prepared = "prepared"
			return nil
		},
		Access: func(c *service.Call, _ *in) ([]gate.Access, *wire.Error) {
			order = append(order, "access "+c.Prepared.(string))
			return []gate.Access{{Action: "kms:ListKeys", Resource: "*"}}, nil
		},
		Handle: func(c *service.Call, _ *in) (*out, *wire.Error) {
			order = append(order, "handle")
			if c.Account != worldtest.A || c.Region != worldtest.Region || c.Own().ID != worldtest.A || !c.SourceIP().IsLoopback() || c.RequestID == "" {
				t.Errorf("call %+v", c)
			}
			// What the handler finds out that it needs, it asks for.
			return nil, c.Require(gate.Access{Action: "ec2:CreateVpc", Resource: "arn:aws:ec2:us-east-1:111111111111:vpc/*"})
		},
	})
	c := worldtest.New(t, s)
	call := func(name, policy string) error {
		order = nil
		_, err := kms.NewFromConfig(c.User(worldtest.A, name, policy)).ListKeys(t.Context(), &in{})
		return err
	}
	if err := call("all", worldtest.AllowAll); err != nil || strings.Join(order, ",") != "prepare,access prepared,handle" {
		t.Errorf("%v: %v", order, err)
	}
	worldtest.WantError(t, call("none", ""), "AccessDeniedException", "kms:ListKeys")
	if strings.Join(order, ",") != "prepare,access prepared" {
		t.Errorf("a denied call went on: %v", order)
	}
	worldtest.WantError(t, call("some", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*"}]}`),
		"AccessDeniedException", "ec2:CreateVpc on resource: arn:aws:ec2:us-east-1:111111111111:vpc/*")
}

// The same denial has each protocol's own code and status, and a header that
// says who denied.
func TestDenialsByProtocol(t *testing.T) {
	denied := func(c *service.Call) ([]gate.Access, *wire.Error) {
		return []gate.Access{{Action: "kms:ListKeys", Resource: "*"}}, nil
	}
	k, q := service.New("kms"), service.New("sts")
	service.Register(k, "ListKeys", service.Op[in, out]{Handle: nothing, Access: func(c *service.Call, _ *in) ([]gate.Access, *wire.Error) { return denied(c) }})
	service.Register(q, "GetCallerIdentity", service.Op[sts.GetCallerIdentityInput, sts.GetCallerIdentityOutput]{
		Access: func(c *service.Call, _ *sts.GetCallerIdentityInput) ([]gate.Access, *wire.Error) { return denied(c) },
		Handle: func(*service.Call, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, *wire.Error) {
			return nil, nil
		},
	})
	c := worldtest.New(t, k, q)
	var status int
	var by string
	cfg := c.User(worldtest.A, "u", `{"Version":"2012-10-17","Statement":[{"Sid":"Never","Effect":"Deny","Action":"*","Resource":"*"}]}`)
	cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			status, by = resp.StatusCode, resp.Header.Get(service.DeniedBy)
		}
		return resp, err
	})}
	const want = "identity-based policy in account 111111111111: denied by user/u inline policy inline, statement 1 (Never)"
	_, err := kms.NewFromConfig(cfg).ListKeys(t.Context(), &in{})
	worldtest.WantError(t, err, "AccessDeniedException", "with an explicit deny in an identity-based policy")
	if status != 400 || by != want {
		t.Errorf("JSON: %d, by %q, want %q", status, by, want)
	}
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	worldtest.WantError(t, err, "AccessDenied", "with an explicit deny in an identity-based policy")
	if status != 403 || by != want {
		t.Errorf("query: %d, by %q, want %q", status, by, want)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A service that acts for the caller on another is seen in the keys it sets.
func TestViaIsToldToPolicies(t *testing.T) {
	s := service.New("secretsmanager")
	service.Register(s, "GetSecretValue", service.Op[secretsmanager.GetSecretValueInput, secretsmanager.GetSecretValueOutput]{
		Asks: true, ReadOnly: true,
		Handle: func(c *service.Call, _ *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, *wire.Error) {
			policy, e := c.Policy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*",
				"Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}}]}`, authz.Source{Layer: authz.LayerKey, Account: c.Account})
			if e != nil {
				return nil, e
			}
			return nil, c.Require(gate.Access{Action: "kms:Decrypt", Resource: "arn:aws:kms:us-east-1:111111111111:key/1", Policy: policy, Via: []string{"secretsmanager.amazonaws.com"}})
		},
	})
	c := worldtest.New(t, s)
	get := func(name, policy string) error {
		_, err := secretsmanager.NewFromConfig(c.User(worldtest.A, name, policy)).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
		return err
	}
	if err := get("none", ""); err != nil {
		t.Errorf("kms:ViaService: %v", err)
	}
	worldtest.WantError(t, get("direct", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"true"}}}]}`),
		"AccessDeniedException", "kms:Decrypt")
	if err := get("called", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:CalledVia":"secretsmanager.amazonaws.com"}}}]}`); err != nil {
		t.Errorf("Secrets Manager is not told in aws:CalledVia: %v", err)
	}
}

// A policy that names the user is stored with the user's unique id, and binds
// the user's federated sessions too.
func TestFederatedUsersHaveTheirUsersUniqueID(t *testing.T) {
	c := worldtest.New(t)
	c.User(worldtest.A, "ann", "")
	c.World.RLock()
	defer c.World.RUnlock()
	id := c.World.Accounts[worldtest.A].IAM.User("ann").Latest().ID
	caller := service.SessionCaller(c.World, &store.Session{Kind: store.Federated, Account: worldtest.A, Entity: id, Name: "visitor"})
	if p := caller.Principal; p.EntityID != id || p.Kind != authz.FederatedUser {
		t.Errorf("caller %+v, want a federated user of %s", p, id)
	}
}

// Handlers answer with pointers into the World's records; it is the race
// detector that judges.
func TestAnswersAreEncodedBeforeTheNextCallChangesThem(t *testing.T) {
	shared := kms.ListKeysOutput{Truncated: true, NextMarker: aws.String("0")}
	s := service.New("kms")
	service.Register(s, "ListKeys", free(func(*service.Call, *in) (*out, *wire.Error) { return &shared, nil }))
	service.Register(s, "EnableKey", service.Op[kms.EnableKeyInput, kms.EnableKeyOutput]{
		Free: true,
		Handle: func(*service.Call, *kms.EnableKeyInput) (*kms.EnableKeyOutput, *wire.Error) {
			*shared.NextMarker += "1"
			return nil, nil
		},
	})
	c := worldtest.New(t, s)
	client := kms.NewFromConfig(c.User(worldtest.A, "u", ""))
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for range 25 {
				if _, err := client.ListKeys(t.Context(), &kms.ListKeysInput{}); err != nil {
					return err
				}
				if _, err := client.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: aws.String("k")}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestFaultsEndByCountAndTime(t *testing.T) {
	var f service.Faults
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	ids := []string{f.Add(now, service.Fault{Kind: service.Throttle}), f.Add(now, service.Fault{Kind: service.Outage, For: time.Minute})}
	if ids[0] == ids[1] || len(f.List()) != 2 || f.List()[1].For != time.Minute {
		t.Errorf("%v, %+v", ids, f.List())
	}
	f.Clear()
	if len(f.List()) != 0 {
		t.Error("Clear leaves faults on")
	}
}

// Whatever arrives, the kernel answers without a panic, and never with success
// without a signature.
func FuzzUnsignedRequests(f *testing.F) {
	f.Add("POST", "/", "sts.amazonaws.com", "", "Action=GetCallerIdentity&Version=2011-06-15", "")
	f.Add("POST", "/", "127.0.0.1", "TrentService.ListKeys", "{}", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0")
	f.Add("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x", "a.ddb.us-east-1.amazonaws.com", "", "", "")
	s, q := service.New("kms"), service.New("sts")
	service.Register(s, "ListKeys", free(nothing))
	service.Register(q, "GetCallerIdentity", service.Op[sts.GetCallerIdentityInput, sts.GetCallerIdentityOutput]{
		Free: true, ReadOnly: true, Handle: func(*service.Call, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, *wire.Error) {
			return nil, nil
		},
	})
	world, err := store.New(store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	kernel, err := service.NewKernel(service.Config{World: world, Gate: gate.New(world), Services: []*service.Service{s, q}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, host, target, body, authorization string) {
		r, err := http.NewRequest(method, "http://localhost/", strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		if u, err := r.URL.Parse(path); err == nil {
			r.URL = u
		}
		r.Host, r.RequestURI = host, path
		r.Header.Set("X-Amz-Target", target)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		kernel.ServeHTTP(w, r)
		if w.Code < 400 {
			t.Errorf("%s %s answered %d: %s", method, path, w.Code, w.Body)
		}
	})
}
