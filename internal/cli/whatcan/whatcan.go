// Package whatcan is `stile what-can`: everything that a principal may do.
package whatcan

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/cli/world"
	"github.com/stile-aws/stile/internal/reach"
)

type options struct {
	source world.Source
	chain  bool
	denied bool
	json   bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{source: world.Source{Streams: s}}
	cmd := &cobra.Command{
		Use:   "what-can PRINCIPAL",
		Short: "List what a principal may do, and the roles it comes to",
		Long: "List what PRINCIPAL may do: what its own policies allow, within everything that limits it, and what policies of\n" +
			"resources and KMS grants give it; and the roles it can come to, directly and by chains.\n" +
			"PRINCIPAL is ACCOUNT/ROLE, ACCOUNT/user/NAME, serviceaccount:CLUSTER/NAMESPACE/NAME, subject:SUBJECT for a token's\n" +
			"subject, a service principal, or an ARN. Actions stay grouped as the statements have them; a resource with wildcards\n" +
			"is decided by an example of it.\n\n" + world.Help +
			"Exit status: 0 answered, 1 it could not be asked.",
		Example: "  stile what-can --inventory acme.json.gz orders-prod/payroll-api\n" +
			"  stile what-can --inventory acme.json.gz --via-chain serviceaccount:ci/payroll/api",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.source.Flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.chain, "via-chain", false, "also list what the roles it comes to may do")
	f.BoolVar(&o.denied, "denied", false, "also list what statements allow and something else denies")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	return cmd
}

// result is what --json prints, one for each principal that the name stands for.
type result struct {
	*reach.WhatCan
	Via []reached `json:"via,omitempty"` // with --via-chain
}

// reached is what a role on the way may do.
type reached struct {
	Path []string `json:"path"` // keys, the principal first
	*reach.WhatCan
}

// answer is the whole of what --json prints.
type answer struct {
	Principals []result    `json:"principals"`
	Gaps       []reach.Gap `json:"notLookedAt"`
}

func (o *options) run(ctx context.Context, who string) error {
	if strings.HasPrefix(who, "account:") {
		return errors.New("reading PRINCIPAL: what-can takes one principal; stile paths takes a whole account")
	}
	g, err := o.source.Graph(ctx)
	if err != nil {
		return err
	}
	nodes, err := g.Resolve(who)
	if err != nil {
		return err
	}
	out := answer{Gaps: slices.Concat([]reach.Gap{}, g.Gaps())}
	for _, n := range nodes {
		r := result{WhatCan: g.WhatCan(n)}
		if o.chain {
			r.Via = via(g, r.WhatCan)
		}
		out.Principals = append(out.Principals, r)
	}
	if o.json {
		return o.source.Streams.JSON(out)
	}
	for i := range out.Principals {
		o.print(g, &out.Principals[i])
	}
	world.Warn(o.source.Streams, out.Gaps)
	return nil
}

func via(g *reach.Graph, w *reach.WhatCan) []reached {
	var out []reached
	for _, a := range w.Roles {
		r := reached{WhatCan: g.WhatCan(a.Node.ID)}
		r.Roles = nil // they are among those of the principal
		for _, n := range w.Path(a.Node.ID) {
			r.Path = append(r.Path, g.Node(n).Key)
		}
		out = append(out, r)
	}
	return out
}

func (o *options) print(g *reach.Graph, r *result) {
	s, names := o.source.Streams, world.NamesOf(g.Inventory())
	s.Printf("%s\n", names.Full(r.Node))
	o.permissions(r.WhatCan)
	if len(r.Roles) > 0 {
		s.Printf("  comes to %d roles:\n", len(r.Roles))
	}
	for i, a := range names.ByAccount(r.Roles) {
		if i == 50 && !o.chain {
			s.Printf("    and %d more; --json lists them\n", len(r.Roles)-i)
			break
		}
		s.Printf("    %-60s %s\n", names.Full(a.Node), way(g, names, r.Path(a.Node.ID), a.Proof))
	}
	for i := range r.Via {
		s.Printf("\nas %s\n", names.Full(r.Via[i].Node))
		o.permissions(r.Via[i].WhatCan)
	}
}

func way(g *reach.Graph, names world.Names, path []reach.NodeID, proof reach.Proof) string {
	text := proof.String()
	if len(path) > 2 {
		var parts []string
		for _, n := range path[1 : len(path)-1] {
			parts = append(parts, names.Full(g.Node(n)))
		}
		text += " through " + strings.Join(parts, ", ")
	}
	return text
}

func (o *options) permissions(w *reach.WhatCan) {
	s := o.source.Streams
	if w.Everything {
		s.Printf("  everything in its account: it is the root user\n")
		for _, limit := range w.Limits {
			s.Printf("    but for %s\n", limit)
		}
	}
	for _, part := range []struct {
		title string
		list  []reach.Permission
	}{{"by its own policies", w.Own}, {"by policies of resources", w.Given}} {
		title := "  " + part.title + "\n"
		for _, p := range part.list {
			if p.Proof == 0 && !o.denied {
				continue
			}
			s.Printf("%s", title)
			title = ""
			o.permission(&p)
		}
	}
}

func (o *options) permission(p *reach.Permission) {
	s := o.source.Streams
	word := p.Proof.String()
	if p.Proof == 0 {
		word = "denied"
	}
	s.Printf("    %-11s %s on %s\n", word, world.List(p.Actions), p.Resource)
	if len(p.Except) > 0 {
		s.Printf("                but for %s\n", world.List(p.Except))
	}
	if p.Why != "" {
		s.Printf("                %s\n", p.Why)
	}
	for _, text := range p.Partly {
		s.Printf("                a part is denied by %s\n", text)
	}
	sid := ""
	if p.Sid != "" {
		sid = " (" + p.Sid + ")"
	}
	s.Printf("                by statement %d%s of %s\n", p.Index+1, sid, p.Source)
}
