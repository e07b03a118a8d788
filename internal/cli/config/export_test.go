package config

import (
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
)

// NewStepping is `config write` with a function that is told of every step
// before it is done.
func NewStepping(s *term.Streams, step func(string) error) *cobra.Command {
	return newStepping(s, step)
}
