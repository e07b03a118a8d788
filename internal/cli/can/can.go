// Package can is `stile can`: may somebody do something, and why (not).
package can

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/verify"
)

type options struct {
	streams      *term.Streams
	declarations string
	context      []string
	json         bool
	brief        bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "can WHO ACTION [RESOURCE]",
		Short: "Tell whether somebody may do something: each hop, each layer, each statement",
		Long: "Tell whether WHO may do ACTION on RESOURCE, by what is in the accounts now.\n" +
			"WHO is serviceaccount:CLUSTER/NAMESPACE/NAME, ACCOUNT/ROLE or an ARN.\n" +
			"Exit status: 0 allowed, 1 denied, 3 it depends on what is not known.",
		Example: "  stile can serviceaccount:ci/payroll/api dynamodb:GetItem arn:aws:dynamodb:us-east-1:222222222222:table/Orders",
		Args:    term.ArgsBetween(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), append(args, "*"))
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.declarations, "declarations", "f", "", "the declarations, `PATH`; default: $STILE_DECLARATIONS, the stile.yaml at or above the working directory, or what was applied from here")
	f.StringArrayVar(&o.context, "context", nil, "a condition key of the request, `KEY=VALUE`")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	f.BoolVar(&o.brief, "brief", false, "print the answer's line only")
	return cmd
}

// Depends is the exit code when the answer depends on what is not known.
const Depends = 3

func (o *options) run(ctx context.Context, args []string) error {
	who, err := access.ParseAddress(args[0])
	if err != nil {
		return err
	}
	if err := checkAction(args[1]); err != nil {
		return err
	}
	if args[2] != "*" && !arn.Is(args[2]) {
		return fmt.Errorf("reading RESOURCE %q: want an ARN, as arn:aws:dynamodb:us-east-1:222222222222:table/Orders, or nothing for actions without one", args[2])
	}
	q := verify.Query{Who: who, Action: args[1], Resource: args[2], Now: time.Now(), Context: map[string][]string{}}
	for _, text := range o.context {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("reading --context %q: want KEY=VALUE", text)
		}
		q.Context[key] = append(q.Context[key], value)
	}
	answer, err := o.answer(ctx, q)
	if err != nil {
		return err
	}
	if o.json {
		if err := o.streams.JSON(answer); err != nil {
			return err
		}
	} else {
		o.print(args, answer)
	}
	switch answer.Outcome {
	case authz.Allowed:
		return nil
	case authz.Unknown:
		return &term.Exit{Code: Depends}
	}
	return term.ErrSaid
}

// checkAction wants service:Name.
func checkAction(action string) error {
	service, name, ok := strings.Cut(action, ":")
	if !ok || service == "" || name == "" || strings.ContainsAny(action, " *?") {
		return fmt.Errorf("reading ACTION %q: want one action, as dynamodb:GetItem", action)
	}
	return nil
}

// answer asks each declaration set that may be meant and keeps the best answer.
func (o *options) answer(ctx context.Context, q verify.Query) (verify.Answer, error) {
	paths, err := state.Declarations(o.streams, o.declarations)
	if err != nil {
		return verify.Answer{}, err
	}
	best, found := verify.Answer{}, false
	var problem error
	for _, path := range paths {
		answer, err := ask(ctx, path, q)
		switch {
		case err == nil:
			if !found || answer.Outcome == authz.Allowed && best.Outcome != authz.Allowed {
				best, found = answer, true
			}
		case len(paths) == 1:
			return verify.Answer{}, err
		case !errors.Is(err, verify.ErrNoWay):
			// One of several scopes applied from here: it need not be the one that is meant.
			problem = fmt.Errorf("asking the scope applied from %s (name the one you mean by --declarations): %w", path, err)
		}
	}
	switch {
	case found:
		return best, nil
	case problem != nil:
		return verify.Answer{}, problem
	}
	return verify.Answer{}, fmt.Errorf("finding a way for %s in %s: %w", q.Who, strings.Join(paths, ", "), verify.ErrNoWay)
}

func ask(ctx context.Context, path string, q verify.Query) (verify.Answer, error) {
	s, diags := scope.Load(path, scope.Read, nil)
	if s == nil {
		return verify.Answer{}, diags
	}
	view, diags, err := s.LookFor(ctx, q.Who, q.Resource)
	if err != nil {
		return verify.Answer{}, err
	}
	if view == nil {
		return verify.Answer{}, diags
	}
	return verify.Can(s.Set, view.Wanted, view.Inventory, q)
}

func (o *options) print(args []string, a verify.Answer) {
	words := map[authz.Outcome]string{authz.Allowed: "allowed", authz.Unknown: "depends", authz.ImplicitDeny: "denied", authz.ExplicitDeny: "denied"}
	o.streams.Printf("%s: %s %s on %s\n", words[a.Outcome], args[0], args[1], args[2])
	if o.brief {
		return
	}
	for i, w := range a.Ways {
		if i > 0 && a.Outcome == authz.Allowed {
			break // one way is enough
		}
		o.way(&w)
	}
}

func (o *options) way(w *verify.Way) {
	o.streams.Printf("\nas %s", w.As)
	if w.Access != "" {
		o.streams.Printf(", by Access %s", w.Access)
	}
	o.streams.Printf("\n")
	for _, leg := range w.Hops {
		o.leg(&leg)
	}
	for _, leg := range w.Uses {
		o.leg(&leg)
	}
}

func (o *options) leg(l *effective.Leg) {
	o.streams.Printf("  %s on %s\n", l.Action, l.Resource)
	for line := range strings.Lines(l.Decision.Text()) {
		o.streams.Printf("    %s", line)
	}
}
