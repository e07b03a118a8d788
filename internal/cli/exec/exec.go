// Package exec is `stile exec`: a command, or a shell, with the credentials of a role
// in an account, and no others.
//
// By default the command finds the credentials at an endpoint on 127.0.0.1
// (internal/deliver/endpoint), so that they are in nobody's environment and are
// refreshed as long as the command runs.
package exec

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/child"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/used"
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
		Use:   "exec ADDRESS [--] [COMMAND [ARGUMENT]...]",
		Short: "Run a command, or a shell, with the credentials of a role in an account",
		Long: "Run a command with the credentials of a role in an account, or, without one, a shell ($SHELL). The address is\n" +
			"ACCOUNT/ROLE, SOURCE:ACCOUNT/ROLE, a role's ARN, or the name of a session, a source or an AWS profile: the way there\n" +
			"comes from declarations where they lead there, else from what you can be (stile ls).\n\n" +
			"The command finds the credentials at an endpoint on 127.0.0.1 that serves this user's processes alone,\n" +
			"and gets fresh ones as long as it runs. Other credentials and profiles are taken out of its environment,\n" +
			"and its AWS config and credentials files are empty ones, for their default profile would win (--keep-config).\n" +
			"AWS_ENDPOINT_URL, AWS_CA_BUNDLE and proxies stay as they are.\n\n" +
			"AWS_REGION and AWS_DEFAULT_REGION are set to the Region that --region says, or else the session or the AWS profile; or\n" +
			"else to the environment's, unless stile use or exec has set that for another address; or else to the account's by\n" +
			"declarations. STILE_ADDRESS, STILE_ACCOUNT_ID and STILE_ACCOUNT_NAME tell the command where it is, as far as it is known.\n\n" +
			"What begins with - is stile's before the command and the command's behind it; -- ends stile's flags too.\n\n" +
			"Signals are passed on. Exit status: the command's, 128+N when signal N ended it, 126 or 127 when it cannot be\n" +
			"started, 1 when there are no credentials for it.",
		Example: "  stile exec orders-prod/payroll-api -- aws dynamodb scan --table-name Orders\n" +
			"  stile exec --read-only prod aws s3 ls\n" +
			"  stile exec prod",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || cmd.ArgsLenAtDash() == 0 {
				return errors.New("want stile exec ADDRESS [--] [COMMAND [ARGUMENT]...]")
			}
			command, err := commandOf(cmd, args[1:])
			if help, _ := cmd.Flags().GetBool("help"); help {
				return cmd.Help()
			}
			if err != nil {
				return cmd.FlagErrorFunc()(cmd, err)
			}
			return o.run(cmd.Context(), args[0], command)
		},
	}
	cmd.Flags().SetInterspersed(false) // what comes behind the command is the command's
	o.route.Flags(cmd)
	o.route.LengthFlag(cmd)
	o.route.RegionFlag(cmd, "the `REGION` that the command gets")
	o.child.Flags(cmd)
	return cmd
}

// commandOf is the command among the arguments behind the address: there may be more
// of our flags before it.
func commandOf(cmd *cobra.Command, args []string) ([]string, error) {
	if len(args) == 0 || !strings.HasPrefix(args[0], "-") {
		return args, nil
	}
	err := cmd.Flags().Parse(args)
	return cmd.Flags().Args(), err
}

func (o *options) run(ctx context.Context, address string, command []string) (err error) {
	inside := o.streams.Getenv(used.AddressEnv)
	shell := len(command) == 0
	if shell {
		command = []string{cmp.Or(o.streams.Getenv("SHELL"), "/bin/sh")}
	}
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
	if shell && o.streams.Terminal {
		o.tell(address, command[0], inside)
	}
	return run(o.streams, command, environ)
}

// tell says that a shell begins, which may look like the one before.
func (o *options) tell(address, shell, inside string) {
	if inside != "" {
		o.streams.Note("stile: %s in %s, within that of %s; exit leads back", shell, address, inside)
		return
	}
	o.streams.Note("stile: %s in %s; exit leads back", shell, address)
}
