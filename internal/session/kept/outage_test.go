package kept_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session/kept"
)

// While AWS is silent, what is valid is given in good time, and AWS is asked seldom.
func TestSilenceIsNotWaitedForWhileThereIsSomethingValid(t *testing.T) {
	dir := dir(t)
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		// process is a provider as another process would make it.
		process := func(answers bool) creds.Provider {
			return kept.Open(dir, "").Wrap(creds.From("silent", aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				if calls++; !answers {
					<-ctx.Done()
					return aws.Credentials{}, context.Cause(ctx)
				}
				return aws.Credentials{AccessKeyID: "ASIA1", SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(10 * time.Minute)}, nil
			})))
		}
		get := func(p creds.Provider, most time.Duration) {
			t.Helper()
			began := time.Now()
			c, err := p.Retrieve(t.Context())
			if took := time.Since(began); err != nil || c.AccessKeyID != "ASIA1" || took > most {
				t.Fatalf("Retrieve = %s, %v after %s, want what is valid within %s", c.AccessKeyID, err, took, most)
			}
		}
		get(process(true), 0)
		time.Sleep(2 * time.Minute) // it is not good any more
		calls = 0
		get(process(false), 8*time.Second)
		for range 100 {
			get(process(false), 0)
		}
		if calls != 1 {
			t.Errorf("AWS was asked %d times, want once", calls)
		}
		time.Sleep(time.Minute)
		get(process(false), 8*time.Second)
		if calls != 2 {
			t.Errorf("a minute later AWS was asked %d times in all, want twice", calls)
		}
	})
}

// A clock that was set back since something failed leaves nobody with what is old.
func TestFailuresOfTheFutureKeepNobodyFromRenewing(t *testing.T) {
	dir := dir(t)
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		process := func() creds.Provider {
			return kept.Open(dir, "").Wrap(creds.From("x", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				if calls++; calls == 2 {
					return aws.Credentials{}, errors.New("no STS")
				}
				return aws.Credentials{AccessKeyID: fmt.Sprint("ASIA", calls), SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(14 * time.Minute)}, nil
			})))
		}
		if got := get(t, process()); got != "ASIA1" {
			t.Fatalf("got %s", got)
		}
		time.Sleep(2 * time.Minute) // it is not good any more
		if got := get(t, process()); got != "ASIA1" || calls != 2 {
			t.Fatalf("got %s after %d calls, want what is valid after renewing failed", got, calls)
		}
		locks, err := filepath.Glob(filepath.Join(dir, "locks", "*.lock"))
		if err != nil || len(locks) != 1 {
			t.Fatal(locks, err)
		}
		text, err := os.ReadFile(locks[0])
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Format("2006-01-02T15:04")
		later := time.Now().Add(time.Hour).Format("2006-01-02T15:04")
		if !strings.Contains(string(text), now) {
			t.Fatalf("the failure is %s, want one of %s", text, now)
		}
		if err := os.WriteFile(locks[0], []byte(strings.Replace(string(text), now, later, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := get(t, process()); got != "ASIA3" {
			t.Errorf("got %s after %d calls, want a new one", got, calls)
		}
	})
}
