package stiletest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/internal/scene"
	"github.com/stile-aws/stile/stiletest"
)

// A test of a service that reads tables in other accounts.
func ExampleNew() {
	test := func(t testing.TB) { // your TestReader(t *testing.T)
		org := stiletest.New(t, "tooling", "orders-prod")
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
	t := scene.New()
	defer t.End()
	test(t)
	fmt.Println("passed")
	// Output: passed
}

// The SDK tries again what failed once.
func ExampleOrganization_Fault() {
	t := scene.New()
	defer t.End()
	org := stiletest.New(t, "tooling", "orders-prod")
	remove := org.Fault(stiletest.Fault{Service: "dynamodb", Operation: "ListTables", Trouble: stiletest.Unavailable, Times: 1})
	defer remove()
	_, err := dynamodb.NewFromConfig(org.Admin("orders-prod")).ListTables(t.Context(), nil)
	fmt.Println(err, org.Calls("dynamodb:ListTables"))
	// Output: <nil> 2
}

// Trouble that lasts is met by every attempt. Outside of a testing/synctest bubble
// a pool with fewer of them keeps the test short.
func ExampleFault() {
	t := scene.New()
	defer t.End()
	org := stiletest.New(t, "tooling", "orders-prod")
	org.Role("orders-prod/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"dynamodb:ListTables"}})
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader", MaxAttempts: 1})
	tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders-prod", "", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	org.Fault(stiletest.Fault{Service: "dynamodb", Trouble: stiletest.Broken, MustHit: true})
	_, err = tables.ListTables(t.Context(), nil)
	fmt.Println(err != nil, org.Calls("dynamodb:ListTables"))
	// Output: true 1
}

// Credentials that the local AWS has come to see as expired are fetched anew.
func ExampleOrganization_Advance() {
	t := scene.New()
	defer t.End()
	org := stiletest.New(t, "tooling", "orders-prod")
	org.Role("tooling/monitor", stiletest.Role{Allow: []string{"sts:AssumeRole"}})
	org.Role("orders-prod/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"dynamodb:ListTables"}})
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders-prod", "", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, before := tables.ListTables(t.Context(), nil)
	org.Advance(2 * time.Hour)
	_, after := tables.ListTables(t.Context(), nil)
	fmt.Println(before, after)
	// Output: <nil> <nil>
}

// LastDenial tells why, layer by layer, where AWS would only refuse.
func ExampleOrganization_LastDenial() {
	t := scene.New()
	defer t.End()
	org := stiletest.New(t, "tooling")
	org.Role("tooling/reader", stiletest.Role{Allow: []string{"dynamodb:ListTables"}})
	_, err := dynamodb.NewFromConfig(org.As("tooling/reader")).DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String("Orders")})
	fmt.Println(err != nil, strings.Contains(org.LastDenial(), "dynamodb:DeleteTable"))
	// Output: true true
}
