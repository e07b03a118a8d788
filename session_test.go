package stile_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/stiletest"
)

// customers is a service and two accounts of others, each with an external id.
func customers(t testing.TB) *stiletest.Organization {
	t.Helper()
	org := stiletest.New(t, "vendor", "acme", "globex")
	for name, id := range map[string]string{"acme": "id-of-acme", "globex": "id-of-globex"} {
		org.Role(name+"/vendor", stiletest.Role{TrustedBy: []string{"vendor/service"}, ExternalID: id, Allow: []string{"dynamodb:ListTables", "dynamodb:DescribeLimits"}})
	}
	return org
}

// externalIDs are the vendor's own records.
func externalIDs(org *stiletest.Organization) func(context.Context, arn.ARN) (creds.Role, error) {
	ids := map[string]string{org.ID("acme"): "id-of-acme", org.ID("globex"): "id-of-globex"}
	return func(_ context.Context, role arn.ARN) (creds.Role, error) {
		id, ok := ids[string(role.Account)]
		if !ok {
			return creds.Role{}, errors.New("this is no customer of ours")
		}
		return creds.Role{ExternalID: id}, nil
	}
}

func listTables(ctx context.Context, pool *stile.Pool, account string) error {
	client, err := stile.Client(ctx, pool, dynamodb.NewFromConfig, account, "", "")
	if err == nil {
		_, err = client.ListTables(ctx, nil)
	}
	return err
}

func TestEachAccountGetsItsOwnExternalID(t *testing.T) {
	org := customers(t)
	pool := org.Pool("vendor/service", stile.Config{Role: "vendor", SessionFor: externalIDs(org)})
	err := pool.Each(t.Context(), stile.Selection{Accounts: []string{"acme", "globex"}}, func(ctx context.Context, a stile.Account) error {
		return listTables(ctx, pool, string(a.ID))
	}, stile.EachOptions{})
	if err != nil {
		t.Error(err)
	}
	want := "choosing the session of arn:aws:iam::111111111111:role/vendor: this is no customer of ours"
	if _, err := pool.Config(t.Context(), "vendor", "", ""); err == nil || err.Error() != want {
		t.Errorf("Config where there is no session: %v, want %s", err, want)
	}
	without := org.Pool("vendor/service", stile.Config{Role: "vendor"})
	if err := listTables(t.Context(), without, "acme"); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("without its external id: %v, want a denial", err)
	}
}

func TestThereIsOneCredentialForEachDistinctSession(t *testing.T) {
	org := customers(t)
	pool := org.Pool("vendor/service", stile.Config{Role: "vendor", Session: creds.Role{SessionName: "vendor"}, SessionFor: externalIDs(org)})
	if err := listTables(t.Context(), pool, "acme"); err != nil {
		t.Fatal(err)
	}
	tag := func(value string) creds.Role { return creds.Role{Tags: map[string]string{"user": value}} }
	onlyLimits := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:DescribeLimits","Resource":"*"}}`
	narrow := pool.WithSession(creds.Role{Policy: onlyLimits})
	for _, c := range []struct {
		name  string
		pool  *stile.Pool
		calls int
		want  string
	}{
		{"the same", pool, 0, ""},
		{"nothing else", pool.WithSession(creds.Role{}), 0, ""},
		{"the same session name", pool.WithSession(creds.Role{SessionName: "vendor"}), 0, ""},
		{"a tag", pool.WithSession(tag("ann")), 1, ""},
		{"the same tag", pool.WithSession(tag("ann")), 0, ""},
		{"another tag", pool.WithSession(tag("bob")), 1, ""},
		{"a policy", narrow, 1, "AccessDenied"},
		{"the policy and a tag", narrow.WithSession(tag("ann")), 1, "AccessDenied"},
		{"another external id", pool.WithSession(creds.Role{ExternalID: "id-of-globex"}), 1, "AccessDenied"},
		{"the first again", pool, 0, ""},
	} {
		before := org.Calls("sts:AssumeRole")
		err := listTables(t.Context(), c.pool, "acme")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if n := org.Calls("sts:AssumeRole") - before; n != c.calls {
			t.Errorf("%s: %d AssumeRole calls, want %d", c.name, n, c.calls)
		}
	}
	client, err := stile.Client(t.Context(), narrow, dynamodb.NewFromConfig, "acme", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.DescribeLimits(t.Context(), nil); err != nil && strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("what the session policy allows: %v", err)
	}
}

func TestPoolsWithASessionShareAllButTheirClients(t *testing.T) {
	org := customers(t)
	pool := org.Pool("vendor/service", stile.Config{Role: "vendor", SessionFor: externalIDs(org)})
	tenant := pool.WithSession(creds.Role{Tags: map[string]string{"user": "ann"}})
	of := func(p *stile.Pool) *dynamodb.Client {
		c, err := stile.Client(t.Context(), p, dynamodb.NewFromConfig, "acme", "", "")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if of(pool) == of(tenant) {
		t.Error("another session has the same client")
	}
	if first := of(tenant); of(tenant) != first {
		t.Error("the same session has another client")
	}
	tenant.Close()
	if err := listTables(t.Context(), pool, "globex"); err != nil {
		t.Errorf("after a pool with a session was closed: %v", err)
	}
	ctx, id := t.Context(), org.ID("acme")
	use := func() {
		cfg, err := tenant.Config(ctx, id, "", "")
		if err == nil {
			_, err = cfg.Credentials.Retrieve(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	use()
	if n := testing.AllocsPerRun(100, use); n > 0 {
		t.Errorf("%v allocations a look-up, want none", n)
	}
	pool.Close()
	if _, err := stile.Client(ctx, tenant, dynamodb.NewFromConfig, "unheard-of", "", ""); err == nil {
		t.Error("a name is looked up after the pool was closed")
	}
}
