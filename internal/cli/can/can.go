// Package can is `stile can`: may somebody do something, and why (not).
package can

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/cli/world"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/verify"
)

type options struct {
	streams      *term.Streams
	source       world.Source // its declarations are looked at by the scope, not whole
	declarations string
	context      []string
	passRole     string
	endpoint     string
	json         bool
	brief        bool
	fix          bool
	closing      bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s, source: world.Source{Streams: s}}
	cmd := &cobra.Command{
		Use:   "can WHO ACTION [RESOURCE]",
		Short: "Tell whether somebody may do something: each hop, each layer, each statement, and the smallest change",
		Long: "Tell whether WHO may do ACTION on RESOURCE, with everything that AWS asks along with it (the KMS key of a\n" +
			"secret, iam:PassRole, session tags), by what is in the accounts now, or in a saved inventory.\n" +
			"WHO is serviceaccount:CLUSTER/NAMESPACE/NAME, ACCOUNT/ROLE or an ARN.\n\n" +
			"--fix prints the smallest change of policies that would allow it, each statement with the account and the document\n" +
			"it belongs in; --close the smallest that would deny it. Both are proven by deciding again, and refused with the\n" +
			"reason where a statement denies or AWS never allows such a request.\n\n" +
			"--inventory reads a saved inventory (stile observe), the output of aws iam get-account-authorization-details, or a\n" +
			"directory that iam-collect wrote, and asks no network; --with puts Terraform plans and CloudFormation templates over\n" +
			"it. What is not in it is not known; --assume takes the organization, KMS grants and policies of resources of the\n" +
			"caller's account that nobody looked for to be absent.\n" +
			"Exit status: 0 allowed, 1 denied or not to be asked, 3 it depends on what is not known.",
		Example: "  stile can serviceaccount:ci/payroll/api dynamodb:GetItem arn:aws:dynamodb:us-east-1:222222222222:table/Orders\n" +
			"  stile can --inventory acme.json.gz --fix tooling/deploy secretsmanager:GetSecretValue arn:aws:secretsmanager:…:secret:db-AbCdEf",
		Args: term.ArgsBetween(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.declarations, "declarations", "f", "", "the declarations, `PATH`; default: $STILE_DECLARATIONS, the stile.yaml at or above the working directory, or what was applied from here")
	f.StringVar(&o.source.Inventory, "inventory", "", "ask the inventory at `PATH` instead of AWS")
	o.source.OverlayFlags(cmd)
	f.StringArrayVar(&o.context, "context", nil, "a condition key of the request, `KEY=VALUE`; several times for several values")
	f.StringVar(&o.passRole, "pass-role", "", "the `ARN` of the role that the call hands to a service")
	f.StringVar(&o.endpoint, "endpoint", "", "the VPC endpoint that the call goes through, `ARN` or id")
	f.BoolVar(&o.fix, "fix", false, "print the smallest change that would allow it")
	f.BoolVar(&o.closing, "close", false, "print the smallest change that would deny it")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	f.BoolVar(&o.brief, "brief", false, "print the answer's line only")
	cmd.MarkFlagsMutuallyExclusive("inventory", "declarations")
	cmd.MarkFlagsMutuallyExclusive("fix", "close")
	return cmd
}

func (o *options) run(ctx context.Context, args []string) error {
	who, err := access.ParseAddress(args[0])
	if err != nil {
		return err
	}
	target, err := world.Target(args[1], args[2:])
	if err != nil {
		return err
	}
	args = append(args[:2], target)
	if target != catalog.Everything && !arn.Is(target) {
		return fmt.Errorf("reading RESOURCE %q: want an ARN, as arn:aws:dynamodb:us-east-1:222222222222:table/Orders, or nothing for actions without one", target)
	}
	if o.source.Inventory == "" && (o.source.Assume || len(o.source.With) > 0) {
		return errors.New("reading the flags: --with and --assume go with --inventory")
	}
	sent, err := world.Context(o.context)
	if err != nil {
		return err
	}
	q := verify.Query{Who: who, Action: args[1], Resource: target, Now: time.Now(), Context: sent, PassRole: o.passRole, Endpoint: o.endpoint}
	answer, err := o.answer(ctx, q)
	if err != nil {
		return err
	}
	if err := o.show(args, answer); err != nil {
		return err
	}
	switch answer.Outcome {
	case authz.Allowed:
		return nil
	case authz.Unknown:
		return &term.Exit{Code: world.Depends}
	}
	return term.ErrSaid
}

// result is what --json prints: the answer, and with --fix or --close what would
// change it.
type result struct {
	verify.Answer
	Changes []proposal `json:"changes,omitempty"`
}

func (o *options) show(args []string, a verify.Answer) error {
	var changes []proposal
	switch {
	case o.fix:
		changes = fixes(&a)
	case o.closing:
		changes = closings(&a)
	}
	if o.json {
		return o.streams.JSON(result{a, changes})
	}
	o.print(args, a)
	if (o.fix || o.closing) && changes == nil {
		o.streams.Printf("\nnothing to change: it is %s already\n", word(a.Outcome))
	}
	for i := range changes {
		o.proposal(&changes[i])
	}
	return nil
}

// answer asks each declaration set that may be meant and keeps the best answer.
func (o *options) answer(ctx context.Context, q verify.Query) (verify.Answer, error) {
	if o.source.Inventory != "" {
		inv, err := o.source.Load(ctx)
		if err != nil {
			return verify.Answer{}, err
		}
		a, err := verify.Options{Strict: !o.source.Assume}.Can(inv, q)
		if errors.Is(err, verify.ErrNoWay) && q.Who.ServiceAccount != nil {
			return a, fmt.Errorf("%w, as an inventory does not declare which role it enters: stile paths --inventory %s %s %s %s tells which, "+
				"and can answers for that; or leave --inventory out, and give the declarations by -f PATH", err, o.source.Inventory, q.Who, q.Action, q.Resource)
		}
		return a, err
	}
	paths, err := state.Declarations(o.streams, o.declarations)
	if err != nil {
		return verify.Answer{}, err
	}
	best, found := verify.Answer{}, false
	var problem error
	for _, path := range paths {
		answer, err := Ask(ctx, path, q)
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

// Ask asks what is there now for the declarations at path.
func Ask(ctx context.Context, path string, q verify.Query) (verify.Answer, error) {
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

// word is what people call an outcome.
func word(o authz.Outcome) string {
	switch o {
	case authz.Allowed:
		return "allowed"
	case authz.Unknown:
		return "depends"
	case authz.ImplicitDeny, authz.ExplicitDeny, authz.NotApplicable:
	}
	return "denied"
}

func (o *options) print(args []string, a verify.Answer) {
	o.streams.Printf("%s: %s %s on %s\n", word(a.Outcome), args[0], args[1], args[2])
	for _, l := range open(&a) {
		o.streams.Printf("  %s on %s: %s\n", l.Action, l.Resource, l.Decision.Summary())
	}
	if o.brief {
		return
	}
	for i, w := range a.Ways {
		if i > 0 && a.Outcome == authz.Allowed {
			break // one way is enough
		}
		o.way(&w)
	}
	for _, line := range a.Assumed {
		o.streams.Printf("assumed: %s\n", line)
	}
}

// open lists the legs of the best way of which it is not known whether they are
// allowed, when that is the answer.
func open(a *verify.Answer) []effective.Leg {
	if a.Outcome != authz.Unknown {
		return nil
	}
	w := &a.Ways[0]
	return slices.DeleteFunc(slices.Concat(w.Hops, w.Uses), func(l effective.Leg) bool { return l.Decision.Outcome != authz.Unknown })
}

func (o *options) way(w *verify.Way) {
	o.streams.Printf("\nas %s", w.As)
	if w.Access != "" {
		o.streams.Printf(", by Access %s", w.Access)
	}
	o.streams.Printf("\n")
	for _, leg := range w.Hops {
		Leg(o.streams, &leg)
	}
	for _, leg := range w.Uses {
		Leg(o.streams, &leg)
	}
}

// Leg prints one decision with the layers and statements that led to it.
func Leg(s *term.Streams, l *effective.Leg) {
	s.Printf("  %s on %s", l.Action, l.Resource)
	if l.Why != "" {
		s.Printf(", because %s", l.Why)
	}
	s.Printf("\n")
	for line := range strings.Lines(l.Decision.Text()) {
		s.Printf("    %s", line)
	}
}
