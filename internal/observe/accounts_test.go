package observe_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// reader makes the role audit/StileReader in an account, for tooling's
// administrator and with an external id.
func reader(w *scopetest.World, account arn.AccountID) {
	world := w.Server.World()
	world.Lock()
	defer world.Unlock()
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"audit-7"}}}]}`
	id := world.NewPrincipal(account, "role", "StileReader")
	role := &store.Role{
		Entity: store.Entity{Name: "StileReader", Path: "/audit/", ID: id, Created: world.Now(), Inline: map[string]string{"observe": observe.Policy()}},
		Trust:  trust, MaxSession: time.Hour,
	}
	world.Accounts[account].IAM.Roles["stilereader"] = store.NewVersioned(time.Time{}, role)
}

func TestAccountsAreEnteredThroughARole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{Organization: true})
		reader(w, scopetest.Orders)
		s, err := observe.NewAssuming(t.Context(), observe.AssumingConfig{Base: w.Admin(scopetest.Tooling, nil), Role: "audit/StileReader", ExternalID: "audit-7"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got, want := s.Who().String(), "arn:aws:iam::111111111111:user/Administrator"; got != want {
			t.Errorf("Who() = %s, want %s", got, want)
		}
		req := whole()
		req.Account(scopetest.Network).Everything = true // has no such role
		inv := &inventory.Inventory{}
		if err := observe.Fill(t.Context(), s, req, inv, observe.Options{}); err != nil {
			t.Fatal(err)
		}
		for _, id := range []arn.AccountID{scopetest.Tooling, scopetest.Orders} {
			if a := inv.Accounts[id]; !a.Complete || len(a.Problems) > 0 {
				t.Errorf("account %s: complete %v, problems %v", id, a.Complete, a.Problems)
			}
		}
		closed := inv.Accounts[scopetest.Network]
		if len(closed.Problems) != 1 || closed.Problems[0].What != inventory.AllOfIt || !strings.Contains(closed.Problems[0].Why, "arn:aws:iam::333333333333:role/audit/StileReader") {
			t.Errorf("problems of the account without the role = %v", closed.Problems)
		}
		if inv.OrgState != inventory.Exists {
			t.Errorf("the organization is %v", inv.OrgState)
		}
	})
}

func TestWithoutARoleOnlyTheOwnAccountIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		s, err := observe.NewAssuming(t.Context(), observe.AssumingConfig{Base: w.Admin(scopetest.Tooling, nil)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Config(t.Context(), scopetest.Tooling, "eu-west-1"); err != nil {
			t.Errorf("own account: %v", err)
		}
		if cfg, err := s.Config(t.Context(), scopetest.Orders, ""); err == nil || cfg.Credentials != nil || !strings.Contains(err.Error(), "opening account 222222222222") {
			t.Errorf("another account: %v", err)
		}
	})
}
