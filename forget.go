package stile

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stile-aws/stile/creds"
)

// staleError is a refusal of a credential that has been forgotten: the request
// may be made again with another one.
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

// forget makes a client forget a credential that a service refuses, once an
// operation: when the next one is refused too, it is not the credential's age.
func forget(c *creds.Cached) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		start := middleware.InitializeMiddlewareFunc("stile:forgetOnce", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(middleware.WithStackValue(ctx, forgotKey{}, new(bool)), in)
		})
		if err := stack.Initialize.Add(start, middleware.Before); err != nil {
			return err
		}
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("stile:forget", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			forgot, _ := middleware.GetStackValue(ctx, forgotKey{}).(*bool)
			if !creds.Refused(err) || forgot == nil || *forgot {
				return out, metadata, err
			}
			if *forgot = true; c.Invalidate(signedBy(in.Request)) {
				err = &staleError{err}
			}
			return out, metadata, err
		}), middleware.Before)
	}
}

type forgotKey struct{}

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
