// Package verify is `stile verify`: is what was declared allowed, and nothing
// more?
package verify

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/verify"
)

type options struct {
	streams *term.Streams
	path    string
	json    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "verify PATH",
		Short: "Prove that what is declared is allowed on both sides, and nothing more",
		Long: "Prove, on what is in the accounts now, that the declarations at PATH are allowed on both sides and that\n" +
			"nothing more is. Exit status: 0 proven, 1 anything else, with the reasons.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = args[0]
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func (o *options) run(ctx context.Context) error {
	s, diags := scope.Load(o.path, scope.Read, nil)
	if s == nil {
		return diags
	}
	view, more, err := s.Look(ctx)
	if err != nil {
		return err
	}
	if err := term.Report(o.streams, append(diags, more...)); err != nil {
		return err
	}
	report := verify.Check(view.Wanted, view.Inventory, view.Ledger())
	if o.json {
		err = o.streams.JSON(report)
	} else {
		err = report.Text(o.streams.Out, s.Name)
	}
	if err == nil && !report.OK {
		err = term.ErrSaid
	}
	return err
}
