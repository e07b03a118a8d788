// Package credentialprocess is `stile credential-process`: credentials as the
// credential_process setting of the AWS config file wants them.
package credentialprocess

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/process"
	"github.com/stile-aws/stile/internal/used"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	var o route.Options
	cmd := &cobra.Command{
		Use:   "credential-process ADDRESS",
		Short: "Print a role's credentials for credential_process in an AWS config file",
		Long: "Print a role's credentials as JSON, for the AWS config file:\n\n" +
			"  [profile orders]\n" +
			"  credential_process = stile credential-process orders-prod/payroll-api\n\n" +
			"The way there comes from the declarations, or from your sessions (stile sessions): ACCOUNT/ROLE as Identity Center\n" +
			"lists it, or the name of a session, a source or an AWS profile. It needs no shell, and speaks to you at the terminal or in the browser alone, when you\n" +
			"have to sign in; STILE_NO_LOGIN=1 makes that an error. Credentials are kept in $XDG_RUNTIME_DIR, or where that is not\n" +
			"set in /dev/shm, in memory and for you alone, and are fetched once however many processes ask; STILE_KEEP=off keeps\n" +
			"none. As long as they have 15 minutes left and nothing has changed, the answer takes a few milliseconds.",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), s, &o, args[0]) },
	}
	o.Flags(cmd)
	o.LengthFlag(cmd)
	return cmd
}

func run(ctx context.Context, s *term.Streams, o *route.Options, address string) error {
	if err := used.Leave(); err != nil { // or the shell's session would come from itself
		return err
	}
	if c, ok := o.Kept(s, address); ok {
		return process.Write(s.Out, c)
	}
	way, err := o.Open(ctx, s, address)
	if err != nil {
		return err
	}
	defer way.Close()
	c, err := way.Retrieve(ctx)
	if err != nil {
		return err
	}
	return process.Write(s.Out, c)
}
