package term_test

import (
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/stile-aws/stile/internal/cli/term"
)

func TestFlagErrorsSayWhatIsWanted(t *testing.T) {
	var port int
	var since time.Duration
	var yes bool
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	flags.IntVar(&port, "port", 0, "")
	flags.DurationVar(&since, "since", 0, "")
	flags.BoolVar(&yes, "yes", false, "")
	for arg, want := range map[string]string{
		"--port=abc":        `--port "abc": want a whole number`,
		"--since=yesterday": `--since "yesterday": want a duration, like 90s, 15m or 24h`,
		"--yes=perhaps":     `--yes "perhaps": want true or false`,
		"--nobody":          "unknown flag: --nobody",
	} {
		err := flags.Parse([]string{arg})
		if err == nil {
			t.Errorf("%s is no error", arg)
			continue
		}
		if got := term.FlagError(err).Error(); got != want {
			t.Errorf("%s: %q, want %q", arg, got, want)
		}
	}
}
