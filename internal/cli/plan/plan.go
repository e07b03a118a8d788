// Package plan is `stile plan`: what apply would do, access first.
package plan

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/internal/scope"
)

type options struct {
	streams   *term.Streams
	path      string
	out       string
	json      bool
	why       bool
	adopt     bool
	repattern bool
	destroy   bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "plan PATH",
		Short: "Show what apply would do: access first, then steps, budgets and risks",
		Long: "Show what apply would do with the declarations at PATH, a directory or file.\n" +
			"Exit status: 0 nothing to change, 2 changes, 1 anything wrong.",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = args[0]
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "also save the plan to `FILE` (mode 0600), for stile apply FILE")
	f.BoolVar(&o.json, "json", false, "print the plan as JSON")
	f.BoolVar(&o.why, "why", true, "print why each pattern was chosen, and why not the others")
	f.BoolVar(&o.adopt, "adopt", false, "take over roles and providers of the wanted names that no scope owns")
	f.BoolVar(&o.repattern, "repattern", false, "choose patterns anew where another one is in use")
	f.BoolVar(&o.destroy, "destroy", false, "plan the end of everything the scope owns")
	return cmd
}

func (o *options) run(ctx context.Context) error {
	if err := o.checkOut(); err != nil {
		return err
	}
	p, diags, err := o.make(ctx)
	if err != nil {
		return err
	}
	if err := term.Report(o.streams, diags); err != nil {
		return err
	}
	if o.out != "" {
		if p.From, err = filepath.Abs(o.path); err != nil {
			return err
		}
		if err := save(o.out, p); err != nil {
			return err
		}
	}
	if o.json {
		err = o.streams.JSON(p)
	} else {
		err = p.Text(o.streams.Out, o.why)
	}
	if err != nil {
		return err
	}
	if p.Changes() {
		return &term.Exit{Code: term.Changes}
	}
	return nil
}

// checkOut refuses to save the plan where no directory is, or where it would be
// read as a declaration.
func (o *options) checkOut() error {
	if o.out == "" {
		return nil
	}
	if err := atomicfile.Place(o.out); err != nil {
		return fmt.Errorf("saving plan: %w", err)
	}
	among, err := access.Reads(o.path, o.out)
	if err != nil {
		return err
	}
	if among {
		return fmt.Errorf("saving plan to %s: the file would lie among the declarations of %s and be read as one; name a file outside", o.out, o.path)
	}
	return nil
}

func (o *options) make(ctx context.Context) (*plan.Plan, diag.List, error) {
	s, diags := scope.Load(o.path, scope.Read, nil)
	if s == nil {
		return nil, nil, diags
	}
	s.Repattern = o.repattern
	defer o.streams.Follow(false, func() string { return "stile: reading the accounts" })()
	p, _, more, err := s.Plan(ctx, scope.PlanOptions{Destroy: o.destroy, Adopt: o.adopt, Now: time.Now()})
	return p, append(diags, more...), err
}

// save writes a plan for later, readable by its owner only.
func save(file string, p *plan.Plan) error {
	text, err := p.Encode()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(file, text); err != nil {
		return fmt.Errorf("saving plan: %w", err)
	}
	return nil
}
