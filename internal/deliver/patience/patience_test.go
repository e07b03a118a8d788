package patience_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/deliver/patience"
)

var errDenied = errors.New("denied by the trust policy")

// source gives credentials of an hour, an error, or nothing until its context ends.
type source struct {
	err  error
	hang bool
}

func (s *source) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if s.hang {
		<-ctx.Done()
		return aws.Credentials{}, context.Cause(ctx)
	}
	if s.err != nil {
		return aws.Credentials{}, s.err
	}
	return aws.Credentials{AccessKeyID: "ASIA1", SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
}

func TestSlowSourcesAreToldOfInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{err: errDenied}
		p := patience.New(s, time.Second)
		if _, err := p.Retrieve(t.Context()); !errors.Is(err, errDenied) {
			t.Errorf("Retrieve = %v, want the source's error", err)
		}
		s.hang = true
		began := time.Now()
		_, err := p.Retrieve(t.Context())
		if took := time.Since(began); took != time.Second {
			t.Errorf("Retrieve took %s, want a second", took)
		}
		if err == nil || !awserr.KindOf(err).Retry() || !strings.Contains(err.Error(), "no answer within 1s") || !strings.Contains(err.Error(), errDenied.Error()) {
			t.Errorf("Retrieve = %v, want that it takes long, and what was wrong last time", err)
		}
	})
}

func TestWhatIsValidIsGivenAgain(t *testing.T) {
	for name, trouble := range map[string]source{"a failure": {err: errDenied}, "no answer": {hang: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{}
				p := patience.New(s, time.Second)
				for _, at := range []time.Duration{0, 59 * time.Minute} {
					<-time.After(at)
					if got, err := p.Retrieve(t.Context()); err != nil || got.AccessKeyID != "ASIA1" {
						t.Fatalf("Retrieve = %s, %v, want what is valid", got.AccessKeyID, err)
					}
					*s = trouble
				}
				<-time.After(2 * time.Minute)
				if got, err := p.Retrieve(t.Context()); err == nil {
					t.Errorf("Retrieve = %s, want an error: it has expired", got.AccessKeyID)
				}
			})
		})
	}
}

func TestCallersMayLeave(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := patience.New(&source{hang: true}, time.Hour).Retrieve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Retrieve = %v, want that the caller has gone", err)
	}
}
