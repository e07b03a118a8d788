package inventory_test

import (
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
)

func TestNear(t *testing.T) {
	a := &inventory.Account{
		ID: "222222222222", Name: "orders-prod",
		Roles: map[string]*inventory.Role{"payroll-api": {Name: "payroll-api"}, "reader": {Name: "Reader"}, "gone": nil},
		Users: map[string]*inventory.User{"jane": {Name: "jane"}},
	}
	inv := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{a.ID: a, "333333333333": {ID: "333333333333"}, "444444444444": nil}}
	for _, c := range []struct{ got, want string }{
		{inv.Near("order-prod"), "orders-prod"}, {inv.Near("333333333334"), "333333333333"}, {inv.Near("billing"), ""},
		{a.NearRole("payrol-api"), "payroll-api"}, {a.NearRole("raeder"), "Reader"}, {a.NearRole("admin"), ""}, {a.NearUser("jan"), "jane"},
		{(*inventory.Account)(nil).NearRole("reader"), ""}, {(*inventory.Account)(nil).NearUser("jane"), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
