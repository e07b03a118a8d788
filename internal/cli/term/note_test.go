package term_test

import (
	"bytes"
	"errors"
	"fmt"
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

func TestErrorsThatWereJoinedAreToldOneByOne(t *testing.T) {
	var out bytes.Buffer
	s := &term.Streams{Err: &out}
	both := errors.Join(errors.New("listing a: no answer"), errors.Join(errors.New("listing b: no answer")))
	if code := term.Code(s, both); code != term.Failed || out.String() != "stile: listing a: no answer\nstile: listing b: no answer\n" {
		t.Errorf("exit %d, said %q", code, out.String())
	}
	out.Reset()
	if term.Code(s, fmt.Errorf("doing it: %w, after %w", errors.New("x"), errors.New("y"))); out.String() != "stile: doing it: x, after y\n" {
		t.Errorf("said %q", out.String())
	}
}
