package stile_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/creds"
)

// In a service, the configuration is the SDK's own: stile.New(ctx,
// stile.Config{Role: "reader"}). The examples use a local AWS.
func Example() {
	t := exampleT()
	defer t.end()
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
	// Output: choosing an account: there is none named "order" among the 1 known
}

func ExamplePool_Config() {
	t := exampleT()
	defer t.end()
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
	t := exampleT()
	defer t.end()
	pool := newOrg(t).Pool("tooling/monitor", stile.Config{})
	me, err := sts.NewFromConfig(pool.Self("")).GetCallerIdentity(t.Context(), nil)
	fmt.Println(*me.Account, err)
	// Output: 111111111111 <nil>
}

func ExamplePool_Each() {
	t := exampleT()
	defer t.end()
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
	t := exampleT()
	defer t.end()
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

// scene stands in for the *testing.T that an example has not.
type scene struct {
	testing.TB
	cleanups []func()
}

func exampleT() *scene { return &scene{} }

func (s *scene) end() {
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
}

func (s *scene) Helper()                        {}
func (s *scene) Cleanup(f func())               { s.cleanups = append(s.cleanups, f) }
func (s *scene) Context() context.Context       { return context.Background() }
func (s *scene) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
func (s *scene) Errorf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
