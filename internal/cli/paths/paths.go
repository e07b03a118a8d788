// Package paths is `stile paths`: by which chains somebody comes to a role, or to
// the use of something.
package paths

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/cli/world"
	"github.com/stile-aws/stile/internal/reach"
)

type options struct {
	source world.Source
	bounds reach.PathOptions
	json   bool
	proof  bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{source: world.Source{Streams: s}}
	cmd := &cobra.Command{
		Use:   "paths FROM TO [RESOURCE]",
		Short: "Find the chains by which somebody comes to a role, or to do something",
		Long: "Find the shortest chains from FROM to a role, or to whoever may do an action on RESOURCE: each hop with the\n" +
			"statements of both sides that allow it, what could still block it, what has to come with it (an external id,\n" +
			"session tags), and how long the chain's sessions last.\n" +
			"FROM is ACCOUNT/ROLE, ACCOUNT/user/NAME, serviceaccount:CLUSTER/NAMESPACE/NAME, subject:SUBJECT for a token's subject,\n" +
			"account:ACCOUNT for anybody in it, everyone for any AWS account, a service principal, or an ARN. TO is one of these,\n" +
			"or an action with its RESOURCE.\n\n" + world.Help +
			"Exit status: 0 a chain is proven, 1 there is none or it could not be asked, 3 chains depend on what is not known.",
		Example: "  stile paths --inventory acme.json.gz serviceaccount:ci/payroll/api orders-prod/admin\n" +
			"  stile paths --inventory acme.json.gz account:sandbox s3:GetObject arn:aws:s3:::payroll/2026.csv",
		Args: term.ArgsBetween(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.source.Flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.bounds.All, "all", false, "longer chains as well, without coming to a role twice")
	f.IntVar(&o.bounds.MaxHops, "max-hops", 6, "with --all: chains of at most `N` hops")
	f.IntVar(&o.bounds.Limit, "limit", 10, "at most `N` chains")
	f.BoolVar(&o.proof, "explain", false, "print every layer of every decision")
	f.BoolVar(&o.json, "json", false, "print the chains as JSON")
	return cmd
}

// result is what --json prints.
type result struct {
	Paths []reach.Path `json:"paths"`
	More  bool         `json:"more"` // there are more than --limit
	Gaps  []reach.Gap  `json:"notLookedAt"`
}

func (o *options) run(ctx context.Context, args []string) error {
	if o.bounds.Limit < 1 || o.bounds.MaxHops < 1 {
		return fmt.Errorf("reading --limit and --max-hops: want at least 1")
	}
	use := isAction(args[1])
	if len(args) == 3 && !use {
		return fmt.Errorf("reading TO %q: a RESOURCE goes with an action, as s3:GetObject", args[1])
	}
	if use {
		if err := world.Action(args[1]); err != nil {
			return err
		}
		target, err := world.Target(args[1], args[2:])
		if err != nil {
			return err
		}
		if err := world.Resource(target); err != nil {
			return err
		}
		args = append(args[:2], target)
	}
	g, err := o.source.Graph(ctx)
	if err != nil {
		return err
	}
	from, err := g.Resolve(args[0])
	if err != nil {
		return err
	}
	out := result{Gaps: slices.Concat([]reach.Gap{}, g.Gaps())}
	if use {
		out.Paths, out.More = g.PathsTo(from, reach.Query{Action: args[1], Resource: args[2]}, o.bounds)
	} else {
		to, err := g.Resolve(args[1])
		if err != nil {
			return err
		}
		out.Paths, out.More = g.Paths(from, to, o.bounds)
	}
	return o.tell(g, args, out)
}

// isAction tells service:Name from addresses, which have a slash, an ARN's
// colons or a known word before the colon.
func isAction(text string) bool {
	return strings.Count(text, ":") == 1 && !strings.Contains(text, "/") &&
		!strings.HasPrefix(text, "account:") && !strings.HasPrefix(text, "subject:") && !strings.HasPrefix(text, "serviceaccount:")
}

func (o *options) tell(g *reach.Graph, args []string, r result) error {
	if o.json {
		if r.Paths == nil {
			r.Paths = []reach.Path{}
		}
		if err := o.source.Streams.JSON(r); err != nil {
			return err
		}
	} else {
		o.print(g, args, r)
		world.Warn(o.source.Streams, r.Gaps)
	}
	switch {
	case len(r.Paths) == 0:
		return term.ErrSaid
	case !slices.ContainsFunc(r.Paths, func(p reach.Path) bool { return p.Proof == reach.Proven }):
		return &term.Exit{Code: world.Depends}
	}
	return nil
}

func (o *options) print(g *reach.Graph, args []string, r result) {
	s, names := o.source.Streams, world.NamesOf(g.Inventory())
	if len(r.Paths) == 0 {
		s.Printf("no chain leads from %s to %s\n", args[0], strings.Join(args[1:min(len(args), 3)], " "))
		return
	}
	for i := range r.Paths {
		p := &r.Paths[i]
		if i > 0 {
			s.Printf("\n")
		}
		s.Printf("%s: %s\n", p.Proof, title(names, p))
		for j := range p.Hops {
			o.hop(names, &p.Hops[j])
		}
		if p.Use != nil {
			s.Printf("  %s on %s\n", p.Use.Action, p.Use.Resource)
			o.part(p.Use)
		}
		for _, c := range p.Constraints {
			s.Printf("  %s\n", c)
		}
	}
	if r.More {
		s.Printf("\nthere are more; --limit and --all list them\n")
	}
}

func title(names world.Names, p *reach.Path) string {
	var parts []string
	for i := range p.Hops {
		if i == 0 {
			parts = append(parts, names.Full(p.Hops[0].From))
		}
		parts = append(parts, names.Full(p.Hops[i].To))
	}
	if p.Use != nil {
		parts = append(parts, p.Use.Action)
	}
	return strings.Join(parts, " → ")
}

func (o *options) hop(names world.Names, h *reach.Hop) {
	s := o.source.Streams
	s.Printf("  %s → %s, by %s\n", names.Full(h.From), names.Full(h.To), ways[h.Way])
	for i := range h.Parts {
		if len(h.Parts) > 1 {
			s.Printf("    %s\n", h.Parts[i].Action)
		}
		o.part(&h.Parts[i])
	}
	for _, need := range h.Needs {
		s.Printf("    needs %s\n", need)
	}
	for _, note := range h.Notes {
		s.Printf("    %s\n", note)
	}
}

var ways = map[reach.Way]string{
	reach.ByAssumeRole: "sts:AssumeRole", reach.ByWebIdentity: "its token", reach.BySAML: "signing in", reach.ByPodIdentity: "EKS Pod Identity",
	reach.ByService: "itself",
}

func (o *options) part(p *reach.Part) {
	s := o.source.Streams
	for _, g := range p.Grants {
		sid := ""
		if g.Sid != "" {
			sid = " (" + g.Sid + ")"
		}
		s.Printf("    %s side: statement %d%s of %s\n", g.Side, g.Index+1, sid, g.Source)
	}
	if p.If != "" {
		s.Printf("    %s\n", p.If)
	}
	for _, u := range p.Unread {
		s.Printf("    could block it, not read: %s\n", u)
	}
	if o.proof {
		for line := range strings.Lines(p.Decision.Text()) {
			s.Printf("      %s", line)
		}
	}
}
