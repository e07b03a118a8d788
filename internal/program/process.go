package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

// timeLimit is that of AWS's SDK for Go for a credential_process.
const timeLimit = time.Minute

// Provider gives the credentials that the program prints. It has this process's
// standard input, as in the SDKs: it may ask the person there. Credentials without
// an expiration are over when it prints others: creds.Cache holds none of them.
func (p *Program) Provider() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		ctx, stop := context.WithTimeoutCause(ctx, timeLimit, fmt.Errorf("it has not ended within %s", timeLimit))
		defer stop()
		text, err := p.run(ctx, os.Stdin)
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("running the program of %s: %w", p.of, err)
		}
		c, err := Parse(text)
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("reading what the program of %s prints: %w", p.of, err)
		}
		return c, nil
	})
}

// answer is what is printed (AWS SDKs and tools reference guide, "Process credential
// provider").
type answer struct {
	Version         *int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      *string
	AccountID       string `json:"AccountId"`
}

// layouts are the ISO 8601 times that SDKs take.
var layouts = [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00"}

// Parse reads the answer of a credential_process. Errors name the field or the
// place, and nothing of what is there.
func Parse(text []byte) (aws.Credentials, error) {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return aws.Credentials{}, misread(err, len(text))
	}
	switch {
	case a.Version == nil:
		return aws.Credentials{}, errors.New(`it has no "Version": want the number 1`)
	case *a.Version != 1:
		return aws.Credentials{}, fmt.Errorf(`"Version" is %d: want the number 1`, *a.Version)
	case a.AccessKeyID == "":
		return aws.Credentials{}, errors.New(`it has no "AccessKeyId"`)
	case a.SecretAccessKey == "":
		return aws.Credentials{}, errors.New(`it has no "SecretAccessKey"`)
	}
	c := aws.Credentials{
		AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey, SessionToken: a.SessionToken, AccountID: a.AccountID,
		Source: processcreds.ProviderName,
	}
	if a.Expiration == nil {
		return c, nil
	}
	for _, layout := range layouts {
		if end, err := time.Parse(layout, *a.Expiration); err == nil {
			c.CanExpire, c.Expires = true, end
			return c, nil
		}
	}
	return aws.Credentials{}, errors.New(`"Expiration" is no time: want one such as 2026-01-02T15:04:05Z, or none`)
}

// misread is an error of package json without the text that it quotes.
func misread(err error, size int) error {
	if size == 0 {
		return errors.New("it is empty: want the JSON of a credential_process")
	}
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		switch bad.Field {
		case "":
			return errors.New("it is no JSON object: want that of a credential_process")
		case "Version":
			return errors.New(`"Version" is not the number 1`)
		}
		return fmt.Errorf("%q is no string", bad.Field)
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is not the JSON of a credential_process: byte %d of %d does not belong there", bad.Offset, size)
	}
	return errors.New("it is not the JSON of a credential_process")
}
