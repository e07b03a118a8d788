// Package wire is the one line of JSON that the credential_process setting of the
// AWS config file wants. [Answer] is all of it. It knows no SDK, so that it can be
// written before one is initialised.
//
// Source: SDKs and Tools reference, feature-process-credentials.
package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Answer is what SDKs expect. Without SessionToken the credentials are long-term
// ones, without Expires they are never fetched again.
type Answer struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	AccountID                                  string
	Expires                                    time.Time // zero: never
}

// Format keeps the secrets out of every verb.
func (a Answer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "credentials %s", a.AccessKeyID) }

// Write writes the line, in one piece.
func (a Answer) Write(w io.Writer) error {
	out := struct {
		Version         int // the number 1, no string
		AccessKeyId     string
		SecretAccessKey string
		SessionToken    string `json:",omitempty"`
		Expiration      string `json:",omitempty"`
		AccountId       string `json:",omitempty"`
	}{Version: 1, AccessKeyId: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey, SessionToken: a.SessionToken, AccountId: a.AccountID}
	if !a.Expires.IsZero() {
		out.Expiration = a.Expires.UTC().Format(time.RFC3339)
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	return nil
}
