// Package apply is `stile apply` and `stile destroy`: carry out a plan.
package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/internal/scope"
)

type options struct {
	streams *term.Streams
	path    string
	// declarations is path, or where a saved plan came from.
	declarations string
	yes          bool
	json         bool
	adopt        bool
	repattern    bool
	destroy      bool
}

// New returns `stile apply`.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "apply PATH|PLAN.json",
		Short: "Make AWS as the declarations say, over all their accounts",
		Long: "Make AWS as the declarations at PATH say, or execute exactly a plan saved by stile plan --out.\n" +
			"Killed or failed half-way, run it again: it goes on from what exists.\n\n" +
			"Exit status: 0 when AWS is as declared, 1 when something was not done, or was refused when asked.",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = args[0]
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.adopt, "adopt", false, "take over roles and providers of the wanted names that no scope owns")
	cmd.Flags().BoolVar(&o.repattern, "repattern", false, "choose patterns anew where another one is in use")
	return cmd
}

// NewDestroy returns `stile destroy`.
func NewDestroy(s *term.Streams) *cobra.Command {
	o := &options{streams: s, destroy: true}
	cmd := &cobra.Command{
		Use:   "destroy PATH",
		Short: "Delete everything the scope at PATH owns, and nothing else",
		Long: "Delete everything the scope at PATH owns, and nothing else. Killed or failed half-way, run it again.\n\n" +
			"Exit status: 0 when nothing of it is left, 1 when something was not done, or was refused when asked.",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = args[0]
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *options) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.json, "json", false, "print events as JSON, one a line")
}

func (o *options) run(ctx context.Context) error {
	p, source, err := o.plan(ctx)
	if err != nil {
		return err
	}
	if !p.Changes() {
		o.say("scope %s: nothing to change", p.Scope)
		for _, k := range p.Kept {
			o.streams.Note("stile: kept: %s", k)
		}
	} else {
		if !o.json {
			if err := p.Text(o.streams.Err, false); err != nil {
				return err
			}
		}
		if err := o.confirm(ctx, p, source); err != nil {
			return err
		}
	}
	return o.carryOut(ctx, p, source)
}

// say prints a line that is no event.
func (o *options) say(format string, args ...any) {
	if !o.json {
		o.streams.Printf(format+"\n", args...)
	}
}

// plan reads a saved plan, or makes one.
func (o *options) plan(ctx context.Context) (*plan.Plan, *scope.Source, error) {
	defer o.streams.Follow(false, func() string { return "stile: reading the accounts" })()
	if strings.HasSuffix(o.path, ".json") && !o.destroy {
		saved, err := readPlan(o.path)
		if err != nil {
			return nil, nil, err
		}
		if saved != nil {
			o.declarations = saved.From
			source := scope.NewSource(saved.Set(), scope.Manage, nil)
			return saved, source, scope.Unmoved(ctx, saved, source)
		}
	}
	o.declarations = o.path
	s, diags := scope.Load(o.path, scope.Manage, nil)
	if s == nil {
		return nil, nil, diags
	}
	s.Repattern = o.repattern
	p, _, more, err := s.Plan(ctx, scope.PlanOptions{Destroy: o.destroy, Adopt: o.adopt, Now: time.Now()})
	if err != nil {
		return nil, nil, err
	}
	if err := term.Report(o.streams, append(diags, more...)); err != nil {
		return nil, nil, err
	}
	return p, s.Source, nil
}

// readPlan reads a saved plan; nil when the file is a declaration in JSON.
func readPlan(file string) (*plan.Plan, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading plan %s: there is no such file; make one by stile plan PATH --out %s", file, file)
	}
	if err != nil {
		return nil, err
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
	}
	if json.Unmarshal(text, &head) == nil && head.APIVersion != "" {
		return nil, nil
	}
	p, err := plan.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return p, nil
}

// confirm asks whether p is to be carried out. People take their time, so
// whether anything moved meanwhile is looked at again.
func (o *options) confirm(ctx context.Context, p *plan.Plan, source *scope.Source) error {
	if o.yes {
		return nil
	}
	if !o.streams.Ask {
		return errors.New("nobody can be asked here: look at the plan above and run the command again with --yes, or apply a saved plan with --yes")
	}
	o.streams.Note("\n%d changes in scope %s. Apply? Only \"yes\" is taken.", len(p.Steps), p.Scope)
	if !o.streams.Yes(ctx) {
		return errors.New("not applied: nothing was changed")
	}
	return scope.Unmoved(ctx, p, source)
}

func (o *options) carryOut(ctx context.Context, p *plan.Plan, source *scope.Source) error {
	journal, err := state.Open(o.streams, p.Scope)
	if err != nil {
		return err
	}
	defer journal.Close()
	ledgers, err := apply.OpenLedgers(ctx, source, p.Home, p.Scope)
	if err != nil {
		return err
	}
	progress := newProgress(o.streams, p, o.json)
	result, err := apply.Run(ctx, p, apply.Config{Source: source, Ledgers: ledgers, Observe: func(e apply.Event) {
		journal.Record(e)
		progress.event(e)
	}})
	progress.end()
	if ctx.Err() != nil {
		return errors.New("interrupted; what was done is recorded, run the same command again to go on")
	}
	if err != nil {
		if result.Done+result.Failed+result.Skipped > 0 {
			o.streams.Note("stile: %d of %d steps done, %d failed, %d not tried; run the same command again to go on",
				result.Done, len(p.Steps), result.Failed, result.Skipped)
		}
		return err
	}
	if err := journal.Applied(p, o.declarations); err != nil {
		return err
	}
	if p.Changes() {
		o.say("scope %s: %d steps done", p.Scope, result.Done)
	}
	return nil
}
