package apply_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// The size of the benchmark: every account lets ten service accounts in.
const (
	benchAccounts = 100
	benchGrants   = 10
	benchLatency  = 20 * time.Millisecond
)

func benchID(i int) arn.AccountID { return arn.AccountID(fmt.Sprintf("%012d", 500000000000+i)) }

// estate is the local AWS of the benchmark. The latency is in the door, so that
// it does not hold up other calls.
type estate struct {
	server *localaws.Server
	door   http.RoundTripper
	calls  atomic.Int64
}

func newEstate(b *testing.B) *estate {
	b.Helper()
	cfg := localaws.Config{Organization: true, Accounts: []localaws.Account{{Name: "tooling", ID: scopetest.Tooling}}}
	cfg.Clusters = []localaws.Cluster{{Account: scopetest.Tooling, Name: "ci"}}
	for i := range benchAccounts {
		cfg.Accounts = append(cfg.Accounts, localaws.Account{Name: fmt.Sprintf("target-%d", i), ID: benchID(i)})
	}
	server, err := localaws.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return &estate{server: server, door: frontdoor.RoundTripper(server)}
}

// RoundTrip answers after the latency of a network.
func (e *estate) RoundTrip(r *http.Request) (*http.Response, error) {
	e.calls.Add(1)
	t := time.NewTimer(benchLatency)
	defer t.Stop()
	select {
	case <-t.C:
		return e.door.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func (e *estate) load(_ context.Context, profile, region string) (aws.Config, error) {
	key, secret, ok := e.server.Administrator(arn.AccountID(profile))
	if !ok {
		return aws.Config{}, fmt.Errorf("there is no profile %q", profile)
	}
	return aws.Config{Region: region, HTTPClient: &http.Client{Transport: e}, Credentials: credentials.NewStaticCredentialsProvider(key, secret, "")}, nil
}

func benchSet(b *testing.B) *access.Set {
	b.Helper()
	var text strings.Builder
	text.WriteString("apiVersion: stile.dev/v1alpha1\nkind: Scope\nmetadata: {name: bench}\nspec: {home: {account: tooling}}\n")
	account := func(name string, id arn.AccountID) {
		fmt.Fprintf(&text, "---\napiVersion: stile.dev/v1alpha1\nkind: Account\nmetadata: {name: %s}\nspec: {id: %q, manageWith: {profile: %q}}\n", name, id, id)
	}
	account("tooling", scopetest.Tooling)
	names := make([]string, benchAccounts)
	for i := range names {
		names[i] = fmt.Sprintf("target-%d", i)
		account(names[i], benchID(i))
	}
	text.WriteString("---\napiVersion: stile.dev/v1alpha1\nkind: Cluster\nmetadata: {name: ci}\nspec: {account: tooling, region: us-east-1, identity: irsa}\n")
	for i := range benchGrants {
		fmt.Fprintf(&text, `---
apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: grant-%d}
spec:
  from: [{serviceAccount: {cluster: ci, namespace: bench, name: worker-%d}}]
  to: {accounts: [%s]}
  as: worker-%d
  via: webIdentity
  allow:
    - {grant: dynamodb/read, resources: ["arn:aws:dynamodb:us-east-1:${account}:table/Orders"]}
    - {grant: eks/list}
`, i, i, strings.Join(names, ", "), i)
	}
	set, diags := access.Load(fstest.MapFS{"bench.yaml": &fstest.MapFile{Data: []byte(text.String())}})
	if diags.HasErrors() {
		b.Fatal(diags)
	}
	return set
}

// BenchmarkPlanApply plans and applies ten grants to each of a hundred accounts
// in an organization, with 20 ms for every call, and plans again. It reports
// seconds, and calls for each account.
func BenchmarkPlanApply(b *testing.B) {
	set := benchSet(b)
	for b.Loop() {
		e := newEstate(b)
		phase := func(name string, f func()) {
			start, calls := time.Now(), e.calls.Load()
			f()
			b.ReportMetric(time.Since(start).Seconds(), name+"-s")
			b.ReportMetric(float64(e.calls.Load()-calls)/benchAccounts, name+"-calls/account")
		}
		s := scope.New(set, scope.Manage, e.load)
		var p *plan.Plan
		var view *scope.View
		planned := func(s *scope.Scope) func() {
			return func() {
				var diags diag.List
				var err error
				if p, view, diags, err = s.Plan(b.Context(), scope.PlanOptions{}); err != nil || p == nil {
					b.Fatal(err, diags)
				}
			}
		}
		phase("plan", planned(s))
		if want := benchAccounts * (2*benchGrants + 1); len(p.Steps) != want {
			b.Fatalf("%d steps, want %d", len(p.Steps), want)
		}
		phase("apply", func() {
			if _, err := apply.Run(b.Context(), p, apply.Config{Source: s.Source, Ledgers: view.Ledgers}); err != nil {
				b.Fatal(err)
			}
		})
		phase("replan", planned(scope.New(set, scope.Manage, e.load)))
		if p.Changes() {
			b.Fatalf("planning again gives %d steps", len(p.Steps))
		}
	}
}
