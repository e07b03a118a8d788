package creds_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
)

// source is a provider of our own making, for the life of a credential: what
// it lasts, how long a fetch takes and whether it succeeds is the test's. What
// it cannot do, the local AWS in creds_test.go does: refuse as STS does.
type source struct {
	life  time.Duration
	delay time.Duration
	stuck bool // heeds no context

	calls atomic.Int64
	mu    sync.Mutex // guards err
	err   error
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) Key() string { return "source" }

func (s *source) String() string { return "test source" }

func (s *source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	n := s.calls.Add(1)
	if s.delay > 0 {
		timer := time.NewTimer(s.delay)
		done := ctx.Done()
		if s.stuck {
			done = nil
		}
		select {
		case <-timer.C:
		case <-done:
			return aws.Credentials{}, context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return aws.Credentials{}, s.err
	}
	c := aws.Credentials{AccessKeyID: fmt.Sprintf("ASIA%d", n), SecretAccessKey: "secret"}
	if s.life > 0 {
		c.CanExpire, c.Expires = true, time.Now().Add(s.life)
	}
	return c, nil
}

// bubble runs f with a credential of s in a synctest bubble.
func bubble(t *testing.T, cfg creds.Config, s *source, f func(t *testing.T, p *creds.Cached)) {
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(cfg)
		defer cache.Close()
		f(t, cache.Of(s))
	})
}

// get retrieves and reports how long that took.
func get(t *testing.T, p *creds.Cached) (string, time.Duration) {
	t.Helper()
	start := time.Now()
	c, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatalf("Retrieve at %s: %v", start.Format(time.TimeOnly), err)
	}
	return c.AccessKeyID, time.Since(start)
}

func TestRefreshBeginsAheadByLifetime(t *testing.T) {
	for _, c := range []struct {
		life, ahead time.Duration
	}{
		{15 * time.Minute, 5 * time.Minute},
		{20 * time.Minute, 5 * time.Minute},
		{time.Hour, 15 * time.Minute},
		{4 * time.Hour, time.Hour},
		{6 * time.Minute, 3*time.Minute - time.Millisecond}, // shorter than twice the window: at half
		{20 * time.Second, 10*time.Second - time.Millisecond},
	} {
		t.Run(c.life.String(), func(t *testing.T) {
			s := &source{life: c.life, delay: 100 * time.Millisecond}
			bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
				if _, took := get(t, p); took != s.delay {
					t.Errorf("the first caller waited %s, want %s", took, s.delay)
				}
				early := c.ahead + c.ahead/10 // refreshes are spread over a tenth of the window
				time.Sleep(c.life - min(early, c.life/2) - time.Millisecond)
				if _, took := get(t, p); took != 0 || s.calls.Load() != 1 {
					t.Errorf("before the window: waited %s, %d fetches", took, s.calls.Load())
				}
				time.Sleep(min(early, c.life/2) - c.ahead + time.Millisecond)
				if id, took := get(t, p); took != 0 || id != "ASIA1" {
					t.Errorf("in the window: %s after %s, want the old one at once", id, took)
				}
				get(t, p) // one refresh, however many ask
				time.Sleep(s.delay)
				synctest.Wait()
				if id, took := get(t, p); took != 0 || id != "ASIA2" || s.calls.Load() != 2 {
					t.Errorf("after the refresh: %s after %s with %d fetches, want ASIA2, 0, 2", id, took, s.calls.Load())
				}
			})
		})
	}
}

func TestCallersWaitOnlyInTheLastMinute(t *testing.T) {
	s := &source{life: time.Hour, delay: 100 * time.Millisecond}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		get(t, p)
		time.Sleep(time.Hour - 61*time.Second)
		if id, took := get(t, p); took != 0 || id != "ASIA1" {
			t.Errorf("61 s before the end: %s after %s, want the old one at once", id, took)
		}
	})
	s = &source{life: time.Hour, delay: 100 * time.Millisecond}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		get(t, p)
		time.Sleep(time.Hour - 59*time.Second)
		if id, took := get(t, p); took != s.delay || id != "ASIA2" {
			t.Errorf("59 s before the end: %s after %s, want the new one", id, took)
		}
	})
}

func TestValidCredentialIsServedThroughAnOutage(t *testing.T) {
	s := &source{life: time.Hour}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		get(t, p)
		time.Sleep(40 * time.Minute)
		s.fail(errors.New("STS is down"))
		for time.Since(start(t, p)) < time.Hour-time.Second {
			get(t, p) // fails the test on an error
			time.Sleep(100 * time.Millisecond)
		}
		// 15 minutes at one in 45 s or more, and the last minute at one in 2.25 s.
		if n := s.calls.Load(); n < 10 || n > 60 {
			t.Errorf("%d fetches in the outage, want 10 to 60", n)
		}
	})
}

// start tells when p's credential was fetched, by its expiry.
func start(t *testing.T, p *creds.Cached) time.Time {
	t.Helper()
	c, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.Expires.Add(-time.Hour)
}

func TestAfterExpiryFailuresAreFewAndRecoveryIsSoon(t *testing.T) {
	s := &source{life: time.Hour}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		get(t, p)
		time.Sleep(time.Hour)
		down := errors.New("STS is down")
		s.fail(down)
		const outage = 30 * time.Second
		for range int(outage / (10 * time.Millisecond)) {
			if _, err := p.Retrieve(t.Context()); !errors.Is(err, down) {
				t.Fatalf("Retrieve = %v, want the outage", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := s.calls.Load() - 1; n > int64(outage/time.Second) {
			t.Errorf("%d fetches in %s, want at most one a second", n, outage)
		}
		s.fail(nil)
		back := time.Now()
		for {
			if _, err := p.Retrieve(t.Context()); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(back); took > 3*time.Second {
			t.Errorf("recovered after %s, want 3 s at most", took)
		}
	})
}

func TestHungFetchIsGivenUp(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		t.Run(fmt.Sprintf("provider heeds no context: %v", stuck), func(t *testing.T) {
			s := &source{life: time.Hour, delay: 5 * time.Minute, stuck: stuck}
			bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
				short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				began := time.Now()
				if _, err := p.Retrieve(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 300*time.Millisecond {
					t.Errorf("the caller with a deadline left with %v after %s", err, time.Since(began))
				}
				_, err := p.Retrieve(t.Context())
				if took := time.Since(began); err == nil || took != 30*time.Second {
					t.Errorf("the patient caller got %v after %s, want an error after 30 s", err, took)
				}
				if want := "test source: no answer within 30s"; err == nil || err.Error() != want {
					t.Errorf("Retrieve = %v, want %q", err, want)
				}
				if errors.Is(err, context.DeadlineExceeded) {
					t.Error("the fetch's own time limit looks like the caller's")
				}
				if n := s.calls.Load(); n != 1 {
					t.Errorf("%d fetches, want 1", n)
				}
			})
		})
	}
}

func TestCancelledCallerLeavesTheFetchToOthers(t *testing.T) {
	s := &source{life: time.Hour, delay: time.Second}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		first, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := p.Retrieve(first); !errors.Is(err, context.Canceled) {
			t.Errorf("Retrieve = %v, want context.Canceled", err)
		}
		if id, _ := get(t, p); id != "ASIA1" || s.calls.Load() != 1 {
			t.Errorf("got %s with %d fetches, want the first fetch's", id, s.calls.Load())
		}
	})
}

func TestManyCallersOfAColdCredentialFetchOnce(t *testing.T) {
	s := &source{life: time.Hour, delay: 20 * time.Millisecond}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		var wg sync.WaitGroup
		var failed atomic.Int64
		for range 10_000 {
			wg.Go(func() {
				if c, err := p.Retrieve(t.Context()); err != nil || c.AccessKeyID != "ASIA1" {
					failed.Add(1)
				}
			})
		}
		wg.Wait()
		if n := s.calls.Load(); n != 1 || failed.Load() != 0 {
			t.Errorf("%d fetches, %d failures, want 1 and 0", n, failed.Load())
		}
	})
}

func TestHungSTSBehindTheSDKIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cache := creds.NewCache(creds.Config{Timeout: 5 * time.Second})
		defer cache.Close()
		p, err := cache.Chain(w.config(tooling), w.hub(t, creds.Role{}), creds.Role{ARN: targetARN})
		if err != nil {
			t.Fatal(err)
		}
		w.wire.setFate(hang)
		began := time.Now()
		if _, err := p.Retrieve(t.Context()); err == nil || time.Since(began) != 5*time.Second {
			t.Errorf("Retrieve = %v after %s, want an error after 5 s", err, time.Since(began))
		}
		w.wire.setFate(func(*http.Request) error { return nil })
		time.Sleep(3 * time.Second)
		get(t, p)
	})
}

func TestKeepRefreshesFromHalfOfTheLifeOn(t *testing.T) {
	s := &source{life: time.Hour}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Keep(ctx) }()
		synctest.Wait()
		time.Sleep(29 * time.Minute)
		synctest.Wait()
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%d fetches after 29 minutes, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if id, took := get(t, p); id != "ASIA2" || took != 0 {
			t.Errorf("after 31 minutes: %s after %s, want the second at once", id, took)
		}
		s.fail(errors.New("STS is down"))
		time.Sleep(58 * time.Minute) // half an hour of it past the time to refresh
		get(t, p)
		s.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		c, err := p.Retrieve(ctx)
		if err != nil || time.Until(c.Expires) < 58*time.Minute {
			t.Errorf("after the outage: %v, %s left, want a new credential", err, time.Until(c.Expires))
		}
		stop()
		<-done
	})
}

func TestKeepEndsWithTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(creds.Config{})
		p := cache.Of(&source{life: 15 * time.Minute})
		done := make(chan struct{})
		go func() { defer close(done); p.Keep(t.Context()) }()
		synctest.Wait()
		cache.Close()
		<-done
		if _, err := p.Retrieve(t.Context()); err != nil && !errors.Is(err, creds.ErrClosed) {
			t.Errorf("Retrieve = %v", err)
		}
	})
}

func TestInvalidateForgetsThatCredentialOnly(t *testing.T) {
	s := &source{life: time.Hour}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		first, _ := get(t, p)
		p.Invalidate("ASIA-of-somebody-else")
		if id, _ := get(t, p); id != first {
			t.Errorf("got %s, want %s still", id, first)
		}
		p.Invalidate(first)
		if id, _ := get(t, p); id != "ASIA2" {
			t.Errorf("got %s, want a new one", id)
		}
		p.Invalidate(first) // late: somebody else had it refreshed
		if id, _ := get(t, p); id != "ASIA2" {
			t.Errorf("got %s, want ASIA2 still", id)
		}
	})
}

func TestCredentialsWithoutExpiryAreFetchedOnce(t *testing.T) {
	s := &source{}
	bubble(t, creds.Config{}, s, func(t *testing.T, p *creds.Cached) {
		get(t, p)
		time.Sleep(365 * 24 * time.Hour)
		if id, took := get(t, p); id != "ASIA1" || took != 0 {
			t.Errorf("after a year: %s after %s", id, took)
		}
	})
}

func TestUselessCredentialsAreErrors(t *testing.T) {
	late := creds.From("late", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(-time.Hour)}, nil
	}))
	empty := creds.From("empty", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, nil }))
	cache := newCache(t, creds.Config{})
	for _, p := range []creds.Provider{late, empty} {
		if c, err := cache.Of(p).Retrieve(t.Context()); err == nil {
			t.Errorf("Retrieve gives %s of %v", c.AccessKeyID, p)
		}
	}
}

func TestClosedCacheServesWhatIsValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(creds.Config{})
		p := cache.Of(&source{life: time.Hour})
		get(t, p)
		hung := cache.Of(creds.From("hung", aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, context.Cause(ctx)
		})))
		failed := make(chan error)
		go func() {
			_, err := hung.Retrieve(t.Context())
			failed <- err
		}()
		synctest.Wait()
		go cache.Close()
		if err := <-failed; !errors.Is(err, creds.ErrClosed) {
			t.Errorf("the waiting caller got %v, want ErrClosed", err)
		}
		synctest.Wait()
		time.Sleep(time.Hour - time.Second)
		get(t, p)
		time.Sleep(time.Second)
		if _, err := p.Retrieve(t.Context()); !errors.Is(err, creds.ErrClosed) {
			t.Errorf("Retrieve of an expired one = %v, want ErrClosed", err)
		}
	})
}

func TestExpiredCredentialsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		add := func(from, to int) {
			for i := from; i < to; i++ {
				s := &source{life: time.Hour}
				get(t, cache.Of(creds.From(fmt.Sprint(i), s)))
			}
		}
		add(0, 1024)
		time.Sleep(2 * time.Hour)
		add(1024, 1025)
		if got, want := cache.String(), "cache of 1 credentials"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestCachedCredentialsNeedNoMemory(t *testing.T) {
	cache := newCache(t, creds.Config{})
	p := cache.Of(&source{life: time.Hour})
	ctx := t.Context()
	if _, err := p.Retrieve(ctx); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() { _, _ = p.Retrieve(ctx) }); n != 0 {
		t.Errorf("Retrieve allocates %v times, want 0", n)
	}
}

func BenchmarkRetrieve(b *testing.B) {
	cache := newCache(b, creds.Config{})
	p := cache.Of(&source{life: time.Hour})
	ctx := b.Context()
	if _, err := p.Retrieve(ctx); err != nil {
		b.Fatal(err)
	}
	sdk := aws.NewCredentialsCache(&source{life: time.Hour})
	for _, c := range []struct {
		name string
		p    aws.CredentialsProvider
	}{{"stile", p}, {"sdk", sdk}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.p.Retrieve(ctx); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
