// Package totp is the arithmetic of virtual MFA devices: time-based one-time
// passwords of six digits, HMAC-SHA1 and steps of 30 seconds (RFC 6238), which
// is what IAM's devices use.
//
// Which codes are accepted, and how often, is the business of who asks.
package totp

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// Step is how long a code is shown.
const Step = 30 * time.Second

// StepAt is the number of the step that t is in.
func StepAt(t time.Time) int64 { return t.Unix() / int64(Step/time.Second) }

// Code is the code that a device with a seed shows in a step.
func Code(seed []byte, step int64) string {
	mac := hmac.New(sha1.New, seed)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:offset+4])&0x7fffffff%1_000_000)
}

// Is reports whether a code is the one of a step.
func Is(seed []byte, step int64, code string) bool {
	return subtle.ConstantTimeCompare([]byte(Code(seed, step)), []byte(code)) == 1
}
