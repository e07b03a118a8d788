package creds_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/creds"
)

// fakeSTS answers AssumeRole in the time of a synctest bubble, or throttles.
type fakeSTS struct {
	life time.Duration

	mu       sync.Mutex // guards the rest
	throttle bool
	denied   bool
	hung     bool
	broken   bool // answers that it cannot answer
	exits    bool // ends the goroutine that calls, as a test does that gives up
	calls    []time.Time
}

func (f *fakeSTS) set(throttle bool) {
	f.change(func() { f.throttle = throttle })
}

func (f *fakeSTS) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
}

// since counts the calls after t.
func (f *fakeSTS) since(t time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, _ := slices.BinarySearchFunc(f.calls, t, time.Time.Compare)
	return len(f.calls) - n
}

func (f *fakeSTS) RoundTrip(r *http.Request) (*http.Response, error) {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	f.mu.Lock()
	hung := f.hung
	f.mu.Unlock()
	if hung {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, time.Now())
	if f.exits {
		runtime.Goexit()
	}
	status, body := http.StatusOK, fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId>
		<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		len(f.calls), time.Now().Add(f.life).UTC().Format(time.RFC3339))
	code := ""
	switch {
	case f.broken:
		status, code = http.StatusServiceUnavailable, "ServiceUnavailable"
	case f.throttle:
		status, code = http.StatusBadRequest, "Throttling"
	case f.denied:
		status, code = http.StatusForbidden, "AccessDenied"
	}
	if code != "" {
		body = `<ErrorResponse><Error><Type>Sender</Type><Code>` + code + `</Code><Message>no</Message></Error></ErrorResponse>`
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{"Content-Type": {"text/xml"}}, Request: r}, nil
}

// roles makes n cached credentials of one source account.
func (f *fakeSTS) roles(t testing.TB, cache *creds.Cache, n int) []*creds.Cached {
	t.Helper()
	cfg := aws.Config{Region: "us-east-1", HTTPClient: &http.Client{Transport: f}}
	source := creds.From("self", credentials.StaticCredentialsProvider{Value: aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s", AccountID: "111111111111"}})
	out := make([]*creds.Cached, n)
	for i := range out {
		p, err := cache.Chain(cfg, source, creds.Role{ARN: fmt.Sprintf("arn:aws:iam::%012d:role/reader", i+1)})
		if err != nil {
			t.Fatal(err)
		}
		out[i] = p
	}
	return out
}

// each retrieves all of them side by side and counts failures.
func each(ctx context.Context, all []*creds.Cached) (failed int) {
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, p := range all {
		wg.Go(func() { _, errs[i] = p.Retrieve(ctx) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	return failed
}

func TestAThrottledAccountIsLeftAloneWhileCredentialsAreValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour}
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		all := sts.roles(t, cache, 250)
		if failed := each(t.Context(), all); failed > 0 || sts.since(time.Time{}) != 250 {
			t.Fatalf("cold: %d failed, %d calls, want 0 and one for each role", failed, sts.since(time.Time{}))
		}
		time.Sleep(48 * time.Minute) // all of them are in the background window
		sts.set(true)
		began := time.Now()
		for time.Since(began) < 30*time.Second {
			if failed := each(t.Context(), all); failed > 0 {
				t.Fatalf("%d failed while their credentials were valid", failed)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := sts.since(began); n == 0 || n >= 100 {
			t.Errorf("%d calls in 30 s of throttling, want a few and fewer than 100", n)
		}
		sts.set(false)
		began = time.Now()
		for sts.since(began) < 250 {
			if failed := each(t.Context(), all); failed > 0 || time.Since(began) > 2*time.Minute {
				t.Fatalf("after the throttling: %d failed, %d calls in %s", failed, sts.since(began), time.Since(began))
			}
			time.Sleep(time.Second)
		}
	})
}

func TestExpiredCredentialsAreBackSoonAfterTheThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour}
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		all := sts.roles(t, cache, 250)
		each(t.Context(), all)
		time.Sleep(time.Hour - 10*time.Second)
		sts.set(true)
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		last := make([]time.Time, len(all)) // when each failed last
		for i, p := range all {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := p.Retrieve(ctx); err != nil && ctx.Err() == nil {
						last[i] = time.Now()
						if !errors.Is(err, creds.ErrThrottled) && !strings.Contains(err.Error(), "Throttling") {
							t.Errorf("an error that does not say why: %v", err)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		time.Sleep(30 * time.Second)
		if n := sts.since(began); n > 30*250 || n > 150 {
			t.Errorf("%d calls in 30 s, want at most one a second and role, and far fewer for 250 roles of one account", n)
		}
		sts.set(false)
		over := time.Now()
		time.Sleep(10 * time.Second)
		cancel()
		wg.Wait()
		for i, at := range last {
			if at.After(over.Add(3 * time.Second)) {
				t.Fatalf("role %d still failed %s after the throttling", i, at.Sub(over))
			}
		}
	})
}

func TestDenialsAreRememberedForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour, denied: true}
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		all := sts.roles(t, cache, 1)
		for range 600 { // a minute
			each(t.Context(), all)
			time.Sleep(100 * time.Millisecond)
		}
		if n := sts.since(time.Time{}); n < 4 || n > 8 {
			t.Errorf("%d calls in a minute of being denied, want a few that become rarer", n)
		}
	})
}

func TestTheRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour}
		cache := creds.NewCache(creds.Config{STSRate: 50})
		defer cache.Close()
		began := time.Now()
		each(t.Context(), sts.roles(t, cache, 250))
		if took := time.Since(began); took < 3900*time.Millisecond || took > 5*time.Second {
			t.Errorf("250 calls at 50 a second and 50 at once took %s, want about 4 s", took)
		}
	})
}

// A cold start takes as long as the rate says, however many roles there are and
// however short the time for one fetch.
func TestAColdStartOfManyRolesFailsNobody(t *testing.T) {
	for _, c := range []struct {
		roles int
		rate  float64
		want  time.Duration
	}{
		{1000, 10, 99 * time.Second},
		{400, 5, 79 * time.Second},
		{1500, 150, 9 * time.Second},
		{5, 0.1, 40 * time.Second}, // each waits longer than the whole time for one
	} {
		t.Run(fmt.Sprintf("%d roles at %v a second", c.roles, c.rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sts := &fakeSTS{life: time.Hour}
				cache := creds.NewCache(creds.Config{STSRate: c.rate, Timeout: 5 * time.Second})
				defer cache.Close()
				began := time.Now()
				if failed := each(t.Context(), sts.roles(t, cache, c.roles)); failed > 0 {
					t.Errorf("%d of %d failed, though STS answered everybody", failed, c.roles)
				}
				if took := time.Since(began); took < c.want || took > c.want+time.Second {
					t.Errorf("it took %s, want about %s", took, c.want)
				}
				if n := sts.since(time.Time{}); n != c.roles {
					t.Errorf("%d calls, want one for each role", n)
				}
			})
		})
	}
}

func TestAQueueThatDoesNotMoveIsLeft(t *testing.T) {
	for _, answers := range []time.Duration{0, 8 * time.Second} {
		t.Run(fmt.Sprintf("STS falls silent after %s", answers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sts := &fakeSTS{life: time.Hour, hung: answers == 0}
				cache := creds.NewCache(creds.Config{STSRate: 50})
				defer cache.Close()
				all := sts.roles(t, cache, 1000)
				time.AfterFunc(answers, func() { sts.change(func() { sts.hung = true }) })
				began := time.Now()
				failed := each(t.Context(), all)
				if took := time.Since(began); failed < 500 || took > answers+31*time.Second {
					t.Errorf("%d failed, all were free after %s, want most, within 30 s of the silence", failed, took)
				}
				sts.change(func() { sts.hung = false })
				time.Sleep(3 * time.Second) // the longest pause after a failure
				began = time.Now()
				if again := each(t.Context(), all); again > 0 {
					t.Errorf("%d failed once STS answered again", again)
				}
				// Those who left have spent no turns.
				if took, want := time.Since(began), time.Duration(failed)*time.Second/50+2*time.Second; took > want {
					t.Errorf("it took %s to serve those %d who had left, want %s at most", took, failed, want)
				}
			})
		})
	}
}

// It answers, but that is no progress for those who wait.
func TestAQueueForAnSTSThatIsDownIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour, broken: true}
		cache := creds.NewCache(creds.Config{Timeout: 5 * time.Second})
		defer cache.Close()
		began := time.Now()
		failed := each(t.Context(), sts.roles(t, cache, 1000))
		if took := time.Since(began); failed != 1000 || took > 10*time.Second {
			t.Errorf("%d of 1000 failed, all were free after %s, want 5 s and the calls under way", failed, took)
		}
	})
}

func TestNobodyWaitsForLongAtAClosedGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour, throttle: true}
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		began := time.Now()
		failed := each(t.Context(), sts.roles(t, cache, 1000))
		if took := time.Since(began); failed != 1000 || took > 10*time.Second {
			t.Errorf("%d of 1000 failed, all knew after %s, want about 5 s", failed, took)
		}
		if n := sts.since(began); n > 100 {
			t.Errorf("%d calls of a throttled STS, want those let in at first and a few that ask", n)
		}
	})
}

func TestCallsThatEndTheirGoroutineLeaveTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour, exits: true}
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		all := sts.roles(t, cache, 200) // more than are let in at once
		if failed := each(t.Context(), all); failed != 200 {
			t.Errorf("%d of 200 failed", failed)
		}
		sts.change(func() { sts.exits = false })
		time.Sleep(3 * time.Second)
		if failed := each(t.Context(), all); failed > 0 {
			t.Errorf("%d failed afterwards", failed)
		}
	})
}

func TestKeepDoesNotHurryWhatIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		calls := 0
		p := cache.Of(creds.From("portal", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if calls++; calls > 1000 {
				stop() // the bubble's time would stand still
			}
			return aws.Credentials{}, &smithy.GenericAPIError{Code: "TooManyRequestsException", Message: "slow down"}
		})))
		p.Keep(ctx)
		if calls < 15 || calls > 45 {
			t.Errorf("%d fetches in a minute of throttling, want one in 1.1 to 3 s", calls)
		}
	})
}

func TestFetchesAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour}
		var mu sync.Mutex
		var got []creds.Fetch // of the role
		cache := creds.NewCache(creds.Config{OnFetch: func(f creds.Fetch) {
			mu.Lock()
			defer mu.Unlock()
			if strings.HasSuffix(f.Provider, "role/reader") {
				got = append(got, f)
			}
		}})
		defer cache.Close()
		p := sts.roles(t, cache, 1)[0]
		each(t.Context(), []*creds.Cached{p})
		time.Sleep(50 * time.Minute)
		each(t.Context(), []*creds.Cached{p})
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(got) != 2 || got[0].Background || !got[1].Background || got[0].Took != 20*time.Millisecond || got[0].Expires.IsZero() || got[0].Err != nil {
			t.Errorf("reported %+v, want a fetch somebody waited for and one in the background", got)
		}
	})
}

func TestRolesWithMFAAreNotRefreshedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sts := &fakeSTS{life: time.Hour}
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		asked := 0
		role := creds.Role{ARN: "arn:aws:iam::222222222222:role/admin", MFA: &creds.MFA{
			Serial: "arn:aws:iam::111111111111:mfa/ann",
			Code:   func(context.Context) (string, error) { asked++; return "123456", nil },
		}}
		cfg := aws.Config{Region: "us-east-1", HTTPClient: &http.Client{Transport: sts}}
		p, err := cache.Chain(cfg, creds.From("ann", credentials.NewStaticCredentialsProvider("AKIA", "s", "")), role)
		if err != nil {
			t.Fatal(err)
		}
		for range 58 {
			get(t, p)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if asked != 1 {
			t.Errorf("the person was asked %d times within the credential's life, want once", asked)
		}
		time.Sleep(2 * time.Minute)
		if get(t, p); asked != 2 {
			t.Errorf("asked %d times after it expired, want again", asked)
		}
	})
}
