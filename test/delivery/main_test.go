// Package delivery drives every way in which stile hands credentials to programs
// with clients nobody here wrote: the AWS CLI, boto3 and the AWS SDK for Go,
// each unmodified and a process of its own.
//
// Start with form_test.go, which lists the ways, and client_test.go, which lists
// the clients. The stories are: who a client is, what it does when its
// credentials expire while it runs, what it says when there are none, and who is
// refused at the listeners.
//
// The credentials are the local AWS's own and expire in earnest: world_test.go
// makes them as short as a test wants. Nothing waits for a time to pass; what is
// waited for is that the local AWS refuses a credential.
package delivery_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
)

// TestMain lets the test binary be other programs too: stile itself, a client
// made of the AWS SDK for Go, and one that runs the AWS CLI for every call.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile":      func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"go-client":  func() { os.Exit(converse(os.Stdin, os.Stdout, goAnswer)) },
		"cli-client": func() { os.Exit(converse(os.Stdin, os.Stdout, cliAnswer(os.Args[1]))) },
	})
}
