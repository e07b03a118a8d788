package apply_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// reads are the operations of a run that changes nothing.
func isRead(operation string) bool {
	return strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Describe")
}

// watch is an interceptor whose behaviour a test may change while calls are made.
type watch struct {
	mu     sync.Mutex // guards all
	see    func(operation string, account arn.AccountID, phase service.Phase) service.Action
	writes []string
}

func (w *watch) intercept(_, operation string, account arn.AccountID, phase service.Phase) service.Action {
	w.mu.Lock()
	see := w.see
	if phase == service.Before && !isRead(operation) {
		w.writes = append(w.writes, string(account)+" "+operation)
	}
	w.mu.Unlock()
	if see == nil {
		return service.Proceed
	}
	return see(operation, account, phase)
}

// on sets what the interceptor does from now on, and forgets the writes so far.
func (w *watch) on(see func(operation string, account arn.AccountID, phase service.Phase) service.Action) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.see, w.writes = see, nil
}

func (w *watch) written() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// first runs f in the first call of operation that comes to phase; f may make
// such calls itself.
func (w *watch) first(operation string, phase service.Phase, f func()) {
	var done atomic.Bool
	w.on(func(op string, _ arn.AccountID, p service.Phase) service.Action {
		if op == operation && p == phase && done.CompareAndSwap(false, true) {
			f()
		}
		return service.Proceed
	})
}

// story is a world with its watch, in a synctest bubble.
type story struct {
	*testing.T
	world *scopetest.World
	watch *watch
}

func tell(t *testing.T, f func(*story)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watch{}
		f(&story{t, scopetest.New(t, localaws.Config{Intercept: w.intercept}), w})
	})
}

func (s *story) iam(account arn.AccountID) *iam.Client {
	return iam.NewFromConfig(s.world.Admin(account, nil))
}

func (s *story) do(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func TestRunningAgainWritesNothing(t *testing.T) {
	tell(t, func(s *story) {
		r := run{world: s.world, set: scopetest.Examples(t, allExamples...)}
		r.must(s.T)
		s.watch.on(nil)
		result, err := r.apply(s.Context())
		if err != nil || result.Done != 0 {
			s.Errorf("applying again: %+v, %v", result, err)
		}
		if writes := s.watch.written(); len(writes) > 0 {
			s.Errorf("applying again writes: %q", writes)
		}
	})
}

func TestDestroyAlsoTakesALedgerThatListsNothing(t *testing.T) {
	tell(t, func(s *story) {
		before := s.world.Snapshot()
		files := scopetest.Merged(t, "payroll")
		run{world: s.world, set: scopetest.Load(t, files)}.must(s.T)
		for name := range files {
			if strings.Contains(name, "access") {
				delete(files, name)
			}
		}
		nothing := run{world: s.world, set: scopetest.Load(t, files)}
		nothing.must(s.T)
		nothing.destroy = true
		nothing.must(s.T)
		if diff := cmp.Diff(before, s.world.Snapshot()); diff != "" {
			s.Errorf("destroy left traces (-before +after):\n%s", diff)
		}
	})
}

func TestADeclarationThatIsGoneIsTakenBack(t *testing.T) {
	tell(t, func(s *story) {
		files := scopetest.Merged(t, "payroll")
		only := run{world: s.world, set: scopetest.Load(t, without(files, "payroll-access-ci.yaml"))}
		only.must(s.T)
		want := s.world.Snapshot()
		run{world: s.world, set: scopetest.Load(t, files)}.must(s.T)
		if cmp.Equal(want, s.world.Snapshot()) {
			s.Fatal("the second declaration changes nothing")
		}
		only.must(s.T)
		if diff := cmp.Diff(want, s.world.Snapshot()); diff != "" {
			s.Errorf("the declaration that went left traces (-want +got):\n%s", diff)
		}
	})
}

func without(files fstest.MapFS, name string) fstest.MapFS {
	out := fstest.MapFS{}
	for k, v := range files {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// TestOfTwoRunsThatPlannedTheSameOnlyOneApplies lets two people plan the same and apply one after the other.
func TestOfTwoRunsThatPlannedTheSameOnlyOneApplies(t *testing.T) {
	for _, name := range []string{"nothing there yet", "a ledger there"} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				if name == "a ledger there" {
					run{world: s.world, set: scopetest.Load(t, without(scopetest.Merged(t, "payroll"), "payroll-access-ci.yaml"))}.must(s.T)
				}
				r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
				p1, view1, s1, err := r.plan(s.Context())
				s.do(err)
				p2, view2, s2, err := r.plan(s.Context())
				s.do(err)
				_, err = apply.Run(s.Context(), p1, apply.Config{Source: s1.Source, Ledgers: view1.Ledgers})
				s.do(err)
				want := s.world.Snapshot()
				_, err = apply.Run(s.Context(), p2, apply.Config{Source: s2.Source, Ledgers: view2.Ledgers})
				if !errors.Is(err, apply.ErrLedgerMoved) {
					s.Errorf("the second run: %v, want %v", err, apply.ErrLedgerMoved)
				}
				if diff := cmp.Diff(want, s.world.Snapshot()); diff != "" {
					s.Errorf("the second run changed something (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTwoRunsAtOnceConverge(t *testing.T) {
	tell(t, func(s *story) {
		r := run{world: s.world, set: scopetest.Examples(t, allExamples...)}
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = r.apply(s.Context()) })
		}
		wg.Wait()
		winners := 0
		for _, err := range errs {
			switch {
			case err == nil:
				winners++
			case !errors.Is(err, apply.ErrLedgerMoved):
				s.Errorf("a run that lost: %v, want %v", err, apply.ErrLedgerMoved)
			}
		}
		if winners == 0 {
			s.Error("nobody won")
		}
		mustBeKnown(s.T, s.world, "payroll")
		r.must(s.T)
		r.mustBeDone(s.T)
	})
}

func TestALedgerThatMovedIsNotDeletedWithItsScope(t *testing.T) {
	tell(t, func(s *story) {
		r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
		r.must(s.T)
		c := secretsmanager.NewFromConfig(s.world.Admin(scopetest.Tooling, nil))
		// While destroy deletes its last role, somebody applies the scope again.
		s.watch.first("DeleteOpenIDConnectProvider", service.After, func() {
			_, err := c.PutSecretValue(s.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("stile/ledger/payroll"), SecretBinary: []byte("another run's")})
			s.do(err)
		})
		r.destroy = true
		if _, err := r.apply(s.Context()); !errors.Is(err, apply.ErrLedgerMoved) {
			s.Errorf("destroy: %v, want %v", err, apply.ErrLedgerMoved)
		}
		got, err := c.GetSecretValue(s.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("stile/ledger/payroll")})
		if err != nil || string(got.SecretBinary) != "another run's" {
			s.Errorf("the ledger of the other run: %q, %v", got.SecretBinary, err)
		}
	})
}

// edit changes the resource policy of the world's secret, as somebody else would.
func (s *story) edit(change func(text string) string) {
	s.Helper()
	c := secretsmanager.NewFromConfig(s.world.Admin(scopetest.Orders, nil))
	got, err := c.GetResourcePolicy(s.Context(), &secretsmanager.GetResourcePolicyInput{SecretId: &s.world.Secret})
	s.do(err)
	_, err = c.PutResourcePolicy(s.Context(), &secretsmanager.PutResourcePolicyInput{SecretId: &s.world.Secret, ResourcePolicy: aws.String(change(aws.ToString(got.ResourcePolicy)))})
	s.do(err)
}

const theirs = `{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"secretsmanager:DeleteSecret","Resource":"*"}`

func addTheirs(text string) string {
	return strings.Replace(text, `"Statement":[`, `"Statement":[`+theirs+",", 1)
}

func (s *story) secretPolicy() string {
	return s.world.Snapshot()["222222222222 secret AppDemoSecret"]
}

func TestStatementsOfOthersSurviveWritersAtTheSameTime(t *testing.T) {
	for name, arrange := range map[string]func(*story){
		"between plan and apply": func(s *story) { // the ledger is written first
			s.watch.first("CreateSecret", service.After, func() { s.edit(addTheirs) })
		},
		"while our write is throttled": func(s *story) {
			done := false
			s.watch.on(func(op string, _ arn.AccountID, p service.Phase) service.Action {
				if op != "PutResourcePolicy" || p != service.Before || done {
					return service.Proceed
				}
				done = true
				s.edit(addTheirs)
				return service.Slow
			})
		},
		"while our write's answer is lost": func(s *story) {
			done := false
			s.watch.on(func(op string, _ arn.AccountID, p service.Phase) service.Action {
				if op != "PutResourcePolicy" || p != service.After || done {
					return service.Proceed
				}
				done = true
				s.edit(addTheirs)
				return service.Drop
			})
		},
		// Somebody read before us and writes after us: our statement is lost, and put again.
		"over our write, from what was there before": func(s *story) {
			old := ""
			s.watch.first("PutResourcePolicy", service.After, func() {
				s.edit(func(now string) string {
					old = now[:strings.Index(now, `,{"Sid":"Stile`)] + "]}"
					return addTheirs(old)
				})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				r := run{world: s.world, set: scopetest.Examples(t, "shared-secret")}
				arrange(s)
				r.must(s.T)
				s.watch.on(nil)
				got := s.secretPolicy()
				for _, sid := range []string{`"Legacy"`, `"Theirs"`, `"Stile`} {
					if !strings.Contains(got, sid) {
						s.Errorf("statement %s is lost: %s", sid, got)
					}
				}
				r.mustBeDone(s.T)
			})
		})
	}
}

func TestSomebodyElsesTrustInOurProviderIsKept(t *testing.T) {
	trust := func(issuer string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/%s"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"%s:sub":"system:serviceaccount:x:y","%s:aud":"sts.amazonaws.com"}}}]}`, issuer, issuer, issuer)
	}
	for name, arrange := range map[string]func(s *story, make func()){
		"since before the plan": func(_ *story, make func()) { make() },
		"since the plan":        func(s *story, make func()) { s.watch.first("UpdateSecretVersionStage", service.After, make) },
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
				r.must(s.T)
				url, _ := s.world.Server.Issuer(scopetest.Tooling, "ci")
				issuer := strings.TrimPrefix(url, "https://")
				provider := "222222222222 provider " + issuer
				arrange(s, func() {
					_, err := s.iam(scopetest.Orders).CreateRole(s.Context(), &iam.CreateRoleInput{RoleName: aws.String("foreign"), AssumeRolePolicyDocument: aws.String(trust(issuer))})
					s.do(err)
				})
				r.destroy = true
				_, err := r.apply(s.Context())
				if name == "since the plan" && (err == nil || !strings.Contains(err.Error(), "role foreign of somebody else's trusts")) {
					s.Errorf("destroy: %v, want an error that names the role", err)
				}
				if name != "since the plan" {
					s.do(err)
				}
				if s.world.Snapshot()[provider] == "" {
					s.Fatal("the provider is gone: role foreign cannot be used any more")
				}
				s.watch.on(nil)
				mustBeKnown(s.T, s.world, "payroll")
				_, err = s.iam(scopetest.Orders).DeleteRole(s.Context(), &iam.DeleteRoleInput{RoleName: aws.String("foreign")})
				s.do(err)
				r.must(s.T)
				if s.world.Snapshot()[provider] != "" {
					s.Error("the provider stays although nobody trusts it any more")
				}
			})
		})
	}
}

// TestWhatSomebodyMadeSinceThePlanIsLeftAlone takes a name that the plan found free.
func TestWhatSomebodyMadeSinceThePlanIsLeftAlone(t *testing.T) {
	tell(t, func(s *story) {
		r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
		s.watch.first("CreateSecret", service.After, func() {
			_, err := s.iam(scopetest.Orders).CreateRole(s.Context(), &iam.CreateRoleInput{RoleName: aws.String("payroll-api"),
				AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"sts:AssumeRole"}]}`)})
			s.do(err)
		})
		result, err := r.apply(s.Context())
		if err == nil || !strings.Contains(err.Error(), "somebody made role payroll-api since the plan") || strings.Contains(err.Error(), "RequestID") {
			s.Errorf("apply: %v, want who made what, in plain words", err)
		}
		if result.Failed != 1 || result.Skipped == 0 {
			s.Errorf("result = %+v, want one failure and what waits for it skipped", result)
		}
		if role := s.world.Snapshot()["222222222222 role payroll-api"]; !strings.Contains(role, `"Principal":{"AWS":"222222222222"}`) || strings.Contains(role, "stile") {
			s.Errorf("somebody's role is now %s", role)
		}
	})
}

func TestForeignThingsOfTheWantedNamesStopThePlan(t *testing.T) {
	tell(t, func(s *story) {
		_, err := s.iam(scopetest.Orders).CreateRole(s.Context(), &iam.CreateRoleInput{RoleName: aws.String("payroll-api"), Path: aws.String("/stile/"),
			AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"sts:AssumeRole"}]}`)})
		s.do(err)
		s.watch.on(nil)
		_, err = run{world: s.world, set: scopetest.Examples(t, "payroll")}.apply(s.Context())
		if err == nil || !strings.Contains(err.Error(), plan.CodeNotOurs) || !strings.Contains(err.Error(), "payroll-api") {
			s.Errorf("apply: %v, want %s", err, plan.CodeNotOurs)
		}
		if writes := s.watch.written(); len(writes) > 0 {
			s.Errorf("a plan that fails writes: %q", writes)
		}
	})
}

func TestAForeignProviderIsUsedAndNeitherTakenNorDeleted(t *testing.T) {
	tell(t, func(s *story) {
		url, _ := s.world.Server.Issuer(scopetest.Tooling, "ci")
		_, err := s.iam(scopetest.Orders).CreateOpenIDConnectProvider(s.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &url, ClientIDList: []string{"sts.amazonaws.com"}})
		s.do(err)
		before := s.world.Snapshot()
		r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
		r.must(s.T)
		provider := "222222222222 provider " + strings.TrimPrefix(url, "https://")
		if got := s.world.Snapshot()[provider]; got != before[provider] {
			s.Errorf("the provider became %s, was %s", got, before[provider])
		}
		r.destroy = true
		r.must(s.T)
		if diff := cmp.Diff(before, s.world.Snapshot()); diff != "" {
			s.Errorf("destroy left traces (-before +after):\n%s", diff)
		}
	})
}

func TestDriftIsShownAndRepaired(t *testing.T) {
	role := aws.String("payroll-api")
	for _, c := range []struct {
		name string
		edit func(ctx context.Context, c *iam.Client) error
		want string // in the summary of a step
	}{
		{"somebody widens the trust", func(ctx context.Context, c *iam.Client) error {
			_, err := c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: role, PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"sts:AssumeRole"}]}`)})
			return err
		}, "trust policy changed"},
		{"somebody adds an inline policy", func(ctx context.Context, c *iam.Client) error {
			_, err := c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String("more"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)})
			return err
		}, "remove inline policy more, which nothing declares"},
		{"somebody attaches a managed policy", func(ctx context.Context, c *iam.Client) error {
			_, err := c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: aws.String("arn:aws:iam::222222222222:policy/legacy")})
			return err
		}, "detach arn:aws:iam::222222222222:policy/legacy, which nothing declares"},
		{"somebody puts a boundary on", func(ctx context.Context, c *iam.Client) error {
			_, err := c.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: role, PermissionsBoundary: aws.String("arn:aws:iam::222222222222:policy/legacy")})
			return err
		}, "permissions boundary"},
		{"somebody shortens its sessions", func(ctx context.Context, c *iam.Client) error {
			_, err := c.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: role, MaxSessionDuration: aws.Int32(7200)})
			return err
		}, "longest session 3600 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tell(t, func(s *story) {
				r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
				r.must(s.T)
				want := s.world.Snapshot()
				s.do(c.edit(s.Context(), s.iam(scopetest.Orders)))
				p, _, _, err := r.plan(s.Context())
				s.do(err)
				if got := summaries(p); len(got) != 1 || !strings.Contains(got[0], c.want) {
					s.Errorf("plan = %q, want one step that says %q", got, c.want)
				}
				r.must(s.T)
				if diff := cmp.Diff(want, s.world.Snapshot()); diff != "" {
					s.Errorf("not repaired (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestABoundaryThatSomebodyTookOffIsPutBack(t *testing.T) {
	tell(t, func(s *story) {
		files := scopetest.Merged(t, "payroll")
		text := strings.Replace(string(files["payroll-accounts.yaml"].Data), `id: "222222222222"`, `id: "222222222222"`+"\n  permissionsBoundary: arn:aws:iam::222222222222:policy/legacy", 1)
		files["payroll-accounts.yaml"] = &fstest.MapFile{Data: []byte(text)}
		// What the boundary leaves of the access is not the point here.
		r := run{world: s.world, set: scopetest.Load(t, files)}
		r.must(s.T)
		want := s.world.Snapshot()
		if !strings.Contains(want["222222222222 role payroll-api"], `boundary "arn:aws:iam::222222222222:policy/legacy"`) {
			s.Fatalf("role payroll-api has no boundary: %s", want["222222222222 role payroll-api"])
		}
		_, err := s.iam(scopetest.Orders).DeleteRolePermissionsBoundary(s.Context(), &iam.DeleteRolePermissionsBoundaryInput{RoleName: aws.String("payroll-api")})
		s.do(err)
		r.must(s.T)
		if diff := cmp.Diff(want, s.world.Snapshot()); diff != "" {
			s.Errorf("not repaired (-want +got):\n%s", diff)
		}
	})
}

// TestStatementsThatSomebodyChangedStopThePlan has our Sid with another content.
func TestStatementsThatSomebodyChangedStopThePlan(t *testing.T) {
	tell(t, func(s *story) {
		r := run{world: s.world, set: scopetest.Examples(t, "shared-secret")}
		r.must(s.T)
		s.edit(func(text string) string {
			i := strings.Index(text, `"Sid":"Stile`)
			return text[:i] + strings.Replace(text[i:], "secretsmanager:GetSecretValue", "secretsmanager:*", 1)
		})
		s.watch.on(nil)
		_, err := r.apply(s.Context())
		if err == nil || !strings.Contains(err.Error(), plan.CodeNotOurs) {
			s.Errorf("apply: %v, want %s", err, plan.CodeNotOurs)
		}
		if writes := s.watch.written(); len(writes) > 0 {
			s.Errorf("it writes: %q", writes)
		}
		r.destroy = true
		r.must(s.T)
		if got := s.secretPolicy(); !strings.Contains(got, "secretsmanager:*") {
			s.Errorf("destroy took the changed statement: %s", got)
		}
	})
}

func TestASavedPlanIsExecutedExactlyOrRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		moved func(ctx context.Context, s *story) error
		want  string // in the refusal; "" when it is applied
	}{
		{"nothing moved", func(context.Context, *story) error { return nil }, ""},
		{"a role of the wanted name came", func(ctx context.Context, s *story) error {
			_, err := s.iam(scopetest.Orders).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("payroll-api"),
				AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"sts:AssumeRole"}]}`)})
			return err
		}, "222222222222/role/payroll-api"},
		{"somebody changed the secret's policy", func(_ context.Context, s *story) error { s.edit(addTheirs); return nil }, "222222222222/secret/"},
		{"a caller got another policy of our name", func(ctx context.Context, s *story) error {
			_, err := s.iam(scopetest.Tooling).DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("AppRole")})
			if err == nil {
				return errors.New("AppRole has a policy and could be deleted")
			}
			return nil
		}, ""},
		{"another run applied meanwhile", func(ctx context.Context, s *story) error {
			_, err := run{world: s.world, set: scopetest.Examples(s, "payroll")}.apply(ctx)
			return err
		}, "222222222222/role/payroll-api"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tell(t, func(s *story) {
				r := run{world: s.world, set: scopetest.Examples(t, allExamples...)}
				p, _, _, err := r.plan(s.Context())
				s.do(err)
				text, err := p.Encode()
				s.do(err)
				s.do(c.moved(s.Context(), s))
				s.watch.on(nil)
				saved, err := plan.Decode(text)
				s.do(err)
				source := scope.NewSource(saved.Set(), scope.Manage, s.world.Loader(nil))
				err = scope.Unmoved(s.Context(), saved, source)
				if c.want != "" {
					if err == nil || !strings.Contains(err.Error(), c.want) {
						s.Errorf("Unmoved: %v, want %s", err, c.want)
					}
					if writes := s.watch.written(); len(writes) > 0 {
						s.Errorf("it writes: %q", writes)
					}
					return
				}
				s.do(err)
				ledgers, err := apply.OpenLedgers(s.Context(), source, saved.Home, saved.Scope)
				s.do(err)
				result, err := apply.Run(s.Context(), saved, apply.Config{Source: source, Ledgers: ledgers})
				if err != nil || result.Done != len(p.Steps) {
					s.Errorf("apply: %+v, %v, want %d steps done", result, err, len(p.Steps))
				}
				r.mustBeDone(s.T)
			})
		})
	}
}

func TestEventsTellOfEveryStep(t *testing.T) {
	tell(t, func(s *story) {
		s.world.Server.World().SetDelay("", 10*time.Second)
		var events []apply.Event
		r := run{world: s.world, set: scopetest.Examples(t, "payroll"), config: apply.Config{Observe: func(e apply.Event) { events = append(events, e) }}}
		p, _, _, err := r.plan(s.Context())
		s.do(err)
		r.must(s.T)
		states := map[string][]apply.State{}
		waited := false
		for _, e := range events {
			states[e.Step] = append(states[e.Step], e.State)
			if e.State == apply.Waiting {
				waited = true
				if e.Error == "" || e.Attempt == 0 {
					s.Errorf("a wait without a reason: %+v", e)
				}
			}
		}
		if !waited {
			s.Error("no step waited for a principal to become visible")
		}
		for _, step := range p.Steps {
			got := states[step.ID]
			if len(got) < 2 || got[0] != apply.Started || got[len(got)-1] != apply.Done {
				s.Errorf("step %s: %v, want started … done", step.ID, got)
			}
		}
	})
}

func TestACancelledRunStopsAndKeepsItsBooks(t *testing.T) {
	tell(t, func(s *story) {
		ctx, cancel := context.WithCancel(s.Context())
		s.watch.first("CreateRole", service.After, cancel)
		r := run{world: s.world, set: scopetest.Examples(t, "payroll"), oneCall: true}
		result, err := r.apply(ctx)
		if err == nil || result.Skipped == 0 {
			s.Errorf("a cancelled run: %+v, %v", result, err)
		}
		if n := len(s.watch.written()); n == 0 {
			s.Error("the run was cancelled before it wrote anything: this tests nothing")
		}
		s.watch.on(nil)
		mustBeKnown(s.T, s.world, "payroll")
		r.must(s.T)
		r.mustBeDone(s.T)
	})
}

func TestARoleThatIsNoLongerOursIsKept(t *testing.T) {
	tell(t, func(s *story) {
		r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
		r.must(s.T)
		s.watch.first("UpdateSecretVersionStage", service.After, func() { // destroy has planned and begins
			_, err := s.iam(scopetest.Orders).TagRole(s.Context(), &iam.TagRoleInput{RoleName: aws.String("payroll-api"), Tags: []types.Tag{{Key: aws.String("stile:scope"), Value: aws.String("another")}}})
			s.do(err)
		})
		r.destroy = true
		_, err := r.apply(s.Context())
		if err == nil || !strings.Contains(err.Error(), "role payroll-api is not scope payroll's any more") {
			s.Errorf("destroy: %v, want which role is kept", err)
		}
		if s.world.Snapshot()["222222222222 role payroll-api"] == "" {
			s.Error("the role is gone")
		}
	})
}

func TestALedgerThatMovedSinceASavedPlanStopsIt(t *testing.T) {
	tell(t, func(s *story) {
		r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
		p, _, saved, err := r.plan(s.Context())
		s.do(err)
		r.must(s.T)
		s.watch.on(nil)
		ledgers, err := apply.OpenLedgers(s.Context(), saved.Source, p.Home, p.Scope)
		s.do(err)
		if _, err := apply.Run(s.Context(), p, apply.Config{Source: saved.Source, Ledgers: ledgers}); !errors.Is(err, apply.ErrLedgerMoved) {
			s.Errorf("applying a plan from before another run: %v, want %v", err, apply.ErrLedgerMoved)
		}
		if writes := s.watch.written(); len(writes) > 0 {
			s.Errorf("it writes: %q", writes)
		}
	})
}

// late is a door that once does not see a role that was just made, as IAM's own
// control plane may; the local AWS's always does.
type late struct {
	door http.RoundTripper
	done atomic.Bool
}

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return l.door.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if bytes.HasPrefix(body, []byte("Action=PutRolePolicy&")) && l.done.CompareAndSwap(false, true) {
		text := `<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>The role with name payroll-api cannot be found.</Message></Error></ErrorResponse>`
		return &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	}
	return l.door.RoundTrip(r)
}

func TestARoleThatIAMDoesNotSeeYetIsWaitedFor(t *testing.T) {
	tell(t, func(s *story) {
		door := &late{door: s.world.Door}
		r := run{world: s.world, set: scopetest.Examples(t, "payroll"), door: door}
		r.must(s.T)
		if !door.done.Load() {
			s.Fatal("no policy was put: this tests nothing")
		}
		r.mustBeDone(s.T)
	})
}

// TestPatienceEnds keeps a principal invisible for longer than a run waits.
func TestPatienceEnds(t *testing.T) {
	tell(t, func(s *story) {
		s.world.Server.World().SetDelay("", time.Hour)
		start := time.Now()
		result, err := run{world: s.world, set: scopetest.Examples(t, "payroll")}.apply(s.Context())
		if err == nil || !strings.Contains(err.Error(), "giving up after") || !strings.Contains(err.Error(), "Invalid principal in policy") {
			s.Errorf("apply: %v, want that it gave up, and on what", err)
		}
		if waited := time.Since(start); waited < 4*time.Minute || waited > 7*time.Minute {
			s.Errorf("it gave up after %s, its patience is 5 minutes", waited)
		}
		if result.Failed == 0 || result.Done == 0 {
			s.Errorf("result = %+v, want what could be done done", result)
		}
		s.world.Server.World().SetDelay("", 0)
		r := run{world: s.world, set: scopetest.Examples(t, "payroll")}
		r.must(s.T)
		r.mustBeDone(s.T)
	})
}
