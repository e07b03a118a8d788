package store

import (
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stile-aws/stile/arn"
)

// Secrets has the secrets of one account in one Region, by name.
type Secrets map[string]*Secret

// Secret is a secret of Secrets Manager.
type Secret struct {
	Name        string        `json:"name"`
	Account     arn.AccountID `json:"account"`
	Region      string        `json:"region"`
	Suffix      string        `json:"suffix"` // the six letters that end the ARN
	Description string        `json:"description,omitempty"`
	// Key is the KMS key as DescribeSecret shows it; "" is aws/secretsmanager.
	Key string `json:"key,omitempty"`
	// Policy is the resource policy with users and roles as unique ids; show it
	// through [World.Present]. "" means none.
	Policy   string                    `json:"policy,omitempty"`
	Tags     Tags                      `json:"tags,omitempty"`
	Versions map[string]*SecretVersion `json:"versions,omitempty"` // by id
	Created  time.Time                 `json:"created"`
	Changed  time.Time                 `json:"changed"`
	// Deleted is when deletion was asked for and Deletes when it happens; both
	// are zero for living secrets.
	Deleted  time.Time `json:"deleted,omitzero"`
	Deletes  time.Time `json:"deletes,omitzero"`
	Accessed Day       `json:"accessed"`
}

// SecretVersion is one version of a secret's value.
type SecretVersion struct {
	ID       string    `json:"id"`
	Stages   []string  `json:"stages,omitempty"`
	Created  time.Time `json:"created"`
	Binary   bool      `json:"binary,omitempty"` // SecretBinary rather than SecretString
	Envelope Envelope  `json:"envelope"`
	// Digest tells a repeated request from a conflicting one; it is a hash of
	// version id and value.
	Digest   []byte `json:"digest"`
	Accessed Day    `json:"accessed"`
}

// ARN is the secret's full ARN.
func (s *Secret) ARN() arn.ARN {
	return arn.ARN{
		Partition: Partition, Service: "secretsmanager", Region: s.Region, Account: s.Account, Owner: string(s.Account),
		Resource: "secret:" + s.Name + "-" + s.Suffix,
	}
}

// Gone reports whether the recovery window of a deleted secret has ended.
func (s *Secret) Gone(now time.Time) bool { return !s.Deletes.IsZero() && !now.Before(s.Deletes) }

// Staged returns the version that has a staging label, nil when none has.
func (s *Secret) Staged(stage string) *SecretVersion {
	for _, v := range s.Versions {
		if slices.Contains(v.Stages, stage) {
			return v
		}
	}
	return nil
}

// Secret returns the secret called name, nil when there is none or it has gone.
func (s Secrets) Secret(name string, now time.Time) *Secret {
	secret := s[name]
	if secret == nil || secret.Gone(now) {
		return nil
	}
	return secret
}

// Add makes a secret known and forgets those that have gone.
func (s *Secrets) Add(secret *Secret, now time.Time) {
	if *s == nil {
		*s = Secrets{}
	}
	maps.DeleteFunc(*s, func(_ string, old *Secret) bool { return old.Gone(now) })
	(*s)[secret.Name] = secret
}

// Day is a date that readers of the World may set: it needs no write lock. The
// zero Day is no date.
type Day struct {
	unix atomic.Int64 // seconds of midnight UTC
}

// Set sets the date to that of t.
func (d *Day) Set(t time.Time) { d.unix.Store(t.Truncate(24 * time.Hour).Unix()) }

// Time is midnight UTC of the date, nil when there is none.
func (d *Day) Time() *time.Time {
	unix := d.unix.Load()
	if unix == 0 {
		return nil
	}
	t := time.Unix(unix, 0).UTC()
	return &t
}

// MarshalJSON writes the date as seconds.
func (d *Day) MarshalJSON() ([]byte, error) { return json.Marshal(d.unix.Load()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Day) UnmarshalJSON(data []byte) error {
	var unix int64
	err := json.Unmarshal(data, &unix)
	d.unix.Store(unix)
	return err
}
