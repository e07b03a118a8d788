// Package each is `stile each`: one command in many accounts.
package each

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/child"
	"github.com/stile-aws/stile/internal/cli/filter"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
)

type options struct {
	streams     *term.Streams
	route       route.Options
	child       child.Options
	filter      filter.Flags
	except      []string
	concurrency int
	stopOnError bool
	plain       bool
	json        bool
	progress    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "each ADDRESS|PATTERN... -- COMMAND [ARGUMENT]...",
		Short: "Run a command in many accounts, side by side",
		Long: "Run a command once for each address, side by side, each time with that role's credentials (as stile exec does).\n\n" +
			"A group's name (stile sessions) stands for its members, and * for anything: '*/reader' is the role reader in every\n" +
			"account that declarations lead to, where Identity Centers list it, or that a session enters by it: each once, by the\n" +
			"declared way where there is one. 'acme:*/*' is all of source acme, 'declared:*/*' all that is declared. A pattern\n" +
			"without a slash is one of sessions' names: '*' is every session that has a name.\n\n" +
			"It is an error before anything is run when a pattern fits nothing, and when a source cannot be asked what it lists (you\n" +
			"are not signed in, and cannot be asked): what it lists would be left out. --cached goes on with what it listed before,\n" +
			"and says what is not known.\n\n" +
			"--source, --label, --ou and --except leave some of them out; of patterns --source asks that source alone. Labels and\n" +
			"organizational units are those of stile ls; --except takes addresses, groups and patterns. It is an error when nothing is\n" +
			"left.\n\n" +
			"STILE_ADDRESS, STILE_ACCOUNT_ID and STILE_ACCOUNT_NAME tell a command where it is. Regions are as for stile exec.\n\n" +
			"The command's lines come behind the address they are from; a summary ends on standard error. The commands have no\n" +
			"standard input. Interrupted, they are too, and no more are begun; a second interrupt ends stile at once.\n\n" +
			"With --read-only, or under a guard that wants it, sessions that end as another role or as a federated user are told of\n" +
			"before the commands run, a line for each way.\n\n" +
			"On a terminal each command that has ended is told. --json prints a line for each: address, exit (the command's status;\n" +
			"-1 when there is none), signal (the name of the one that ended it), error (why it was not run to its end, such as no\n" +
			"credentials), seconds, and skipped when it was not begun.\n\n" +
			"Exit status: 0 when every command ended with 0, 1 when one did not, or had no credentials.",
		Example: "  stile each '*/reader' -- aws dynamodb list-tables\n" +
			"  stile each --label env=prod --except sandbox/reader '*/reader' -- ./audit\n" +
			"  stile each release -- terraform plan\n" +
			"  stile each --concurrency 4 --json orders-prod/reader billing/reader -- ./audit",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			n := cmd.ArgsLenAtDash()
			if n < 1 || n >= len(args) {
				return errors.New("want stile each ADDRESS|PATTERN... -- COMMAND [ARGUMENT]")
			}
			return o.run(cmd.Context(), args[:n], args[n:])
		},
	}
	o.route.Flags(cmd)
	o.route.SweepFlags(cmd)
	o.route.LengthFlag(cmd)
	o.route.RegionFlag(cmd, "the `REGION` that the commands get")
	o.child.Flags(cmd)
	o.filter.Add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.except, "except", nil, "leave out the `ADDRESS`, group or pattern; may be repeated")
	f.IntVar(&o.concurrency, "concurrency", 8, "how many commands run at once")
	f.BoolVar(&o.stopOnError, "stop-on-error", false, "begin no more commands once one has failed, and interrupt those under way")
	f.BoolVar(&o.plain, "no-prefix", false, "leave the addresses off the lines")
	f.BoolVar(&o.json, "json", false, "print the results as JSON, one a line, and the commands' output on standard error")
	f.BoolVar(&o.progress, "progress", false, "tell of each command that has ended where standard error is no terminal, too")
	return cmd
}

func (o *options) run(ctx context.Context, patterns, command []string) error {
	if o.concurrency < 1 {
		return fmt.Errorf("--concurrency %d: want at least 1", o.concurrency)
	}
	o.route.Runs(command[0])
	addresses, err := o.chosen(ctx, patterns)
	if err != nil {
		return err
	}
	if err := o.route.Foretell(ctx, o.streams, addresses); err != nil {
		return err
	}
	width := 0
	jobs := make([]job, len(addresses))
	for i, address := range addresses {
		width = max(width, utf8.RuneCountInString(address))
		jobs[i] = job{address: address, environ: func(ctx context.Context) ([]string, func(), error) { return o.environ(ctx, address) }}
	}
	ended := 0
	r := &runner{
		command: command, concurrency: o.concurrency, stopOnError: o.stopOnError,
		out:  &lines{to: o.streams.Out, width: width, plain: o.plain},
		errs: &lines{to: o.streams.Err, width: width, plain: o.plain},
	}
	if o.json {
		r.out = r.errs
	}
	r.ended = func(res result) {
		ended++
		if o.json {
			_ = o.streams.JSONLine(res) // as for any line: nobody is there to read it
			return
		}
		if (o.streams.Terminal || o.progress) && !res.Skipped {
			o.streams.Note("stile: %d of %d: %s %s", ended, len(jobs), res.Address, outcome(&res))
		}
	}
	return o.summary(r.run(ctx, jobs))
}

// chosen are the addresses to work in.
func (o *options) chosen(ctx context.Context, words []string) ([]string, error) {
	o.route.Only = o.filter.Source
	if o.filter.None() && len(o.except) == 0 {
		return o.route.Expand(ctx, o.streams, words)
	}
	places, err := o.route.Places(ctx, o.streams, words)
	if err != nil {
		return nil, err
	}
	keep, err := o.filter.Open(ctx, o.streams)
	if err != nil {
		return nil, err
	}
	except, err := o.route.Meanings(o.streams, o.except)
	if err != nil {
		return nil, err
	}
	var out []string
	unknown := 0
	for i := range places {
		e := &places[i].Entry
		fits, is := keep.Keep(e)
		if is {
			unknown++
		}
		if fits && !except(e) {
			out = append(out, e.Address)
		}
	}
	filter.Tell(o.streams, unknown, "they are left out")
	if len(out) == 0 {
		return nil, fmt.Errorf("of %d addresses none is left by --source, --label, --ou and --except", len(places))
	}
	return out, nil
}

// environ opens the way to an address for as long as a command runs.
func (o *options) environ(ctx context.Context, address string) ([]string, func(), error) {
	way, err := o.route.Open(ctx, o.streams, address)
	if err != nil {
		return nil, nil, err
	}
	env, done, err := o.child.Environ(ctx, o.streams, way)
	if err != nil {
		way.Close()
		return nil, nil, err
	}
	return env, func() {
		if err := done(); err != nil {
			o.streams.Note("stile: %s: %v", address, err)
		}
		way.Close()
	}, nil
}

// summary tells what failed, and is the exit status.
func (o *options) summary(results []result) error {
	var failed, skipped int
	for i := range results {
		switch res := &results[i]; {
		case res.Skipped:
			skipped++
		case !res.ok():
			failed++
			o.streams.Note("stile: %s: %s", res.Address, outcome(res))
		}
	}
	parts := []string{fmt.Sprintf("%d of %d succeeded", len(results)-failed-skipped, len(results))}
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", failed))
	}
	if skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d not begun", skipped))
	}
	o.streams.Note("stile: %s", strings.Join(parts, ", "))
	if failed+skipped > 0 {
		return &term.Exit{Code: 1}
	}
	return nil
}

func outcome(r *result) string {
	switch {
	case r.Error != "":
		return strings.TrimPrefix(r.Error, "going to "+r.Address+": ") // it stands behind the address
	case r.Signal != "":
		return fmt.Sprintf("ended by %s after %.1f s", r.Signal, r.Seconds)
	case r.Exit != 0:
		return fmt.Sprintf("exit status %d after %.1f s", r.Exit, r.Seconds)
	}
	return fmt.Sprintf("done in %.1f s", r.Seconds)
}
