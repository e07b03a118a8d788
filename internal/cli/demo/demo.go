// Package demo is `stile demo`: the main job on a local AWS of its own.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/demo"
)

type options struct {
	streams *term.Streams
	keep    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the main job from end to end, on a local AWS of three accounts",
		Long: "Start a local AWS of three accounts, apply and prove the example declarations, use the access as the pods\n" +
			"would, and try what must fail. Nothing leaves this computer.",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.keep, "keep", false, "leave the local AWS running and print how to use it")
	return cmd
}

func (o *options) run(ctx context.Context) (err error) {
	setup := local.Setup{AWS: demo.Setup(), Listen: "127.0.0.1:0"}
	if o.keep {
		base, err := state.Dir(o.streams)
		if err != nil {
			return err
		}
		setup.Credentials = filepath.Join(base, "local", "demo-credentials")
	}
	running, err := local.Start(ctx, o.streams, setup)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.Close()) }()
	if err := demo.Run(ctx, demo.Config{Server: running.Server, URL: running.URL, Out: o.streams.Out}); err != nil {
		return fmt.Errorf("the demo did not go as it must: %w", err)
	}
	if !o.keep {
		return nil
	}
	o.streams.Printf("\n=== still running; in another terminal\n%s%s", running.Exports(setup.Credentials), hints)
	o.streams.Note("stile: interrupt to stop")
	<-ctx.Done()
	return os.Remove(setup.Credentials)
}

const hints = `
aws sts get-caller-identity --profile orders-prod
stile local token --cluster tooling/ci payroll/api > token
aws sts assume-role-with-web-identity --role-arn arn:aws:iam::222222222222:role/stile/payroll-api \
    --role-session-name me --web-identity-token "$(cat token)"
stile can serviceaccount:ci/payroll/api dynamodb:GetItem arn:aws:dynamodb:us-east-1:222222222222:table/Orders -f examples/payroll
stile exec -f examples/payroll orders-prod/payroll-api -- aws dynamodb scan --table-name Orders

terraform's AWS provider and boto3 read the same variables. For kubectl, aws eks update-kubeconfig --name target
--profile orders-prod writes a kubeconfig whose tokens are real; there is no Kubernetes API server behind it yet.
`
