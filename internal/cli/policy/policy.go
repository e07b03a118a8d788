// Package policy is `stile policy`: what policies mean, asked without AWS.
package policy

import (
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Ask what policies mean",
		Long:  "Ask what IAM policies mean. Nothing is asked of AWS.",
	}
	cmd.AddCommand(newTest(s))
	return cmd
}
