package observe_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/observe"
)

// fleet is a source of the administrators of a local AWS with many accounts,
// each of whose calls takes a while.
type fleet struct {
	server *localaws.Server
	door   http.RoundTripper
}

// Config implements observe.Source.
func (f *fleet) Config(_ context.Context, account arn.AccountID, region string) (aws.Config, error) {
	id, secret, _ := f.server.Administrator(account)
	if region == "" {
		region = localaws.DefaultRegion
	}
	return aws.Config{Region: region, HTTPClient: &http.Client{Transport: f.door}, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}, nil
}

func newFleet(b *testing.B, accounts, roles int) (*fleet, inventory.Request) {
	b.Helper()
	cfg := localaws.Config{Organization: true}
	req := inventory.Request{Organization: true}
	for i := range accounts {
		id := arn.AccountID(fmt.Sprintf("%012d", 100000000001+i))
		cfg.Accounts = append(cfg.Accounts, localaws.Account{ID: id})
		*req.Account(id) = inventory.AccountRequest{Everything: true, Quotas: true, Regions: []string{"us-east-1", "eu-west-1"}}
	}
	server, err := localaws.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() })
	world := server.World()
	world.Lock()
	defer world.Unlock()
	for id := range req.Accounts {
		for i := range roles {
			name := fmt.Sprintf("role%d", i)
			role := &store.Role{
				Entity: store.Entity{Name: name, Path: "/", ID: world.NewPrincipal(id, "role", name), Inline: map[string]string{"own": tablePolicy}},
				Trust:  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, MaxSession: time.Hour,
			}
			world.Accounts[id].IAM.Roles[name] = store.NewVersioned(time.Time{}, role)
		}
	}
	return &fleet{server, &counting{door: frontdoor.RoundTripper(server), each: 20 * time.Millisecond}}, req
}

// BenchmarkFill reads 50 accounts of 100 roles, two Regions of each, with 20 ms a
// call, with and without the budget.
func BenchmarkFill(b *testing.B) {
	for _, c := range []struct {
		name  string
		rates map[string]observe.Rate
	}{{"unbounded", nil}, {"default rates", observe.DefaultRates()}} {
		b.Run(c.name, func(b *testing.B) {
			f, req := newFleet(b, 50, 100)
			meter := &observe.Meter{}
			for b.Loop() {
				inv := &inventory.Inventory{}
				if err := observe.Fill(b.Context(), f, req, inv, observe.Options{Rates: c.rates, Meter: meter}); err != nil {
					b.Fatal(err)
				}
				for id, a := range inv.Accounts {
					if !a.Complete || len(a.Problems) > 0 || len(a.Roles) != 100 {
						b.Fatalf("account %s: complete %v, %d roles, problems %v", id, a.Complete, len(a.Roles), a.Problems)
					}
				}
			}
			b.ReportMetric(float64(meter.Progress().Calls)/float64(b.N), "calls/op")
		})
	}
}
