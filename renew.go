package stile

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stile-aws/stile/creds"
)

// staleError is a refusal of a credential that has been renewed: the request may
// be made again.
type staleError struct{ err error }

func (e *staleError) Error() string { return e.err.Error() }
func (e *staleError) Unwrap() error { return e.err }

// forgiving repeats requests whose credential was stale, at once: nothing is
// overloaded. It is a RetryerV2, as one that limits the rate of requests, such
// as the SDK's adaptive retryer, does so by GetAttemptToken.
type forgiving struct{ aws.RetryerV2 }

func forgive(r aws.Retryer) forgiving {
	if v2, ok := r.(aws.RetryerV2); ok {
		return forgiving{v2}
	}
	return forgiving{unlimited{r}}
}

func (f forgiving) IsErrorRetryable(err error) bool {
	return isStale(err) || f.RetryerV2.IsErrorRetryable(err)
}

func (f forgiving) RetryDelay(attempt int, err error) (time.Duration, error) {
	if isStale(err) {
		return 0, nil
	}
	return f.RetryerV2.RetryDelay(attempt, err)
}

func isStale(err error) bool {
	_, ok := errors.AsType[*staleError](err)
	return ok
}

// unlimited is a Retryer that cannot limit attempts.
type unlimited struct{ aws.Retryer }

func (u unlimited) GetAttemptToken(context.Context) (func(error) error, error) {
	return u.GetInitialToken(), nil
}

// renewal makes a client get another credential when a service refuses the one
// it has, once an operation, and make the request again. Where another one was
// refused too it was not the credential's fault: the Region is not enabled for
// the account, say, as AWS puts both in the same words.
type renewal struct {
	of *creds.Cached

	mu       sync.Mutex // guards refusing
	refusing map[place]time.Time
}

// place is where a service may refuse what others take.
type place struct{ service, region string }

// refusingFor is how long a place is remembered to refuse credentials that are new.
const refusingFor = 15 * time.Minute

// renew is the middleware of a client with credential c.
func renew(c *creds.Cached) func(*middleware.Stack) error {
	r := &renewal{of: c, refusing: map[place]time.Time{}}
	return func(stack *middleware.Stack) error {
		start := middleware.InitializeMiddlewareFunc("stile:renewOnce", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(middleware.WithStackValue(ctx, renewedKey{}, new(bool)), in)
		})
		if err := stack.Initialize.Add(start, middleware.Before); err != nil {
			return err
		}
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("stile:renew", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if creds.Refused(err) {
				err = r.refused(ctx, in.Request, err)
			}
			return out, metadata, err
		}), middleware.Before)
	}
}

// refused is the error to go on with.
func (r *renewal) refused(ctx context.Context, request any, err error) error {
	renewed, _ := middleware.GetStackValue(ctx, renewedKey{}).(*bool)
	at := place{awsmiddleware.GetServiceID(ctx), awsmiddleware.GetRegion(ctx)}
	switch {
	case renewed == nil, r.refuses(at) && !creds.Expired(err):
		return err
	case *renewed:
		r.remember(at)
		return err
	case r.of.Renew(ctx, signedBy(request), err):
		*renewed = true
		return &staleError{err}
	}
	return err
}

func (r *renewal) refuses(at place) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.refusing[at])
}

func (r *renewal) remember(at place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing[at] = time.Now().Add(refusingFor)
}

type renewedKey struct{}

// signedBy is the access key id a request was signed with, "" if none is in its
// Authorization header. Source: IAM guide, "Elements of an AWS API request
// signature": Credential=KEY/DATE/REGION/SERVICE/aws4_request.
func signedBy(request any) string {
	r, ok := request.(*smithyhttp.Request)
	if !ok {
		return ""
	}
	_, after, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(after, "/")
	return id
}
