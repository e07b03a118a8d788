package kms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// blobVersion begins every CiphertextBlob. After it come the ARN of the key,
// preceded by its length, the nonce and the sealed plaintext.
const blobVersion = 1

// sealBlob encrypts plaintext under key. The encryption context is bound as
// additional authenticated data, as KMS does.
func sealBlob(key *store.KMSKey, plaintext []byte, context map[string]string) []byte {
	name := key.ARN().String()
	head := append([]byte{blobVersion, byte(len(name))}, name...)
	aead := newAEAD(key.Material)
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	blob := append(slices.Clone(head), nonce...)
	return aead.Seal(blob, nonce, plaintext, additional(head, context))
}

// blobKey reads which key a blob was encrypted under.
func blobKey(blob []byte) (key arn.ARN, head, body []byte, ok bool) {
	if len(blob) < 2 || blob[0] != blobVersion || len(blob) < 2+int(blob[1]) {
		return arn.ARN{}, nil, nil, false
	}
	n := 2 + int(blob[1])
	key, err := arn.Parse(string(blob[2:n]))
	return key, blob[:n:n], blob[n:], err == nil
}

// openBlob decrypts what sealBlob encrypted under key with the same context.
func openBlob(key *store.KMSKey, blob []byte, context map[string]string) ([]byte, bool) {
	_, head, body, ok := blobKey(blob)
	aead := newAEAD(key.Material)
	if !ok || len(body) < aead.NonceSize() {
		return nil, false
	}
	plaintext, err := aead.Open(nil, body[:aead.NonceSize()], body[aead.NonceSize():], additional(head, context))
	return plaintext, err == nil
}

// additional is the additional authenticated data: the blob's head and the
// encryption context, whose order does not matter.
func additional(head []byte, context map[string]string) []byte {
	data := slices.Clone(head)
	for _, name := range slices.Sorted(maps.Keys(context)) {
		data = appendText(data, name)
		data = appendText(data, context[name])
	}
	return data
}

func appendText(data []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(data, uint32(len(s))), s...)
}

// newAEAD is AES-256-GCM. Keys come from us or from a sealed blob, so that one
// of another length is a bug.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("kms: making AES from a key: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("kms: making AES-GCM: " + err.Error())
	}
	return aead
}
