package mfa_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// roles answers AssumeRole as sts does GetSessionToken: a code is used for both.
type roles struct {
	sts
	durations []string
}

func (s *roles) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := s.sts.Do(r)
	if err != nil || !bytes.Contains(body, []byte("Action=AssumeRole")) {
		return resp, err
	}
	_, rest, _ := strings.Cut(string(body), "DurationSeconds=")
	duration, _, _ := strings.Cut(rest, "&")
	s.durations = append(s.durations, duration)
	text, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(string(text), "GetSessionToken", "AssumeRole")))
	return resp, err
}

// A code that opened the MFA session does not open the role too.
func TestARoleWaitsForACodeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(7 * time.Second) // the bubble's clock: no time passes
		service := &roles{sts: sts{used: map[string]bool{}}}
		cfg := aws.Config{Region: "us-east-1", HTTPClient: service}
		asked := 0
		if _, err := mfa.Session(cfg, user(&asked)).Retrieve(t.Context()); err != nil {
			t.Fatal(err)
		}
		role := creds.Role{ARN: "arn:aws:iam::222222222222:role/long", SessionName: "dana", Duration: 4 * time.Hour}
		p, err := mfa.Role(cfg, user(&asked), role)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := p.Retrieve(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 23*time.Second || asked != 3 || len(service.used) != 2 {
			t.Errorf("it took %s, %d codes were made and %d taken, want 23s, 3 and 2", took, asked, len(service.used))
		}
		if len(service.durations) != 2 || service.durations[1] != "14400" {
			t.Errorf("asked for %v seconds, want 14400", service.durations)
		}
	})
}

func TestARoleIsKeptByKeyAndDevice(t *testing.T) {
	asked := 0
	role := creds.Role{ARN: "arn:aws:iam::222222222222:role/long", SessionName: "dana", Duration: 4 * time.Hour}
	key := func(change func(*mfa.User, *creds.Role)) string {
		u, r := user(&asked), role
		change(&u, &r)
		p, err := mfa.Role(aws.Config{Region: "us-east-1"}, u, r)
		if err != nil {
			t.Fatal(err)
		}
		return p.Key()
	}
	same := key(func(*mfa.User, *creds.Role) {})
	if key(func(u *mfa.User, _ *creds.Role) { u.Name = "another source of the key" }) != same {
		t.Error("two sources of one key and device do not share the role's session")
	}
	for name, change := range map[string]func(*mfa.User, *creds.Role){
		"key":      func(u *mfa.User, _ *creds.Role) { u.Mark = mfa.MarkOf("AKIA2") },
		"device":   func(u *mfa.User, _ *creds.Role) { u.Serial += "2" },
		"duration": func(_ *mfa.User, r *creds.Role) { r.Duration = 5 * time.Hour },
	} {
		if key(change) == same {
			t.Errorf("another %s shares the role's session", name)
		}
	}
	role.ARN = "no ARN"
	if _, err := mfa.Role(aws.Config{}, user(&asked), role); err == nil {
		t.Error("what is no role was taken")
	}
}
