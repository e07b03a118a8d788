package stile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/arn"
)

// organizations is a directory that takes its time, fails, or heeds no context.
type organizations struct {
	calls atomic.Int64

	mu    sync.Mutex // guards the rest
	takes time.Duration
	err   error
	stuck bool
	names []string
}

func (o *organizations) set(takes time.Duration, err error, names ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.takes, o.err, o.names = takes, err, names
}

func (o *organizations) Accounts(ctx context.Context) ([]stile.Account, error) {
	o.calls.Add(1)
	o.mu.Lock()
	takes, err, names, done := o.takes, o.err, o.names, ctx.Done()
	if o.stuck {
		done = nil
	}
	o.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-done:
		return nil, context.Cause(ctx)
	}
	var all []stile.Account
	for i, name := range names {
		all = append(all, stile.Account{ID: "22222222222" + accountDigit(i), Name: name})
	}
	return all, err
}

var errNoOrganizations = errors.New("organizations is down")

// listed runs f with a pool of a directory, in a bubble.
func listed(t *testing.T, o *organizations, f func(t *testing.T, pool *stile.Pool)) {
	synctest.Test(t, func(t *testing.T) {
		pool, err := stile.New(t.Context(), stile.Config{
			AWS: &aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}, Directory: o, Role: "reader",
		})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		f(t, pool)
	})
}

// lookUp gives how long it took to make a configuration, and its error.
func lookUp(t *testing.T, pool *stile.Pool, account string) (time.Duration, error) {
	t.Helper()
	began := time.Now()
	_, err := pool.Config(t.Context(), account, "", "")
	return time.Since(began), err
}

func TestKnownNamesAreServedThroughAnOutageOfTheDirectory(t *testing.T) {
	for _, takes := range []time.Duration{0, 20 * time.Second, time.Hour} {
		o := &organizations{takes: time.Second, names: []string{"orders"}}
		listed(t, o, func(t *testing.T, pool *stile.Pool) {
			if took, err := lookUp(t, pool, "orders"); err != nil || took != time.Second {
				t.Fatalf("the first look-up: %v after %s", err, took)
			}
			time.Sleep(11 * time.Minute)
			o.set(takes, errNoOrganizations)
			for range 10 * 60 {
				if took, err := lookUp(t, pool, "orders"); err != nil || took != 0 {
					t.Fatalf("a known name: %v after %s, want it at once", err, took)
				}
				time.Sleep(time.Second)
			}
			if n := o.calls.Load() - 1; n < 2 || n > 20 {
				t.Errorf("%d calls in ten minutes of an outage, want one in 30 s at most", n)
			}
			o.set(0, nil, "orders", "billing")
			time.Sleep(6 * time.Minute)
			if _, err := lookUp(t, pool, "billing"); err != nil {
				t.Errorf("a new name after the outage: %v", err)
			}
		})
	}
}

func TestWhoWaitsForTheDirectoryMayLeave(t *testing.T) {
	o := &organizations{takes: 3 * time.Second, names: []string{"orders"}}
	listed(t, o, func(t *testing.T, pool *stile.Pool) {
		others := make(chan error)
		for range 50 {
			go func() {
				_, err := pool.Config(t.Context(), "orders", "", "")
				others <- err
			}()
		}
		synctest.Wait()
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		began := time.Now()
		if _, err := pool.Config(ctx, "orders", "", ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 100*time.Millisecond {
			t.Errorf("a caller with 100 ms came back after %s: %v", time.Since(began), err)
		}
		if took, err := lookUp(t, pool, "333333333333"); err != nil || took != 0 {
			t.Errorf("by id: %v after %s, want no waiting", err, took)
		}
		for range 50 {
			if err := <-others; err != nil {
				t.Error(err)
			}
		}
		if n := o.calls.Load(); n != 1 {
			t.Errorf("the directory was asked %d times for 51 callers, want once", n)
		}
	})
}

func TestTheFirstCallersContextDoesNotEndTheAsking(t *testing.T) {
	o := &organizations{takes: 3 * time.Second, names: []string{"orders"}}
	listed(t, o, func(t *testing.T, pool *stile.Pool) {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := pool.Config(ctx, "orders", "", ""); err == nil {
			t.Error("the name was known before the directory had answered")
		}
		if took, err := lookUp(t, pool, "orders"); err != nil || took != 2*time.Second || o.calls.Load() != 1 {
			t.Errorf("the next caller: %v after %s and %d calls, want the rest of the first", err, took, o.calls.Load())
		}
	})
}

func TestUnknownNamesAreAskedForNowAndThen(t *testing.T) {
	o := &organizations{names: []string{"orders"}}
	listed(t, o, func(t *testing.T, pool *stile.Pool) {
		for range 300 {
			if _, err := lookUp(t, pool, "order"); err == nil || !strings.Contains(err.Error(), `did you mean "orders"?`) {
				t.Fatalf("an unknown name: %v", err)
			}
			time.Sleep(time.Second)
		}
		if n := o.calls.Load(); n < 9 || n > 11 {
			t.Errorf("asked %d times in five minutes, want once in 30 s", n)
		}
		o.set(0, errNoOrganizations)
		time.Sleep(31 * time.Second)
		if _, err := lookUp(t, pool, "billing"); !errors.Is(err, errNoOrganizations) {
			t.Errorf("an unknown name during an outage: %v, want the outage", err)
		}
	})
}

func TestAnEmptyBookIsFilledSoonAfterAFailure(t *testing.T) {
	o := &organizations{err: errNoOrganizations}
	listed(t, o, func(t *testing.T, pool *stile.Pool) {
		for range 600 {
			if _, err := lookUp(t, pool, "orders"); !errors.Is(err, errNoOrganizations) {
				t.Fatalf("Config = %v, want the outage", err)
			}
			time.Sleep(time.Second)
		}
		if n := o.calls.Load(); n > 30 {
			t.Errorf("%d calls in ten minutes, want a few that become rarer", n)
		}
	})
	o = &organizations{err: errNoOrganizations}
	listed(t, o, func(t *testing.T, pool *stile.Pool) {
		_, _ = lookUp(t, pool, "orders")
		o.set(0, nil, "orders")
		time.Sleep(time.Second)
		if _, err := lookUp(t, pool, "orders"); err != nil {
			t.Errorf("a second after a failure at the start: %v", err)
		}
	})
}

func TestSelectionsUseWhatIsKnownWhenTheDirectoryIsSlow(t *testing.T) {
	o := &organizations{names: []string{"orders"}}
	listed(t, o, func(t *testing.T, pool *stile.Pool) {
		size := func(sel stile.Selection) (int, time.Duration, error) {
			began := time.Now()
			all, err := pool.Accounts(t.Context(), sel)
			return len(all), time.Since(began), err
		}
		if n, _, err := size(stile.Selection{All: true}); n != 1 || err != nil {
			t.Fatalf("%d accounts, %v", n, err)
		}
		time.Sleep(24 * time.Hour)
		o.set(time.Second, nil, "orders", "billing")
		if n, took, err := size(stile.Selection{All: true}); n != 2 || took != time.Second || err != nil {
			t.Errorf("a day later: %d accounts after %s, %v, want today's", n, took, err)
		}
		time.Sleep(24 * time.Hour)
		o.set(time.Hour, nil)
		if n, took, err := size(stile.Selection{All: true}); n != 2 || took != 5*time.Second || err != nil {
			t.Errorf("with a slow directory: %d accounts after %s, %v, want those that are known", n, took, err)
		}
		if n, took, err := size(stile.Selection{All: true}); n != 2 || took != 0 || err != nil {
			t.Errorf("once more: %d accounts after %s, %v, want no more waiting", n, took, err)
		}
	})
	o = &organizations{takes: time.Hour, stuck: true}
	synctest.Test(t, func(t *testing.T) {
		pool, err := stile.New(t.Context(), stile.Config{AWS: &aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}, Directory: o})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			began := time.Now()
			all, err := pool.Accounts(t.Context(), stile.Selection{Accounts: []string{"222222222220", "222222222221"}})
			if want := 5 * time.Second; err != nil || len(all) != 2 || time.Since(began) > want || i > 0 && time.Since(began) > 0 {
				t.Errorf("by ids alone: %v after %s, want that no directory is needed", err, time.Since(began))
			}
		}
		if n := o.calls.Load(); n != 1 {
			t.Errorf("%d calls of a directory that hangs, want 1", n)
		}
		pool.Close()
	})
}

func TestClosingAPoolEndsTheAsking(t *testing.T) {
	o := &organizations{takes: time.Hour}
	listed(t, o, func(t *testing.T, pool *stile.Pool) {
		failed := make(chan error)
		go func() {
			_, err := pool.Config(t.Context(), "orders", "", "")
			failed <- err
		}()
		synctest.Wait()
		pool.Close()
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "the pool is closed") {
			t.Errorf("who waited got %v", err)
		}
		if _, err := lookUp(t, pool, "orders"); err == nil || o.calls.Load() != 1 {
			t.Errorf("a closed pool asks: %v", err)
		}
	})
}

func TestStopOnErrorBeginsNoOther(t *testing.T) {
	var accounts []stile.Account
	for i := range 9 {
		accounts = append(accounts, stile.Account{ID: "22222222222" + accountDigit(i), Name: fmt.Sprint("account-", i)})
	}
	pool, err := stile.New(t.Context(), stile.Config{AWS: &aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}, Directory: stile.List(accounts...)})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	boom := errors.New("boom")
	for range 300 {
		ran := 0
		err := pool.Each(t.Context(), stile.Selection{All: true}, func(context.Context, stile.Account) error {
			if ran++; ran == 3 {
				return boom
			}
			return nil
		}, stile.EachOptions{Concurrency: 1, StopOnError: true})
		var each *stile.EachError
		if !errors.As(err, &each) || ran != 3 || len(each.NotRun) != 6 {
			t.Fatalf("%d begun, %v, want none after the third, which failed", ran, err)
		}
	}
}

// accountDigit ends the id of the i-th account.
func accountDigit(i int) arn.AccountID { return arn.AccountID(rune('0' + i)) }
