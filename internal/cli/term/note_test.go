package term_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stile-aws/stile/internal/cli/term"
)

func TestWhatIsSaidSteersNoTerminal(t *testing.T) {
	var out bytes.Buffer
	s := &term.Streams{Err: &out}
	term.Code(s, errors.New("account \x1b]0;title\a\u009b31m\u202eb\r: unknown\n\tin größer 日本"))
	if want := "stile: account \ufffd]0;title\ufffd\ufffd31m\ufffdb\ufffd: unknown\n\tin größer 日本\n"; out.String() != want {
		t.Errorf("said %q, want %q", out.String(), want)
	}
}
