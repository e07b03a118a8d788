// Package used is what `stile use` leaves in a shell's environment, and how the
// environment was before; `stile exec` tells its command where it is by the same
// variables.
//
// Start with [Leave], for a process that has to work as if the shell used nothing,
// or [Outside], which gives that environment. What is kept of the time before is
// not secret: keys stay in a variable that the shell hands to nobody. The package
// keeps to what is initialised early (see internal/early).
package used

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// The variables that tell where a shell is.
const (
	// AddressEnv is the address that is used.
	AddressEnv = "STILE_ADDRESS"
	// ExpiresEnv is until when the credentials are good that were had last, in
	// RFC 3339. Those of a profile are fetched anew before.
	ExpiresEnv = "STILE_EXPIRES"
	// StateEnv is how to come back, see [State].
	StateEnv = "STILE_USED"
	// RegionEnv is the Region that stile has put into AWS_REGION for AddressEnv. It
	// is not set where AWS_REGION is the person's own, see [Region].
	RegionEnv = "STILE_REGION"
	// AccountIDEnv and AccountNameEnv are the account's, where they are known.
	AccountIDEnv   = "STILE_ACCOUNT_ID"
	AccountNameEnv = "STILE_ACCOUNT_NAME"
)

// set are the variables that use sets.
var set = []string{
	AddressEnv, ExpiresEnv, StateEnv, RegionEnv, AccountIDEnv, AccountNameEnv,
	"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SDK_LOAD_CONFIG", "AWS_EC2_METADATA_DISABLED",
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCOUNT_ID", "AWS_CREDENTIAL_EXPIRATION",
}

// Sets reports that use sets the variable of v, NAME=VALUE: it has to be in
// [State.Before] even where its value stays as it was.
func Sets(v string) bool {
	name, _, _ := strings.Cut(v, "=")
	return slices.Contains(set, name)
}

// State is what [StateEnv] holds.
type State struct {
	Choice string   // what was asked for, in the words of package use
	Before []string // NAME=VALUE each, of what use changed; nothing secret
}

// String is the state as a variable has it.
func (s State) String() string {
	words := []string{strconv.Quote(s.Choice)}
	for _, v := range s.Before {
		words = append(words, strconv.Quote(v))
	}
	return strings.Join(words, " ")
}

// Parse reads a state. ok is false for what is none.
func Parse(text string) (s State, ok bool) {
	var words []string
	for rest := text; rest != ""; rest = strings.TrimPrefix(rest, " ") {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return State{}, false
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return State{}, false
		}
		words, rest = append(words, word), rest[len(quoted):]
	}
	if len(words) == 0 {
		return State{}, false
	}
	return State{Choice: words[0], Before: words[1:]}, true
}

// Outside is an environment, NAME=VALUE each, as it was before use, without the
// secrets it may have had. state is nil when nothing is used; then it is environ
// itself.
func Outside(environ []string) (before []string, state *State) {
	for _, v := range environ {
		if text, ok := strings.CutPrefix(v, StateEnv+"="); ok {
			if s, ok := Parse(text); ok {
				state = &s
			}
		}
	}
	if state == nil {
		return environ, nil
	}
	for _, v := range environ {
		if !Sets(v) {
			before = append(before, v)
		}
	}
	return append(before, state.Before...), state
}

// Region is the Region of an environment for who goes to address, and the variable
// that says it: AWS_REGION, or AWS_DEFAULT_REGION; "" for none. What stile itself has
// put there for another address does not count, and what was there before does.
func Region(environ []string, address string) (region, variable string) {
	at, chosen := lookup(environ, AddressEnv), lookup(environ, RegionEnv)
	if chosen == "" || at == address {
		return regionOf(environ, "")
	}
	if region, variable = regionOf(environ, chosen); region != "" {
		return region, variable
	}
	before, state := Outside(environ)
	if state == nil {
		return "", ""
	}
	return regionOf(before, "")
}

// regionOf is the Region that variables say, unless it is the one but.
func regionOf(environ []string, but string) (region, variable string) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if value := lookup(environ, name); value != "" && value != but {
			return value, name
		}
	}
	return "", ""
}

// lookup is the value of a variable; the last counts, as os.Environ's readers take it.
func lookup(environ []string, name string) string {
	for _, v := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// Leave makes the environment of this process the one before use. The credentials
// that a shell uses must not come from themselves.
func Leave() error {
	if os.Getenv(StateEnv) == "" {
		return nil
	}
	before, state := Outside(os.Environ())
	if state == nil {
		return nil
	}
	for _, name := range set {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	for _, v := range before {
		name, value, _ := strings.Cut(v, "=")
		if os.Getenv(name) == value {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}
