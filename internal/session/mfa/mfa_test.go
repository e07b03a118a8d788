package mfa_test

import (
	"encoding/base32"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/session/mfa"
)

// The test vectors of RFC 6238, appendix B, for SHA-1; their last six digits.
func TestCodesAreTheStandards(t *testing.T) {
	seed := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got, err := mfa.TOTP(seed, time.Unix(at, 0)); err != nil || got != want {
			t.Errorf("TOTP at %d = %s, %v, want %s", at, got, err, want)
		}
	}
}

func TestSeedsAreReadAsPeopleCopyThem(t *testing.T) {
	want, err := mfa.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", time.Unix(59, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range []string{"gezd gnbv gy3t qojq gezd gnbv gy3t qojq", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ===="} {
		if got, err := mfa.TOTP(seed, time.Unix(59, 0)); err != nil || got != want {
			t.Errorf("TOTP(%q) = %s, %v, want %s", seed, got, err, want)
		}
	}
	for _, seed := range []string{"", "1", "not base32!"} {
		if _, err := mfa.TOTP(seed, time.Unix(59, 0)); err == nil {
			t.Errorf("TOTP(%q) has a code", seed)
		}
	}
}
