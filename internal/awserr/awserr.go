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
	"net/url"
	"reflect"
	"strings"
	"syscall"

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

// byCode maps the error codes of the services stile writes to, Other for codes
// it does not know.
func byCode(code string) Kind {
	switch code {
	case "NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException", "NotFoundException":
		return NotFound
	case "EntityAlreadyExists", "EntityAlreadyExistsException", "ResourceExistsException", "AlreadyExistsException":
		return Exists
	case "AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation",
		"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch":
		return Denied
	case "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "RequestThrottled", "SlowDown",
		"ProvisionedThroughputExceededException":
		return Throttled
	case "DeleteConflict", "DeleteConflictException", // the policies of a role went moments ago
		"ConcurrentModification", "ConcurrentModificationException", "OperationAborted", "PreconditionNotMetException":
		return Conflict
	case "ServiceFailure", "ServiceFailureException", "InternalFailure", "InternalError", "InternalServerError", "InternalServiceError",
		"KMSInternalException", "DependencyTimeoutException", "ServiceUnavailable", "ServiceUnavailableException",
		"RequestTimeout", "RequestTimeoutException":
		return Transient
	}
	return Other
}

// notYetVisible lists the words by which a service says, with an error code,
// that a principal it was given does not exist: for some seconds after it was
// made that is not true. (terraform-provider-aws waits on the same words.)
func notYetVisible(code string) []string {
	switch code {
	case "MalformedPolicyDocument": // IAM
		return []string{"Invalid principal in policy"}
	case "MalformedPolicyDocumentException": // KMS; Secrets Manager says "unsupported principal"
		return []string{"Invalid principal in policy", "one or more invalid principals", "invalid principal", "unsupported principal"}
	case "InvalidParameterException": // EKS
		return []string{"principalArn", "Invalid principal"}
	case "InvalidParameterValueException": // Lambda
		return []string{"principal", "cannot be assumed"}
	case "ValidationException": // DynamoDB
		return []string{"Invalid principal in policy"}
	}
	return nil
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
	for _, words := range notYetVisible(api.ErrorCode()) {
		if strings.Contains(api.ErrorMessage(), words) {
			return NotYetVisible
		}
	}
	if kind := byCode(api.ErrorCode()); kind != Other {
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
func Text(err error) string { return unquoted(err, text(err)) }

func text(err error) string {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		return strings.Replace(err.Error(), op.Error(), op.ServiceID+" "+op.OperationName+": "+said(op.Err), 1)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return strings.Replace(err.Error(), api.Error(), said(api), 1)
	}
	return unchained(err.Error())
}

// unchained is a text without the links of the SDK's chain of credentials, which
// name its own parts.
func unchained(text string) string {
	return strings.NewReplacer(
		"get identity: get credentials: ", "",
		"failed to refresh cached credentials, ", "",
		"process provider error: error in credential_process: ", "credential_process ended with ",
		"process provider error: ", "credential_process: ",
	).Replace(text)
}

// said is what a call's error comes down to.
func said(err error) string {
	// Credentials are got by a call of their own: its error is the reason.
	if inner, ok := errors.AsType[*smithy.OperationError](err); ok {
		return Text(inner)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return strings.TrimSuffix(api.ErrorCode()+": "+message(api), ": ")
	}
	if unsent, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return unanswered(unsent.Err)
	}
	return unchained(err.Error())
}

// unanswered tells which host did not answer, and why. The request's query is
// nobody's business, and the links of Go's chain name its own parts.
func unanswered(err error) string {
	from := ""
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err
		if at, parseErr := url.Parse(request.URL); parseErr == nil {
			from = " from " + at.Host
		}
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return "no answer" + from + ": " + name.Err // no such host, say
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return "no answer" + from + ": " + errno.Error()
	}
	return "no answer" + from + ": " + err.Error()
}

// message is AWS's text. SSO OIDC has it, as OAuth does, in error_description,
// which its errors keep in a field that no method gives.
func message(api smithy.APIError) string {
	if text := api.ErrorMessage(); text != "" {
		return text
	}
	of := reflect.Indirect(reflect.ValueOf(api))
	if of.Kind() != reflect.Struct {
		return ""
	}
	if field := of.FieldByName("Error_description"); field.IsValid() {
		text, _ := field.Interface().(*string)
		return aws.ToString(text)
	}
	return ""
}

// Plain is err with Text as its text and err as its cause; nil for nil.
func Plain(err error) error {
	if err == nil {
		return nil
	}
	return &plain{Text(err), err}
}

type plain struct {
	text  string
	cause error
}

func (e *plain) Error() string { return e.text }
func (e *plain) Unwrap() error { return e.cause }
