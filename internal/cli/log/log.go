// Package log is `stile log`: which credentials stile handed out on this
// computer, to which process, until when.
package log

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/glob"
	"github.com/stile-aws/stile/internal/issuelog"
)

type options struct {
	streams  *term.Streams
	since    time.Duration
	account  string
	delivery string
	json     bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "log",
		Short: "List the credentials that stile handed out on this computer",
		Long: "List the credentials that stile handed out on this computer: when, for which role, until when, by which command and\n" +
			"to which process. It is in $XDG_STATE_HOME/stile, for you alone, and holds no secret; what has grown is moved to files\n" +
			"beside it, and nothing is ever removed. With STILE_LOG=required nothing is handed out that cannot be logged.\n\n" +
			"Exit status: 0, or 1 when the log cannot be read.",
		Example: "  stile log --since 24h --account orders-prod",
		Args:    term.Args(0),
		RunE:    func(*cobra.Command, []string) error { return o.run() },
	}
	f := cmd.Flags()
	f.DurationVar(&o.since, "since", 0, "how far to look back, such as 24h; default: all")
	f.StringVar(&o.account, "account", "", "an `ACCOUNT` by name or id; * and ? stand for any characters")
	f.StringVar(&o.delivery, "delivery", "", "the `COMMAND` that handed out: exec, env, credential-process, serve, each, console")
	f.BoolVar(&o.json, "json", false, "print the entries as JSON, one a line")
	return cmd
}

func (o *options) run() error {
	dir, err := state.Dir(o.streams)
	if err != nil {
		return err
	}
	var since time.Time
	if o.since > 0 {
		since = time.Now().Add(-o.since)
	}
	entries, broken, err := issuelog.Read(dir, since)
	if err != nil {
		return err
	}
	if broken > 0 {
		o.streams.Note("stile: %d lines of the log are broken, as a full disk leaves them", broken)
	}
	if o.json {
		for i := range entries {
			if !o.wants(&entries[i]) {
				continue
			}
			if err := o.streams.JSONLine(&entries[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return o.table(entries)
}

func (o *options) wants(e *issuelog.Entry) bool {
	if o.delivery != "" && e.Delivery != o.delivery {
		return false
	}
	name, _, _ := strings.Cut(e.Address, "/")
	return o.account == "" || glob.Plain(o.account, e.Account) || glob.Plain(o.account, cmp.Or(e.AccountName, name))
}

func (o *options) table(entries []issuelog.Entry) error {
	w := tabwriter.NewWriter(o.streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tADDRESS\tACCOUNT\tUNTIL\tKEY\tBY\tPROCESS")
	for i := range entries {
		e := &entries[i]
		if !o.wants(e) {
			continue
		}
		until := "-"
		if !e.Expires.IsZero() {
			until = e.Expires.Local().Format("15:04:05")
		}
		by := e.Delivery
		if e.Limits != "" {
			by += " (" + e.Limits + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format(time.DateTime), e.Address, e.Account, until, e.AccessKeyID, by, process(e))
	}
	return w.Flush()
}

// process is who asked: the program that was started, else the one that started us.
func process(e *issuelog.Entry) string {
	who := e.Command
	if who == "" && len(e.Process.Parents) > 0 {
		who = filepath.Base(e.Process.Parents[0].Name)
	}
	return fmt.Sprintf("%d %s", e.Process.PID, cmp.Or(who, "-"))
}
