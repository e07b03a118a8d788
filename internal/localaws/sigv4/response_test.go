package sigv4_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/localaws/sigv4"
)

// TestResponsesAreAWSsOwn holds the codes and statuses that clients of AWS
// have reported; the rest of the table follows their pattern.
func TestResponsesAreAWSsOwn(t *testing.T) {
	type key struct {
		kind   sigv4.Kind
		family sigv4.Family
	}
	cases := map[key]struct {
		code   string
		status int
	}{
		{sigv4.UnknownKey, sigv4.Query}:            {"InvalidClientTokenId", 403},
		{sigv4.UnknownKey, sigv4.JSON}:             {"UnrecognizedClientException", 400},
		{sigv4.UnknownKey, sigv4.RESTJSON}:         {"UnrecognizedClientException", 403},
		{sigv4.UnknownKey, sigv4.S3}:               {"InvalidAccessKeyId", 403},
		{sigv4.WrongSignature, sigv4.Query}:        {"SignatureDoesNotMatch", 403},
		{sigv4.WrongSignature, sigv4.JSON}:         {"InvalidSignatureException", 400},
		{sigv4.WrongSignature, sigv4.RESTJSON}:     {"InvalidSignatureException", 403},
		{sigv4.WrongSignature, sigv4.S3}:           {"SignatureDoesNotMatch", 403},
		{sigv4.Skewed, sigv4.Query}:                {"SignatureDoesNotMatch", 403},
		{sigv4.Skewed, sigv4.JSON}:                 {"InvalidSignatureException", 400},
		{sigv4.Skewed, sigv4.S3}:                   {"RequestTimeTooSkewed", 403},
		{sigv4.ExpiredToken, sigv4.Query}:          {"ExpiredToken", 403},
		{sigv4.ExpiredToken, sigv4.JSON}:           {"ExpiredTokenException", 400},
		{sigv4.ExpiredToken, sigv4.S3}:             {"ExpiredToken", 400},
		{sigv4.MissingAuthentication, sigv4.Query}: {"MissingAuthenticationToken", 403},
		{sigv4.MissingAuthentication, sigv4.JSON}:  {"MissingAuthenticationTokenException", 400},
		{sigv4.MissingAuthentication, sigv4.S3}:    {"AccessDenied", 403},
		{sigv4.IncompleteSignature, sigv4.Query}:   {"IncompleteSignature", 400},
		{sigv4.IncompleteSignature, sigv4.JSON}:    {"IncompleteSignatureException", 400},
		{sigv4.MalformedPresign, sigv4.S3}:         {"AuthorizationQueryParametersError", 400},
		{sigv4.ExpiredPresign, sigv4.S3}:           {"AccessDenied", 403},
		{sigv4.UnsignedHeaders, sigv4.S3}:          {"AccessDenied", 403},
		{sigv4.BodyMismatch, sigv4.S3}:             {"XAmzContentSHA256Mismatch", 400},
	}
	for k, want := range cases {
		f := &sigv4.Failure{Kind: k.kind, Message: "m"}
		code, status, message := f.Response(k.family)
		if code != want.code || status != want.status || message == "" {
			t.Errorf("%v in family %d = %s, %d, %q, want %s, %d", k.kind, k.family, code, status, message, want.code, want.status)
		}
	}
}

func TestEveryKindHasAnAnswerInEveryFamily(t *testing.T) {
	for kind := sigv4.MissingAuthentication; kind <= sigv4.MalformedChunks; kind++ {
		if kind.String() == "Unknown" {
			t.Errorf("kind %d has no name", kind)
		}
		for _, family := range []sigv4.Family{sigv4.Query, sigv4.JSON, sigv4.RESTJSON, sigv4.S3} {
			code, status, message := (&sigv4.Failure{Kind: kind, Message: "m"}).Response(family)
			if code == "" || status < 400 || status > 499 || message == "" {
				t.Errorf("%v in family %d = %q, %d, %q", kind, family, code, status, message)
			}
		}
	}
}

// TestUnknownKindsAreDenied is for a kind added later without its row.
func TestUnknownKindsAreDenied(t *testing.T) {
	if code, status, _ := (&sigv4.Failure{Kind: 99}).Response(sigv4.JSON); code != "AccessDenied" || status != 403 {
		t.Errorf("Response = %s, %d, want AccessDenied, 403", code, status)
	}
}
