package secretsmanager

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// payload is a value to be stored.
type payload struct {
	token  string // becomes the version's id
	data   []byte
	binary bool
}

// newPayload reads the value of a request, nil when it has none.
func newPayload(c *service.Call, text *string, binary []byte, token *string) (*payload, *wire.Error) {
	switch {
	case text != nil && binary != nil:
		return nil, c.Errorf("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	case text == nil && binary == nil:
		return nil, nil
	case token == nil:
		return nil, c.Errorf("InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	case text != nil:
		return &payload{token: *token, data: []byte(*text)}, nil
	}
	return &payload{token: *token, data: binary, binary: true}, nil
}

func (p *payload) digest() []byte {
	h := sha256.New()
	h.Write([]byte(p.token))
	h.Write([]byte{0})
	h.Write(p.data)
	return h.Sum(nil)
}

// is reports whether v has this value already.
func (p *payload) is(v *store.SecretVersion) bool {
	return v != nil && v.Binary == p.binary && bytes.Equal(v.Digest, p.digest())
}

// principal is who asks KMS on the callers' behalf.
const principal = "secretsmanager.amazonaws.com"

// via is the request for one version's key. The encryption context is the one
// that key policies can name ("Secret encryption and decryption", user guide).
func via(s *store.Secret, version string) kms.Via {
	return kms.Via{Service: principal, Context: map[string]string{"SecretARN": s.ARN().String(), "SecretVersionId": version}}
}

// seal encrypts a value under the secret's key. With a customer managed key the
// caller needs kms:GenerateDataKey and kms:Decrypt.
func seal(c *service.Call, s *store.Secret, version string, data []byte) (store.Envelope, *wire.Error) {
	key, e := keyOf(c, s)
	if e != nil {
		return store.Envelope{}, c.Errorf("EncryptionFailure", notEncrypted)
	}
	envelope, e := kms.Seal(c, key, via(s, version), data)
	if e == nil && s.Key != "" {
		e = kms.Allowed(c, "kms:Decrypt", key, via(s, version))
	}
	if e != nil {
		return store.Envelope{}, failure(c, e, "EncryptionFailure", notEncrypted)
	}
	return envelope, nil
}

// open decrypts one version. The caller needs kms:Decrypt.
func open(c *service.Call, s *store.Secret, v *store.SecretVersion) ([]byte, *wire.Error) {
	data, e := kms.Open(c, &v.Envelope, via(s, v.ID))
	if e != nil {
		return nil, failure(c, e, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key.")
	}
	return data, nil
}

// failure says what Secrets Manager makes of an error of KMS.
func failure(c *service.Call, e *wire.Error, code, message string) *wire.Error {
	if e.Code != "AccessDeniedException" {
		return c.Errorf(code, "%s", message)
	}
	denied := c.Errorf("AccessDeniedException", "Access to KMS is not allowed")
	denied.Cause = e.Cause
	return denied
}

// keyOf is the KMS key of a secret. The key aws/secretsmanager is made on first use.
func keyOf(c *service.Call, s *store.Secret) (arn.ARN, *wire.Error) {
	if s.Key == "" {
		return kms.ManagedKey(c, c.World.Accounts[s.Account], "secretsmanager").ARN(), nil
	}
	return kms.Reference(c, s.Account, s.Key)
}

// managedAlias is the key of secrets that name none.
const managedAlias = "alias/aws/secretsmanager"

// keyName is how a secret remembers its key: aliases as ARNs, the key
// aws/secretsmanager as "". Whether the key exists is found out when it is used.
func keyName(c *service.Call, s *store.Secret, ref *string) (string, *wire.Error) {
	switch {
	case ref == nil || *ref == "" || *ref == managedAlias || *ref == store.AliasARN(s.Account, s.Region, managedAlias).String():
		return "", nil
	case strings.HasPrefix(*ref, "alias/"):
		return store.AliasARN(s.Account, s.Region, *ref).String(), nil
	case strings.HasPrefix(*ref, "arn:"):
		if a, err := arn.Parse(*ref); err != nil || a.Service != "kms" || a.Region != s.Region {
			return "", c.Errorf("InvalidParameterException", "The KMS key %s is not a valid key of this Region.", *ref)
		}
	}
	return *ref, nil
}

const notEncrypted = "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key is available, enabled, and not in an invalid state."

// changeKey works out what the secret becomes with another key: it with the key
// changed, and its labelled versions encrypted anew, if the caller may encrypt
// with the new key. It changes nothing.
func changeKey(c *service.Call, s *store.Secret, ref *string) (rekeyed *store.Secret, anew map[string]store.Envelope, e *wire.Error) {
	if ref == nil {
		return s, nil, nil
	}
	rekeyed = &store.Secret{Name: s.Name, Account: s.Account, Region: s.Region, Suffix: s.Suffix}
	if rekeyed.Key, e = keyName(c, s, ref); e != nil || rekeyed.Key == s.Key {
		return rekeyed, nil, e
	}
	key, e := keyOf(c, rekeyed)
	if e != nil {
		return nil, nil, c.Errorf("EncryptionFailure", notEncrypted)
	}
	if kms.Allowed(c, "kms:Encrypt", key, via(s, "RequestToValidateKeyAccess")) == nil {
		anew, e = sealAnew(c, s, rekeyed)
	}
	return rekeyed, anew, e
}

// sealAnew encrypts the versions in use under the key of changed.
func sealAnew(c *service.Call, s, changed *store.Secret) (map[string]store.Envelope, *wire.Error) {
	anew := map[string]store.Envelope{}
	for _, id := range slices.Sorted(maps.Keys(s.Versions)) {
		v := s.Versions[id]
		if !slices.ContainsFunc(v.Stages, func(stage string) bool { return strings.HasPrefix(stage, "AWS") }) {
			continue
		}
		data, e := open(c, s, v)
		if e != nil {
			return nil, e
		}
		if anew[id], e = seal(c, changed, id, data); e != nil {
			return nil, e
		}
	}
	return anew, nil
}
