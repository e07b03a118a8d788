// Package awserr maps the errors of AWS APIs to the few kinds a caller acts on.
//
// Each service spells the same fact in its own way; the spellings are in one
// table here. Start with [KindOf].
package awserr

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Kind is what an error means to a caller.
type Kind uint8

// The kinds. Other is everything that trying again, or going on, does not mend.
const (
	None          Kind = iota // no error
	Other                     // invalid input, limits, bugs
	NotFound                  // the thing does not exist
	Exists                    // it exists already
	Denied                    // the caller may not
	Throttled                 // too many requests: slow down and try again
	NotYetVisible             // a principal or policy that was just made is not seen there yet: try again
	Conflict                  // somebody else changes the same thing now: read again and try again
	Transient                 // 5xx, cut connections, time-outs: the call may or may not have taken effect
	Canceled                  // the caller's context ended
)

var names = [...]string{"none", "other", "not found", "exists", "denied", "throttled", "not yet visible", "conflict", "transient", "canceled"}

// String names the kind.
func (k Kind) String() string { return names[k] }

// byCode has the error codes of the services stile writes to. Codes that mean
// different things by their message are in byMessage.
var byCode = map[string]Kind{
	"NoSuchEntity": NotFound, "NoSuchEntityException": NotFound, "ResourceNotFoundException": NotFound, "NotFoundException": NotFound,
	"EntityAlreadyExists": Exists, "EntityAlreadyExistsException": Exists, "ResourceExistsException": Exists, "AlreadyExistsException": Exists,
	"AccessDenied": Denied, "AccessDeniedException": Denied, "AuthorizationError": Denied, "UnauthorizedOperation": Denied,
	"ExpiredToken": Denied, "ExpiredTokenException": Denied, "InvalidClientTokenId": Denied, "UnrecognizedClientException": Denied, "SignatureDoesNotMatch": Denied,
	"Throttling": Throttled, "ThrottlingException": Throttled, "TooManyRequestsException": Throttled, "RequestLimitExceeded": Throttled,
	"RequestThrottled": Throttled, "SlowDown": Throttled, "ProvisionedThroughputExceededException": Throttled,
	"ConcurrentModification": Conflict, "ConcurrentModificationException": Conflict, "OperationAborted": Conflict, "PreconditionNotMetException": Conflict,
	"ServiceFailure": Transient, "ServiceFailureException": Transient, "InternalFailure": Transient, "InternalError": Transient, "InternalServerError": Transient,
	"InternalServiceError": Transient, "KMSInternalException": Transient, "DependencyTimeoutException": Transient, "ServiceUnavailable": Transient,
	"ServiceUnavailableException": Transient, "RequestTimeout": Transient, "RequestTimeoutException": Transient,
}

// notYetVisible has, for each code, the words by which a service says that a
// principal it was given does not exist: for some seconds after it was made
// that is not true. (terraform-provider-aws waits on the same words.)
var notYetVisible = map[string][]string{
	"MalformedPolicyDocument":          {"Invalid principal in policy"},
	"MalformedPolicyDocumentException": {"Invalid principal in policy", "one or more invalid principals", "invalid principal"},
	"InvalidParameterException":        {"principalArn", "Invalid principal"},
	"InvalidParameterValueException":   {"principal", "cannot be assumed"},
	"ValidationException":              {"Invalid principal in policy"},
}

// KindOf returns the kind of err, None for nil.
func KindOf(err error) Kind {
	if err == nil {
		return None
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Canceled
	}
	if known, ok := errors.AsType[*judged](err); ok {
		return known.kind
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return ofAPI(api, err)
	}
	var status *http.ResponseError
	var netErr net.Error
	if errors.As(err, &status) && status.HTTPStatusCode() >= 500 || errors.As(err, &netErr) {
		return Transient
	}
	var sent *smithy.OperationError
	if errors.As(err, &sent) && strings.Contains(err.Error(), "request send failed") {
		return Transient
	}
	return Other
}

func ofAPI(api smithy.APIError, err error) Kind {
	for _, words := range notYetVisible[api.ErrorCode()] {
		if strings.Contains(api.ErrorMessage(), words) {
			return NotYetVisible
		}
	}
	if kind, ok := byCode[api.ErrorCode()]; ok {
		return kind
	}
	var status *http.ResponseError
	if errors.As(err, &status) && status.HTTPStatusCode() >= 500 {
		return Transient
	}
	return Other
}

// As gives err another kind, where the caller knows more than the error says.
func As(kind Kind, err error) error { return &judged{kind, err} }

// judged is an error whose kind somebody decided.
type judged struct {
	kind  Kind
	cause error
}

func (e *judged) Error() string { return e.cause.Error() }
func (e *judged) Unwrap() error { return e.cause }

// Retry reports whether the same call may succeed later.
func (k Kind) Retry() bool {
	return k == Throttled || k == NotYetVisible || k == Conflict || k == Transient
}

// Text is an error's text for people: AWS's code and message and the call that
// got it, without the SDK's request bookkeeping, which differs from run to run.
func Text(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err.Error()
	}
	said := api.ErrorCode() + ": " + api.ErrorMessage()
	var op *smithy.OperationError
	if errors.As(err, &op) {
		return op.ServiceID + " " + op.OperationName + ": " + said
	}
	return said
}
