// Package process writes credentials as the credential_process setting of the
// AWS config file wants them. [Write] is all of it; getting the credentials is
// the caller's work. What is written, package wire below says.
package process

import (
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/deliver/process/wire"
)

// Write writes c as one line of JSON.
func Write(w io.Writer, c aws.Credentials) error {
	if !c.HasKeys() {
		return errors.New("writing credentials: there are none")
	}
	out := wire.Answer{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, AccountID: c.AccountID}
	if c.CanExpire {
		out.Expires = c.Expires
	}
	return out.Write(w)
}
