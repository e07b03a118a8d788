package totp_test

import (
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/localaws/totp"
)

// The values are those of RFC 6238, appendix B, for SHA-1, cut to six digits.
func TestTheVectorsOfTheRFC(t *testing.T) {
	seed := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		step := totp.StepAt(time.Unix(at, 0))
		if got := totp.Code(seed, step); got != want {
			t.Errorf("Code at %d = %s, want %s", at, got, want)
		}
		if !totp.Is(seed, step, want) || totp.Is(seed, step+1, want) || totp.Is(seed, step, "") || totp.Is(nil, step, want) {
			t.Errorf("Is at %d mistakes %s", at, want)
		}
	}
}
