package term_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/term"
)

func TestYes(t *testing.T) {
	for _, test := range []struct {
		in   string
		want bool
	}{
		{"yes\n", true},
		{" yes \r\n", true},
		{"y\n", false},
		{"no\nyes\n", false},
		{"\n", false},
		{"yes", false}, // the answer was broken off
		{"", false},
	} {
		s := &term.Streams{In: strings.NewReader(test.in)}
		if got := s.Yes(t.Context()); got != test.want {
			t.Errorf("%q is yes: %v, want %v", test.in, got, test.want)
		}
	}
}

// TestYesInterrupted waits forever unless an interrupt ends the question.
func TestYesInterrupted(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if (&term.Streams{In: in}).Yes(ctx) {
		t.Error("an interrupt was taken for yes")
	}
}
