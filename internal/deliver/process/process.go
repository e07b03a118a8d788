// Package process writes credentials as the credential_process setting of the
// AWS config file wants them. [Write] is all of it; getting the credentials is
// the caller's work.
//
// Source: SDKs and Tools reference, feature-process-credentials.
package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// output is the JSON that SDKs expect. Without SessionToken the credentials are
// long-term ones, without Expiration they are never fetched again.
type output struct {
	Version         int // the number 1, no string
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string `json:",omitempty"`
	Expiration      string `json:",omitempty"`
	AccountId       string `json:",omitempty"`
}

// Write writes c as one line of JSON.
func Write(w io.Writer, c aws.Credentials) error {
	if !c.HasKeys() {
		return errors.New("writing credentials: there are none")
	}
	out := output{
		Version: 1, AccessKeyId: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey,
		SessionToken: c.SessionToken, AccountId: c.AccountID,
	}
	if c.CanExpire {
		out.Expiration = c.Expires.UTC().Format(time.RFC3339)
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	return nil
}
