package rotate

import (
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session/desk"
)

// NewStepping is the command with a function that is told of every step before
// it is done.
func NewStepping(s *term.Streams, step func(string) error) *cobra.Command {
	return newStepping(s, step)
}

// Replace puts a key into a text in place of the one under a heading.
func Replace(text []byte, heading string, key desk.AccessKey) ([]byte, desk.AccessKey, error) {
	p, err := parse(text, heading)
	if err != nil {
		return nil, p.key, err
	}
	return p.with(text, key), p.key, nil
}
