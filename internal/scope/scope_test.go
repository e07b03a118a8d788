package scope_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// TestAccountsThatCannotBeEntered has one account of the payroll example out of
// reach, in each way: one clear diagnosis, and nothing changed.
func TestAccountsThatCannotBeEntered(t *testing.T) {
	replace := func(old, new string) func(fstest.MapFS) {
		return func(files fstest.MapFS) {
			f := files["payroll-accounts.yaml"]
			if !strings.Contains(string(f.Data), old) {
				panic("the example has no " + old)
			}
			f.Data = []byte(strings.Replace(string(f.Data), old, new, 1))
		}
	}
	for _, c := range []struct {
		name  string
		files func(fstest.MapFS)
		fault service.Fault
		want  []string // all in the one diagnosis
	}{
		{"the deployer role of the target cannot be assumed",
			replace("manageWith: {profile: orders-prod}", "manageWith: {profile: network, chain: [{role: 'arn:aws:iam::222222222222:role/deployer'}]}"),
			service.Fault{}, []string{"orders-prod", "arn:aws:iam::222222222222:role/deployer", "AccessDenied", "sts:AssumeRole"}},
		{"the deployer role of the home cannot be assumed",
			replace("manageWith: {profile: tooling}", "manageWith: {profile: network, chain: [{role: 'arn:aws:iam::111111111111:role/deployer'}]}"),
			service.Fault{}, []string{"tooling", "arn:aws:iam::111111111111:role/deployer", "AccessDenied", "sts:AssumeRole"}},
		{"the target does not answer", func(fstest.MapFS) {},
			service.Fault{Kind: service.Outage, Account: scopetest.Orders}, []string{"orders-prod", "no answer"}},
		{"the home does not answer", func(fstest.MapFS) {},
			service.Fault{Kind: service.Outage, Account: scopetest.Tooling}, []string{"tooling", "no answer"}},
		{"the target's credentials are another account's", replace("manageWith: {profile: orders-prod}", "manageWith: {profile: network}"),
			service.Fault{}, []string{"orders-prod", "222222222222", "profile network", "user/Administrator", "in account 333333333333"}},
		{"the home's credentials are another account's", replace("manageWith: {profile: tooling}", "manageWith: {profile: network}"),
			service.Fault{}, []string{"tooling", "111111111111", "profile network", "user/Administrator", "in account 333333333333"}},
		{"the target's profile is not there", replace("manageWith: {profile: orders-prod}", "manageWith: {profile: typo}"),
			service.Fault{}, []string{"orders-prod", `no profile "typo"`}},
		{"the target throttles without end", func(fstest.MapFS) {},
			service.Fault{Kind: service.Throttle, Account: scopetest.Orders}, []string{"orders-prod", "Rate exceeded"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := scopetest.New(t, localaws.Config{})
				before := w.Snapshot()
				files := scopetest.Merged(t, "payroll")
				c.files(files)
				if c.fault.Kind != "" {
					w.Server.Faults().Add(w.Server.World().Now(), c.fault)
				}
				start := time.Now()
				p, _, diags, err := w.Scope(scopetest.Load(t, files), nil).Plan(t.Context(), scope.PlanOptions{})
				if p != nil {
					t.Fatal("there is a plan")
				}
				if waited := time.Since(start); waited > 30*time.Second {
					t.Errorf("the diagnosis took %s", waited)
				}
				said := errorsOf(diags)
				if err != nil {
					said = append(said, err.Error())
				}
				if len(said) != 1 {
					t.Fatalf("%d diagnoses, want one:\n%s", len(said), strings.Join(said, "\n"))
				}
				for _, want := range c.want {
					if !strings.Contains(said[0], want) {
						t.Errorf("the diagnosis does not say %q: %s", want, said[0])
					}
				}
				for _, clutter := range []string{"RequestID", "https response error", "operation error"} {
					if strings.Contains(said[0], clutter) {
						t.Errorf("the diagnosis has the SDK's bookkeeping: %s", said[0])
					}
				}
				if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
					t.Errorf("something changed:\n%s", diff)
				}
			})
		})
	}
}

// silent takes every request and never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAnAccountThatHangsIsToldWithinSeconds(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "none")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/credentials")
	hanging := func(ctx context.Context, _, region string) (aws.Config, error) {
		cfg, err := scope.LoadDefault(ctx, "", region)
		if err != nil {
			return cfg, err
		}
		client := cfg.HTTPClient.(*awshttp.BuildableClient)
		cfg.HTTPClient = &http.Client{Transport: silent{}, Timeout: client.GetTimeout()}
		return cfg, nil
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := scope.NewSource(scopetest.Examples(t, "payroll"), scope.Read, hanging).Config(t.Context(), scopetest.Orders, "")
		if err == nil || !strings.Contains(err.Error(), "orders-prod") || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("Config of an account that hangs: %v", err)
		}
		if took := time.Since(start); took > 25*time.Second {
			t.Errorf("told after %v, want some 20 seconds", took)
		}
	})
}

func errorsOf(diags diag.List) []string {
	var out []string
	for _, d := range diags {
		if d.Severity == diag.Error {
			out = append(out, d.String())
		}
	}
	return out
}

func TestSourceKnowsDeclaredAccountsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		source := scope.NewSource(scopetest.Examples(t, "assume-role"), scope.Manage, w.Loader(nil))
		if _, err := source.Config(t.Context(), scopetest.Network, ""); err == nil || !strings.Contains(err.Error(), "no Account of that id is declared") {
			t.Errorf("Config of an account that is not declared: %v", err)
		}
		cfg, err := source.Config(t.Context(), scopetest.Orders, "eu-west-1")
		if err != nil || cfg.Region != "eu-west-1" {
			t.Errorf("Config = region %q, %v", cfg.Region, err)
		}
	})
}

func TestSourceProvesAnAccountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		w := scopetest.New(t, localaws.Config{Intercept: func(_, operation string, _ arn.AccountID, phase service.Phase) service.Action {
			if operation == "GetCallerIdentity" && phase == service.Before {
				asked.Add(1)
			}
			return service.Proceed
		}})
		source := scope.NewSource(scopetest.Examples(t, "payroll"), scope.Manage, w.Loader(nil))
		done := make(chan error)
		for range 8 {
			go func() {
				_, err := source.Config(t.Context(), scopetest.Orders, "")
				done <- err
			}()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times who it is, want once", n)
		}
	})
}

// TestReadWithIsForReading has credentials for reading that differ from those for writing.
func TestReadWithIsForReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		files := scopetest.Merged(t, "payroll")
		f := files["payroll-accounts.yaml"]
		f.Data = []byte(strings.Replace(string(f.Data), "manageWith: {profile: orders-prod}", "manageWith: {profile: network}\n  readWith: {profile: orders-prod}", 1))
		set := scopetest.Load(t, files)
		if _, err := scope.NewSource(set, scope.Read, w.Loader(nil)).Config(t.Context(), scopetest.Orders, ""); err != nil {
			t.Errorf("reading: %v", err)
		}
		if _, err := scope.NewSource(set, scope.Manage, w.Loader(nil)).Config(t.Context(), scopetest.Orders, ""); err == nil {
			t.Error("managing uses the credentials for reading")
		}
	})
}

// TestAnAccountThatIsNoLongerDeclaredIsNamed takes a target out of the files
// together with its Account.
func TestAnAccountThatIsNoLongerDeclaredIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		files := scopetest.Merged(t, "payroll")
		s := w.Scope(scopetest.Load(t, files), nil)
		p, view, _, err := s.Plan(t.Context(), scope.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := apply.Run(t.Context(), p, apply.Config{Source: s.Source, Ledgers: view.Ledgers}); err != nil {
			t.Fatal(err)
		}
		delete(files, "payroll-access-api.yaml")
		delete(files, "payroll-access-ci.yaml")
		f := files["payroll-accounts.yaml"]
		docs := strings.Split(string(f.Data), "---\n")
		f.Data = []byte(docs[0] + "---\n" + docs[2])
		_, _, diags, err := w.Scope(scopetest.Load(t, files), nil).Plan(t.Context(), scope.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(errorsOf(diags), "\n"); !strings.Contains(said, "222222222222, which is not declared any more") {
			t.Errorf("diagnoses: %s", said)
		}
	})
}
