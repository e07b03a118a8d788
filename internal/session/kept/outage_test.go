package kept_test

import (
	"context"
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
