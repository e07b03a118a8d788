package probe

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// claims are what a token says of its bearer; nobody has checked its signature.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
}

// audience is a string or a list of them (RFC 7519, section 4.1.3).
type audience []string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

func (c *claims) isFor(aud string) bool { return slices.Contains(c.Audience, aud) }

// errNoToken says no word of what was given instead.
var errNoToken = errors.New("it is no JSON web token")

func readClaims(token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errNoToken
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errNoToken
	}
	var c claims
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, errNoToken
	}
	return &c, nil
}
