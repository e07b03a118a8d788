// Package exec is `stile exec`: a command with the credentials of a role in an
// account, and no others.
//
// By default the command finds the credentials at an endpoint on 127.0.0.1
// (internal/deliver/endpoint), so that they are in nobody's environment and are
// refreshed as long as the command runs.
package exec

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/child"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
)

type options struct {
	streams *term.Streams
	route   route.Options
	child   child.Options
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "exec ACCOUNT/ROLE -- COMMAND [ARGUMENT]...",
		Short: "Run a command with the credentials of a role in an account",
		Long: "Run a command with the credentials of a role in an account. The way there comes from the declarations.\n\n" +
			"The command finds the credentials at an endpoint on 127.0.0.1 that serves this user's processes alone,\n" +
			"and gets fresh ones as long as it runs. Other credentials and profiles are taken out of its environment,\n" +
			"and its AWS config and credentials files are empty ones, for their default profile would win (--keep-config).\n" +
			"AWS_ENDPOINT_URL, AWS_CA_BUNDLE, proxies and Region stay as they are; without a Region it gets the account's.\n\n" +
			"Signals are passed on. Exit status: the command's, 128+N when signal N ended it, 126 or 127 when it cannot be\n" +
			"started, 1 when there are no credentials for it.",
		Example: "  stile exec orders-prod/payroll-api -- aws dynamodb scan --table-name Orders",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 1 || len(args) < 2 {
				return fmt.Errorf("want stile exec ACCOUNT/ROLE -- COMMAND [ARGUMENT]")
			}
			return o.run(cmd.Context(), args[0], args[1:])
		},
	}
	o.route.Flags(cmd)
	o.route.RegionFlag(cmd, "the `REGION` that the command gets")
	o.child.Flags(cmd)
	return cmd
}

func (o *options) run(ctx context.Context, address string, command []string) (err error) {
	o.route.Runs(command[0])
	way, err := o.route.Open(ctx, o.streams, address)
	if err != nil {
		return err
	}
	defer way.Close()
	environ, done, err := o.child.Environ(ctx, o.streams, way)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return run(o.streams, command, environ)
}
