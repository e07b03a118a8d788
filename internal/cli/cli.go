// Package cli is the stile command line. [Main] runs it; every command is a
// package below. Nothing else of the module knows cobra.
package cli

import (
	"context"
	"os"
	"os/user"
	"runtime/debug"

	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"github.com/stile-aws/stile/internal/cli/apply"
	"github.com/stile-aws/stile/internal/cli/broker"
	"github.com/stile-aws/stile/internal/cli/can"
	"github.com/stile-aws/stile/internal/cli/completion"
	"github.com/stile-aws/stile/internal/cli/config"
	"github.com/stile-aws/stile/internal/cli/console"
	"github.com/stile-aws/stile/internal/cli/credentialprocess"
	"github.com/stile-aws/stile/internal/cli/demo"
	"github.com/stile-aws/stile/internal/cli/diff"
	"github.com/stile-aws/stile/internal/cli/doctor"
	"github.com/stile-aws/stile/internal/cli/each"
	"github.com/stile-aws/stile/internal/cli/env"
	"github.com/stile-aws/stile/internal/cli/exec"
	"github.com/stile-aws/stile/internal/cli/explaincredential"
	"github.com/stile-aws/stile/internal/cli/lint"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/log"
	"github.com/stile-aws/stile/internal/cli/login"
	"github.com/stile-aws/stile/internal/cli/logout"
	"github.com/stile-aws/stile/internal/cli/ls"
	"github.com/stile-aws/stile/internal/cli/observe"
	"github.com/stile-aws/stile/internal/cli/paths"
	"github.com/stile-aws/stile/internal/cli/plan"
	"github.com/stile-aws/stile/internal/cli/policy"
	"github.com/stile-aws/stile/internal/cli/rotate"
	"github.com/stile-aws/stile/internal/cli/secrets"
	"github.com/stile-aws/stile/internal/cli/serve"
	"github.com/stile-aws/stile/internal/cli/sessions"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/cli/use"
	"github.com/stile-aws/stile/internal/cli/verify"
	"github.com/stile-aws/stile/internal/cli/whatcan"
	"github.com/stile-aws/stile/internal/cli/whoami"
	"github.com/stile-aws/stile/internal/cli/whocan"
	"github.com/stile-aws/stile/internal/session/flight"
	"github.com/stile-aws/stile/internal/surroundings"
)

// System is the process's own streams and environment. Where HOME is not set, as under
// some services, it is set to what the system has for the user, for all that is run
// from here too.
func System() *term.Streams {
	if os.Getenv("HOME") == "" {
		if me, err := user.Current(); err == nil && me.HomeDir != "" {
			_ = os.Setenv("HOME", me.HomeDir)
		}
	}
	return &term.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: xterm.IsTerminal(int(os.Stderr.Fd())), Ask: xterm.IsTerminal(int(os.Stdin.Fd())),
		Env: os.LookupEnv, Environ: os.Environ,
	}
}

// Main runs the command line args (without the program's name) and returns the
// exit code. SIGINT and SIGTERM end the command's context; a second one the process.
// A command that one of them keeps from its work ends by that signal, which shells
// show as 130 and 143. What cannot be written to standard output is a failure; where
// only its reader went away the exit code is 141, without a word.
func Main(args []string, s *term.Streams) int {
	ctx, stop := term.Interruptible(context.Background())
	defer stop()
	out, watched := term.NewOutput(s.Out), *s
	s = &watched
	s.Out = out
	err := out.Checked(run(ctx, args, s))
	code := term.Ended(ctx, err, term.Code(s, err))
	term.Leave(ctx, code)
	return code
}

func run(ctx context.Context, args []string, s *term.Streams) error {
	root := Root(s)
	root.SetArgs(args)
	switch home := s.Getenv("HOME"); {
	case completion.Asked(args):
		completion.Add(root, s, args)
	case surroundings.Borrowed(home):
		s.Note("stile: run by sudo with the home %s of who called it: its sessions say what root runs, and what is kept there will be root's; sudo -H takes root's own", home)
	}
	if err := term.Misspelt(root, args); err != nil {
		return err
	}
	return root.ExecuteContext(flight.WithNote(ctx, func(text string) { s.Note("stile: %s", text) }))
}

// Root is the whole command tree.
func Root(s *term.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "stile",
		Short: "Cross from one AWS account into another: declared, proven, applied, delivered",
		Long: "One declaration says who may do what in which AWS account. stile compiles it into both sides' IAM,\n" +
			"proves it, applies it over all the accounts, and delivers the credentials.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(term.FlagError)
	root.AddCommand(
		plan.New(s), apply.New(s), verify.New(s), apply.NewDestroy(s), can.New(s), whocan.New(s), whatcan.New(s), paths.New(s), diff.New(s), observe.New(s), lint.New(s), policy.New(s),
		login.New(s), logout.New(s), ls.New(s), whoami.New(s), sessions.New(s), secrets.New(s),
		newVersion(s), exec.New(s), use.New(s), use.NewInit(s), each.New(s), console.New(s), config.New(s), rotate.New(s), log.New(s), doctor.New(s), explaincredential.New(s), env.New(s), credentialprocess.New(s), serve.New(s), broker.New(s), local.New(s), demo.New(s),
	)
	return root
}

// newVersion is --version for those who type it as a command.
func newVersion(s *term.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version, as stile --version does.\n\nExit status: 0.",
		Args:  term.Args(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.Printf("stile version %s\n", cmd.Root().Version)
			return nil
		},
	}
}

// version is the module version the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
