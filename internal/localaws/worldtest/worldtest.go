// Package worldtest makes small local AWS worlds for the tests of single
// services: accounts, users and roles with their policies, and SDK clients'
// configurations that reach them over HTTP.
//
// Start with [New] and [Cloud.User]. Principals are written into the store
// directly, so that a service can be tried without IAM and STS.
package worldtest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// The accounts of every world. A and B are in one organization, once [Cloud.Organize] was
// called; X is in none.
const (
	A arn.AccountID = "111111111111"
	B arn.AccountID = "222222222222"
	M arn.AccountID = "999999999999"
	X arn.AccountID = "333333333333"
)

// Region is where clients of [Cloud.User] are.
const Region = "us-east-1"

// AllowAll is a policy that allows everything.
const AllowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// Cloud is a world behind an HTTP server. Its clock stands still.
type Cloud struct {
	World *store.World
	Clock *store.ManualClock
	URL   string
}

// New serves services over a new world until the test ends.
func New(t testing.TB, services ...*service.Service) *Cloud {
	t.Helper()
	clock := store.NewManualClock(time.Now().Truncate(time.Second))
	world, err := store.New(store.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []arn.AccountID{A, B, M, X} {
		if _, err := world.AddAccount(id, string(id), ""); err != nil {
			t.Fatal(err)
		}
	}
	return Serve(t, world, clock, services...)
}

// Serve serves services over a world that is there already.
func Serve(t testing.TB, world *store.World, clock *store.ManualClock, services ...*service.Service) *Cloud {
	t.Helper()
	kernel, err := service.NewKernel(service.Config{World: world, Gate: gate.New(world), Services: services})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", clock.Now().UTC().Format(http.TimeFormat))
		kernel.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return &Cloud{World: world, Clock: clock, URL: server.URL}
}

// User makes a user with one inline policy ("" for none) and an access key, and
// gives the configuration of a client that calls as the user.
func (c *Cloud) User(account arn.AccountID, name, policy string) aws.Config {
	c.World.Lock()
	defer c.World.Unlock()
	owner := c.World.Accounts[account]
	id := c.World.NewPrincipal(account, "user", name)
	user := &store.User{Entity: store.Entity{Name: name, Path: "/", ID: id, Created: c.Clock.Now()}}
	if policy != "" {
		user.Inline = map[string]string{"inline": policy}
	}
	owner.IAM.Users[strings.ToLower(name)] = store.NewVersioned(time.Time{}, user)
	key := &store.AccessKey{
		ID: c.World.IDs().AccessKey(store.PrefixAccessKey, account), Secret: c.World.IDs().Secret(),
		Account: account, User: id, Active: true, Created: c.Clock.Now(),
	}
	c.World.AccessKeys[key.ID] = store.NewVersioned(time.Time{}, key)
	return c.Config(key.ID, key.Secret, "")
}

// Config is the configuration of a client with the given credentials. It retries
// only to set its clock by the Cloud's, and where the SDK tears its own
// connection down: smithy-go closes a request's body as soon as the answer
// begins, which net/http, still writing, takes for a failure.
func (c *Cloud) Config(id, secret, token string) aws.Config {
	return aws.Config{
		Region: Region, BaseEndpoint: aws.String(c.URL),
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
		Retryer:     clockRetryer,
	}
}

func clockRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.Retryables = []retry.IsErrorRetryable{
			retry.RetryableErrorCode{Codes: map[string]struct{}{"InvalidSignatureException": {}}}, retry.RetryableConnectionError{},
		}
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

// Organize puts M, as management account, A and B into an organization.
func (c *Cloud) Organize() {
	c.World.Lock()
	defer c.World.Unlock()
	org := c.World.NewOrganization(M, time.Time{})
	org.Join(A, "CREATED", time.Time{})
	org.Join(B, "CREATED", time.Time{})
	c.World.Organization = org
}

// DeleteUser deletes a user.
func (c *Cloud) DeleteUser(account arn.AccountID, name string) {
	c.World.Lock()
	defer c.World.Unlock()
	c.World.Accounts[account].IAM.User(name).Put(c.Clock.Now(), nil)
}

// Reload gives a Cloud over a copy of the world that went through a state file.
func (c *Cloud) Reload(t testing.TB, services ...*service.Service) *Cloud {
	t.Helper()
	state, err := c.World.Dump()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(file, state, 0o600); err != nil {
		t.Fatal(err)
	}
	world, err := store.New(store.Options{Clock: c.Clock, File: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	return Serve(t, world, c.Clock, services...)
}

// WantError fails the test unless err is an AWS error with the code and a
// message that contains text.
func WantError(t testing.TB, err error, code, text string) {
	t.Helper()
	failure, ok := errors.AsType[smithy.APIError](err)
	switch {
	case err == nil:
		t.Fatalf("no error, want %s", code)
	case !ok:
		t.Fatalf("got %v, want %s", err, code)
	case failure.ErrorCode() != code:
		t.Fatalf("got %s: %s, want %s", failure.ErrorCode(), failure.ErrorMessage(), code)
	case !strings.Contains(failure.ErrorMessage(), text):
		t.Fatalf("%s: %s, want a message with %q", code, failure.ErrorMessage(), text)
	}
}
