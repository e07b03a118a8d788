package term_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-aws/stile/internal/cli/term"
)

func TestFollow(t *testing.T) {
	for _, test := range []struct {
		name             string
		terminal, always bool
		takes            time.Duration
		want             string
	}{
		{"a terminal, something short", true, false, 900 * time.Millisecond, ""},
		{"a terminal, something long", true, false, 1300 * time.Millisecond, "\r\x1b[Khalfway\r\x1b[Khalfway\r\x1b[K"},
		{"a pipe", false, false, time.Minute, ""},
		{"a pipe that wants it", false, true, 7 * time.Second, "halfway\nhalfway\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				s := &term.Streams{Err: &said, Terminal: test.terminal}
				ended := s.Follow(test.always, func() string { return "halfway" })
				time.Sleep(test.takes) // the bubble's clock: no time passes
				ended()
				if got := said.String(); got != test.want {
					t.Errorf("said %q, want %q", got, test.want)
				}
			})
		})
	}
}
