// Package explaincredential is `stile explain-credential`: which source, which
// hops, where each is configured, what is kept, who is asked, how long it lasts,
// and at which hop it ends.
//
// explaincredential.go is the command, address.go and steps.go explain an
// address, try.go goes there, environment.go explains what clients would find
// without one. Nothing secret is read but by those who hand it out.
package explaincredential

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/cli/world"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
)

type options struct {
	streams    *term.Streams
	route      route.Options
	source     world.Source
	try, noTry bool
	json       bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s, source: world.Source{Streams: s}}
	cmd := &cobra.Command{
		Use:   "explain-credential [ADDRESS]",
		Short: "Tell where credentials come from, hop by hop, and at which hop they are refused and why",
		Long: "Tell which source the credentials of ADDRESS come from and by which hops, where each piece of that is configured (file\n" +
			"and line), what is kept of it and until when, who has to sign in or give a code, how long the session really lasts and\n" +
			"what limits it, and which guards and limits apply.\n\n" +
			"Then go there, hop by hop, unless somebody would have to be asked, a guard is in the way, or --no-try is given; --try asks\n" +
			"whom it takes. For a hop that is refused, tell what AWS says, and what the policies say: those of --inventory, or of\n" +
			"the declared accounts as they are now, by layer and statement.\n\n" +
			"Without ADDRESS, tell which credentials AWS clients would find here: environment, profile, files, container or instance,\n" +
			"in the order of the clients, and what hides what. No secret is shown.\n\n" +
			"Exit status: 0, or 1 when there are no credentials to be had, 3 when nobody has tried.",
		Example: "  stile explain-credential orders-prod/deploy\n" +
			"  stile explain-credential --try --inventory acme.json.gz prod-db\n" +
			"  stile explain-credential",
		Args: term.ArgsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return o.environment(cmd.Context())
			}
			return o.address(cmd.Context(), args[0])
		},
	}
	o.route.Flags(cmd)
	o.route.RegionFlag(cmd, "the `REGION` that a command with --region would be told")
	f := cmd.Flags()
	f.BoolVar(&o.try, "try", false, "go there although somebody has to be asked")
	f.BoolVar(&o.noTry, "no-try", false, "go nowhere, and ask AWS nothing")
	f.StringVar(&o.source.Inventory, "inventory", "", "explain refusals by the inventory at `PATH` (stile observe)")
	f.BoolVar(&o.source.Assume, "assume", false, "with --inventory: take what nobody looked for to be absent")
	f.BoolVar(&o.json, "json", false, "write one JSON value")
	cmd.MarkFlagsMutuallyExclusive("try", "no-try")
	return cmd
}

// The outcomes of an explanation.
const (
	good    = "credentials"
	refused = "refused"
	untried = "not tried"
)

// explanation is what there is to know of an address.
type explanation struct {
	Address     string      `json:"address"`
	By          string      `json:"by"` // what knows the address
	Source      string      `json:"source"`
	Kind        string      `json:"kind"`
	Account     string      `json:"account,omitempty"`
	AccountName string      `json:"accountName,omitempty"`
	Role        string      `json:"role,omitempty"`
	Region      string      `json:"region,omitempty"`
	RegionFrom  string      `json:"regionFrom,omitempty"` // what says the Region, in words
	Config      []piece     `json:"config"`
	Steps       []step      `json:"steps"`
	Person      string      `json:"person,omitempty"` // what somebody has to do first
	Hold        *route.Hold `json:"hold,omitempty"`
	Notes       []string    `json:"notes,omitempty"`
	Outcome     string      `json:"outcome"`
	Identity    string      `json:"identity,omitempty"` // at the end
	Expires     *time.Time  `json:"expires,omitempty"`
}

// piece is one thing that is configured, and where.
type piece struct {
	What  string `json:"what"`
	Where string `json:"where"`
}

// step is one request on the way.
type step struct {
	Call    string          `json:"call"`
	Role    string          `json:"role,omitempty"` // ARN, or a permission set's name
	Details []string        `json:"details,omitempty"`
	Lasts   string          `json:"lasts"`
	Limit   string          `json:"limit,omitempty"` // what makes it no longer
	Kept    *time.Time      `json:"keptUntil,omitempty"`
	State   string          `json:"state,omitempty"` // passed, refused; "" for not tried
	Expires *time.Time      `json:"expires,omitempty"`
	Error   string          `json:"error,omitempty"`
	says    string          // who says so
	Legs    []effective.Leg `json:"policies,omitempty"` // what the policies say of a refusal
	Unknown string          `json:"policiesUnknown,omitempty"`

	externalID string
	by         aws.CredentialsProvider // of the first step's caller; nil where there are no policies to ask
}

func (o *options) address(ctx context.Context, address string) error {
	found, err := o.route.Lookup(ctx, o.streams, address, o.try)
	if err != nil {
		return err
	}
	defer found.Close()
	inv, err := o.inventory(ctx)
	if err != nil {
		return err
	}
	e := &explanation{Address: address, Outcome: untried, Config: []piece{}}
	var gone walk
	if found.Target != nil {
		gone, err = o.person(ctx, e, found)
	} else {
		gone, err = o.declared(ctx, e, found)
	}
	if err != nil {
		return fmt.Errorf("explaining %s: %w", address, err)
	}
	limitBy(e, inv)
	switch {
	case gone == nil, o.noTry:
	case e.Hold.Refusal != "":
		e.Outcome = refused
		e.Notes = append(e.Notes, "not tried: it would be refused here")
	case !o.try && (e.Person != "" || e.Hold.Question != ""):
		e.Notes = append(e.Notes, "not tried, as somebody has to be asked; --try does")
	default:
		o.follow(ctx, e, gone, inv)
	}
	if err := o.show(e); err != nil {
		return err
	}
	return exit(e.Outcome)
}

// exit is the command's for an outcome.
func exit(outcome string) error {
	switch outcome {
	case good:
		return nil
	case refused:
		return term.ErrSaid
	}
	return &term.Exit{Code: world.Depends}
}

func (o *options) inventory(ctx context.Context) (*inventory.Inventory, error) {
	if o.source.Inventory == "" {
		if o.source.Assume {
			return nil, errors.New("reading the flags: --assume goes with --inventory")
		}
		return nil, nil
	}
	return o.source.Load(ctx)
}
