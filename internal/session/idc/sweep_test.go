package idc_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
)

const many = 60

// manyAccounts is a desk where alice has a role in each of them, and the counter of
// what is listed there; refuse, if it is not nil, says how the portal refuses an account.
func manyAccounts(t *testing.T, refuse func(account string) (status int, code string)) (d *desk, asked *atomic.Int32) {
	t.Helper()
	var accounts []localaws.Account
	var ids []arn.AccountID
	for i := range many {
		id := arn.AccountID(fmt.Sprintf("%012d", i+1))
		accounts, ids = append(accounts, localaws.Account{ID: id, Name: fmt.Sprintf("account-%02d", i+1)}), append(ids, id)
	}
	d = deskOf(t, localaws.Config{Accounts: accounts, IdentityCenters: []localaws.IdentityCenter{{
		StartURL: "https://acme.awsapps.com/start", Users: []localaws.IdentityCenterUser{{Name: "alice"}},
		PermissionSets: []localaws.PermissionSet{{Name: "ReadOnly"}},
		Assignments:    []localaws.Assignment{{Accounts: ids, PermissionSets: []string{"ReadOnly"}, Users: []string{"alice"}}},
	}}})
	d.signIn(t, "alice")
	asked = new(atomic.Int32)
	next := frontdoor.RoundTripper(d.server)
	d.aws.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "/assignment/roles") {
			return next.RoundTrip(r)
		}
		asked.Add(1)
		if refuse == nil {
			return next.RoundTrip(r)
		}
		switch status, code := refuse(r.URL.Query().Get("account_id")); {
		case status < 0:
			return nil, errors.New("connection refused")
		case status > 0:
			return &http.Response{
				StatusCode: status, Header: http.Header{"X-Amzn-Errortype": {code}, "Content-Type": {"application/json"}},
				Body: io.NopCloser(bytes.NewReader([]byte(`{"message":"No access"}`))), Request: r,
			}, nil
		}
		return next.RoundTrip(r)
	})}
	return d, asked
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (d *desk) accounts(t *testing.T) []session.Account {
	t.Helper()
	all, err := d.client().Accounts(t.Context(), time.Hour)
	if err != nil || len(all) != many {
		t.Fatalf("%d accounts, %v", len(all), err)
	}
	return all
}

func listedIn(roles [][]string) int {
	return many - len(slices.DeleteFunc(slices.Clone(roles), func(names []string) bool { return len(names) > 0 }))
}

func TestRolesOfManyAccounts(t *testing.T) {
	d, asked := manyAccounts(t, nil)
	synctest.Test(t, func(t *testing.T) { rolesOfManyAccounts(t, d, asked) }) // not at the portal's pace
}

func rolesOfManyAccounts(t *testing.T, d *desk, asked *atomic.Int32) {
	accounts := d.accounts(t)
	told := 0
	first := func(a session.Account) bool { return a.ID <= "000000000020" }
	got, err := d.client().RolesIn(t.Context(), accounts, idc.Sweep{Of: first, Age: time.Hour, Listed: func() { told++ }})
	if err != nil || listedIn(got) != 20 || asked.Load() != 20 || told != 20 {
		t.Errorf("of 20: %d listed, %d asked for, told %d times, %v", listedIn(got), asked.Load(), told, err)
	}
	for i, names := range got {
		if want := first(accounts[i]); (names != nil) != want {
			t.Errorf("%s has roles %q, wanted %v", accounts[i].Name, names, want)
		}
	}
	for _, c := range []struct {
		what   string
		sweep  idc.Sweep
		listed int
		asked  int32
	}{
		{"what is known", idc.Sweep{KnownOnly: true}, 20, 0},
		{"what is not young", idc.Sweep{Age: time.Hour}, many, many - 20},
		{"all young", idc.Sweep{Age: time.Hour}, many, 0},
		{"all anew", idc.Sweep{}, many, many},
	} {
		asked.Store(0)
		got, err := d.client().RolesIn(t.Context(), accounts, c.sweep)
		if err != nil || listedIn(got) != c.listed || asked.Load() != c.asked {
			t.Errorf("%s: %d listed, %d asked for, %v; want %d, %d", c.what, listedIn(got), asked.Load(), err, c.listed, c.asked)
		}
	}
}

// A listing for people goes on past what fails; what needs the whole asks for no
// more; and neither asks on when every account would fail alike.
func TestSweepsStopWhereTheyAreTold(t *testing.T) {
	bad := func(ids ...string) func(string) (int, string) {
		return func(account string) (int, string) {
			if slices.Contains(ids, account) {
				return http.StatusForbidden, "ForbiddenException"
			}
			return 0, ""
		}
	}
	for _, c := range []struct {
		what       string
		refuse     func(string) (int, string)
		skipFailed bool
		listed     int // at least
		most       int32
		want       string
	}{
		{"skipping one", bad("000000000003"), true, many - 1, many, "listing the roles of account account-03 000000000003: "},
		{"skipping three", bad("000000000003", "000000000030", "000000000060"), true, many - 3, many, "; and of 2 more"},
		{"not skipping", bad("000000000003"), false, 0, 20, "listing the roles of account account-03 000000000003: "},
		{"signed out elsewhere, skipping", func(string) (int, string) { return http.StatusUnauthorized, "UnauthorizedException" }, true, 0, 40, "not signed in to acme: run stile login acme"},
		{"nobody answers, skipping", func(string) (int, string) { return -1, "" }, true, 0, 8 * 2 * 8, "connection refused"},
		{"throttled, skipping", func(string) (int, string) { return http.StatusTooManyRequests, "TooManyRequestsException" }, true, 0, 8 * 2 * 8, "TooManyRequestsException"},
	} {
		t.Run(c.what, func(t *testing.T) {
			d, asked := manyAccounts(t, c.refuse)
			d.change(t, map[string]any{"refreshToken": nil})
			synctest.Test(t, func(t *testing.T) {
				got, err := d.client().RolesIn(t.Context(), d.accounts(t), idc.Sweep{SkipFailed: c.skipFailed, Age: time.Hour})
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if n := listedIn(got); n < c.listed || asked.Load() > c.most {
					t.Errorf("%d listed, %d asked for; want %d or more, and %d or fewer", n, asked.Load(), c.listed, c.most)
				}
			})
		})
	}
}

func TestSweepsKeepWhatIsKnownOfAccountsThatFail(t *testing.T) {
	refused := new(atomic.Bool)
	d, _ := manyAccounts(t, func(string) (int, string) {
		if refused.Load() {
			return http.StatusForbidden, "ForbiddenException"
		}
		return 0, ""
	})
	synctest.Test(t, func(t *testing.T) {
		accounts := d.accounts(t)
		before, err := d.client().RolesIn(t.Context(), accounts, idc.Sweep{})
		if err != nil {
			t.Fatal(err)
		}
		refused.Store(true)
		got, err := d.client().RolesIn(t.Context(), accounts, idc.Sweep{SkipFailed: true})
		if err == nil || !strings.HasSuffix(err.Error(), fmt.Sprintf("; and of %d more", many-1)) {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff(before, got); diff != "" {
			t.Errorf("roles (-known +got):\n%s", diff)
		}
	})
}
