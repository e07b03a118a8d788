// Package verify is `stile verify`: is what was declared allowed, and nothing
// more?
package verify

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/probe"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/verify"
)

type options struct {
	streams   *term.Streams
	path      string
	probe     string
	tokenFile string
	json      bool
}

// What --probe takes.
const (
	probeNone   = "none"
	probeAssume = "assume"
	probeRead   = "read"
)

// Unanswered is the exit code of a proof that holds, with attempts that no service
// answered.
const Unanswered = 3

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "verify PATH",
		Short: "Prove that what is declared is allowed on both sides, and nothing more",
		Long: "Prove, on what is in the accounts now, that the declarations at PATH are allowed on both sides and that\n" +
			"nothing more is; then try it live with the identities at hand, by calls that change nothing: what must be\n" +
			"allowed, and beside it what must be refused. A service account's token comes from --token-file or from the\n" +
			"local AWS; without one its probes are listed as not made. The proof is printed as soon as it is there, the\n" +
			"attempts as they end.\n" +
			"Exit status: 0 proven, 3 proven, but some attempts got no answer, as a service failed, throttled or timed out\n" +
			"(try again), 1 anything else, with the reasons.",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.path = args[0]
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.probe, "probe", probeRead, "live `ATTEMPTS`: none, assume (take the roles only) or read (also make read-only calls)")
	f.StringVar(&o.tokenFile, "token-file", "", "probe with the service account token in `FILE`")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

// result is what --json prints.
type result struct {
	verify.Report
	Probes []probe.Result `json:"probes"`
}

func (o *options) run(ctx context.Context) error {
	if o.probe != probeNone && o.probe != probeAssume && o.probe != probeRead {
		return fmt.Errorf("reading --probe %q: want none, assume or read", o.probe)
	}
	if o.tokenFile != "" { // whose probes would all be left out
		if _, err := os.ReadFile(o.tokenFile); err != nil {
			return fmt.Errorf("reading --token-file: %w", err)
		}
	}
	s, diags := scope.Load(o.path, scope.Read, nil)
	if s == nil {
		return diags
	}
	ended := o.streams.Follow(false, func() string { return "stile: reading the accounts" })
	view, more, err := s.Look(ctx)
	ended()
	if err != nil {
		return err
	}
	if err := term.Report(o.streams, append(diags, more...)); err != nil {
		return err
	}
	out := result{Report: verify.Options{Now: time.Now()}.Check(view.Wanted, view.Inventory, view.Ledger())}
	if err := o.printProof(s, &out); err != nil {
		return err
	}
	if o.probe != probeNone {
		if err := o.try(ctx, s, view, &out); err != nil {
			return err
		}
	}
	if o.json {
		if err := o.streams.JSON(out); err != nil {
			return err
		}
	}
	switch {
	case !out.OK || !probe.OK(out.Probes):
		return term.ErrSaid
	case !probe.Answered(out.Probes):
		return &term.Exit{Code: Unanswered}
	}
	return nil
}

func (o *options) printProof(s *scope.Scope, r *result) error {
	if o.json {
		return nil // one value, in the end
	}
	return r.Text(o.streams.Out, s.Name)
}

// try makes the live attempts, and prints them as they end.
func (o *options) try(ctx context.Context, s *scope.Scope, view *scope.View, out *result) error {
	cfg, err := o.probeConfig(ctx, s, view)
	if err != nil {
		return err
	}
	if !out.OK {
		cfg.Patience = -1 // waiting does not mend what the documents say
	}
	var written error
	if !o.json {
		o.streams.Printf("\n")
		cfg.Done = func(results []probe.Result) {
			if err := probe.Lines(o.streams.Out, results); err != nil {
				written = err
			}
		}
	}
	ended := o.streams.Follow(false, func() string { return "stile: trying it live, which waits for what IAM does not know yet" })
	out.Probes, err = probe.Run(ctx, view.Wanted, cfg)
	ended()
	switch {
	case err != nil:
		return err
	case o.json:
		return nil
	case written != nil:
		return written
	}
	return probe.Summary(o.streams.Out, out.Probes)
}
