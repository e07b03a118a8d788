package idc_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
)

// counted counts requests, and those that were too many.
type counted struct {
	next         http.RoundTripper
	all, refused atomic.Int32
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.all.Add(1)
	resp, err := c.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusTooManyRequests {
		c.refused.Add(1)
	}
	return resp, err
}

// Six hundred accounts of five permission sets, listed by several processes: as
// fast as the portal allows, and never faster.
func TestDiscoveryKeepsThePortalsRate(t *testing.T) {
	const processes, roles = 4, 5
	var accounts []localaws.Account
	var ids []arn.AccountID
	for i := range 600 {
		id := arn.AccountID(fmt.Sprintf("%012d", i+1))
		accounts = append(accounts, localaws.Account{ID: id, Name: fmt.Sprintf("account-%03d", i)})
		ids = append(ids, id)
	}
	center := localaws.IdentityCenter{StartURL: "https://acme.awsapps.com/start", Users: []localaws.IdentityCenterUser{{Name: "alice"}}}
	var sets []string
	for i := range roles {
		name := fmt.Sprintf("Set%d", i)
		center.PermissionSets, sets = append(center.PermissionSets, localaws.PermissionSet{Name: name}), append(sets, name)
	}
	center.Assignments = []localaws.Assignment{{Accounts: ids, PermissionSets: sets, Users: []string{"alice"}}}
	d := deskOf(t, localaws.Config{Accounts: accounts, IdentityCenters: []localaws.IdentityCenter{center}})
	d.signIn(t, "alice")
	wire := &counted{next: frontdoor.RoundTripper(d.server)}
	d.aws.HTTPClient = &http.Client{Transport: wire}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var g errgroup.Group
		for p := range processes {
			g.Go(func() error {
				c := d.client()
				known, err := c.Accounts(t.Context(), time.Hour)
				if err != nil || len(known) != len(ids) {
					return fmt.Errorf("%d accounts, %w", len(known), err)
				}
				for i := range ids { // each begins elsewhere, as people do
					got, err := c.Roles(t.Context(), ids[(i+p*len(ids)/processes)%len(ids)], time.Hour)
					if err != nil || len(got) != roles {
						return fmt.Errorf("%d roles, %w", len(got), err)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		pages := len(ids)/100 + len(ids) // of 100 accounts, and one for each account's roles
		if n := wire.all.Load(); n != int32(pages) || wire.refused.Load() != 0 {
			t.Errorf("%d requests, %d of them too many; want %d and none", n, wire.refused.Load(), pages)
		}
		if took, least := time.Since(began), time.Duration(pages)*time.Second/20; took > least*5/4 {
			t.Errorf("listing took %v, and the portal's rate allows it in %v", took, least)
		}
		if _, err := d.client().Roles(t.Context(), ids[7], time.Hour); err != nil || wire.all.Load() != int32(pages) {
			t.Errorf("what was listed is listed again: %v", err)
		}
	})
}
