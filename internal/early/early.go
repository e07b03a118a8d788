// Package early answers `stile credential-process ADDRESS` before the rest of the
// program is initialised, where the credentials were fetched before and are good.
//
// AWS clients run that command again and again, and most of what it would cost is
// the initialisation of packages that it does not need: tables of AWS's SDK. So
// this package has what the rules of the project forbid, an init that acts, and
// ends the process. It is the only one, and only cmd/stile imports it.
//
// It rests on the Go specification, "Program initialization": packages are sorted
// by import path, and in each step the first whose imports are all initialised is
// initialised. This one imports, through others, nothing but what comes early in
// that order, so that it precedes github.com/aws/aws-sdk-go-v2/service/…, whose
// imports (math/big among them) come later. Neither it nor what it imports may
// import path/filepath, net, regexp, a parser of YAML or the SDK; a test of
// cmd/stile looks at the order in the real program.
//
// Whenever anything is unusual it does nothing, and the whole program does the
// work, and tells what is wrong: other arguments, a guard, changed files, nothing
// kept, a log that cannot be written. It shares every decision with the whole
// program (package handout), and writes nothing to standard output before it is
// certain to answer.
package early

import (
	"fmt"
	"os"

	"github.com/stile-aws/stile/internal/deliver/process/wire"
	"github.com/stile-aws/stile/internal/handout"
	"github.com/stile-aws/stile/internal/surroundings"
	"github.com/stile-aws/stile/internal/used"
)

const command = "credential-process"

func init() {
	if len(os.Args) != 3 || os.Args[1] != command || os.Args[2] == "" || os.Args[2][0] == '-' {
		return
	}
	if used.Leave() != nil { // or the session that a shell uses would come from itself
		return
	}
	if answered, code := answer(os.Args[2]); answered {
		os.Exit(code)
	}
}

// answer writes the credentials for an address, if they are at hand.
func answer(address string) (answered bool, code int) {
	env := handout.Environment{Getenv: os.Getenv, Environ: os.Environ}
	c, entry, ok := handout.Find(env, &handout.Request{Address: address, Around: surroundings.Above()})
	if !ok {
		return false, 0
	}
	entry.Delivery = command
	if _, err := handout.Log(env, entry, handout.Credential{AccessKeyID: c.AccessKeyID, AccountID: c.AccountID, Expires: c.Expires}); err != nil {
		return false, 0
	}
	out := wire.Answer{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, AccountID: c.AccountID, Expires: c.Expires}
	if err := out.Write(os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "stile: %v\n", err)
		return true, 1
	}
	return true, 0
}
