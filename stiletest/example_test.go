package stiletest_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/stiletest"
)

// A test of a service that reads tables in other accounts.
func ExampleNew() {
	test := func(t *testing.T) {
		org := stiletest.New(t, "tooling", "orders-prod")
		org.Role("tooling/monitor", stiletest.Role{Allow: []string{"sts:AssumeRole"}})
		org.Role("orders-prod/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"dynamodb:ListTables"}})
		pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})

		tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders-prod", "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tables.ListTables(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if _, err := tables.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{}); err == nil {
			t.Error("a reader deleted a table")
		}
	}
	fmt.Println(testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "Reader", F: test}}))
	// Output: true
}
