package creds_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/creds"
)

// What AWS says of credentials: the first also where a Region is not enabled.
var (
	errUnknownToken = &smithy.GenericAPIError{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	errExpiredToken = &smithy.GenericAPIError{Code: "ExpiredToken", Message: "The security token included in the request is expired"}
	errDenied       = &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}
)

func TestRenew(t *testing.T) {
	for _, c := range []struct {
		name    string
		age     time.Duration
		refused error
		key     string // that the call was signed with; default: what is held
		want    bool
	}{
		{"an old one that AWS does not know", 2 * time.Minute, errUnknownToken, "", true},
		{"an old one that has expired for AWS", 2 * time.Minute, errExpiredToken, "", true},
		{"a new one that AWS does not know: perhaps the Region is not enabled", 59 * time.Second, errUnknownToken, "", false},
		{"a new one that has expired for AWS", time.Second, errExpiredToken, "", true},
		{"a denial", 2 * time.Minute, errDenied, "", false},
		{"no refusal", 2 * time.Minute, nil, "", false},
		{"somebody else's", 2 * time.Minute, errUnknownToken, "ASIA-of-somebody-else", false},
		{"an unsigned call", 2 * time.Minute, errUnknownToken, "-", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &source{life: time.Hour, delay: 100 * time.Millisecond}
			bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
				key, _ := get(t, p)
				switch c.key {
				case "":
				case "-":
					key = ""
				default:
					key = c.key
				}
				time.Sleep(c.age)
				if got := p.Renew(t.Context(), key, c.refused); got != c.want {
					t.Errorf("Renew = %v, want %v", got, c.want)
				}
				want := "ASIA1"
				if c.want {
					want = "ASIA2"
				}
				if id, took := get(t, p); id != want || took != 0 {
					t.Errorf("afterwards %s after %s, want %s at once", id, took, want)
				}
			})
		})
	}
}

func TestRenewalsAreFew(t *testing.T) {
	s := &source{life: time.Hour}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		for range 600 { // ten minutes of a service that takes all for expired
			id, _ := get(t, p)
			p.Renew(t.Context(), id, errExpiredToken)
			time.Sleep(time.Second)
		}
		if n := s.calls.Load(); n < 10 || n > 12 {
			t.Errorf("%d fetches in ten minutes, want about one a minute", n)
		}
	})
}

func TestARenewalIsSharedAndHoldsUpNobodyElse(t *testing.T) {
	s := &source{life: time.Hour, delay: time.Second}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		old, _ := get(t, p)
		time.Sleep(2 * time.Minute)
		renewed := make(chan bool)
		for range 50 {
			go func() { renewed <- p.Renew(t.Context(), old, errUnknownToken) }()
		}
		synctest.Wait()
		if id, took := get(t, p); id != old || took != 0 {
			t.Errorf("meanwhile another caller gets %s after %s, want the old one at once", id, took)
		}
		for range 50 {
			if !<-renewed {
				t.Error("a caller was told that there is no other credential")
			}
		}
		if !p.Renew(t.Context(), old, errUnknownToken) {
			t.Error("who comes late is told that there is no other credential")
		}
		if n := s.calls.Load(); n != 2 {
			t.Errorf("%d fetches, want the first and one renewal", n)
		}
	})
}

func TestAnOutageDuringARenewalIsInvisible(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Hour} { // refused at once, or hung
		s := &source{life: time.Hour}
		bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
			old, _ := get(t, p)
			time.Sleep(2 * time.Minute)
			s.fail(errors.New("STS is down"))
			s.delay = delay
			renewed := make(chan bool)
			go func() { renewed <- p.Renew(t.Context(), old, errUnknownToken) }()
			for range 300 {
				if id, took := get(t, p); id != old || took != 0 {
					t.Fatalf("got %s after %s, want the old one at once", id, took)
				}
				time.Sleep(time.Second)
			}
			if <-renewed {
				t.Error("Renew claims that there is another credential")
			}
		})
	}
}

func TestRenewWaitsNoLongerThanItsContext(t *testing.T) {
	s := &source{life: time.Hour}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		old, _ := get(t, p)
		time.Sleep(2 * time.Minute)
		s.delay = 10 * time.Second
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		began := time.Now()
		if p.Renew(ctx, old, errUnknownToken) || time.Since(began) != time.Second {
			t.Errorf("Renew came back after %s, want false after a second", time.Since(began))
		}
	})
}

func TestInvalidateKeepsTheOldOneUntilThereIsAnother(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		delay  time.Duration
		want   string // "" for an error
		waited time.Duration
	}{
		{"another comes", nil, time.Second, "ASIA2", time.Second},
		{"STS is slow", nil, 20 * time.Second, "ASIA1", 10 * time.Second},
		{"STS fails", errors.New("STS is down"), 0, "ASIA1", 0},
		{"STS denies", errDenied, 0, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &source{life: time.Hour}
			bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
				id, _ := get(t, p)
				s.fail(c.err)
				s.delay = c.delay
				p.Invalidate(id)
				began := time.Now()
				got, err := p.Retrieve(t.Context())
				if got.AccessKeyID != c.want || (err != nil) != (c.want == "") || time.Since(began) != c.waited {
					t.Errorf("Retrieve = %s, %v after %s, want %q after %s", got.AccessKeyID, err, time.Since(began), c.want, c.waited)
				}
				began = time.Now()
				if _, err := p.Retrieve(t.Context()); (err != nil) != (c.want == "") || time.Since(began) != 0 {
					t.Errorf("the next Retrieve = %v after %s, want no waiting", err, time.Since(began))
				}
				s.fail(nil)
				time.Sleep(time.Minute)
				get(t, p)
				time.Sleep(c.delay)
				synctest.Wait()
				if id, took := get(t, p); id == "ASIA1" || took > 0 {
					t.Errorf("in the end %s after %s, want another one", id, took)
				}
			})
		})
	}
}

func TestInvalidatingAgainAndAgainInAnOutageAsksNoMore(t *testing.T) {
	s := &source{life: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		inner := cache.Of(s)
		for _, p := range []*creds.Cached{inner, cache.Of(creds.From("another cache's", inner))} {
			id, _ := get(t, p)
			s.fail(errors.New("STS is down"))
			time.Sleep(2 * time.Minute)
			before := s.calls.Load()
			for range 600 { // a minute
				p.Invalidate(id)
				p.Renew(t.Context(), id, errUnknownToken)
				if got, _ := get(t, p); got != id {
					t.Fatalf("got %s, want %s still", got, id)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if n := s.calls.Load() - before; n > 60 {
				t.Errorf("%d fetches in a minute, want at most one a second", n)
			}
			s.fail(nil)
			time.Sleep(time.Minute)
			get(t, p)
			synctest.Wait()
		}
	})
}

func TestCredentialsWithoutExpiryCanBeInvalidated(t *testing.T) {
	s := &source{}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		id, _ := get(t, p)
		if p.Invalidate(id); s.calls.Load() != 1 {
			t.Error("Invalidate fetches by itself")
		}
		if id, _ := get(t, p); id != "ASIA2" {
			t.Errorf("got %s, want a new one", id)
		}
	})
}

// A provider that heeds no context hangs once, not once for every retry.
func TestAFetchThatWasGivenUpIsNotRepeatedBesideItself(t *testing.T) {
	s := &source{life: time.Hour, delay: 10 * time.Minute, stuck: true}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		ctx, stop := context.WithCancel(t.Context())
		go p.Keep(ctx)
		for range 500 {
			if _, err := p.Retrieve(t.Context()); err == nil || err.Error() != "test source: no answer within 30s" {
				t.Fatalf("Retrieve = %v, want that nothing answered", err)
			}
			time.Sleep(time.Second)
		}
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%d fetches, want the one that is still running", n)
		}
		time.Sleep(3 * time.Minute)
		if id, took := get(t, p); id != "ASIA1" || took != 0 {
			t.Errorf("%s after %s, want what the fetch brought in the end", id, took)
		}
		stop()
	})
}

func TestAFetchIsNotLateWhileItWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(creds.Config{Timeout: 5 * time.Second})
		defer cache.Close()
		of := func(after time.Duration) creds.Provider {
			hub := cache.Of(creds.From(fmt.Sprint("hub ", after), &source{life: time.Hour, delay: 4 * time.Second}))
			return creds.From(fmt.Sprint("behind the hub by ", after), aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				time.Sleep(time.Second)
				got, err := hub.Retrieve(ctx)
				if err != nil {
					return got, err
				}
				select {
				case <-time.After(after):
					return got, nil
				case <-ctx.Done():
					return aws.Credentials{}, context.Cause(ctx)
				}
			}))
		}
		began := time.Now()
		if _, err := cache.Of(of(3 * time.Second)).Retrieve(t.Context()); err != nil || time.Since(began) != 8*time.Second {
			t.Errorf("Retrieve = %v after %s, want success after 1 s + 4 s of the hub's + 3 s", err, time.Since(began))
		}
		began = time.Now()
		if _, err := cache.Of(of(5 * time.Second)).Retrieve(t.Context()); err == nil || time.Since(began) != 9*time.Second {
			t.Errorf("Retrieve = %v after %s, want an error after 5 s of its own", err, time.Since(began))
		}
	})
}

func TestWhatIsBeingFetchedIsNotDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		slow := creds.From("slow", &source{life: time.Hour, delay: time.Minute, stuck: true})
		first := cache.Of(slow)
		go func() { _, _ = first.Retrieve(t.Context()) }() // it fails for being late
		synctest.Wait()
		for _, when := range []string{"while it is fetched", "while a fetch that was given up goes on"} {
			for i := range 3000 {
				cache.Of(creds.From(fmt.Sprint(when, i), &source{}))
			}
			if cache.Of(slow) != first {
				t.Errorf("%s, the credential is dropped, and would be fetched twice at once", when)
			}
			time.Sleep(40 * time.Second)
		}
	})
}
