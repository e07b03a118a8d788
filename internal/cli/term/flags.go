package term

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// FlagError is a flag's error in words for people: what Go's parsers say names
// their own functions.
func FlagError(err error) error {
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
