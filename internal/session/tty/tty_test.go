package tty_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/session/tty"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"Sign in at https://x.example/?code=ÄB\n\tand wait": "Sign in at https://x.example/?code=ÄB\n\tand wait",
		"\x1b]0;PWNED\a\x1b[31mred":                         "\uFFFD]0;PWNED\uFFFD\uFFFD[31mred",
		"back\rover\b\x7f":                                  "back\uFFFDover\uFFFD\uFFFD",
		"right\u202eleft":                                   "right\uFFFDleft",
	} {
		if got := tty.Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
}
