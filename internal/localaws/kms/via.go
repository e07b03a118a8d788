package kms

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Via is how a service asks KMS on its caller's behalf: the caller needs the
// permission, with kms:ViaService set to the service.
type Via struct {
	Service string // principal of the service: "secretsmanager.amazonaws.com"
	Context map[string]string
}

// Reference finds the key that an id, alias name or ARN means for account,
// without asking whether the caller may know. Errors have KMS's codes.
func Reference(c *service.Call, account arn.AccountID, ref string) (arn.ARN, *wire.Error) {
	t, e := resolve(c, account, ref, true)
	return t.arn, e
}

// ManagedKey returns the key that AWS manages for a service in an account, and
// makes it on first use. The caller holds the write lock.
func ManagedKey(c *service.Call, account *store.Account, name string) *store.KMSKey {
	return makeManaged(c, account, name)
}

// Seal encrypts data under a data key of key and leaves it to via and the
// caller's permissions whether that is allowed: it takes kms:GenerateDataKey.
func Seal(c *service.Call, key arn.ARN, via Via, plaintext []byte) (store.Envelope, *wire.Error) {
	r := request{action: "kms:GenerateDataKey", ref: key.String(), context: via.Context, via: via.Service}
	used, e := usable(c, r)
	if e != nil {
		return store.Envelope{}, e
	}
	plainKey := make([]byte, materialSize)
	rand.Read(plainKey)
	aead := newAEAD(plainKey)
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return store.Envelope{
		Key: used.ARN().String(), DataKey: sealBlob(used, plainKey, via.Context), Sealed: aead.Seal(nonce, nonce, plaintext, nil),
	}, nil
}

// Open decrypts what Seal encrypted. It takes kms:Decrypt.
func Open(c *service.Call, envelope *store.Envelope, via Via) ([]byte, *wire.Error) {
	key, e := usable(c, request{action: "kms:Decrypt", ref: envelope.Key, context: via.Context, keys: algorithmKey(), via: via.Service})
	if e != nil {
		return nil, e
	}
	plainKey, ok := openBlob(key, envelope.DataKey, via.Context)
	if !ok {
		return nil, c.Errorf("InvalidCiphertextException", "")
	}
	aead := newAEAD(plainKey)
	if len(envelope.Sealed) < aead.NonceSize() {
		return nil, c.Errorf("InvalidCiphertextException", "")
	}
	plaintext, err := aead.Open(nil, envelope.Sealed[:aead.NonceSize()], envelope.Sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, c.Errorf("InvalidCiphertextException", "")
	}
	return plaintext, nil
}

// Allowed reports whether the caller may do action with key via a service.
func Allowed(c *service.Call, action string, key arn.ARN, via Via) *wire.Error {
	_, e := usable(c, request{action: action, ref: key.String(), context: via.Context, keys: algorithmKey(), via: via.Service})
	return e
}

// managedAlias reports whether ref is the alias, in the caller's account, of a
// key that AWS manages and makes on first use.
func managedAlias(c *service.Call, ref string) (serviceName string, ok bool) {
	ref = strings.TrimPrefix(ref, store.AliasARN(c.Account, c.Region, "").String())
	name, ok := strings.CutPrefix(ref, managedPrefix)
	return name, ok && name == "secretsmanager"
}

// managedPrefix begins the aliases of AWS managed keys.
const managedPrefix = "alias/aws/"

func makeManaged(c *service.Call, account *store.Account, name string) *store.KMSKey {
	records := account.KMS.Make(c.Region)
	if alias := records.Alias(managedPrefix+name, c.Now); alias != nil {
		return records.Keys[alias.Key]
	}
	text := managedPolicy(account.ID, c.Region, name)
	key := newKey(c, "Default key that protects my "+managedFor(name)+" when no other key is defined")
	key.Account, key.Service, key.Policy = account.ID, name, store.NewVersioned(time.Time{}, &text)
	records.AddKey(key, c.Now)
	records.SetAlias(managedPrefix+name, key.ID, c.Now)
	return key
}

func managedFor(name string) string {
	if name == "secretsmanager" {
		return "Secrets Manager secrets"
	}
	return name + " data"
}

// managedPolicy is the policy of an AWS managed key: whoever in the account may
// use the service may use the key through it, and the account may look at it.
// Nobody can change it, for it allows nobody to.
func managedPolicy(account arn.AccountID, region, name string) string {
	return fmt.Sprintf(`{
  "Version" : "2012-10-17",
  "Id" : "auto-%[3]s-2",
  "Statement" : [ {
    "Sid" : "Allow access through AWS %[4]s for all principals in the account that are authorized to use AWS %[4]s",
    "Effect" : "Allow",
    "Principal" : { "AWS" : [ "*" ] },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:CreateGrant", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : { "kms:CallerAccount" : "%[1]s", "kms:ViaService" : "%[3]s.%[2]s.amazonaws.com" }
    }
  }, {
    "Sid" : "Allow access through AWS %[4]s for all principals in the account that are authorized to use AWS %[4]s",
    "Effect" : "Allow",
    "Principal" : { "AWS" : [ "*" ] },
    "Action" : "kms:GenerateDataKey*",
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : { "kms:CallerAccount" : "%[1]s" },
      "StringLike" : { "kms:ViaService" : "%[3]s.%[2]s.amazonaws.com" }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : { "AWS" : [ "%[5]s" ] },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
}`, account, region, name, title(name), arn.Root(store.Partition, account))
}

func title(name string) string {
	if name == "secretsmanager" {
		return "Secrets Manager"
	}
	return name
}
