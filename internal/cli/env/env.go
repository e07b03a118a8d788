// Package env is `stile env`: a role's credentials as a shell's variables.
package env

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/env"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	var o route.Options
	var format string
	cmd := &cobra.Command{
		Use:   "env ADDRESS",
		Short: "Print a role's credentials as variables for a shell",
		Long: "Print what a shell has to evaluate to work as a role: its credentials, and the removal of everything that\n" +
			"would win over them. They end when they expire; stile exec refreshes them and keeps them out of the environment.\n" +
			"The address is ACCOUNT/ROLE, a role's ARN, or the name of a session, a source or an AWS profile. The Region is\n" +
			"--region's, the session's or profile's own, the environment's, the account's: always said.\n\n" +
			"Exit status: 0, or 1 when there are no credentials.",
		Example: "  eval \"$(stile env orders-prod/payroll-api)\"\n" +
			"  stile env --format fish orders-prod/payroll-api | source\n" +
			"  stile env --format powershell orders-prod/payroll-api | Out-String | Invoke-Expression",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			way, err := o.Open(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			defer way.Close()
			c, err := way.Retrieve(cmd.Context())
			if err != nil {
				return err
			}
			if format == "sh" {
				format = "bash"
			}
			from := s.Environ()
			child := env.Child{Environ: from, Region: way.Region.Name}
			return env.Write(s.Out, cmp.Or(format, env.Format(s.Getenv("SHELL"))), withoutRegion(from), child.WithCredentials(c))
		},
	}
	o.Flags(cmd)
	o.LengthFlag(cmd)
	o.RegionFlag(cmd, "the `REGION` to set")
	cmd.Flags().StringVar(&format, "format", "", "`SYNTAX`: "+strings.Join(env.Formats(), ", ")+"; sh is bash; default: $SHELL's, else bash")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(env.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// withoutRegion is an environment as if it said no Region: it is printed though it is
// the same, for those who read it elsewhere.
func withoutRegion(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return strings.HasPrefix(v, "AWS_REGION=") || strings.HasPrefix(v, "AWS_DEFAULT_REGION=")
	})
}
