package creds_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"

	"github.com/stile-aws/stile/creds"
)

// What a program gives without an expiration is over when it prints something else.
func TestKeysOfAProgramAreHeldForMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		var broken error
		cache := creds.NewCache(creds.Config{})
		defer cache.Close()
		c := cache.Of(creds.From("program", aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			runs++
			time.Sleep(time.Second) // the bubble's clock: no time passes
			return aws.Credentials{AccessKeyID: fmt.Sprint("AKIA", runs), SecretAccessKey: "x", Source: processcreds.ProviderName}, broken
		})))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got, err := c.Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKIA1" || got.CanExpire {
					t.Errorf("at once: %v, %v", got.AccessKeyID, err)
				}
			})
		}
		all.Wait()
		if got, err := c.RetrieveLong(t.Context(), 15*time.Minute); err != nil || got.AccessKeyID != "AKIA1" {
			t.Errorf("within moments: %v, %v", got.AccessKeyID, err)
		}
		time.Sleep(6 * time.Second)
		if got, err := c.Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKIA2" {
			t.Errorf("later: %v, %v, want what it prints by then", got.AccessKeyID, err)
		}
		time.Sleep(6 * time.Second)
		broken = errors.New("no longer")
		if got, err := c.Retrieve(t.Context()); !errors.Is(err, broken) {
			t.Errorf("once it fails: %v, %v, want its failure", got.AccessKeyID, err)
		}
	})
}
