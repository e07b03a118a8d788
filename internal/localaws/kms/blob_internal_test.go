package kms

import (
	"bytes"
	"testing"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// A ciphertext opens under its own key and context only, whatever is sent.
func FuzzBlob(f *testing.F) {
	key := &store.KMSKey{ID: "0f7cbf8a-8b7c-4a4c-9a6f-0e7d8e3d4a5b", Account: "111111111111", Region: "us-east-1", Material: bytes.Repeat([]byte{7}, materialSize)}
	plaintext := []byte("hello")
	sealed := sealBlob(key, plaintext, map[string]string{"a": "b"})
	f.Add(sealed, "a", "b")
	f.Add(sealed, "ab", "")
	f.Add(sealed[:20], "a", "b")
	f.Add([]byte{blobVersion, 255}, "", "")
	f.Fuzz(func(t *testing.T, blob []byte, name, value string) {
		// Fuzzing has workers whose seeds were sealed with another nonce: they open too.
		if got, ok := openBlob(key, blob, map[string]string{name: value}); ok && (name != "a" || value != "b" || !bytes.Equal(got, plaintext)) {
			t.Errorf("openBlob(%x) with %s=%s = %q", blob, name, value, got)
		}
		if _, ok := openBlob(key, sealed, map[string]string{name: value}); ok != (name == "a" && value == "b") {
			t.Errorf("the sealed text opens with %s=%s: %v", name, value, ok)
		}
	})
}
