// Package broker is `stile broker`: what the user's background holder of
// credentials does, and its end. The broker itself is `stile broker run`, which
// the commands that want credentials start when there is none; internal/broker
// says what it is.
package broker

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Look at, or stop, the process that holds credentials for all others",
		Long: "Commands that want credentials start a broker in the background, which holds them in its memory, refreshes them,\n" +
			"and answers everybody: however many processes ask, there is one login, one question and one call of STS. There is\n" +
			"one for every environment (AWS_*, STILE_*, proxies, PATH), since that decides which credentials there are. It serves\n" +
			"this user's processes alone, by a socket in $XDG_RUNTIME_DIR/stile, and ends when nobody has asked for ten minutes,\n" +
			"or for one where brokers of many environments run.\n\n" +
			"Nothing needs it: with STILE_BROKER=off, or --no-broker, every process does the work itself. Only the answer of the\n" +
			"browser to a sign-in is waited for in the background all the same, so that the sign-in outlives who asked for it.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newStatus(s), newStop(s), newRun(s))
	return cmd
}

func newStatus(s *term.Streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the brokers that run and the sessions they hold",
		Long: "List the brokers that run and the sessions they hold, with the time until which their credentials are valid.\n" +
			"Secrets are not shown.\n\nExit status: 0, also when none runs.",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := brokers(cmd.Context(), s)
			if err != nil {
				return err
			}
			if asJSON {
				return s.JSON(map[string]any{"brokers": all})
			}
			return print(s, all)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}

// brokers asks all brokers of the user.
func brokers(ctx context.Context, s *term.Streams) ([]client.Status, error) {
	place, err := client.Find(s.Environ())
	if err != nil {
		return nil, err
	}
	out := []client.Status{}
	for _, p := range place.All() {
		c := client.Client{Place: p}
		switch st, err := c.Status(ctx); {
		case err == nil:
			out = append(out, *st)
		case !errors.Is(err, client.ErrUnavailable): // what a killed one has left
			return nil, err
		}
	}
	return out, nil
}

func print(s *term.Streams, all []client.Status) error {
	if len(all) == 0 {
		s.Note("no broker runs")
		return nil
	}
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	for _, b := range all {
		fmt.Fprintf(w, "broker %d\tup %s\t%d requests\n", b.PID, time.Since(b.Started).Round(time.Second), b.Requests)
		for _, held := range b.Sessions {
			until := "not fetched"
			if held.Expires != nil {
				until = "until " + held.Expires.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "  %s\t%s\tas %s\n", held.Address, until, held.Caller)
		}
	}
	return w.Flush()
}

func newStop(s *term.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "Stop the brokers that run",
		Long: "Stop this user's brokers, and sign-ins whose page nobody has answered. Who waits for credentials still gets them; what\n" +
			"a broker holds is forgotten, and fetched again when somebody asks.\n\nExit status: 0, also when none runs.",
		Args: term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := brokers(cmd.Context(), s)
			if err != nil {
				return err
			}
			for _, b := range all {
				c := client.Client{Place: client.Place{Socket: b.Socket}}
				if err := c.Stop(cmd.Context()); err != nil && !errors.Is(err, client.ErrUnavailable) {
					return fmt.Errorf("stopping broker %d: %w", b.PID, err)
				}
			}
			s.Note("%d stopped", len(all))
			return route.StopSignIns(cmd.Context(), s)
		},
	}
}
