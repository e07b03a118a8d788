package term

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stile-aws/stile/internal/diag"
)

// FlagError is a flag's error in words for people: what Go's parsers say names
// their own functions, and not what there is instead.
func FlagError(cmd *cobra.Command, err error) error {
	if missing, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return noFlag(cmd, missing)
	}
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	var want string
	switch wrong.GetFlag().Value.Type() {
	case "int", "int32", "int64", "uint", "uint64":
		want = "a whole number"
	case "float64":
		want = "a number"
	case "duration":
		want = "a duration, like 90s, 15m or 24h"
	case "bool":
		want = "true or false"
	default:
		return err
	}
	return fmt.Errorf("--%s %q: want %s", wrong.GetFlag().Name, wrong.GetValue(), want)
}

func noFlag(cmd *cobra.Command, missing *pflag.NotExistError) error {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return fmt.Errorf("%w%s; %s --help lists those there are", missing, meant(missing.GetSpecifiedName(), names), cmd.CommandPath())
}

// Misspelt is that a command of a group was named that the group does not have: cobra
// would show help and call that success. Nil for all else.
func Misspelt(root *cobra.Command, args []string) error {
	group, rest, err := root.Find(args)
	if err != nil || group == root || group.Runnable() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil
	}
	var names []string
	for _, c := range group.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("unknown command %q for %s%s: want %s", rest[0], group.CommandPath(), meant(rest[0], names), strings.Join(names, ", "))
}

// meant is what a word may have been meant for, in brackets; "" for nothing.
func meant(word string, names []string) string {
	if h := diag.DidYouMean(word, names); h != "" {
		return " (" + h + ")"
	}
	return ""
}
