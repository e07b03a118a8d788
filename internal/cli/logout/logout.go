// Package logout is `stile logout`: the end of a sign-in.
package logout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "logout [SOURCE]",
		Short: "End a sign-in and forget the credentials it gave",
		Long: "End a sign-in, Identity Center's at AWS too, and forget all credentials that are kept on this computer, whatever source they are of:\n" +
			"those of roles, MFA sessions, tokens, assertions and certificates, and what brokers hold. What is in the secret store\n" +
			"and in AWS's files stays. Credentials that running programs have are good until they expire: AWS takes none back.\n\n" +
			"Exit status: 0, or 1 when AWS could not be told; the sign-in is forgotten here all the same.",
		Args: term.ArgsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), s, append(args, "")[0], all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of every source")
	return cmd
}

func run(ctx context.Context, s *term.Streams, name string, all bool) error {
	d, _, err := route.OpenDesk(s)
	if err != nil {
		return err
	}
	defer d.Close()
	sources := d.Book().Sources
	login := func(s *session.Source) bool {
		return s.IdentityCenter != nil || s.ConsoleLogin != nil || s.User != nil || s.SAML != nil && s.SAML.StartURL != ""
	}
	if name == "" && !slices.ContainsFunc(sources, func(s session.Source) bool { return login(&s) }) {
		all = true // there is nothing to choose from
	}
	if !all {
		one, err := d.Book().Only(name, login)
		if profile := d.SignInSource(name); err != nil && profile != nil {
			one, err = profile, nil
		}
		if err != nil {
			return err
		}
		sources = []session.Source{*one}
	}
	var errs []error
	if err := route.EndBrokers(ctx, s); err != nil {
		errs = append(errs, fmt.Errorf("having the broker forget its credentials: %w; stile broker stop ends it", err))
	}
	d.Store().Clear()
	for i := range sources {
		if err := d.Logout(ctx, &sources[i]); err != nil {
			errs = append(errs, fmt.Errorf("ending the sign-in to %s: %w", sources[i].Name, err))
			continue
		}
		s.Note("stile: signed out of %s", sources[i].Name)
	}
	return errors.Join(errs...)
}
