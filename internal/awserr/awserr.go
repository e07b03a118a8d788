// Package awserr maps the errors of AWS APIs to the few kinds a caller acts on.
//
// Each service spells the same fact in its own way; the spellings are in one
// table here. Start with [KindOf].
package awserr

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
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
	"DeleteConflict": Conflict, "DeleteConflictException": Conflict, // a role whose policies went moments ago
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
	"MalformedPolicyDocumentException": {"Invalid principal in policy", "one or more invalid principals", "invalid principal", "unsupported principal"}, // the last is Secrets Manager
	"InvalidParameterException":        {"principalArn", "Invalid principal"},
	"InvalidParameterValueException":   {"principal", "cannot be assumed"},
	"ValidationException":              {"Invalid principal in policy"},
}

// KindOf returns the kind of err, None for nil.
func KindOf(err error) Kind {
	if err == nil {
		return None
	}
	if canceled(err) {
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
	var unsent *smithyhttp.RequestSendError
	if errors.As(err, &unsent) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return Transient
	}
	return Other
}

// canceled reports whether the caller's context ended. A dial or a client that
// timed out also says that it is context.DeadlineExceeded, by its Is method;
// such a call can be made again.
func canceled(err error) bool {
	if errors.Is(err, context.Canceled) {
		return true
	}
	if _, ok := errors.AsType[*aws.RequestCanceledError](err); ok {
		return true
	}
	for err != nil && err != context.DeadlineExceeded {
		err = errors.Unwrap(err)
	}
	return err != nil
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
// What was said around the call's error stays.
func Text(err error) string {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		return strings.Replace(err.Error(), op.Error(), op.ServiceID+" "+op.OperationName+": "+said(op.Err), 1)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return strings.Replace(err.Error(), api.Error(), said(api), 1)
	}
	return err.Error()
}

// said is what a call's error comes down to.
func said(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	if unsent, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return "no answer: " + unsent.Err.Error()
	}
	// Credentials are got by a call of their own: its error is the reason.
	if inner, ok := errors.AsType[*smithy.OperationError](err); ok {
		return Text(inner)
	}
	return err.Error()
}
