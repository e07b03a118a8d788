package delivery_test

import (
	"strings"
	"testing"
	"time"
)

// short is a life in which a client on a busy machine still gets a call done with
// what it has just fetched.
const short = 8 * time.Second

// TestEveryFormGivesTheRole has each client find the role by each form.
func TestEveryFormGivesTheRole(t *testing.T) {
	t.Parallel()
	all := clients(t)
	for _, f := range forms() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, c := range all {
				if f.files && c.old {
					continue
				}
				f.start(t, w, c).is(t, w, payroll)
			}
		})
	}
}

// TestClientsOutliveTheirCredentials has each client make a call with credentials
// that then expire, and another with new ones: the same client, in the same
// process, without an error between.
func TestClientsOutliveTheirCredentials(t *testing.T) {
	t.Parallel()
	all := clients(t)
	for _, f := range forms() {
		if f.fixed {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.shorten(short)
			first := map[*conversation]string{}
			for _, c := range all {
				if f.files && c.old {
					continue
				}
				v := f.start(t, w, c)
				first[v] = v.is(t, w, payroll)
			}
			for _, key := range first {
				w.untilRefused(t, key)
			}
			for v, key := range first {
				if next := v.is(t, w, payroll); next == key {
					t.Errorf("%s goes on with %s, which has expired", v.name, key)
				}
			}
			for _, u := range w.used("GetCallerIdentity") {
				if u.status != 200 {
					t.Errorf("a client was refused: %+v", u)
				}
			}
		})
	}
}

// TestFixedCredentialsEnd: what is in an environment cannot be refreshed. The
// client says that it has expired, and evaluating stile env again mends it.
func TestFixedCredentialsEnd(t *testing.T) {
	t.Parallel()
	all := clients(t)
	for _, f := range forms() {
		if !f.fixed {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.shorten(short)
			var running []*conversation
			for _, c := range all {
				running = append(running, f.start(t, w, c))
			}
			for _, v := range running { // has read its environment when it has answered
				v.call(t, "whoami")
			}
			w.mu.Lock()
			made := append([]credential(nil), w.minted...)
			w.mu.Unlock()
			for _, c := range made {
				w.untilRefused(t, c.id)
			}
			for _, v := range running {
				got := v.call(t, "whoami")
				if !strings.Contains(got.Error, "expired") && !strings.Contains(got.Error, "ExpiredToken") {
					t.Errorf("%s says %+v of expired credentials", v.name, got)
				}
				w.quiet(t, got.Error)
			}
			if n := w.sessions(); n == 0 || n > len(all) { // those that begin within a minute share one
				t.Errorf("%d sessions were made, want no more than one for each of %d clients", n, len(all))
			}
		})
	}
}
