package term_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-aws/stile/internal/cli/term"
)

func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for d, want := range map[time.Duration]string{
			-time.Hour: "under a minute", 20 * time.Second: "under a minute", 40 * time.Second: "1m", 10 * time.Minute: "10m",
			59*time.Minute + 50*time.Second: "1h0m", 36*time.Hour + 90*time.Second: "36h2m",
		} {
			if got := term.Left(time.Now().Add(d)); got != want {
				t.Errorf("Left in %s = %q, want %q", d, got, want)
			}
		}
	})
}
