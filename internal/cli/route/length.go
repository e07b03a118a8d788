package route

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
)

// LengthFlag adds --duration to a command that hands out credentials.
func (o *Options) LengthFlag(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&o.Duration, "duration", 0, "the `LENGTH` that the credentials should have, 15m to 12h, where the way ends in a role that is assumed;\n"+
		"default: the session's or the declared duration, else 1h. When they end before, it is said")
}

// checkLength refuses what STS would.
func (o *Options) checkLength() error {
	if o.Duration != 0 && (o.Duration < creds.MinDuration || o.Duration > creds.MaxDuration) {
		return fmt.Errorf("--duration %s: AWS gives credentials for 15m to 12h", o.Duration)
	}
	return nil
}

// lasting has declared routes end in a session of the length that is wanted.
func (o *Options) lasting(routes []candidate) {
	if o.Duration == 0 {
		return
	}
	for i := range routes {
		hops := slices.Clone(routes[i].route.Hops) // others have them, too
		hops[len(hops)-1].Duration = o.Duration
		routes[i].route.Hops = hops
	}
}

// last has a target end in a session of the length that is wanted, where a role is
// assumed at its end.
func (o *Options) last(t *session.Target) {
	if o.Duration == 0 || len(t.Hops) == 0 {
		return
	}
	t.Hops = slices.Clone(t.Hops)
	t.Hops[len(t.Hops)-1].Duration = o.Duration
}

// slack is how much shorter than wanted is not worth saying.
const slack = time.Minute

// shorter says once that credentials end before what was wanted.
func (o *Options) shorter(s *term.Streams, address string, w *Way) func(aws.Credentials) {
	if o.Duration == 0 {
		return nil
	}
	said := false
	return func(c aws.Credentials) {
		left := time.Until(c.Expires)
		if said || !c.CanExpire || left >= o.Duration-slack {
			return
		}
		said = true
		why := "that is what the way gives"
		switch {
		case w.Role == "":
			why = "the source says how long they last"
		case w.Chained && o.Duration > creds.ChainedDuration:
			why = "AWS lets a role that is entered from another session last an hour"
		}
		s.Note("stile: %s: the credentials last %s, not %s: %s", address, left.Round(time.Minute), o.Duration, why)
	}
}
