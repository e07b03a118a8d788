package idc_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
)

// tokens is the wire to an Identity Center, on which something happens before a
// token is asked for.
type tokens struct {
	next   http.RoundTripper
	asked  atomic.Int32
	before func() error
}

// RoundTrip implements http.RoundTripper.
func (w *tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/token" {
		w.asked.Add(1)
		if err := w.before(); err != nil {
			return nil, err
		}
	}
	return w.next.RoundTrip(r)
}

// onToken has before done whenever a token is asked for.
func (d *desk) onToken(before func() error) *tokens {
	w := &tokens{next: frontdoor.RoundTripper(d.server), before: before}
	d.aws.HTTPClient = &http.Client{Transport: w}
	return w
}

// unreachable is the error of a network that is away.
var unreachable = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("network is unreachable")}

// A person goes on allowing the code while their computer's network comes and goes.
func TestADeviceCodeOutlivesTheNetwork(t *testing.T) {
	d := newDesk(t)
	l := d.as("alice")
	l.Flow, l.Timeout = session.Device, 5*time.Minute
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		wire := d.onToken(func() error {
			if time.Since(began) < 2*time.Minute {
				return unreachable
			}
			return nil
		})
		if err := d.client().Login(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if asked := wire.asked.Load(); asked > 30 { // the SDK makes three attempts of each
			t.Errorf("AWS was asked %d times in %s, want it less often while it is away", asked, time.Since(began))
		}
		if took := time.Since(began); took > 3*time.Minute {
			t.Errorf("it took %s after a network that was away for two minutes", took)
		}
	})
}

func TestANetworkThatStaysAwayIsSaid(t *testing.T) {
	d := newDesk(t)
	l := d.as("alice")
	l.Flow, l.Timeout = session.Device, 2*time.Minute
	synctest.Test(t, func(t *testing.T) {
		d.onToken(func() error { return unreachable })
		err := d.client().Login(t.Context(), l)
		if err == nil || !strings.Contains(err.Error(), "nobody signed in to acme within 2m0s; Identity Center could not be asked") || !strings.Contains(err.Error(), "network is unreachable") {
			t.Errorf("Login = %v, want that the network is away", err)
		}
	})
}

// Who registered so long ago has nothing to refresh with, and asks nobody.
func TestRegistrationsThatEndedRefreshNothing(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	wire := d.onToken(func() error { return nil })
	d.change(t, map[string]any{"expiresAt": in(-time.Minute)})
	if _, ok := d.client().Until(); !ok {
		t.Error("signed out while the registration lasts")
	}
	d.change(t, map[string]any{"registrationExpiresAt": in(-time.Minute)})
	if end, ok := d.client().Until(); ok {
		t.Errorf("signed in until %s or longer, want signed out", end)
	}
	var out *idc.SignedOutError
	if _, err := d.client().Token(t.Context()); !errors.As(err, &out) || wire.asked.Load() != 0 {
		t.Errorf("Token = %v after asking %d times, want signed out after none", err, wire.asked.Load())
	}
}

// The AWS CLI knows none of our locks: what it got for the refresh token that both
// read is taken, and is not overwritten.
func TestWhatTheAWSCLIGotForTheSameRefreshTokenIsUsed(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	theirs, err := os.ReadFile(d.file())
	if err != nil {
		t.Fatal(err)
	}
	d.change(t, map[string]any{"accessToken": "old", "expiresAt": in(-time.Minute), "refreshToken": "spent"})
	d.onToken(func() error { return os.WriteFile(d.file(), theirs, 0o600) })
	if _, err := d.client().Role(orders, "Admin").Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(d.file()); err != nil || string(now) != string(theirs) {
		t.Errorf("the file is %s, %v, want it as it was written", now, err)
	}
}

// unwritable is a place for tokens that nothing can be written to from a refresh until
// the person is told, as with a disk that is full for a while. It gives what is told.
func (d *desk) unwritable(t *testing.T) (wire *tokens, cfg idc.Config, told *[]string) {
	t.Helper()
	dir := filepath.Dir(d.file())
	wire = d.onToken(func() error {
		return errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600))
	})
	told = new([]string)
	return wire, idc.Config{
		AWS: d.aws, TokenDir: dir, CacheDir: filepath.Join(d.dir, "cache"), LockDir: filepath.Join(d.dir, "locks"),
		Note: func(text string) {
			*told = append(*told, text)
			if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
				t.Error(err)
			}
		},
	}, told
}

// The refresh token can be spent once. What came for it is used where it cannot be
// written, and written when it can.
func TestARefreshedTokenThatCannotBeWrittenIsUsed(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	d.change(t, map[string]any{"expiresAt": in(-time.Minute), "ours": "no"})
	before, err := os.ReadFile(d.file())
	if err != nil {
		t.Fatal(err)
	}
	wire, cfg, told := d.unwritable(t)
	c := idc.New(cfg, &d.source)
	first, err := c.Token(t.Context())
	if err != nil || time.Until(first.Expires) < 50*time.Minute {
		t.Fatalf("Token = %v, %v, want the new one", first, err)
	}
	if len(*told) != 1 || !strings.Contains((*told)[0], "the sign-in to acme was refreshed and cannot be kept") || !strings.Contains((*told)[0], "stile login acme") || strings.Contains((*told)[0], first.Access) {
		t.Errorf("the person is told %q", *told)
	}
	if now, err := os.ReadFile(d.file()); err != nil || string(now) != string(before) {
		t.Fatalf("the file is %s, %v: it could be written", now, err)
	}
	if end, ok := c.Until(); !ok || end != first.Expires {
		t.Errorf("signed in until %s, %t, want %s", end, ok, first.Expires)
	}
	if again, err := c.Token(t.Context()); err != nil || again.Access != first.Access {
		t.Errorf("Token = %v, %v, want the same", again, err)
	}
	if other, err := d.client().Token(t.Context()); err != nil || other.Access != first.Access {
		t.Errorf("to another process Token = %v, %v, want the same", other, err)
	}
	fields := map[string]any{}
	if text, err := os.ReadFile(d.file()); err != nil || json.Unmarshal(text, &fields) != nil || fields["ours"] != "no" {
		t.Errorf("the file is %s, %v, want the fields of others there", text, err)
	}
	if n := wire.asked.Load(); n != 1 {
		t.Errorf("AWS was asked for %d tokens, want one", n)
	}
}

// Who signs in again is right, whatever some process still has in memory.
func TestAnotherSignInCountsMoreThanATokenInMemory(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	d.change(t, map[string]any{"expiresAt": in(-time.Minute)})
	_, cfg, _ := d.unwritable(t)
	c := idc.New(cfg, &d.source)
	first, err := c.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.onToken(func() error { return nil })
	d.signIn(t, "bob")
	d.change(t, map[string]any{"expiresAt": in(30 * time.Minute)})
	if end, ok := c.Until(); !ok || time.Until(end) > 30*time.Minute {
		t.Errorf("signed in until %s, %t, want until the file says", end, ok)
	}
	bobs, err := d.client().Token(t.Context())
	if err != nil || bobs.Access == first.Access {
		t.Fatalf("Token = %v, %v, want another one", bobs, err)
	}
	for range 2 {
		if got, err := c.Token(t.Context()); err != nil || got.Access != bobs.Access {
			t.Errorf("Token = %v, %v, want that of the file", got, err)
		}
	}
	if text, err := os.ReadFile(d.file()); err != nil || !strings.Contains(string(text), bobs.Access) {
		t.Errorf("the file lost the last sign-in: %v", err)
	}
	if err := c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Until(); ok {
		t.Error("signed in after signing out")
	}
}
