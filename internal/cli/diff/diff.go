// Package diff is `stile diff`: who gains and who loses access between two
// inventories, or by a change.
package diff

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/cli/world"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach"
	"github.com/stile-aws/stile/internal/reach/difference"
)

type options struct {
	source world.Source
	failOn string
	json   bool
}

// What --fail-on takes.
const (
	failNone = "none"
	failGain = "gain"
	failLoss = "loss"
	failAny  = "any"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{source: world.Source{Streams: s}}
	cmd := &cobra.Command{
		Use:   "diff BEFORE [AFTER]",
		Short: "Tell who gains and who loses access between two inventories, or by a Terraform or CloudFormation change",
		Long: "Tell who gains and who loses access from BEFORE to AFTER: roles that can be assumed, roles that can be come to\n" +
			"through them, and what principals may do on which resources. BEFORE and AFTER are inventories as --inventory takes\n" +
			"them. Without AFTER it is BEFORE with the plans and templates of --with applied; BEFORE - stands for the declared\n" +
			"accounts as they are now (-f). stronger is what was conditional or not known before and is surer now, weaker the\n" +
			"other way round; a gain counts however sure it is.\n\n" +
			"--assume takes what nobody looked for to be absent, on both sides.\n" +
			"Exit status: 0 compared, and nothing that --fail-on names; 1 there is, or it could not be compared.",
		Example: "  stile diff yesterday.json.gz today.json.gz\n" +
			"  terraform show -json plan.out > plan.json && stile diff acme.json.gz --with plan.json --fail-on gain",
		Args: term.ArgsBetween(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.source.OverlayFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.source.Declarations, "declarations", "f", "", "for BEFORE -: read the accounts declared at `PATH`")
	f.StringVar(&o.failOn, "fail-on", failNone, "end with 1 on a `gain`, loss or any change; none for never")
	f.BoolVar(&o.json, "json", false, "print the differences as JSON")
	return cmd
}

func (o *options) run(ctx context.Context, args []string) error {
	switch o.failOn {
	case failNone, failGain, failLoss, failAny:
	default:
		return fmt.Errorf("reading --fail-on %q: want gain, loss, any or none", o.failOn)
	}
	if len(args) == 1 && len(o.source.With) == 0 {
		return errors.New("comparing inventories: give two of them, or one and a change by --with")
	}
	before, after, err := o.load(ctx, args)
	if err != nil {
		return err
	}
	a, b := o.source.Build(before), o.source.Build(after)
	d := difference.Between(a, b, o.source.Config().Progress)
	if o.json {
		if err := o.source.Streams.JSON(d); err != nil {
			return err
		}
	} else {
		o.print(after, d)
		world.Warn(o.source.Streams, d.Gaps)
	}
	if o.fails(d) {
		return term.ErrSaid
	}
	return nil
}

// now stands for the declared accounts as they are.
const now = "-"

func (o *options) load(ctx context.Context, args []string) (before, after *inventory.Inventory, err error) {
	source := o.source
	if source.Inventory = args[0]; args[0] == now {
		source.Inventory = ""
	}
	if before, err = source.Base(ctx); err != nil {
		return nil, nil, err
	}
	after = before
	if len(args) == 2 {
		source.Inventory = args[1]
		if after, err = source.Base(ctx); err != nil {
			return nil, nil, err
		}
	}
	after, err = source.Over(after)
	return before, after, err
}

func (o *options) fails(d *difference.Difference) bool {
	return slices.ContainsFunc(d.Changes, func(c difference.Change) bool {
		switch o.failOn {
		case failGain:
			return c.Kind.Gain()
		case failLoss:
			return !c.Kind.Gain()
		}
		return o.failOn == failAny
	})
}

// titles of the sorts of change, in the order in which they are printed.
var titles = [...]struct{ what, title string }{
	{difference.Session, "who can assume which role"}, {difference.Chain, "who comes to which role by chains"}, {difference.Use, "who may do what"},
}

var signs = map[difference.Kind]string{difference.Gained: "+", difference.Lost: "-", difference.Stronger: "↑", difference.Weaker: "↓"}

func (o *options) print(inv *inventory.Inventory, d *difference.Difference) {
	s, names := o.source.Streams, world.NamesOf(inv)
	if len(d.Changes) == 0 {
		s.Printf("nobody gains or loses access\n")
		return
	}
	gains := 0
	for _, c := range d.Changes {
		if c.Kind.Gain() {
			gains++
		}
	}
	s.Printf("%d gains, %d losses\n", gains, len(d.Changes)-gains)
	for _, t := range titles {
		title := "\n" + t.title + "\n"
		for i := range d.Changes {
			if c := &d.Changes[i]; c.What == t.what {
				s.Printf("%s  %s %s %s%s\n", title, signs[c.Kind], names.Full(c.Principal), object(names, c), certainty(c))
				title = ""
			}
		}
	}
}

// object is what a change is about.
func object(names world.Names, c *difference.Change) string {
	if c.Target == nil {
		return world.List(c.Actions) + " on " + c.Resource
	}
	text := "→ "
	if len(c.Through) > 0 {
		text = "→ … → "
	}
	return text + names.Full(*c.Target)
}

// certainty says how sure the change is, where it is not certain.
func certainty(c *difference.Change) string {
	switch c.Kind {
	case difference.Stronger, difference.Weaker:
		return fmt.Sprintf(" (was %s, is %s)", c.Before, c.After)
	case difference.Gained:
		if c.After != reach.Proven {
			return fmt.Sprintf(" (%s %s)", c.After, c.Why)
		}
	case difference.Lost:
		if c.Before != reach.Proven {
			return fmt.Sprintf(" (it was %s)", c.Before)
		}
	}
	return ""
}
