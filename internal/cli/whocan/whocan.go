// Package whocan is `stile who-can`: everybody who may do something, themselves
// or through chains of roles.
package whocan

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/cli/world"
	"github.com/stile-aws/stile/internal/reach"
)

type options struct {
	source  world.Source
	owner   string
	context []string
	direct  bool
	all     bool
	json    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{source: world.Source{Streams: s}}
	cmd := &cobra.Command{
		Use:   "who-can ACTION [RESOURCE]",
		Short: "List everybody who may do something: users, roles, services, and who comes to them by chains",
		Long: "List everybody who may do ACTION on RESOURCE: users, roles, root users, services and accounts that a resource's\n" +
			"policy names; then those who come to one of them by a chain of roles (service accounts, CI, people, other roles),\n" +
			"each with a shortest chain. allowed is proven on both sides; \"if\" names what an answer depends on.\n\n" + world.Help +
			"Exit status: 0 somebody may, 1 nobody may or it could not be asked, 3 it depends for everybody on what is not known.",
		Example: "  stile who-can --inventory acme.json.gz secretsmanager:GetSecretValue arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf\n" +
			"  stile who-can --inventory details.json --assume --direct iam:CreateUser arn:aws:iam::222222222222:user/new",
		Args: term.ArgsBetween(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.source.Flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.owner, "owner", "", "the `ID` of the account that owns the resource, where its ARN does not say and the inventory does not know")
	f.StringArrayVar(&o.context, "context", nil, "a condition key of the request, `KEY=VALUE`; several times for several values")
	f.BoolVar(&o.direct, "direct", false, "leave out who comes to it by chains")
	f.BoolVar(&o.all, "all", false, "print all chains, not the first of each account")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	return cmd
}

// result is what --json prints.
type result struct {
	Action   string      `json:"action"`
	Resource string      `json:"resource"`
	Direct   []direct    `json:"direct"`
	Through  []through   `json:"through"`
	Gaps     []reach.Gap `json:"notLookedAt"`
}

type direct struct {
	reach.Access
	reach.Part
}

type through struct {
	reach.Access
	Path []string `json:"path"` // keys, the principal first
}

func (o *options) run(ctx context.Context, args []string) error {
	target, err := world.Target(args[0], args[1:])
	if err != nil {
		return err
	}
	q := reach.Query{Action: args[0], Resource: target, Owner: arn.AccountID(o.owner)}
	if err := world.Resource(q.Resource); err != nil {
		return err
	}
	keys, err := world.Context(o.context)
	if err != nil {
		return err
	}
	for key, values := range keys {
		q.Context.Set(key, values...)
	}
	g, err := o.source.Graph(ctx)
	if err != nil {
		return err
	}
	w := g.WhoCan(q)
	gaps := append(w.Gaps, g.Gaps()...)
	if o.direct {
		w.Through = nil
	}
	if o.json {
		if err := o.source.Streams.JSON(resultOf(g, w, gaps)); err != nil {
			return err
		}
	} else {
		o.print(g, w)
		world.Warn(o.source.Streams, gaps)
	}
	return exit(w)
}

// exit maps the answer to the exit code.
func exit(w *reach.WhoCan) error {
	if len(w.Direct) == 0 {
		if len(w.Gaps) > 0 {
			return &term.Exit{Code: world.Depends}
		}
		return term.ErrSaid
	}
	for _, a := range w.Direct {
		if a.Proof == reach.Proven {
			return nil
		}
	}
	return &term.Exit{Code: world.Depends}
}

func resultOf(g *reach.Graph, w *reach.WhoCan, gaps []reach.Gap) result {
	out := result{Action: w.Query.Action, Resource: w.Query.Resource, Direct: []direct{}, Through: []through{}, Gaps: gaps}
	if gaps == nil {
		out.Gaps = []reach.Gap{}
	}
	for _, a := range w.Direct {
		out.Direct = append(out.Direct, direct{a, w.Explained(a)})
	}
	for _, a := range w.Through {
		t := through{Access: a}
		for _, n := range w.Path(a.Node.ID) {
			t.Path = append(t.Path, g.Node(n).Key)
		}
		out.Through = append(out.Through, t)
	}
	return out
}

func (o *options) print(g *reach.Graph, w *reach.WhoCan) {
	s, names := o.source.Streams, world.NamesOf(g.Inventory())
	s.Printf("%s on %s\n", w.Query.Action, w.Query.Resource)
	switch {
	case len(w.Direct) == 0 && len(w.Gaps) > 0:
		s.Printf("  nobody of whom it is known\n")
	case len(w.Direct) == 0:
		s.Printf("  nobody may\n")
	}
	account := ""
	for _, a := range names.ByAccount(w.Direct) {
		if name := names.Account(a.Node.Account); name != account {
			account = name
			s.Printf("\n%s\n", name)
		}
		s.Printf("  %-52s %s\n", names.Local(a.Node), certainty(w, a))
	}
	if len(w.Through) == 0 {
		return
	}
	s.Printf("\nand by chains, %d:\n", len(w.Through))
	const most = 5
	account, shown, hidden := "", 0, 0
	for _, a := range names.ByAccount(w.Through) {
		if name := names.Account(a.Node.Account); name != account {
			hidden += tellHidden(s, hidden)
			account, shown = name, 0
			s.Printf("\n%s\n", name)
		}
		if shown++; shown > most && !o.all {
			hidden++
			continue
		}
		s.Printf("  %-52s %s\n", names.Local(a.Node), chain(g, names, w.Path(a.Node.ID), a.Proof))
	}
	tellHidden(s, hidden)
}

// tellHidden says how many were left out, and gives what to add to start anew.
func tellHidden(s *term.Streams, hidden int) int {
	if hidden > 0 {
		s.Printf("  and %d more; --all lists them\n", hidden)
	}
	return -hidden
}

// certainty says how sure a direct access is.
func certainty(w *reach.WhoCan, a reach.Access) string {
	switch a.Proof {
	case reach.Conditional:
		return cmp.Or(w.Explained(a).If, a.Proof.String())
	case reach.Unread:
		p := w.Explained(a)
		if len(p.Unread) == 0 {
			return "unless a document that was not read says no"
		}
		return "not known: " + strings.Join(p.Unread, ", ")
	}
	return a.Proof.String()
}

func chain(g *reach.Graph, names world.Names, path []reach.NodeID, proof reach.Proof) string {
	var parts []string
	for _, n := range path[1:] {
		parts = append(parts, names.Full(g.Node(n)))
	}
	text := "→ " + strings.Join(parts, " → ")
	if proof != reach.Proven {
		text += " (" + proof.String() + ")"
	}
	return text
}
