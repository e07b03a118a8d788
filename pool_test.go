package stile_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/stiletest"
)

// newOrg is a service "tooling/monitor" with a role "reader" in two accounts.
func newOrg(t testing.TB) *stiletest.Organization {
	t.Helper()
	org := stiletest.New(t, "tooling", "orders", "billing")
	org.Role("tooling/monitor", stiletest.Role{Allow: []string{"sts:AssumeRole", "sts:TagSession"}})
	for _, account := range []string{"orders", "billing"} {
		org.Role(account+"/reader", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"dynamodb:ListTables"}})
	}
	return org
}

// whoami tells whose credentials cfg has.
func whoami(t testing.TB, cfg aws.Config) string {
	t.Helper()
	id, err := creds.Identify(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return id.ARN.String()
}

func TestPoolWorksInEveryAccountUnderOneRoleName(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader", Session: creds.Role{SessionName: "monitor-7"}})
	for account, want := range map[string]string{
		"orders":          "arn:aws:sts::222222222222:assumed-role/reader/monitor-7",
		"billing":         "arn:aws:sts::333333333333:assumed-role/reader/monitor-7",
		org.ID("billing"): "arn:aws:sts::333333333333:assumed-role/reader/monitor-7",
	} {
		cfg, err := pool.Config(t.Context(), account, "", "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		if got := whoami(t, cfg); got != want || cfg.Region != "eu-west-1" {
			t.Errorf("in account %s: %s in %s, want %s in eu-west-1", account, got, cfg.Region, want)
		}
	}
	if got := whoami(t, pool.Self("")); !strings.HasPrefix(got, "arn:aws:sts::111111111111:assumed-role/monitor/") {
		t.Errorf("the service itself is %s", got)
	}
	if n := org.Calls("sts:AssumeRole"); n != 3 {
		t.Errorf("%d AssumeRole calls, want one for each account and one for the service itself", n)
	}
}

func TestOneCredentialWhateverTheRegionAndClient(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	before := org.Calls("sts:AssumeRole")
	var wg sync.WaitGroup
	for _, region := range []string{"us-east-1", "eu-west-1", "eu-central-1", "ap-south-1"} {
		for range 50 {
			wg.Go(func() {
				tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", region)
				if err == nil {
					_, err = tables.ListTables(t.Context(), &dynamodb.ListTablesInput{})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := org.Calls("sts:AssumeRole") - before; n > 2 { // the service's own role, and the reader
		t.Errorf("%d AssumeRole calls for one role in four Regions, want 1 and the service's own", n)
	}
}

func TestClientsAreMadeOnce(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	client := func(account, role, region string) *dynamodb.Client {
		t.Helper()
		c, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, account, role, region)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := client("orders", "", "")
	if client("orders", "", "") != first || client(org.ID("orders"), "", "") != first {
		t.Error("another client for the same account, role and Region")
	}
	for name, other := range map[string]*dynamodb.Client{
		"account": client("billing", "", ""), "role": client("orders", "writer", ""), "Region": client("orders", "", "eu-west-1"),
		"self": stile.SelfClient(pool, dynamodb.NewFromConfig, ""),
	} {
		if other == first {
			t.Errorf("the same client for another %s", name)
		}
	}
	secrets, err := stile.Client(t.Context(), pool, secretsmanager.NewFromConfig, "orders", "", "")
	if err != nil || secrets == nil {
		t.Errorf("a client of another service: %v, %v", secrets, err)
	}
	self := stile.SelfClient(pool, sts.NewFromConfig, "")
	if again := stile.SelfClient(pool, sts.NewFromConfig, ""); again != self {
		t.Error("another client of the service itself")
	}
}

func TestUnknownAccountsAndRolesGetNoConfiguration(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	bare := org.Pool("tooling/monitor", stile.Config{})
	for _, c := range []struct {
		pool          *stile.Pool
		account, role string
		want          string
	}{
		{pool, "", "", "none is given"},
		{pool, "order", "", `none named "order"`},
		{pool, "22222222222", "", `none named "22222222222"`},
		{pool, "orders", "arn:aws:iam::333333333333:role/reader", "is of another account"},
		{pool, "orders", "arn:aws:nonsense", "arn"},
		{bare, "orders", "", "no Config.Role"},
	} {
		cfg, err := c.pool.Config(t.Context(), c.account, c.role, "")
		if err == nil || !strings.Contains(err.Error(), c.want) || cfg.Credentials != nil {
			t.Errorf("Config(%q, %q) = %v, %v, want an error with %q", c.account, c.role, cfg.Credentials, err, c.want)
		}
	}
}

func TestRolesWithPathsAndHubs(t *testing.T) {
	org := newOrg(t)
	org.Role("tooling/hub", stiletest.Role{TrustedBy: []string{"tooling/monitor"}, Allow: []string{"sts:AssumeRole"}})
	org.Role("orders/deep", stiletest.Role{TrustedBy: []string{"tooling/hub"}})
	client := iam.NewFromConfig(org.Admin("orders"))
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::111111111111:role/hub"}}]}`
	if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("pathed"), Path: aws.String("/team/x/"), AssumeRolePolicyDocument: &trust}); err != nil {
		t.Fatal(err)
	}
	pool := org.Pool("tooling/monitor", stile.Config{Via: []creds.Role{{ARN: "arn:aws:iam::111111111111:role/hub"}}, Session: creds.Role{SessionName: "monitor"}})
	for _, role := range []string{"deep", "team/x/pathed", "/team/x/pathed", "arn:aws:iam::222222222222:role/team/x/pathed"} {
		cfg, err := pool.Config(t.Context(), "orders", role, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := whoami(t, cfg); !strings.HasSuffix(got, "/monitor") || !strings.Contains(got, "222222222222") {
			t.Errorf("as %s: %s", role, got)
		}
	}
}

func TestARefusedCredentialIsForgottenAndTheRequestMadeAgain(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", "")
	if err != nil {
		t.Fatal(err)
	}
	list := func() error {
		_, err := tables.ListTables(t.Context(), &dynamodb.ListTablesInput{})
		return err
	}
	if err := list(); err != nil {
		t.Fatal(err)
	}
	org.Advance(2 * time.Hour) // for AWS all credentials have expired, for us none
	before := org.Calls("sts:AssumeRole")
	if err := list(); err != nil {
		t.Errorf("after AWS stopped accepting the credentials: %v", err)
	}
	if n := org.Calls("sts:AssumeRole") - before; n < 1 || n > 4 {
		t.Errorf("%d AssumeRole calls to replace the service's own credential and the role's", n)
	}
}

func TestNobodyWaitsToReplaceARefusedCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := newOrg(t)
		pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
		tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tables.ListTables(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		org.Advance(2 * time.Hour)
		began := time.Now()
		if _, err := tables.ListTables(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("%v went by in pauses", took)
		}
	})
}

// limiting is a retryer that limits attempts as the SDK's adaptive one does.
type limiting struct {
	aws.RetryerV2
	attempts *atomic.Int64
}

func (l limiting) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	l.attempts.Add(1)
	return l.RetryerV2.GetAttemptToken(ctx)
}

func TestARetryerOfTheServiceLimitsItsAttempts(t *testing.T) {
	org := newOrg(t)
	var attempts atomic.Int64
	base := org.Admin("tooling")
	base.Retryer = func() aws.Retryer { return limiting{retry.NewStandard(), &attempts} }
	pool, err := stile.New(t.Context(), stile.Config{AWS: &base})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := stile.SelfClient(pool, dynamodb.NewFromConfig, "").ListTables(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if n := attempts.Load(); n != 1 {
		t.Errorf("the retryer was asked for %d attempts, want 1", n)
	}
}

func TestRequestsAreTriedTenTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := newOrg(t)
		pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
		tables, err := stile.Client(t.Context(), pool, dynamodb.NewFromConfig, "orders", "", "")
		if err != nil {
			t.Fatal(err)
		}
		remove := org.Fault(stiletest.Fault{Service: "dynamodb", Trouble: stiletest.Unavailable, Times: 9})
		if _, err := tables.ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
			t.Errorf("after nine failures: %v", err)
		}
		remove()
	})
}

func TestEachWorksSideBySideAndReportsByAccount(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	var seen []string
	var last stile.Progress
	var mu sync.Mutex
	err := pool.Each(t.Context(), stile.Selection{All: true}, func(ctx context.Context, a stile.Account) error {
		tables, err := stile.Client(ctx, pool, dynamodb.NewFromConfig, string(a.ID), "", "")
		if err == nil {
			_, err = tables.ListTables(ctx, &dynamodb.ListTablesInput{})
		}
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, a.Name)
		return err
	}, stile.EachOptions{Progress: func(p stile.Progress) { last = p }})
	slices.Sort(seen)
	if !slices.Equal(seen, []string{"billing", "orders", "tooling"}) {
		t.Errorf("ran in %v", seen)
	}
	var each *stile.EachError
	if !errors.As(err, &each) || len(each.Failed) != 1 || each.Failed[0].Account.Name != "tooling" || len(each.NotRun) != 0 {
		t.Fatalf("the error is %v, want tooling's alone, which has no reader", err)
	}
	if !strings.Contains(err.Error(), "1 of 3 accounts failed; tooling (111111111111): ") {
		t.Errorf("the error reads %q", err)
	}
	if last.Done != 3 || last.Failed != 1 || last.Total != 3 {
		t.Errorf("the last progress is %+v", last)
	}
}

func TestEachStopsOnErrorWhenAsked(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{})
	boom := errors.New("boom")
	var ran atomic.Int32
	err := pool.Each(t.Context(), stile.Selection{All: true}, func(context.Context, stile.Account) error {
		ran.Add(1)
		return boom
	}, stile.EachOptions{StopOnError: true, Concurrency: 1})
	var each *stile.EachError
	if !errors.As(err, &each) || !errors.Is(err, boom) || int(ran.Load())+len(each.NotRun) != 3 || len(each.NotRun) == 0 {
		t.Errorf("ran %d, error %v, want the rest not begun", ran.Load(), err)
	}
}

func TestBreakingOffResultsEndsTheWork(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{})
	ended := make(chan struct{}, 3)
	var others sync.WaitGroup
	others.Add(2)
	results, err := stile.Results(t.Context(), pool, stile.Selection{All: true}, func(ctx context.Context, a stile.Account) (string, error) {
		if a.Name == "billing" {
			others.Wait()
			return "first", nil
		}
		others.Done()
		defer func() { ended <- struct{}{} }()
		<-ctx.Done()
		return "", ctx.Err()
	}, stile.EachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for r := range results {
		if r.Value != "first" || r.Account.Name != "billing" {
			t.Errorf("the first result is %+v", r)
		}
		break
	}
	if n := len(ended); n != 2 {
		t.Errorf("%d of 2 others had ended when the loop was left", n)
	}
}

func TestSelections(t *testing.T) {
	accounts := []stile.Account{
		{ID: "111111111111", Name: "tooling", Units: []string{"infra"}},
		{ID: "222222222222", Name: "orders", Labels: map[string]string{"env": "prod", "team": "orders"}, Units: []string{"workloads", "prod"}},
		{ID: "333333333333", Name: "orders-dev", Labels: map[string]string{"env": "dev", "team": "orders"}, Units: []string{"workloads", "dev"}},
	}
	pool, err := stile.New(t.Context(), stile.Config{
		AWS: &aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}, HTTPClient: http.DefaultClient}, Directory: stile.List(accounts...),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for name, c := range map[string]struct {
		sel  stile.Selection
		want string // names or ids, or a part of the error
	}{
		"all":                      {stile.Selection{All: true}, "orders orders-dev tooling"},
		"all but one":              {stile.Selection{All: true, Except: []string{"tooling"}}, "orders orders-dev"},
		"by label":                 {stile.Selection{Labels: map[string]string{"team": "orders"}}, "orders orders-dev"},
		"by two labels":            {stile.Selection{Labels: map[string]string{"team": "orders", "env": "dev"}}, "orders-dev"},
		"by unit":                  {stile.Selection{Unit: "workloads"}, "orders orders-dev"},
		"by name and id, once":     {stile.Selection{Accounts: []string{"orders", "222222222222", "444444444444"}}, "orders 444444444444"},
		"named and labelled":       {stile.Selection{Accounts: []string{"orders", "orders-dev"}, Labels: map[string]string{"env": "dev"}}, "orders-dev"},
		"nothing said":             {stile.Selection{}, "the selection says nothing"},
		"only exceptions":          {stile.Selection{Except: []string{"tooling"}}, "the selection says nothing"},
		"nothing fits":             {stile.Selection{Labels: map[string]string{"env": "test"}}, "no account fits"},
		"an unknown name":          {stile.Selection{Accounts: []string{"order"}}, `none named "order"`},
		"an unknown exception":     {stile.Selection{All: true, Except: []string{"order"}}, `none named "order"`},
		"an empty name in a list":  {stile.Selection{Accounts: []string{"orders", ""}}, "none is given"},
		"an empty list from a bug": {stile.Selection{Accounts: []string{}}, "the selection says nothing"},
	} {
		got, err := pool.Accounts(t.Context(), c.sel)
		var names []string
		for _, a := range got {
			if a.Name == "" {
				a.Name = string(a.ID)
			}
			names = append(names, a.Name)
		}
		text := strings.Join(names, " ")
		if err != nil {
			text = err.Error()
		}
		if text != c.want && (err == nil || !strings.Contains(text, c.want)) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

func TestDirectories(t *testing.T) {
	org := newOrg(t)
	dir := t.TempDir()
	text := "apiVersion: stile.dev/v1alpha1\nkind: Account\nmetadata: {name: orders-prod, labels: {env: prod}}\nspec: {id: \"222222222222\"}\n"
	if err := os.WriteFile(filepath.Join(dir, "accounts.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "stile.yaml"), []byte("apiVersion: stile.dev/v1alpha1\nkind: Scope\nmetadata: {name: test}\nspec: {home: {account: orders-prod}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := stile.Declared(dir).Accounts(t.Context())
	if err != nil || len(got) != 1 || got[0].ID != "222222222222" || got[0].Name != "orders-prod" || got[0].Labels["env"] != "prod" {
		t.Errorf("Declared = %+v, %v", got, err)
	}
	if _, err := stile.Declared(filepath.Join(dir, "none")).Accounts(t.Context()); err == nil {
		t.Error("a directory that is not there gives no error")
	}
	got, err = stile.Organization(org.Admin("tooling"), true).Accounts(t.Context())
	if err != nil || len(got) != 3 || got[1].Name == "" || !got[1].ID.Valid() {
		t.Errorf("Organization = %+v, %v", got, err)
	}
	if _, err := stile.Organization(org.Admin("orders"), false).Accounts(t.Context()); err == nil || !strings.Contains(err.Error(), "asking AWS Organizations") {
		t.Errorf("Organization of a member account: %v, want AWS's refusal", err)
	}
}

func TestPoolsLookUpsNeedNoMemory(t *testing.T) {
	org := newOrg(t)
	pool := org.Pool("tooling/monitor", stile.Config{Role: "reader"})
	ctx := t.Context()
	id := org.ID("orders")
	use := func() {
		if _, err := stile.Client(ctx, pool, dynamodb.NewFromConfig, id, "", "us-east-1"); err != nil {
			t.Fatal(err)
		}
		cfg, err := pool.Config(ctx, id, "", "us-east-1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			t.Fatal(err)
		}
	}
	use()
	if n := testing.AllocsPerRun(100, use); n > 0 {
		t.Errorf("%v allocations a look-up, want none", n)
	}
}
