package store

import (
	"maps"
	"time"

	"github.com/stile-aws/stile/arn"
)

// KMS has the keys and aliases of one account in one Region.
type KMS struct {
	Keys    map[string]*KMSKey   `json:"keys,omitempty"`    // by id
	Aliases map[string]*KMSAlias `json:"aliases,omitempty"` // by name, "alias/…"
}

// KMSKey is a symmetric encryption key.
type KMSKey struct {
	ID          string        `json:"id"`
	Account     arn.AccountID `json:"account"`
	Region      string        `json:"region"`
	Material    []byte        `json:"material"`
	Description string        `json:"description,omitempty"`
	Created     time.Time     `json:"created"`
	// Service is the service that an AWS managed key belongs to, as
	// "secretsmanager"; "" for customer managed keys.
	Service string `json:"service,omitempty"`
	Enabled bool   `json:"enabled"`
	// Deletes is when a key pending deletion goes; zero for others.
	Deletes time.Time `json:"deletes,omitzero"`
	// Policy is the key policy with users and roles as unique ids; show it
	// through [World.Present].
	Policy *Versioned[string] `json:"policy"`
	// Rotation is when automatic rotation was switched on; zero: it is off.
	Rotation     time.Time  `json:"rotation,omitzero"`
	RotationDays int32      `json:"rotationDays,omitempty"`
	Tags         Tags       `json:"tags,omitempty"`
	Grants       []KMSGrant `json:"grants,omitempty"` // oldest first
}

// KMSAlias is another name of a key.
type KMSAlias struct {
	Name    string    `json:"name"` // "alias/…"
	Key     string    `json:"key"`  // id of a key in the same account and Region
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// KMSGrant is a grant on a key. Principals are unique ids where they are users
// or roles.
type KMSGrant struct {
	ID         string            `json:"id"`
	Name       string            `json:"name,omitempty"`
	Grantee    string            `json:"grantee"`
	Retiring   string            `json:"retiring,omitempty"`
	Issuer     arn.AccountID     `json:"issuer"`
	Operations []string          `json:"operations"`
	Context    map[string]string `json:"context,omitzero"` // constraint; nil: none
	Equals     bool              `json:"equals,omitempty"` // Context has to be equal, not a subset
	Created    time.Time         `json:"created"`
}

// Envelope is data encrypted under a data key that is itself encrypted by KMS.
type Envelope struct {
	Key     string `json:"key"`     // ARN of the KMS key
	DataKey []byte `json:"dataKey"` // CiphertextBlob of the data key
	Sealed  []byte `json:"sealed"`
}

// ARN is the key's ARN.
func (k *KMSKey) ARN() arn.ARN {
	return arn.ARN{Partition: Partition, Service: "kms", Region: k.Region, Account: k.Account, Owner: string(k.Account), Resource: "key/" + k.ID}
}

// Gone reports whether the key's waiting period has ended.
func (k *KMSKey) Gone(now time.Time) bool { return !k.Deletes.IsZero() && !now.Before(k.Deletes) }

// Grant returns the grant with an id, nil when the key has none.
func (k *KMSKey) Grant(id string) *KMSGrant {
	for i := range k.Grants {
		if k.Grants[i].ID == id {
			return &k.Grants[i]
		}
	}
	return nil
}

// AliasARN is the ARN of an alias in account and region.
func AliasARN(account arn.AccountID, region, name string) arn.ARN {
	return arn.ARN{Partition: Partition, Service: "kms", Region: region, Account: account, Owner: string(account), Resource: name}
}

// Key returns the key with an id, nil when there is none or it has gone.
func (k *KMS) Key(id string, now time.Time) *KMSKey {
	key := k.Keys[id]
	if key == nil || key.Gone(now) {
		return nil
	}
	return key
}

// AddKey makes a key known and forgets those that have gone, with their aliases.
func (k *KMS) AddKey(key *KMSKey, now time.Time) {
	maps.DeleteFunc(k.Keys, func(_ string, old *KMSKey) bool { return old.Gone(now) })
	maps.DeleteFunc(k.Aliases, func(_ string, a *KMSAlias) bool { return k.Keys[a.Key] == nil })
	if k.Keys == nil {
		k.Keys = map[string]*KMSKey{}
	}
	k.Keys[key.ID] = key
}

// Alias returns an alias whose key is there, nil when there is none.
func (k *KMS) Alias(name string, now time.Time) *KMSAlias {
	a := k.Aliases[name]
	if a == nil || k.Key(a.Key, now) == nil {
		return nil
	}
	return a
}

// SetAlias makes name mean key.
func (k *KMS) SetAlias(name, key string, now time.Time) {
	if k.Aliases == nil {
		k.Aliases = map[string]*KMSAlias{}
	}
	a := k.Aliases[name]
	if a == nil {
		a = &KMSAlias{Name: name, Created: now}
		k.Aliases[name] = a
	}
	a.Key, a.Updated = key, now
}

// KMSKey returns the key with an ARN, nil when there is none. The caller holds
// the lock.
func (w *World) KMSKey(a arn.ARN, now time.Time) *KMSKey {
	owner := w.Accounts[a.Account]
	if owner == nil || a.Service != "kms" || a.Type() != "key" || a.Partition != Partition {
		return nil
	}
	return owner.KMS.In(a.Region).Key(a.Name(), now)
}

// CanonicalPrincipal is the stored form of one principal that a policy would
// name under "AWS"; ok is false when it does not exist or cannot be seen. The
// caller holds the lock.
func (w *World) CanonicalPrincipal(value string) (stored string, ok bool) {
	stored, err := w.canonicalAWS(value, &PrincipalError{Type: "AWS", Value: value})
	return stored, err == nil
}

// PresentPrincipal shows one stored principal as AWS does.
func (w *World) PresentPrincipal(stored string) string {
	if live, ok := w.arnOfID(stored); ok {
		return live.String()
	}
	return stored
}
