package sigv4

import "net/http"

// Kind is the rule that a request broke.
type Kind int

// The kinds, in the order in which Verify finds them.
const (
	// MissingAuthentication: not signed at all.
	MissingAuthentication Kind = iota + 1
	// AmbiguousAuthentication: signed in the header and in the query.
	AmbiguousAuthentication
	// IncompleteSignature: an Authorization header that cannot be read.
	IncompleteSignature
	// MalformedPresign: query parameters that cannot be read.
	MalformedPresign
	// UnsupportedAlgorithm: SigV4A or an old signature version.
	UnsupportedAlgorithm
	// WrongScope: date, region, service or terminator are not the expected.
	WrongScope
	// UnsignedHeaders: an x-amz-* header that the signature does not cover.
	UnsignedHeaders
	// Skewed: signed too long ago, or too far in the future.
	Skewed
	// ExpiredPresign: X-Amz-Expires has passed.
	ExpiredPresign
	// UnknownKey: nobody has this access key.
	UnknownKey
	// InactiveKey: its owner has switched it off.
	InactiveKey
	// BadToken: the session token is missing, superfluous or another one.
	BadToken
	// MissingContentHash: S3 wants x-amz-content-sha256.
	MissingContentHash
	// WrongSignature: another secret, or the request was changed.
	WrongSignature
	// ExpiredToken: rightly signed with a temporary key that has ended.
	ExpiredToken
	// BodyMismatch: rightly signed, but the body is another.
	BodyMismatch
	// MalformedChunks: an aws-chunked body that cannot be read.
	MalformedChunks
)

// String is the kind's name in code.
func (k Kind) String() string {
	if a, ok := answers[k]; ok {
		return a.name
	}
	return "Unknown"
}

// Failure says why a request was not accepted.
type Failure struct {
	Kind Kind
	// Message is AWS's own text where it is known. It repeats at most a clipped
	// scope and never a secret.
	Message string
	// Canonical is the canonical request we computed, set for WrongSignature,
	// without the session token. It helps the owner of the secret to find what
	// differs, as AWS's own answers do.
	Canonical string
	// StringToSign goes with Canonical.
	StringToSign string
	// Headers are the headers left unsigned, for UnsignedHeaders.
	Headers []string

	presigned bool
}

func fail(k Kind, message string) *Failure { return &Failure{Kind: k, Message: message} }

// Error names the kind and gives the message.
func (f *Failure) Error() string {
	return "verifying signature: " + f.Kind.String() + ": " + f.Message
}

// Family is a group of protocols in which AWS names failures alike.
type Family int

// The families.
const (
	// Query is the query protocol (STS, IAM, SNS) and XML other than S3's.
	Query Family = iota
	// JSON is awsJson 1.0 and 1.1 (Secrets Manager, KMS, DynamoDB).
	JSON
	// RESTJSON is restJson1 (EKS, Lambda).
	RESTJSON
	// S3 is S3 and S3 Control.
	S3
)

// Response is what AWS answers to f in a protocol family: the error code, the
// HTTP status and the message.
//
// The codes and statuses are those that clients report: IAM's and STS's
// common errors; 400 for awsJson and 403 for restJson (aws-sdk-js-v3#5576,
// iamlive#58, aws-sdk-js#254); S3's list of error responses.
func (f *Failure) Response(family Family) (code string, status int, message string) {
	a, ok := answers[f.Kind]
	if !ok {
		return "AccessDenied", http.StatusForbidden, "Access Denied"
	}
	message = f.Message
	switch family {
	case JSON:
		return a.json, http.StatusBadRequest, message
	case RESTJSON:
		return a.json, http.StatusForbidden, message
	case S3:
		if f.Kind == WrongScope && f.presigned {
			a = answers[MalformedPresign]
		}
		if a.s3text != "" {
			message = a.s3text
		}
		return a.s3, a.s3status, message
	}
	return a.query, a.status, message
}

// answer is one row of the table of error codes.
type answer struct {
	name     string
	query    string
	status   int
	json     string
	s3       string
	s3status int
	s3text   string // "": the failure's own message
}

// answers is the table behind Kind.String and Failure.Response; nothing
// writes to it.
var answers = map[Kind]answer{
	MissingAuthentication: {"MissingAuthentication", "MissingAuthenticationToken", 403, "MissingAuthenticationTokenException",
		"AccessDenied", 403, "Access Denied"},
	AmbiguousAuthentication: {"AmbiguousAuthentication", "IncompleteSignature", 400, "IncompleteSignatureException",
		"InvalidArgument", 400, ""},
	IncompleteSignature: {"IncompleteSignature", "IncompleteSignature", 400, "IncompleteSignatureException",
		"AuthorizationHeaderMalformed", 400, ""},
	MalformedPresign: {"MalformedPresign", "IncompleteSignature", 400, "IncompleteSignatureException",
		"AuthorizationQueryParametersError", 400, ""},
	UnsupportedAlgorithm: {"UnsupportedAlgorithm", "IncompleteSignature", 400, "IncompleteSignatureException",
		"InvalidRequest", 400, ""},
	WrongScope: {"WrongScope", "SignatureDoesNotMatch", 403, "InvalidSignatureException",
		"AuthorizationHeaderMalformed", 400, ""},
	UnsignedHeaders: {"UnsignedHeaders", "SignatureDoesNotMatch", 403, "InvalidSignatureException",
		"AccessDenied", 403, ""},
	Skewed: {"Skewed", "SignatureDoesNotMatch", 403, "InvalidSignatureException",
		"RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large."},
	ExpiredPresign: {"ExpiredPresign", "RequestExpired", 400, "RequestExpired",
		"AccessDenied", 403, "Request has expired"},
	UnknownKey: {"UnknownKey", "InvalidClientTokenId", 403, "UnrecognizedClientException",
		"InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."},
	InactiveKey: {"InactiveKey", "InvalidClientTokenId", 403, "UnrecognizedClientException",
		"InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."},
	BadToken: {"BadToken", "InvalidClientTokenId", 403, "UnrecognizedClientException",
		"InvalidToken", 400, "The provided token is malformed or otherwise invalid."},
	MissingContentHash: {"MissingContentHash", "IncompleteSignature", 400, "IncompleteSignatureException",
		"InvalidRequest", 400, ""},
	WrongSignature: {"WrongSignature", "SignatureDoesNotMatch", 403, "InvalidSignatureException",
		"SignatureDoesNotMatch", 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	ExpiredToken: {"ExpiredToken", "ExpiredToken", 403, "ExpiredTokenException",
		"ExpiredToken", 400, "The provided token has expired."},
	BodyMismatch: {"BodyMismatch", "SignatureDoesNotMatch", 403, "InvalidSignatureException",
		"XAmzContentSHA256Mismatch", 400, ""},
	MalformedChunks: {"MalformedChunks", "IncompleteSignature", 400, "IncompleteSignatureException",
		"IncompleteBody", 400, ""},
}
