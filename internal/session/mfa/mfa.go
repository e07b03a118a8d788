// Package mfa makes one-time codes, and the sessions of IAM users that proved
// with one that they are there.
//
// [Session] is a creds.Provider of GetSessionToken: one for all roles that a user
// enters, so that a code is asked for once and not for each role. STS lets a role
// that is entered from there last an hour; [Role] enters one by a code of its own,
// for longer. [TOTP] makes the code of a moment from a seed.
package mfa

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/creds"
)

// Step is how long a code is the code of the moment (RFC 6238; AWS's virtual
// devices keep to its default).
const Step = 30 * time.Second

// TOTP makes the code of a moment from a seed in base32, as AWS shows it when a
// virtual device is made.
func TOTP(seed string, at time.Time) (string, error) {
	text := strings.ToUpper(strings.Join(strings.Fields(strings.TrimRight(seed, "= \t\r\n")), ""))
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(key) == 0 {
		return "", errors.New("making an MFA code: the seed is not base32") // its text is secret
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/int64(Step/time.Second)))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[offset:offset+4]) & 0x7fffffff
	return fmt.Sprintf("%06d", number%1_000_000), nil
}

// User is an IAM user with a device.
type User struct {
	Name   string // of the source, for texts
	Serial string
	// Mark tells the user's access key from others, see [MarkOf]: sources of one key
	// and one device share a session.
	Mark string
	Keys func(context.Context) (aws.Credentials, error)
	// Code gives the code of the moment. refused is why the last one was of no use, nil
	// for the first: [ErrNoCode], or what STS said.
	Code func(ctx context.Context, refused error) (string, error)
	// Tries is how often a code is asked for when AWS refuses one. Default once.
	Tries int
}

// Duration is how long a session is asked for: STS's own default, long enough for
// a working day (API reference, GetSessionToken).
const Duration = 12 * time.Hour

// MarkOf is a mark of an access key, which does not tell the key.
func MarkOf(accessKeyID string) string {
	sum := sha256.Sum256([]byte("access key " + accessKeyID))
	return hex.EncodeToString(sum[:16])
}

// Next waits for the next code's time: AWS takes each code once, whoever uses it.
func Next(ctx context.Context) error {
	next := time.NewTimer(time.Until(time.Now().Truncate(Step).Add(Step)))
	defer next.Stop()
	select {
	case <-next.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Session gives the user's sessions. Its key has what STS makes them of: the
// access key, the device and the duration; nothing of a role, nor of the name that
// a source has here.
func Session(cfg aws.Config, u User) creds.Provider {
	client := sts.NewFromConfig(cfg)
	return creds.From(fmt.Sprintf("the MFA session of access key %s with device %s for %s", u.Mark, u.Serial, Duration), aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		keys, err := u.Keys(ctx)
		if err != nil {
			return aws.Credentials{}, err
		}
		var refused error
		for again := 0; ; again++ {
			c, err := u.try(ctx, client, keys, refused)
			if err == nil || !wrongCode(err) || again+1 >= u.Tries {
				return c, err
			}
			refused = err
		}
	}))
}

func (u *User) try(ctx context.Context, client *sts.Client, keys aws.Credentials, refused error) (aws.Credentials, error) {
	code, err := u.code(ctx, refused)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("asking for the MFA code of %s: %w", u.Name, err)
	}
	out, err := client.GetSessionToken(ctx, &sts.GetSessionTokenInput{
		SerialNumber: aws.String(u.Serial), TokenCode: aws.String(code), DurationSeconds: aws.Int32(int32(Duration / time.Second)),
	}, func(o *sts.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
	})
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("beginning the MFA session of %s: %w", u.Name, err)
	}
	got, err := creds.FromSTS(out.Credentials, keys.AccountID)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("beginning the MFA session of %s: %w", u.Name, err)
	}
	return got, nil
}

// code is one that looks like a code.
func (u *User) code(ctx context.Context, refused error) (string, error) {
	code, err := u.Code(ctx, refused)
	if err == nil && !Shaped(code) {
		err = ErrNoCode
	}
	return code, err
}

// ErrNoCode means that what was given is no code of a device at all.
var ErrNoCode = errors.New("a code has six digits")

// Shaped reports whether a text looks like a code (STS API reference,
// GetSessionToken, TokenCode).
func Shaped(code string) bool {
	return len(code) == 6 && strings.Trim(code, "0123456789") == ""
}

// wrongCode reports that the code was none, or that STS took the keys and the device,
// and not the code, which may have been used before. It has no error code of its own
// for that.
func wrongCode(err error) bool {
	if errors.Is(err, ErrNoCode) {
		return true
	}
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "AccessDenied" && strings.Contains(api.ErrorMessage(), "invalid MFA one time pass code")
}
