package kms

import (
	"crypto/rand"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

const algorithm = types.EncryptionAlgorithmSpecSymmetricDefault

// algorithmKey is a condition key of encryption and decryption.
func algorithmKey() map[string][]string {
	return map[string][]string{"kms:EncryptionAlgorithm": {string(algorithm)}}
}

func encrypt(c *service.Call, in *kms.EncryptInput) (*kms.EncryptOutput, *wire.Error) {
	key, e := usable(c, request{
		action: "kms:Encrypt", ref: aws.ToString(in.KeyId), aliases: true,
		context: in.EncryptionContext, keys: algorithmKey(),
	})
	if e != nil {
		return nil, e
	}
	if e := symmetric(c, key, in.EncryptionAlgorithm); e != nil {
		return nil, e
	}
	if e := dryRun(c, in.DryRun); e != nil {
		return nil, e
	}
	return &kms.EncryptOutput{
		CiphertextBlob: sealBlob(key, in.Plaintext, in.EncryptionContext), EncryptionAlgorithm: algorithm,
		KeyId: aws.String(key.ARN().String()),
	}, nil
}

func symmetric(c *service.Call, key *store.KMSKey, wanted types.EncryptionAlgorithmSpec) *wire.Error {
	if wanted != "" && wanted != algorithm {
		return c.Errorf("InvalidKeyUsageException", "The requested encryption algorithm %s is not supported by key %s", wanted, key.ARN())
	}
	return nil
}

// dryRun ends a request that was to be checked only.
func dryRun(c *service.Call, wanted *bool) *wire.Error {
	if aws.ToBool(wanted) {
		return c.Errorf("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	}
	return nil
}

func decrypt(c *service.Call, in *kms.DecryptInput) (*kms.DecryptOutput, *wire.Error) {
	if in.Recipient != nil {
		return nil, noEnclaves(c)
	}
	key, e := keyOf(c, in.CiphertextBlob, in.KeyId, request{action: "kms:Decrypt", context: in.EncryptionContext})
	if e != nil {
		return nil, e
	}
	if e := symmetric(c, key, in.EncryptionAlgorithm); e != nil {
		return nil, e
	}
	plaintext, ok := openBlob(key, in.CiphertextBlob, in.EncryptionContext)
	if !ok {
		return nil, c.Errorf("InvalidCiphertextException", "")
	}
	if e := dryRun(c, in.DryRun); e != nil {
		return nil, e
	}
	return &kms.DecryptOutput{Plaintext: plaintext, EncryptionAlgorithm: algorithm, KeyId: aws.String(key.ARN().String())}, nil
}

func noEnclaves(c *service.Call) *wire.Error {
	return c.Errorf("UnsupportedOperationException", "stile's local AWS has no enclaves to encrypt for")
}

// keyOf finds the key that a blob was encrypted under and asks whether the
// caller may use it. A key that the caller names has to be that one.
func keyOf(c *service.Call, blob []byte, named *string, r request) (*store.KMSKey, *wire.Error) {
	under, _, _, ok := blobKey(blob)
	if !ok {
		return nil, c.Errorf("InvalidCiphertextException", "")
	}
	r.keys, r.aliases, r.ref = algorithmKey(), true, under.String()
	if named != nil {
		r.ref = *named
	} else if c.World.KMSKey(under, c.Now) == nil || under.Region != c.Region {
		return nil, c.Errorf("AccessDeniedException",
			"The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
	}
	key, e := usable(c, r)
	if e != nil {
		return nil, e
	}
	if key.ARN() != under {
		return nil, c.Errorf("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return key, nil
}

func reEncrypt(c *service.Call, in *kms.ReEncryptInput) (*kms.ReEncryptOutput, *wire.Error) {
	destination := request{
		action: "kms:ReEncryptTo", ref: aws.ToString(in.DestinationKeyId), aliases: true,
		context: in.DestinationEncryptionContext, keys: algorithmKey(),
	}
	to, e := resolve(c, c.Account, destination.ref, true)
	if e != nil {
		return nil, e
	}
	from, e := keyOf(c, in.CiphertextBlob, in.SourceKeyId, request{action: "kms:ReEncryptFrom", context: in.SourceEncryptionContext})
	if e != nil {
		return nil, e
	}
	destination.keys["kms:ReEncryptOnSameKey"] = []string{strconv.FormatBool(to.key == from)}
	key, e := usable(c, destination)
	if e != nil {
		return nil, e
	}
	plaintext, ok := openBlob(from, in.CiphertextBlob, in.SourceEncryptionContext)
	if !ok {
		return nil, c.Errorf("InvalidCiphertextException", "")
	}
	if e := dryRun(c, in.DryRun); e != nil {
		return nil, e
	}
	return &kms.ReEncryptOutput{
		CiphertextBlob: sealBlob(key, plaintext, in.DestinationEncryptionContext),
		KeyId:          aws.String(key.ARN().String()), SourceKeyId: aws.String(from.ARN().String()),
		SourceEncryptionAlgorithm: algorithm, DestinationEncryptionAlgorithm: algorithm,
	}, nil
}

// dataKey is a fresh data key, plain and under its KMS key.
type dataKey struct {
	key         *store.KMSKey
	plain, blob []byte
}

// dataKeySpec is what a data key is asked for by.
type dataKeySpec struct {
	spec  types.DataKeySpec
	bytes *int32
}

func (s dataKeySpec) size(c *service.Call) (int, *wire.Error) {
	if (s.spec == "") == (s.bytes == nil) {
		return 0, c.Errorf("ValidationException", "Please specify either number of bytes or key spec.")
	}
	switch s.spec {
	case types.DataKeySpecAes128:
		return 16, nil
	case types.DataKeySpecAes256:
		return 32, nil
	}
	return int(aws.ToInt32(s.bytes)), nil
}

func newDataKey(c *service.Call, r request, spec dataKeySpec, dry *bool) (*dataKey, *wire.Error) {
	n, e := spec.size(c)
	if e != nil {
		return nil, e
	}
	key, e := usable(c, r)
	if e != nil {
		return nil, e
	}
	if e := dryRun(c, dry); e != nil {
		return nil, e
	}
	d := &dataKey{key: key, plain: make([]byte, n)}
	rand.Read(d.plain)
	d.blob = sealBlob(key, d.plain, r.context)
	return d, nil
}

func generateDataKey(c *service.Call, in *kms.GenerateDataKeyInput) (*kms.GenerateDataKeyOutput, *wire.Error) {
	if in.Recipient != nil {
		return nil, noEnclaves(c)
	}
	r := request{action: "kms:GenerateDataKey", ref: aws.ToString(in.KeyId), aliases: true, context: in.EncryptionContext}
	d, e := newDataKey(c, r, dataKeySpec{in.KeySpec, in.NumberOfBytes}, in.DryRun)
	if e != nil {
		return nil, e
	}
	return &kms.GenerateDataKeyOutput{Plaintext: d.plain, CiphertextBlob: d.blob, KeyId: aws.String(d.key.ARN().String())}, nil
}

func generateDataKeyWithoutPlaintext(c *service.Call, in *kms.GenerateDataKeyWithoutPlaintextInput) (*kms.GenerateDataKeyWithoutPlaintextOutput, *wire.Error) {
	r := request{action: "kms:GenerateDataKeyWithoutPlaintext", ref: aws.ToString(in.KeyId), aliases: true, context: in.EncryptionContext}
	d, e := newDataKey(c, r, dataKeySpec{in.KeySpec, in.NumberOfBytes}, in.DryRun)
	if e != nil {
		return nil, e
	}
	return &kms.GenerateDataKeyWithoutPlaintextOutput{CiphertextBlob: d.blob, KeyId: aws.String(d.key.ARN().String())}, nil
}

func generateRandom(c *service.Call, in *kms.GenerateRandomInput) (*kms.GenerateRandomOutput, *wire.Error) {
	if e := account(c, "kms:GenerateRandom", "*"); e != nil {
		return nil, e
	}
	if in.Recipient != nil || in.CustomKeyStoreId != nil {
		return nil, noEnclaves(c)
	}
	out := &kms.GenerateRandomOutput{Plaintext: make([]byte, aws.ToInt32(in.NumberOfBytes))}
	rand.Read(out.Plaintext)
	return out, nil
}
