package scope_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/scope"
)

// silence takes every request and answers none.
type silence struct{ giveUp time.Duration }

func (s silence) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), s.giveUp)
	defer cancel()
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAnAccountThatDoesNotAnswerIsToldWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := func(context.Context, string, string) (aws.Config, error) {
			return aws.Config{
				Region: "us-east-1", HTTPClient: silence{25 * time.Second},
				Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "x", ""),
			}, nil
		}
		set := &access.Set{Accounts: []*access.Account{{Metadata: access.Metadata{Name: "a"}, ID: "111111111111"}}}
		start := time.Now()
		if _, err := scope.NewSource(set, scope.Read, load).Config(t.Context(), "111111111111", ""); err == nil {
			t.Error("Config of an account that does not answer gives no error")
		}
		if d := time.Since(start); d > 45*time.Second {
			t.Errorf("Config took %s, want less than a minute", d)
		}
	})
}
