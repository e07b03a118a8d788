// Package doctor is `stile doctor`: what on this computer keeps credentials from
// working, and what to do about it. Nothing is changed, nobody is asked.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
)

type options struct {
	streams *term.Streams
	region  string
	json    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps credentials from working on this computer",
		Long: "Look for what keeps credentials from working on this computer, and say what to do: the clock against STS's, whether STS\n" +
			"is reached, environment variables that win over each other, AWS config and credentials files, permissions of files,\n" +
			"the secret store, sign-ins that have ended, rotations that were interrupted, the log, guards, the broker.\n" +
			"Nothing is changed and nobody is asked; no credentials are sent.\n\n" +
			"Exit status: 0 when there are no problems (warnings are none), else 1.",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.region, "region", "", "the Region whose STS is asked; default: $AWS_REGION, or us-east-1")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the findings as JSON")
	return cmd
}

// level is how a check came out.
type level string

const (
	good    level = "ok"
	warning level = "warning"
	problem level = "problem"
)

// finding is one thing that was looked at.
type finding struct {
	Check string `json:"check"`
	Level level  `json:"level"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to do
}

// visit collects findings.
type visit struct {
	options
	findings []finding
}

func (v *visit) add(check string, l level, hint, format string, args ...any) {
	v.findings = append(v.findings, finding{check, l, fmt.Sprintf(format, args...), hint})
}

func (o *options) run(ctx context.Context) error {
	v := &visit{options: *o}
	v.reach(ctx)
	v.variables()
	v.files()
	v.permissions()
	v.sources(ctx)
	v.leftovers()
	v.log()
	v.guards()
	v.broker(ctx)
	if o.json {
		if err := o.streams.JSON(map[string]any{"findings": v.findings}); err != nil {
			return err
		}
	} else {
		v.print()
	}
	if slices.ContainsFunc(v.findings, func(f finding) bool { return f.Level == problem }) {
		return term.ErrSaid
	}
	return nil
}

// print prints problems first.
func (v *visit) print() {
	rank := map[level]int{problem: 0, warning: 1, good: 2}
	slices.SortStableFunc(v.findings, func(a, b finding) int { return cmp.Compare(rank[a.Level], rank[b.Level]) })
	for _, f := range v.findings {
		v.streams.Printf("%-8s %-12s %s\n", f.Level, f.Check, f.Text)
		if f.Hint != "" {
			v.streams.Printf("%22s%s\n", "", f.Hint)
		}
	}
}
