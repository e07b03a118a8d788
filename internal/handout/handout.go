// Package handout hands out credentials that were fetched before and are good,
// without finding the way to them again, and logs what is handed out. Start with
// [Find] and [Log].
//
// What was fetched is found by a name, [Request.Name], over everything that the
// way depends on: the request, the environment, and the state of the files that
// decide. Nothing is found when any of it has changed, when a guard stands over
// the working directory, and when less than a quarter of an hour is left.
//
// It is used before anything else of the program is initialised (internal/early),
// so it knows neither AWS's SDK nor path/filepath.
package handout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/stile-aws/stile/internal/issuelog"
	"github.com/stile-aws/stile/internal/session/shelf"
	"github.com/stile-aws/stile/internal/surroundings"
)

// LogEnv set to "required" makes credentials that cannot be logged an error.
const LogEnv = "STILE_LOG"

// Request is what somebody asks for.
type Request struct {
	Address                     string
	Declarations, As, TokenFile string // flags
	Around                      string // the declarations around where the person works, surroundings.Above
}

// Environment is that of the process which asks.
type Environment struct {
	Getenv  func(string) string
	Environ func() []string
}

// Name names everything that the way to an address depends on.
func (r *Request) Name(env Environment) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q\n", r.Address, r.Declarations, r.As, r.TokenFile)
	for _, v := range surroundings.Deciding(env.Environ()) {
		fmt.Fprintf(h, "%q\n", v)
	}
	for _, file := range []string{r.TokenFile, env.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"), env.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")} {
		// Whose token it is, only its text tells.
		text, err := os.ReadFile(file)
		fmt.Fprintf(h, "%t %x\n", err == nil, sha256.Sum256(text))
	}
	fmt.Fprint(h, surroundings.Stamp(env.Getenv, r.Declarations, env.Getenv(surroundings.DeclarationsEnv), r.Around))
	return hex.EncodeToString(h.Sum(nil))
}

// Find gives credentials that are good, and what the log says of them.
func Find(env Environment, r *Request) (shelf.Credentials, issuelog.Entry, bool) {
	paths, err := surroundings.FindPaths(env.Getenv)
	if err != nil {
		return shelf.Credentials{}, issuelog.Entry{}, false
	}
	s := shelf.At(paths.Runtime)
	if s == nil || surroundings.Guarded() {
		return shelf.Credentials{}, issuelog.Entry{}, false
	}
	now := time.Now()
	a, ok := s.Alias(r.Name(env))
	if !ok || !a.Until.IsZero() && now.After(a.Until) {
		return shelf.Credentials{}, issuelog.Entry{}, false
	}
	c, ok := s.Get(a.Key)
	if !ok || !c.Good(now) {
		return shelf.Credentials{}, issuelog.Entry{}, false
	}
	return c, issuelog.Entry{
		Address: r.Address, Account: a.Account, AccountName: a.AccountName, Role: a.Role, Source: a.Source, Session: a.Session,
	}, true
}

// Credential is what of a credential the log holds.
type Credential struct {
	AccessKeyID, AccountID string
	Expires                time.Time // zero: never
}

// Log logs that a credential is handed out by this process now. e says the rest.
// An error says that it is not in the log; fatal that it must not be handed out
// then.
func Log(env Environment, e issuelog.Entry, c Credential) (fatal bool, err error) {
	e.Time, e.AccessKeyID, e.Process = time.Now().UTC(), c.AccessKeyID, issuelog.Self()
	if !c.Expires.IsZero() {
		e.Expires = c.Expires.UTC()
	}
	if e.Account == "" {
		e.Account = c.AccountID
	}
	dir, err := surroundings.State(env.Getenv)
	if err == nil {
		err = issuelog.Append(dir, e)
	}
	if err != nil && env.Getenv(LogEnv) == "required" {
		return true, fmt.Errorf("%w; %s=required hands out nothing that is not logged", err, LogEnv)
	}
	return false, err
}
