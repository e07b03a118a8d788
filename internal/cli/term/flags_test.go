package term_test

import (
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
)

func TestFlagErrorsSayWhatIsWanted(t *testing.T) {
	var port int
	var since time.Duration
	var yes bool
	cmd := &cobra.Command{Use: "x"}
	flags := cmd.Flags()
	flags.IntVar(&port, "port", 0, "")
	flags.DurationVar(&since, "since", 0, "")
	flags.BoolVar(&yes, "yes", false, "")
	for arg, want := range map[string]string{
		"--port=abc":        `--port "abc": want a whole number`,
		"--since=yesterday": `--since "yesterday": want a duration, like 90s, 15m or 24h`,
		"--yes=perhaps":     `--yes "perhaps": want true or false`,
		"--nobody":          "unknown flag: --nobody; x --help lists those there are",
		"--prot=1":          `unknown flag: --prot (did you mean "port"?); x --help lists those there are`,
		"-q":                "unknown shorthand flag: 'q' in -q; x --help lists those there are",
	} {
		err := flags.Parse([]string{arg})
		if err == nil {
			t.Errorf("%s is no error", arg)
			continue
		}
		if got := term.FlagError(cmd, err).Error(); got != want {
			t.Errorf("%s: %q, want %q", arg, got, want)
		}
	}
}

func TestCommandsThatAGroupDoesNotHave(t *testing.T) {
	root := &cobra.Command{Use: "x"}
	group := &cobra.Command{Use: "keep"}
	run := func(*cobra.Command, []string) {}
	group.AddCommand(&cobra.Command{Use: "list", Run: run}, &cobra.Command{Use: "remove", Run: run})
	group.PersistentFlags().String("at", "", "")
	root.AddCommand(group, &cobra.Command{Use: "go PLACE", Run: run})
	for _, c := range []struct {
		want string
		args []string
	}{
		{`unknown command "lst" for x keep (did you mean "list"?): want list, remove`, []string{"keep", "lst"}},
		{`unknown command "nothing" for x keep: want list, remove`, []string{"keep", "nothing", "list"}},
		{"", []string{"keep"}},
		{"", []string{"keep", "--help"}},
		{"", []string{"keep", "--at", "here", "list"}},
		{"", []string{"keep", "list", "what"}},
		{"", []string{"go", "where"}},
		{"", []string{"nowhere"}}, // cobra says it
		{"", nil},
	} {
		got := ""
		if err := term.Misspelt(root, c.args); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}
