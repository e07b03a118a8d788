package apply_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// billing is a scope beside payroll that needs the same OIDC providers, the
// same secret and the same caller.
func billing(t *testing.T) *access.Set {
	t.Helper()
	files := scopetest.Renamed(scopetest.Merged(t, "payroll"), "billing")
	delete(files, "payroll-access-api.yaml")
	delete(files, "payroll-access-ci.yaml")
	files["access.yaml"] = &fstest.MapFile{Data: []byte(`
apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: billing-looks}
spec:
  from:
    - serviceAccount: {cluster: ci, namespace: billing, name: worker}
  to: {accounts: [orders-prod]}
  as: billing-worker
  via: webIdentity
  allow:
    - grant: eks/list
---
apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: billing-hops}
spec:
  from:
    - serviceAccount: {cluster: ci, namespace: billing, name: chained}
  to: {accounts: [orders-prod]}
  as: billing-chained
  hub: billing-hub
  via: chain
  allow:
    - grant: eks/list
---
apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: billing-reads-secret}
spec:
  from:
    - role: {account: tooling, name: AppRole}
    - role: {account: tooling, name: ci-deployer}
  to: {accounts: [orders-prod]}
  via: resourcePolicy
  allow:
    - grant: secretsmanager/read
      resources: ["arn:aws:secretsmanager:us-east-1:${account}:secret:AppDemoSecret-*"]
`)}
	return scopetest.Load(t, files)
}

// both are the two scopes over the same accounts.
func both(t *testing.T, s *story) map[string]run {
	t.Helper()
	return map[string]run{
		"payroll": {world: s.world, set: scopetest.Examples(t, allExamples...)},
		"billing": {world: s.world, set: billing(t)},
	}
}

// orders are all ways in which two scopes can be applied and then destroyed.
func orders() [][]string {
	var out [][]string
	var walk func(done, p, b []string)
	walk = func(done, p, b []string) {
		if len(p)+len(b) == 0 {
			out = append(out, done)
			return
		}
		if len(p) > 0 {
			walk(append(append([]string(nil), done...), p[0]), p[1:], b)
		}
		if len(b) > 0 {
			walk(append(append([]string(nil), done...), b[0]), p, b[1:])
		}
	}
	walk(nil, []string{"apply payroll", "destroy payroll"}, []string{"apply billing", "destroy billing"})
	return out
}

func TestTwoScopesLeaveEachOtherAlone(t *testing.T) {
	for _, order := range orders() {
		t.Run(strings.Join(order, ", "), func(t *testing.T) {
			t.Parallel()
			tell(t, func(s *story) {
				seeded := s.world.Snapshot()
				scopes := both(t, s)
				applied := map[string]bool{}
				for _, op := range order {
					verb, name, _ := strings.Cut(op, " ")
					r := scopes[name]
					r.destroy = verb == "destroy"
					r.must(s.T)
					applied[name] = verb == "apply"
					mustBeKnown(s.T, s.world, "payroll", "billing")
					for name, there := range applied {
						if there {
							scopes[name].mustBeDone(s.T) // nobody took anything of it
						}
					}
					if s.Failed() {
						s.Fatalf("after %s", op)
					}
				}
				// A provider that the other scope still used stays until its owner is asked again.
				for _, r := range scopes {
					r.destroy = true
					r.must(s.T)
				}
				if diff := cmp.Diff(seeded, s.world.Snapshot()); diff != "" {
					s.Errorf("something is left, or gone (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestTwoScopesAtOnceLoseNothingOfEachOther(t *testing.T) {
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			tell(t, func(s *story) {
				seeded := s.world.Snapshot()
				scopes := both(t, s)
				for _, destroy := range []bool{false, true} {
					errs := map[string]error{}
					var mu sync.Mutex // guards errs
					var wg sync.WaitGroup
					for name, r := range scopes {
						wg.Go(func() {
							r.destroy = destroy
							_, err := r.apply(s.Context())
							mu.Lock()
							defer mu.Unlock()
							errs[name] = err
						})
					}
					wg.Wait()
					for name, err := range errs {
						// Both plan to make the provider; the slower one has to plan again.
						if err != nil && !strings.Contains(err.Error(), "plan again") {
							s.Errorf("%s (destroy %v): %v", name, destroy, err)
						}
					}
					mustBeKnown(s.T, s.world, "payroll", "billing")
					for range 2 {
						for name, r := range scopes {
							r.destroy = destroy
							if _, err := r.apply(s.Context()); err != nil {
								s.Errorf("%s again (destroy %v): %v", name, destroy, err)
							}
						}
					}
					if !destroy {
						for _, r := range scopes {
							r.mustBeDone(s.T)
						}
					}
				}
				if diff := cmp.Diff(seeded, s.world.Snapshot()); diff != "" {
					s.Errorf("something is left, or gone (-before +after):\n%s", diff)
				}
			})
		})
	}
}
