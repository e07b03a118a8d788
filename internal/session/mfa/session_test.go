package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/session/mfa"
)

// sts takes each code once, as AWS does.
type sts struct {
	used map[string]bool
	says string // instead, of every code
}

func (s *sts) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	status, text := 200, fmt.Sprintf(`<GetSessionTokenResponse><GetSessionTokenResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>x</SecretAccessKey>`+
		`<SessionToken>y</SessionToken><Expiration>%s</Expiration></Credentials></GetSessionTokenResult></GetSessionTokenResponse>`, time.Now().Add(12*time.Hour).UTC().Format(time.RFC3339))
	says := s.says
	code := q.Get("TokenCode")
	if says == "" && s.used[code] {
		says = "MultiFactorAuthentication failed with invalid MFA one time pass code."
	} else {
		s.used[code] = true
	}
	if says != "" {
		status, text = 403, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>`+says+`</Message></Error></ErrorResponse>`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

const seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func user(asked *int) mfa.User {
	return mfa.User{
		Name: "dana", Serial: "arn:aws:iam::111111111111:mfa/dana", Mark: mfa.MarkOf("AKIA1"), Tries: 3,
		Keys: func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA1", SecretAccessKey: "x"}, nil
		},
		Code: func(ctx context.Context, refused error) (string, error) {
			*asked++
			if refused != nil {
				if err := mfa.Next(ctx); err != nil {
					return "", err
				}
			}
			return mfa.TOTP(seed, time.Now())
		},
	}
}

// Two that prove themselves by one device within half a minute both come through:
// the second waits for the next code.
func TestCodesThatWereUsedAreWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(7 * time.Second) // the bubble's clock: no time passes
		service := &sts{used: map[string]bool{}}
		cfg := aws.Config{Region: "us-east-1", HTTPClient: service}
		asked := 0
		for i, want := range []time.Duration{0, 23 * time.Second} {
			began := time.Now()
			if _, err := mfa.Session(cfg, user(&asked)).Retrieve(t.Context()); err != nil {
				t.Fatalf("session %d: %v", i, err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("session %d took %s, want %s", i, took, want)
			}
		}
		if asked != 3 || len(service.used) != 2 {
			t.Errorf("%d codes were made and %d taken, want 3 and 2", asked, len(service.used))
		}
	})
}

func TestOnlyCodesAreTriedAgain(t *testing.T) {
	service := &sts{used: map[string]bool{}, says: "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."}
	asked := 0
	_, err := mfa.Session(aws.Config{Region: "us-east-1", HTTPClient: service}, user(&asked)).Retrieve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "verify your MFA serial number") || asked != 1 {
		t.Errorf("%d codes, %v, want one: no code will do with a device of somebody else's", asked, err)
	}
}

// What is no code is asked for again, and STS is not troubled with it.
func TestWhatIsNoCodeIsAskedForAgain(t *testing.T) {
	tests := []struct {
		name  string
		typed []string
		asked int
		want  string // in the error; "" for a session
	}{
		{"a slip", []string{"12345a", ""}, 2, ""},
		{"too short, too long, right", []string{"12345", "1234567", ""}, 3, ""},
		{"never a code", []string{"hello", "١٢٣٤٥٦", " ", ""}, 3, "a code has six digits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			service := &sts{used: map[string]bool{}}
			asked := 0
			u := user(&asked)
			u.Code = func(_ context.Context, refused error) (string, error) {
				if asked > 0 != errors.Is(refused, mfa.ErrNoCode) {
					t.Errorf("question %d: refused is %v", asked, refused)
				}
				asked++
				if text := test.typed[asked-1]; text != "" {
					return text, nil
				}
				return mfa.TOTP(seed, time.Now())
			}
			_, err := mfa.Session(aws.Config{Region: "us-east-1", HTTPClient: service}, u).Retrieve(t.Context())
			if asked != test.asked || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d questions, %v, want %d and %q", asked, err, test.asked, test.want)
			}
			if want := map[bool]int{true: 1, false: 0}[err == nil]; len(service.used) != want {
				t.Errorf("STS was given %d codes, want %d", len(service.used), want)
			}
		})
	}
}

func TestWaitingForACodeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer stop()
		if err := mfa.Next(ctx); !errors.Is(err, gone) {
			t.Errorf("Next = %v, want the context's cause", err)
		}
	})
}

// A session is found again by what STS made it of, whatever its source is called.
func TestSessionsAreKnownByKeyAndDevice(t *testing.T) {
	asked := 0
	one, other := user(&asked), user(&asked)
	other.Name = "dana-at-work"
	key := func(u mfa.User) string { return mfa.Session(aws.Config{}, u).Key() }
	if key(one) != key(other) {
		t.Errorf("keys %q and %q, want one", key(one), key(other))
	}
	other.Mark = mfa.MarkOf("AKIA2")
	if key(one) == key(other) || strings.Contains(key(one), "AKIA") {
		t.Errorf("keys %q and %q, want two that do not show the access key", key(one), key(other))
	}
}
