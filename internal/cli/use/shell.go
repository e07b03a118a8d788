package use

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/config"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/deliver/env"
	"github.com/stile-aws/stile/internal/used"
)

// lastEnv tells use what the shell used before, as the function has it.
const lastEnv = "STILE_LAST"

var errShell = errors.New("want bash, zsh or fish; stile env knows other shells")

func shells() []string { return []string{"bash", "zsh", "fish"} }

func supported(shell string) bool { return slices.Contains(shells(), shell) }

func unknownShell(shell string) error { return fmt.Errorf("shell %q: %w", shell, errShell) }

// NewInit returns the command shell-init.
func NewInit(s *term.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "shell-init bash|zsh|fish",
		Short: "Print the shell function by which stile use sets the current shell",
		Long: "Print a shell function named stile, for a line in the shell's own startup file. For stile use it evaluates what the\n" +
			"program prints; everything else is handed on to the program as it is.\n\nExit status: 0, or 1 for another shell.",
		Example:   "  eval \"$(stile shell-init bash)\"\n  stile shell-init fish | source",
		Args:      term.Args(1),
		ValidArgs: shells(),
		RunE: func(_ *cobra.Command, args []string) error {
			if !supported(args[0]) {
				return unknownShell(args[0])
			}
			program, err := config.Program(s, "")
			if err != nil {
				return err
			}
			_, err = io.WriteString(s.Out, function(args[0], program))
			return err
		},
	}
}

// function is the shell function. What fails prints nothing to evaluate.
func function(shell, program string) string {
	if shell == "fish" {
		return strings.ReplaceAll(`function stile --description 'AWS sessions'
    if test "$argv[1]" != use
        command PROGRAM $argv
        return
    end
    set -l __stile_script (STILE_LAST="$__stile_last" STILE_PID=$fish_pid command PROGRAM use --shell fish $argv[2..-1])
    set -l __stile_status $status
    test $__stile_status -eq 0; or return $__stile_status
    printf '%s\n' $__stile_script | source
end
`, "PROGRAM", env.Quote(shell, program))
	}
	return strings.ReplaceAll(strings.ReplaceAll(`stile() {
  if [ "${1-}" != use ]; then
    command PROGRAM "$@"
    return
  fi
  shift
  local __stile_script
  __stile_script="$(STILE_LAST="${__stile_last-}" STILE_PID=$$ command PROGRAM use --shell SHELL "$@")" || return
  eval "$__stile_script"
}
`, "PROGRAM", env.Quote(shell, program)), "SHELL", shell)
}

// script writes what a shell has to evaluate.
type script struct {
	shell string
	from  []string    // the shell's environment
	used  *used.State // what it uses now, nil for nothing
}

// on leads to an environment in which something is used.
func (s *script) on(w io.Writer, to []string) error {
	var b strings.Builder
	if err := env.Write(&b, s.shell, s.from, to); err != nil {
		return err
	}
	if s.used == nil {
		// From here on the shell alone has what was in the environment.
		var kept strings.Builder
		var secrets []string
		for _, v := range s.from {
			if secret(v) {
				secrets = append(secrets, v)
			}
		}
		if err := env.Write(&kept, s.shell, nil, secrets); err != nil {
			return err
		}
		s.keep(&b, "__stile_kept", kept.String())
	} else {
		s.keep(&b, "__stile_last", s.used.Choice)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// off leads to the environment from before.
func (s *script) off(w io.Writer, before []string) error {
	var b strings.Builder
	if err := env.Write(&b, s.shell, s.from, before); err != nil {
		return err
	}
	s.keep(&b, "__stile_last", s.used.Choice)
	if s.shell == "fish" {
		b.WriteString("set -q __stile_kept; and printf '%s\\n' $__stile_kept | source\nset -e __stile_kept\ntrue\n")
	} else {
		b.WriteString("eval \"${__stile_kept-}\"\nunset __stile_kept\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// keep sets a variable of the shell's own, which no program is given.
func (s *script) keep(b *strings.Builder, name, value string) {
	quoted := env.Quote(s.shell, value)
	switch s.shell {
	case "fish":
		b.WriteString("set -gu " + name + " " + quoted + "\n")
	case "zsh":
		// In two steps: with the option all_export a value that is given exports.
		b.WriteString("typeset -g " + name + "=" + quoted + "\ntypeset -g +x " + name + "\n")
	default:
		b.WriteString(name + "=" + quoted + "\nexport -n " + name + "\n")
	}
}
