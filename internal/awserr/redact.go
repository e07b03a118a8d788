package awserr

import (
	"errors"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
)

// secretive is what may be a key, a token, or a PIN. A regular expression is for
// errors alone, and is made for them.
const secretive = `(?s)-----BEGIN .*?(?:-----END [A-Z0-9 ]+-----|$)|pin-value=[^;&?\s]*|[A-Za-z0-9+/=_]{40,}`

// Redact is what somebody else has said, without what may be a secret.
func Redact(text string) string {
	return regexp.MustCompile(secretive).ReplaceAllStringFunc(text, hide)
}

// hide keeps what is long, but plainly a path or a name.
func hide(text string) string {
	long := !strings.HasPrefix(text, "-----") && !strings.HasPrefix(text, "pin-value")
	if long && !(strings.ContainsAny(text, "0123456789") && strings.ToLower(text) != text && strings.ToUpper(text) != text) {
		return text
	}
	return "…"
}

// unquoted is an error's text without what it quotes of an answer that was not
// understood: there may be credentials in it. The SDK quotes the value that it cannot
// read, and the whole answer of a container's endpoint that is no JSON.
func unquoted(err error, text string) string {
	if bad, ok := errors.AsType[*smithy.DeserializationError](err); ok {
		text = strings.ReplaceAll(text, bad.Error(), "its answer cannot be read")
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "" && api.ErrorMessage() != "" {
		text = strings.ReplaceAll(text, ": "+api.ErrorMessage(), harmless(api.ErrorMessage()))
		text = strings.ReplaceAll(text, api.ErrorMessage(), harmless(api.ErrorMessage()))
	}
	return text
}

// maxHarmless bounds what is shown of an answer.
const maxHarmless = 500

// harmless is an answer that is no error of an API: a line for people, without what
// may be a secret; nothing of a page or of data.
func harmless(answer string) string {
	answer = strings.TrimSpace(answer)
	if answer == "" || strings.ContainsAny(answer[:1], "{[<\"") {
		return "it refused, and not with a message for people"
	}
	if answer = Redact(answer); len(answer) > maxHarmless {
		answer = strings.ToValidUTF8(answer[:maxHarmless], "") + " …"
	}
	return answer
}
