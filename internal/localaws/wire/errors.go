package wire

import (
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// Fault says whose mistake an Error is; the query protocol shows it as Type.
type Fault string

// The zero Fault is taken from the status: Receiver from 500 on.
const (
	Sender   Fault = "Sender"
	Receiver Fault = "Receiver"
)

// Error is an AWS error as the wire shows it.
type Error struct {
	// Code is the error's code. Model.EncodeError accepts the name of the
	// modelled shape as well (NoSuchEntityException) and writes what AWS
	// writes (NoSuchEntity).
	Code    string
	Message string
	// Status is the HTTP status; zero takes the model's, or the status AWS
	// gives to Code in every service of the protocol, or 400.
	Status int
	Fault  Fault
	// Fields are further members of the modelled error, by member name. Values
	// are Go values of the kind the SDK has for the member.
	Fields map[string]any
	// RetryAfter is sent as Retry-After in whole seconds, unless zero.
	RetryAfter time.Duration
	// Cause is for logs, as the explained denial. It is never on the wire.
	Cause any
}

// Error returns code and message; the cause is not shown.
func (e *Error) Error() string {
	return e.Code + ": " + e.Message
}

// NewError returns an error with the model's code, status and fault. The code
// is a shape name or a wire code of the model, or one of AWS's common codes.
func (m *Model) NewError(code, format string, args ...any) *Error {
	e := &Error{Code: code, Message: fmt.Sprintf(format, args...)}
	e.Code, e.Status, e.Fault = m.resolve(e)
	return e
}

// resolve gives the wire code, status and fault of e.
func (m *Model) resolve(e *Error) (code string, status int, fault Fault) {
	code, status, fault = e.Code, e.Status, e.Fault
	s := m.errors[e.Code]
	if s != nil {
		code = s.errorCode
		status = cmp.Or(status, s.status)
		if fault == "" && s.fault {
			fault = Receiver
		}
	}
	if status == 0 {
		status = m.commonStatus(e.Code)
	}
	if fault == "" {
		fault = Sender
		if status >= http.StatusInternalServerError {
			fault = Receiver
		}
	}
	return code, status, fault
}

// commonStatus is the HTTP status of the errors that every service has and no
// model lists ("Common Error Types" in each API reference). The JSON protocols
// answer 400 where the others answer 403.
func (m *Model) commonStatus(code string) int {
	switch code {
	case "AccessDenied", "AuthorizationError", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "MissingAuthenticationToken",
		"InvalidAccessKeyId", "OptInRequired", "RequestTimeTooSkewed":
		return http.StatusForbidden
	case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "MissingAuthenticationTokenException",
		"ExpiredTokenException", "IncompleteSignatureException", "NotAuthorized":
		if m.Protocol == JSON {
			return http.StatusBadRequest
		}
		return http.StatusForbidden
	case "ThrottlingException", "TooManyRequestsException":
		if m.Protocol == RestJSON {
			return http.StatusTooManyRequests
		}
		return http.StatusBadRequest
	case "UnknownOperationException":
		if m.Protocol == RestJSON || m.Protocol == RestXML {
			return http.StatusNotFound
		}
		return http.StatusBadRequest
	case "InternalFailure", "InternalError", "InternalServerError", "InternalServerException", "InternalServiceError":
		return http.StatusInternalServerError
	case "ServiceUnavailable", "ServiceUnavailableException", "SlowDown":
		return http.StatusServiceUnavailable
	case "RequestEntityTooLarge":
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// malformed is the error of a body that cannot be read, by protocol.
func (m *Model) malformed(format string, args ...any) *Error {
	code := "SerializationException"
	switch m.Protocol {
	case Query:
		code = "MalformedInput"
	case RestXML:
		code = "MalformedXML"
	}
	return m.NewError(code, format, args...)
}
