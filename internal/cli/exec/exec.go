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
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/endpoint"
	"github.com/stile-aws/stile/internal/deliver/env"
)

type options struct {
	streams    *term.Streams
	route      route.Options
	env        bool
	keepConfig bool
	tokenInEnv bool
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
	f := cmd.Flags()
	f.BoolVar(&o.env, "env", false, "put the credentials themselves into the environment; they end when they expire")
	f.BoolVar(&o.keepConfig, "keep-config", false, "leave the user's AWS config and credentials files to the command")
	f.BoolVar(&o.tokenInEnv, "token-in-env", false, "put the endpoint's token into the environment beside the file that has it, for AWS CLI before 2.15\n"+
		"and botocore before 1.33, which know no token files")
	return cmd
}

func (o *options) run(ctx context.Context, address string, command []string) error {
	way, err := o.route.Open(ctx, o.streams, address)
	if err != nil {
		return err
	}
	defer way.Close()
	c, err := way.Retrieve(ctx) // clients give an endpoint two seconds
	if err != nil {
		return err
	}
	child := env.Child{Environ: o.streams.Environ(), Region: way.Region}
	if o.env {
		return run(o.streams, command, child.WithCredentials(c))
	}
	return o.withEndpoint(ctx, way, child, command)
}

// withEndpoint runs the command beside its endpoint. A signal ends ctx, but not
// what the command still needs for its own end.
func (o *options) withEndpoint(ctx context.Context, way *route.Way, child env.Child, command []string) (err error) {
	ctx = context.WithoutCancel(ctx)
	dir, err := o.streams.PrivateDir("stile-exec-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := endpoint.Start(ctx, endpoint.Config{Provider: way.Credentials, Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	e := env.Endpoint{URL: server.URL(), TokenFile: server.TokenFile()}
	if o.tokenInEnv {
		e.Token = server.Token()
	}
	if !o.keepConfig {
		e.ConfigFile, e.CredentialsFile = filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
		for _, file := range []string{e.ConfigFile, e.CredentialsFile} {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				return fmt.Errorf("making an empty AWS config: %w", err)
			}
		}
	}
	keep, stop := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() { defer close(kept); way.Credentials.Keep(keep) }()
	defer func() { stop(); <-kept }()
	return run(o.streams, command, child.WithEndpoint(e))
}
