package stile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/scene"
	"github.com/stile-aws/stile/stiletest"
)

// In a service, the configuration is the SDK's own: stile.New(ctx,
// stile.Config{Role: "reader"}). The examples use a local AWS.
func Example() {
	t := scene.New()
	defer t.End()
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})

	tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", "eu-west-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := tables.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	fmt.Println(len(out.TableNames), "tables,", err)
	// Output: 0 tables, <nil>
}

func ExampleNew() {
	pool, err := stile.New(context.Background(), stile.Config{
		AWS:  &aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}, // default: the SDK's
		Role: "monitoring-reader",
		Session: creds.Role{
			SessionName: "monitor",
			ExternalID:  "7f1c9e",
			Tags:        map[string]string{"team": "platform"},
		},
		Directory: stile.List(stile.Account{ID: "222222222222", Name: "orders"}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	_, err = pool.Config(context.Background(), "order", "", "")
	fmt.Println(err)
	// Output: choosing an account: there is none named "order" among the 1 known; did you mean "orders"?
}

func ExamplePool_Config() {
	t := scene.New()
	defer t.End()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{Role: "reader", Session: creds.Role{SessionName: "monitor"}})
	cfg, err := pool.Config(t.Context(), "orders", "", "eu-west-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	me, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	fmt.Println(*me.Arn, err)
	// Output: arn:aws:sts::222222222222:assumed-role/reader/monitor <nil>
}

func ExamplePool_Self() {
	t := scene.New()
	defer t.End()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{})
	me, err := sts.NewFromConfig(pool.Self("")).GetCallerIdentity(t.Context(), nil)
	fmt.Println(*me.Account, err)
	// Output: 111111111111 <nil>
}

func ExamplePool_Each() {
	t := scene.New()
	defer t.End()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{Role: "reader"})
	err := pool.Each(t.Context(), stile.Selection{Accounts: []string{"orders", "billing"}}, func(ctx context.Context, a stile.Account) error {
		tables, err := stile.Client(ctx, pool, dynamodb.NewFromConfig, string(a.ID), "", "")
		if err != nil {
			return err
		}
		_, err = tables.ListTables(ctx, &dynamodb.ListTablesInput{})
		return err
	}, stile.EachOptions{Concurrency: 8})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleResults() {
	t := scene.New()
	defer t.End()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{Role: "reader"})
	count := func(ctx context.Context, a stile.Account) (int, error) {
		tables, err := stile.Client(ctx, pool, dynamodb.NewFromConfig, string(a.ID), "", "")
		if err != nil {
			return 0, err
		}
		out, err := tables.ListTables(ctx, &dynamodb.ListTablesInput{})
		if err != nil {
			return 0, err
		}
		return len(out.TableNames), nil
	}
	results, err := stile.Results(t.Context(), pool, stile.Selection{Accounts: []string{"orders"}}, count, stile.EachOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for r := range results {
		fmt.Println(r.Account, r.Value, r.Err)
	}
	// Output: orders (222222222222) 0 <nil>
}

// A client is made once and shared.
func ExampleClient() {
	t := scene.New()
	defer t.End()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{Role: "reader"})
	first, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", "eu-west-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "222222222222", "", "eu-west-1")
	fmt.Println(first == again, err)
	// Output: true <nil>
}

func ExampleSelfClient() {
	t := scene.New()
	defer t.End()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{})
	me, err := stile.SelfClient(pool, sts.NewFromConfig, "").GetCallerIdentity(t.Context(), nil)
	fmt.Println(*me.Account, err)
	// Output: 111111111111 <nil>
}

// Each customer's role is entered with the external id agreed on with them.
func ExampleConfig() {
	t := scene.New()
	defer t.End()
	org := stiletest.New(t, "vendor", "acme", "globex")
	agreed := map[string]string{org.ID("acme"): "7f1c9e", org.ID("globex"): "b2d004"}
	for _, customer := range []string{"acme", "globex"} {
		org.Role(customer+"/vendor", stiletest.Role{TrustedBy: []string{"vendor/service"}, ExternalID: agreed[org.ID(customer)]})
	}
	pool := org.Pool("vendor/service", stile.Config{
		Role:    "vendor",
		Session: creds.Role{SessionName: "vendor"},
		SessionFor: func(_ context.Context, role arn.ARN) (creds.Role, error) {
			id, ok := agreed[string(role.Account)]
			if !ok {
				return creds.Role{}, errors.New("no customer")
			}
			return creds.Role{ExternalID: id}, nil
		},
	})
	for _, customer := range []string{"acme", "globex", "vendor"} {
		cfg, err := pool.Config(t.Context(), customer, "", "")
		if err != nil {
			fmt.Println(err)
			continue
		}
		me, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
		fmt.Println(*me.Arn, err)
	}
	// Output:
	// arn:aws:sts::222222222222:assumed-role/vendor/vendor <nil>
	// arn:aws:sts::333333333333:assumed-role/vendor/vendor <nil>
	// choosing the session of arn:aws:iam::111111111111:role/vendor: no customer
}

// One tenant's requests are made in sessions that may do nothing else.
func ExamplePool_WithSession() {
	t := scene.New()
	defer t.End()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{Role: "reader"})
	tenant := pool.WithSession(creds.Role{
		SessionName: "ann",
		Policy:      `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}}`,
	})
	cfg, err := tenant.Config(t.Context(), "orders", "", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	me, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
	fmt.Println(*me.Arn, err)
	_, err = dynamodb.NewFromConfig(cfg).ListTables(t.Context(), nil)
	fmt.Println("tables are listed:", err == nil)
	// Output:
	// arn:aws:sts::222222222222:assumed-role/reader/ann <nil>
	// tables are listed: false
}

func ExamplePool_Accounts() {
	pool, err := stile.New(context.Background(), stile.Config{
		AWS: &aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}},
		Directory: stile.List(
			stile.Account{ID: "222222222222", Name: "orders", Labels: map[string]string{"env": "prod"}, Units: []string{"shops"}},
			stile.Account{ID: "333333333333", Name: "orders-dev", Labels: map[string]string{"env": "dev"}, Units: []string{"shops"}},
		),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	for _, sel := range []stile.Selection{{All: true}, {Labels: map[string]string{"env": "prod"}}, {Unit: "shops", Except: []string{"orders"}}} {
		fmt.Println(pool.Accounts(context.Background(), sel))
	}
	// Output:
	// [orders (222222222222) orders-dev (333333333333)] <nil>
	// [orders (222222222222)] <nil>
	// [orders-dev (333333333333)] <nil>
}

func ExampleDeclared() {
	accounts, err := stile.Declared("examples/payroll").Accounts(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range accounts {
		fmt.Println(a)
	}
	// Unordered output:
	// tooling (111111111111)
	// orders-prod (222222222222)
	// network (333333333333)
}

func ExampleSaved() {
	t := scene.New()
	defer t.End()
	path := savedInventory(t, &inventory.Inventory{OrgState: inventory.Exists, Organization: &inventory.Organization{
		ID: "o-abcdefghij", ManagementAccount: "111111111111",
		Root: &inventory.Node{ID: "r-abcd", Name: "Root", Children: []*inventory.Node{
			{ID: "111111111111", Name: "tooling", State: "ACTIVE"},
			{ID: "ou-abcd-11111111", Name: "shops", Children: []*inventory.Node{{ID: "222222222222", Name: "orders", State: "ACTIVE"}}},
			{ID: "333333333333", Name: "left", State: "SUSPENDED"},
		}},
	}})
	accounts, err := stile.Saved(path).Accounts(t.Context())
	for _, a := range accounts {
		fmt.Println(a, a.Units)
	}
	fmt.Println(err)
	// Output:
	// tooling (111111111111) []
	// orders (222222222222) [shops]
	// <nil>
}

func ExampleOrganization() {
	t := scene.New()
	defer t.End()
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader", Directory: stile.Organization(org.Admin("tooling"), false)})
	fmt.Println(pool.Accounts(t.Context(), stile.Selection{Accounts: []string{"orders"}}))
	// Output: [orders (222222222222)] <nil>
}

// savedInventory is a file as stile observe --out writes it.
func savedInventory(t testing.TB, inv *inventory.Inventory) string {
	dir, err := os.MkdirTemp("", "stile-example-*")
	if err != nil {
		t.Fatalf("making a directory: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // of the temporary directory
	path := filepath.Join(dir, "inventory.json")
	f, err := os.Create(path)
	if err != nil {
		t.Fatalf("making an inventory: %v", err)
	}
	if err := errors.Join(inventory.Save(f, inv), f.Close()); err != nil {
		t.Fatalf("saving an inventory: %v", err)
	}
	return path
}
