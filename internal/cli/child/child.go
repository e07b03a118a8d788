// Package child makes the environment of a command that is to have a role's
// credentials, for the commands that start others.
package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/endpoint"
	"github.com/stile-aws/stile/internal/deliver/env"
)

// Options are the flags that say how credentials get to the command.
type Options struct {
	env        bool
	keepConfig bool
	tokenInEnv bool
}

// Flags adds the options to a command.
func (o *Options) Flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.env, "env", false, "put the credentials themselves into the environment; they end when they expire")
	f.BoolVar(&o.keepConfig, "keep-config", false, "leave the user's AWS config and credentials files to the command")
	f.BoolVar(&o.tokenInEnv, "token-in-env", false, "put the endpoint's token into the environment beside the file that has it, for AWS CLI before 2.15\n"+
		"and botocore before 1.33, which know no token files")
}

// Environ gives the environment of a command that works as the end of way. done
// ends what the command needed while it ran. A signal ends ctx, but not what the
// command still needs for its own end.
func (o *Options) Environ(ctx context.Context, s *term.Streams, way *route.Way) (environ []string, done func() error, err error) {
	c, err := way.Retrieve(ctx) // clients give an endpoint two seconds
	if err != nil {
		return nil, nil, err
	}
	child := way.Child(s.Environ())
	if o.env {
		return child.WithCredentials(c), func() error { return nil }, nil
	}
	ctx = context.WithoutCancel(ctx)
	dir, remove, err := Dir(ctx, s, "stile-exec-")
	if err != nil {
		return nil, nil, err
	}
	server, err := endpoint.Start(ctx, endpoint.Config{Provider: way.Provider(), Dir: dir})
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	keep, stop := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() { defer close(kept); way.Credentials.Keep(keep) }()
	done = func() error {
		stop()
		<-kept
		return errors.Join(server.Close(), remove())
	}
	e, err := o.endpoint(server, dir)
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return child.WithEndpoint(e), done, nil
}

// endpoint says how the command finds the server.
func (o *Options) endpoint(server *endpoint.Server, dir string) (env.Endpoint, error) {
	e := env.Endpoint{URL: server.URL(), TokenFile: server.TokenFile()}
	if o.tokenInEnv {
		e.Token = server.Token()
	}
	if o.keepConfig {
		return e, nil
	}
	e.ConfigFile, e.CredentialsFile = filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	for _, file := range []string{e.ConfigFile, e.CredentialsFile} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return env.Endpoint{}, fmt.Errorf("making an empty AWS config: %w", err)
		}
	}
	return e, nil
}

// StartError is why a program did not start, in words for people: os/exec names
// the program once more.
func StartError(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("there is no such program on PATH")
	}
	return err
}
